"""The `tagsmith` command: a client of the two services, and `up`, which runs both in one folder."""
