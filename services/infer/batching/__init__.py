"""Gathers the windows of all callers into batches and runs them: policy decides, dispatcher acts, isolation contains faults."""
