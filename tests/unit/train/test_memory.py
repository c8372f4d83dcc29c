"""The memory that a process has held."""

import errno
import subprocess
import sys

import pytest

from services.train.trainer.memory import lacks_memory
from shared.errors import ModelNotLoadableError

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


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."
        ),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code: std::bad_alloc"),
        RuntimeError("bfc_arena.cc:359 Failed to allocate memory for requested buffer of size 1073741824"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("can't start new thread"),
    ],
)
def test_want_of_memory_is_known_by_every_library(error: Exception) -> None:
    """Its own error, or one that it led to."""
    assert lacks_memory(error)
    wrapped = ModelNotLoadableError("ONNX Runtime cannot load a graph")
    wrapped.__cause__ = error
    assert lacks_memory(wrapped)


def test_other_errors_have_other_reasons() -> None:
    """A fault of the code, or a full disk, is no want of memory."""
    for error in (ValueError("a row"), OSError(errno.ENOSPC, "No space left on device"), None):
        assert not lacks_memory(error)
