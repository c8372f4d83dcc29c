"""A base for trainer tests: a random BERT of two layers, width 32, in Hub layout, made in a fraction of a second.

Its tokenizer is that of `tests.tiny`, so that the words of the tiny world are whole tokens. Deterministic for a seed.
"""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from tests.tiny import tiny_tokenizer

TINY_BASE = "tiny-bert"


def make_tiny_base(folder: Path, *, seed: int = 0) -> Path:
    """Write `tiny-bert` below `folder`; return its own folder."""
    base = folder / TINY_BASE
    base.mkdir(parents=True)
    vocabulary = json.loads(tiny_tokenizer(base).read_text("utf-8"))["model"]["vocab"]
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        pad_token_id=vocabulary["[PAD]"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(base, safe_serialization=True)
    return base


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny base."""
    return make_tiny_base(tmp_path_factory.mktemp("bases"))
