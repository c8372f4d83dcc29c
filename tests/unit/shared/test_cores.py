"""How many cores and how much memory are ours."""

import math
import os
from pathlib import Path

import pytest

from shared.cores import usable_cores, usable_memory_bytes


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_the_quota_and_the_affinity_bound_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """On a process bound to four cores: the smaller of the two, whole, at least one; both versions of cgroups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert usable_cores(tmp_path) == expected


def test_this_machine_has_cores() -> None:
    """Whatever the machine that runs the tests offers, it can be read."""
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, math.inf),
        ({"memory.max": "max\n"}, math.inf),
        ({"memory.max": "2147483648\n"}, 2**31),
        ({"memory/memory.limit_in_bytes": "536870912\n"}, 2**29),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, math.inf),
        ({"memory.max": "1024\n", "memory/memory.limit_in_bytes": "2048\n"}, 1024),
    ],
)
def test_the_limit_of_the_cgroup_bounds_the_memory(
    tmp_path: Path, files: dict[str, str], expected: float
) -> None:
    """In both versions of cgroups; without one there is none."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert usable_memory_bytes(tmp_path) == expected


def test_this_machine_has_memory() -> None:
    """Whatever bounds it, it can be read."""
    assert usable_memory_bytes() > 2**20
