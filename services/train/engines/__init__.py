"""Where trainers run: the port, and the local process that is its default."""
