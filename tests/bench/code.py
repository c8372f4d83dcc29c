"""Which code a figure was measured with."""

import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_FOLDERS = ("services/train", "shared/data", "shared/runtime")


@cache
def code_digest() -> str:
    """Name the code that decides what a training yields: SHA-256 over its files, twelve digits."""
    digest = hashlib.sha256()
    for file in sorted(each for folder in _FOLDERS for each in (_ROOT / folder).rglob("*.py")):
        digest.update(f"{file.relative_to(_ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
