"""How much memory this process has held."""

import resource
import sys
from pathlib import Path

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
