"""What models run on."""

import os
from pathlib import Path

import pytest

from services.infer import hardware as hardware_module
from services.infer.hardware import probe_hardware, usable_cores
from services.infer.settings import InferSettings


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
    ("settings", "runners", "batch_tokens"),
    [
        ({"threads": 8}, 8, 512),
        ({"threads": 8, "threads_per_run": 4}, 2, 512),
        ({"threads": 2, "threads_per_run": 4}, 1, 512),
        ({"threads": 2, "batch_tokens": 4096}, 2, 4096),
    ],
)
def test_a_cpu_gets_a_runner_for_each_core_and_small_batches(
    settings: dict[str, int], runners: int, batch_tokens: int
) -> None:
    """Unless the settings say otherwise."""
    given = InferSettings(TAGSMITH_STORE="s", cache_dir=Path("c"), provider="cpu", **settings)  # type: ignore[arg-type]
    hardware = probe_hardware(given)
    assert (hardware.provider, hardware.policy) == ("CPUExecutionProvider", "cpu")
    assert (hardware.runners, hardware.batch_tokens) == (runners, batch_tokens)


def test_a_gpu_gets_one_runner_and_large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """More sessions or threads on one GPU gain nothing."""
    monkeypatch.setattr(hardware_module, "probe_provider", lambda _: "CUDAExecutionProvider")
    given = InferSettings(TAGSMITH_STORE="s", cache_dir=Path("c"), provider="prefer-gpu", threads=16)
    hardware = probe_hardware(given)
    assert (hardware.policy, hardware.runners, hardware.batch_tokens) == ("prefer-gpu", 1, 16_384)
