"""A trainer's lifeline: it ends when the service that started it does, however that ends. Linux only; elsewhere a trainer outlives its service and is adopted.

Without it a trainer whose service was killed would go on computing what another service has begun anew.
"""

import ctypes
import os
import signal
import sys
from typing import Final

SERVICE_PID: Final = "TAGSMITH_TRAINER_SERVICE_PID"  # environment variable: the process to end with
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def hold_lifeline() -> None:
    """Have the kernel kill this process once its parent is gone, if its parent is a service that wants that."""
    service = os.environ.get(SERVICE_PID)
    if service is None or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl")
    if os.getppid() != int(service):  # it ended before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)
