"""What both services would otherwise copy. Knows no service."""
