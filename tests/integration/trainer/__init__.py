"""The trainer: from rows and a base to a gated version in the store, with torch."""
