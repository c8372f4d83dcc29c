"""What processes cost, as Linux counts it: CPU seconds and resident bytes of a server with all that it has started."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME = 11, 12  # of /proc/<pid>/stat, counted after the command's name


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time that the processes have used, in user and kernel mode."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / _TICKS_PER_S


def rss_bytes(pids: Sequence[int]) -> int:
    """Resident memory of the processes; what they share counts for each."""
    return _PAGE_BYTES * sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)


def machine_cpu_s() -> float:
    """CPU time that the whole machine has been busy, other guests of its processor included."""
    user, nice, system, _idle, _iowait, *others = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    irq, softirq, stolen = others[:3]
    return sum(map(int, (user, nice, system, irq, softirq, stolen))) / _TICKS_PER_S
