"""Labelled rows: what they are, how files become rows, and which split a row belongs to. Pure, and knows no store."""
