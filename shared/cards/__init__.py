"""Model cards and reports: what a manifest tells of a version, for people. Pure: a manifest in, a text out.

A card is Markdown with the Hugging Face Hub's metadata at its head; a report is one HTML file with plots. Neither says anything
that the manifest does not, and neither shows a user's text unless asked for it.
"""
