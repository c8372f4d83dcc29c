"""The training service as callers see it: real sockets, real processes, a stand-in for the trainer."""
