"""GENERATED from protos/ by `make stubs`; never edited."""
