"""How many cores and how much memory are ours."""

import math
import os
from pathlib import Path

_NO_LIMIT_BYTES = 1 << 60  # version 1 writes a number above every machine's memory
_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return how many whole cores this process may use, at least 1: the smaller of its CPU affinity and its cgroup's quota.

    The default of the numeric libraries, the cores of the machine, ignores both and makes a small pod on a large node crawl.
    """
    quota = _quota_cores(cgroup)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def usable_memory_bytes(cgroup: Path = _CGROUP) -> float:
    """Return how much memory this process may use: the limit of its cgroup (version 2 or 1), infinity where there is none."""
    for file in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        if file.is_file():
            limit = file.read_text().strip()
            return math.inf if limit == "max" or int(limit) > _NO_LIMIT_BYTES else int(limit)
    return math.inf


def _quota_cores(cgroup: Path) -> float | None:
    """Read the quota, version 2 (`cpu.max`: `quota period` or `max period`) or 1; None where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except FileNotFoundError:
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except FileNotFoundError:
            return None
    return None if quota in ("max", "-1") else int(quota) / int(period)
