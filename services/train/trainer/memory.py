"""The memory of this process: how much it has held, how much it may hold, and what it looks like when there is no more."""

import errno
import resource
import sys
from pathlib import Path

# What libraries say that have no error class for it: torch's allocator, C++, ONNX Runtime, the dynamic linker, Python's threads.
_SIGNS = (
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "bad allocation",
    "failed to allocate memory",
    "out of memory",
    "can't start new thread",
)
_STATUS = Path("/proc/self/status")


def peak_memory_bytes() -> int:
    """Return the most memory that was resident at once since the process's program began.

    On Linux it is the kernel's VmHWM: getrusage counts along what the process held that started this one.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text("ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def limit_memory(most_bytes: int) -> None:
    """Let this process, and each that it starts, hold so many bytes of data at most: what asks for more fails, and nobody is killed.

    Counted is what is reserved to be written to, resident or not; files that are only read are not.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def lacks_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that led to it, is for want of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for this
            return True
        if any(sign in str(error).lower() for sign in _SIGNS):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False
