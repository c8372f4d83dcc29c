"""Scores of answers against the truth: one way to compute them for manifests, `tagsmith eval`, comparisons and benchmarks. Pure."""
