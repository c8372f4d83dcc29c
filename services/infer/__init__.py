"""The inference service: follows aliases, loads versions, answers texts. Never imports torch or the training service."""
