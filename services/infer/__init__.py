"""The inference service: follows aliases, loads versions, answers texts. Never imports torch or the training service."""

import os

# Calls are tokenized side by side already: sharing the texts of one out among further threads costs more than it gains.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
