"""Benchmarks: real data in, small result files out. One command a row; see the README's table."""
