"""Freed memory goes back to the system."""

import os
from pathlib import Path

from services.infer.residency.freed_memory import give_back

_BLOCK_BYTES = 4096
_BLOCKS = 20_000
_KEPT_EVERY = 100


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_what_lies_between_other_allocations_is_given_back() -> None:
    """80 MB in blocks of which every hundredth stays: nearly all of it is the system's again."""
    blocks = [bytearray(_BLOCK_BYTES) for _ in range(_BLOCKS)]
    full_bytes = _resident_bytes()
    kept = blocks[::_KEPT_EVERY]
    blocks.clear()
    give_back()
    assert full_bytes - _resident_bytes() > 0.8 * _BLOCKS * _BLOCK_BYTES
    assert len(kept) == _BLOCKS // _KEPT_EVERY
