"""The serving benchmark: Tagsmith beside a naive server and the best in-process loop, on the same cores, in one run."""
