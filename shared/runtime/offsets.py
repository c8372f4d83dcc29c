"""Spans in the unit that a caller counts in.

Owns: the three units. Invariant: code point [start, end) and its conversion cut the same characters; nothing splits a code
point, since conversions only ever name the boundaries between them. Pure.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

OffsetUnit = Literal["UNICODE_CODE_POINTS", "UTF8_BYTES", "UTF16_CODE_UNITS"]


def boundaries(text: str, unit: OffsetUnit) -> Sequence[int]:
    """Return where each code point of `text` starts in `unit`, and at [-1] where the text ends: len(text) + 1 rising numbers."""
    if unit == "UNICODE_CODE_POINTS" or text.isascii():
        return range(len(text) + 1)
    code_points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    widths = 1 + (code_points > 0xFFFF).astype(np.int64)
    if unit == "UTF8_BYTES":
        widths += (code_points > 0x7F).astype(np.int64) + (code_points > 0x7FF)
    ends: list[int] = np.cumsum(widths).tolist()
    return [0, *ends]


def convert(text: str, spans: Sequence[tuple[int, int]], unit: OffsetUnit) -> list[tuple[int, int]]:
    """Return code point spans [start, end) of `text` in `unit`."""
    if not spans:
        return []
    at = boundaries(text, unit)
    return [(at[start], at[end]) for start, end in spans]
