"""Texts to token ids, by the version's tokenizer.json and nothing else.

Owns: the only Tokenizer objects that answer texts. Invariant: no truncation, no padding, and special tokens only where the
post-processor puts them: `[SEP]` written in a text is five characters, never the separator.
Concurrency: TextTokenizer may be used from any thread; a Tokenizer works for one thread at a time, and another is made when all
are at work.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from shared.errors import ModelNotLoadableError
from shared.runtime.windows import TokenIds

_PROBES = ("a", "0", ".", "的")
_PAD_TOKENS = ("[PAD]", "<pad>", "<|pad|>")


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The content tokens of one text, special tokens left out."""

    ids: TokenIds  # (tokens,)
    offsets: Sequence[tuple[int, int]]  # of each, code points [start, end); none where not asked for


class TextTokenizer:
    """A tokenizer.json, ready for many threads. Raises ModelNotLoadableError if it cannot be read."""

    def __init__(self, source: Path | bytes, *, ready: int = 1) -> None:
        """`source` is the file or its bytes; `ready` (at least 1) calls at once find a Tokenizer made for them."""
        self._json = source if isinstance(source, bytes) else source.read_bytes()
        tokenizer = _parse(self._json)
        self.pad_id = _pad_id(tokenizer)
        self._idle = deque([_without_presets(tokenizer)])
        self.prefix, self.suffix = _special_ids(tokenizer)
        self._idle.extend(self._another() for _ in range(ready - 1))

    def encode(self, texts: Sequence[str], *, offsets: bool = True) -> list[Tokens]:
        """Tokenize; result i belongs to text i. `offsets=False` is faster, for tasks that need none."""
        tokenizer = self._take()
        try:
            encode_batch = tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast
            encodings = encode_batch(texts, add_special_tokens=False)
        finally:
            self._idle.append(tokenizer)
        return [_tokens(encoding, offsets=offsets) for encoding in encodings]

    def _take(self) -> Tokenizer:
        try:
            return self._idle.pop()  # a deque's pop and append are atomic
        except IndexError:
            return self._another()

    def _another(self) -> Tokenizer:
        return _without_presets(_parse(self._json))


def _parse(source: bytes) -> Tokenizer:
    try:
        return Tokenizer.from_buffer(source)
    except Exception as error:  # the library raises plain Exception and nothing narrower
        raise ModelNotLoadableError("tokenizer.json cannot be read", cause="tokenizer") from error


def _without_presets(tokenizer: Tokenizer) -> Tokenizer:
    # Files carry their trainer's presets: MiniLM's would cut at 128 tokens and pad every text to 128.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _tokens(encoding: Encoding, *, offsets: bool) -> Tokens:
    return Tokens(np.array(encoding.ids, dtype=np.int64), encoding.offsets if offsets else ())


def _special_ids(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Find what the post-processor puts before and after a text, by watching it do so."""
    for probe in _PROBES:
        content = tokenizer.encode(probe, add_special_tokens=False).ids
        whole = tokenizer.encode(probe, add_special_tokens=True).ids
        for start in range(len(whole) - len(content) + 1):
            if content and whole[start : start + len(content)] == content:
                return tuple(whole[:start]), tuple(whole[start + len(content) :])
    raise ModelNotLoadableError("tokenizer.json yields no tokens for plain text", cause="tokenizer")


def _pad_id(tokenizer: Tokenizer) -> int:
    """Find the id for padding, before presets are off; it is masked, but some graphs number positions by it."""
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    ids = (tokenizer.token_to_id(token) for token in _PAD_TOKENS)
    return next((number for number in ids if number is not None), 0)
