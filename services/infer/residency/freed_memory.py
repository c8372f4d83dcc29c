"""Gives freed memory back to the system. The C library keeps what lies between other allocations: after some promotions that can be as
much as a version, which the node could use and a memory limit counts.
"""

import ctypes


def give_back() -> None:
    """Do so, where the C library can be asked to (glibc's malloc_trim)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
