"""The memory that a process has held."""

import subprocess
import sys

_HELD = 96 * 2**20
_PROGRAM = f"""
from services.train.trainer.memory import peak_memory_bytes
before = peak_memory_bytes()
held = b"x" * {_HELD}
del held
print(before, peak_memory_bytes())
"""


def test_the_peak_is_the_process_own() -> None:
    """It stays when the memory is given back, and counts nothing of what whoever started the process held."""
    own = b"x" * (3 * _HELD)
    shown = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)
    before, after = map(int, shown.stdout.split())
    assert before < len(own) / 3
    assert before + _HELD * 0.9 < after < len(own)
