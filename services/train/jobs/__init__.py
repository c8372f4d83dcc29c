"""Training jobs: their life, their table, and what sees them through."""
