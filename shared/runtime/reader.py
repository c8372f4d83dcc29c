"""Texts as the model reads them: tokenized, cut into windows, and for entities joined with their words.

Owns the one way from text to windows, for training, gate and serving. Concurrency: any thread at any time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.runtime.tokenizer import TextTokenizer
from shared.runtime.units import Units, find_units
from shared.runtime.windows import Window, cut_windows
from shared.store.manifest import Task


@dataclass(frozen=True, slots=True, eq=False)
class EncodedText:
    """A text, ready for the model."""

    text: str
    windows: tuple[Window, ...]  # at least one
    units: Units | None  # entities only: what gets a tag

    @property
    def token_count(self) -> int:
        """Tokens that the model reads: special tokens and window overlaps counted, padding not."""
        return sum(window.token_count for window in self.windows)


@dataclass(frozen=True, slots=True, eq=False)
class TextReader:
    """A tokenizer and the windows that its texts are cut into. Raises ValueError if windows could not move forward."""

    tokenizer: TextTokenizer
    task: Task
    max_tokens: int  # of a window, special tokens counted
    stride_tokens: int  # content tokens that neighbouring windows share

    def __post_init__(self) -> None:
        specials = len(self.tokenizer.prefix) + len(self.tokenizer.suffix)
        if not 0 <= self.stride_tokens < self.max_tokens - specials:
            raise ValueError(
                f"a stride of {self.stride_tokens} does not fit windows of {self.max_tokens} tokens"
            )

    def reads_like(self, other: "TextReader") -> bool:
        """Tell whether both give every text the same windows."""
        mine = self.tokenizer, self.max_tokens, self.stride_tokens
        return mine == (other.tokenizer, other.max_tokens, other.stride_tokens)

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Read texts; result i belongs to text i."""
        needs_units = self.task == "entities"
        return [
            EncodedText(
                text,
                cut_windows(
                    tokens.ids,
                    prefix=self.tokenizer.prefix,
                    suffix=self.tokenizer.suffix,
                    pad_id=self.tokenizer.pad_id,
                    max_tokens=self.max_tokens,
                    stride_tokens=self.stride_tokens,
                ),
                find_units(text, tokens.offsets) if needs_units else None,
            )
            for text, tokens in zip(texts, self.tokenizer.encode(texts, offsets=needs_units), strict=True)
        ]
