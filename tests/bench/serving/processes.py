"""What processes cost, as Linux counts it: CPU seconds and resident bytes of a server with all that it has started."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _NICE = 11, 12, 16  # of /proc/<pid>/stat, counted after the command's name


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time that the processes have used, in user and kernel mode."""
    return sum(_ticks(_fields(Path(f"/proc/{pid}/stat"))) for pid in pids) / _TICKS_PER_S


def thread_cpu_s(pid: int) -> dict[str, float]:
    """CPU time by kind of thread: `loop`, the first one, on which Tagsmith has its event loop; `runners`, which have stepped back by
    their niceness; `others`, gRPC's own among them. Threads that have ended are not in it.
    """
    found = {"loop": 0.0, "runners": 0.0, "others": 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = _fields(task / "stat")
        kind = "loop" if task.name == str(pid) else "runners" if int(fields[_NICE]) > 0 else "others"
        found[kind] += _ticks(fields) / _TICKS_PER_S
    return found


def rss_bytes(pids: Sequence[int]) -> int:
    """Resident memory of the processes; what they share counts for each."""
    return _PAGE_BYTES * sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)


def machine_cpu_s() -> float:
    """CPU time that the whole machine has been busy, other guests of its processor included."""
    user, nice, system, _idle, _iowait, *others = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    irq, softirq, stolen = others[:3]
    return sum(map(int, (user, nice, system, irq, softirq, stolen))) / _TICKS_PER_S


def _fields(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()


def _ticks(fields: Sequence[str]) -> int:
    return int(fields[_UTIME]) + int(fields[_STIME])
