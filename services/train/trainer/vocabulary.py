"""A tokenizer learnt from the texts that it will cut: byte-level byte-pair encoding (arXiv:1508.07909), lower-cased.

Every text encodes, whatever its script: what was never seen falls into bytes. The same texts give the same file.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFKC, Lowercase, Sequence
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

PAD_TOKEN: Final = "[PAD]"  # noqa: S105 - a token of text
FEWEST_OCCURRENCES: Final = 2  # of a pair that becomes a token: what stands there once teaches nothing


def learn_tokenizer(texts: Iterable[str], path: Path, *, vocabulary_size: int) -> int:
    """Write a tokenizer.json of at most `vocabulary_size` tokens (at least the 256 bytes and padding) and return how many it has."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = Sequence([NFKC(), Lowercase()])
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    trainer = BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=FEWEST_OCCURRENCES,
        special_tokens=[PAD_TOKEN],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return int(tokenizer.get_vocab_size())
