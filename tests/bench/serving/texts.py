"""What is asked: BANKING77's texts, and a mix of short and long ones made of them. No text comes twice in a corpus.

A corpus is a file with a text a line; whoever takes part in a run reads its own part of it, so that servers meet the same texts and none
meets a text twice. Beyond the data set's own 13 thousand a text is one of them with one word exchanged for another of as many tokens.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from tests.bench.data import read_split

DATASET: Final = "banking77"
BANKING, LONG_TAIL = "banking", "long-tail"
COUNTS: Final = {BANKING: 400_000, LONG_TAIL: 60_000}
SHORT_TOKENS: Final = (8, 20)
_LONG_RANGES: Final = ((100, 149), (150, 199), (200, 250))  # tokens of the long ones of a block
_BLOCK: Final = 20  # texts, of which 15 % are long
_SEED: Final = 77


def write_corpora(folder: Path, tokenizer_path: Path) -> dict[str, Path]:
    """Write the corpora that are not there yet; lengths are those of the version's tokenizer, special tokens left out."""
    paths = {name: folder / f"{name}.txt" for name in COUNTS}
    if all(path.exists() for path in paths.values()):
        return paths
    dice = random.Random(_SEED)  # noqa: S311  # texts of a benchmark, no secret
    source = _Source(Tokenizer.from_file(str(tokenizer_path)), dice)
    made = {BANKING: source.banking(COUNTS[BANKING]), LONG_TAIL: source.long_tail(COUNTS[LONG_TAIL])}
    for name, path in paths.items():
        assert len(set(made[name])) == COUNTS[name]
        path.write_text("\n".join(made[name]))
    return paths


def read_texts(path: Path | str, start: int, count: int) -> list[str]:
    """Return a part of a corpus, which may be shorter at the corpus's end."""
    return Path(path).read_text().split("\n")[start : start + count]


class _Source:
    """Texts of the data set, then their like."""

    def __init__(self, tokenizer: Tokenizer, dice: random.Random) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer, self._dice = tokenizer, dice
        splits = ("train", "validation", "test")
        found = {text for split in splits for text in read_split(DATASET, split).texts}
        self._own = sorted({" ".join(text.split()) for text in found})
        dice.shuffle(self._own)
        self._own_tokens = self._count_tokens(self._own)
        words = sorted({word for text in self._own for word in text.split()})
        self._word_tokens = dict(zip(words, self._count_tokens(words), strict=True))
        self._words_of: defaultdict[int, list[str]] = defaultdict(list)
        for word, count in self._word_tokens.items():
            self._words_of[count].append(word)

    def banking(self, count: int) -> list[str]:
        """Return the data set's own texts in random order, then others like them."""
        return list(self._distinct(self._own, count))

    def long_tail(self, count: int) -> list[str]:
        """Return short texts with long ones among them, in every block as many, and of the same lengths: any part costs the same."""
        shortest, longest = SHORT_TOKENS
        own = zip(self._own, self._own_tokens, strict=True)
        shorts = self._distinct([text for text, tokens in own if shortest <= tokens <= longest], count)
        made: list[str] = []
        while len(made) < count:
            block = [self._long(*tokens) for tokens in _LONG_RANGES]
            block += itertools.islice(shorts, _BLOCK - len(block))
            self._dice.shuffle(block)
            made += block
        return made

    def _distinct(self, texts: Sequence[str], count: int) -> Iterator[str]:
        seen = set(texts)
        yield from texts[:count]
        for place in range(len(texts), count):
            text = self._like(texts[place % len(texts)])
            while text in seen:
                text = self._like(text)
            seen.add(text)
            yield text

    def _like(self, text: str) -> str:
        words = text.split()
        place = self._dice.randrange(len(words))
        words[place] = self._dice.choice(self._words_of[self._word_tokens[words[place]]])
        return " ".join(words)

    def _long(self, shortest: int, longest: int) -> str:
        wanted = self._dice.randint(shortest, longest)
        parts: list[str] = []
        tokens = 0
        while tokens < wanted:
            place = self._dice.randrange(len(self._own))
            if tokens + self._own_tokens[place] <= longest:
                parts.append(self._own[place])
                tokens += self._own_tokens[place]
            elif tokens >= shortest:
                break
        return " ".join(parts)

    def _count_tokens(self, texts: Sequence[str]) -> list[int]:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]
