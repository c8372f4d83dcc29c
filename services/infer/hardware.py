"""What models run on: which provider in truth, how many cores, and the batches that suit them. Found out once, at the start."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.infer.settings import InferSettings
from shared.runtime.probe import probe_provider
from shared.runtime.providers import CPU, ProviderPolicy

# A core is fastest while a batch fits its caches (MiniLM, one core: 4,300 tokens/s up to 512, 2,900 at 4,096) and short batches
# keep nobody waiting; a GPU is fastest when it is full.
CPU_BATCH_TOKENS: Final = 512
GPU_BATCH_TOKENS: Final = 16_384

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the service builds itself for."""

    provider: str  # of ONNX Runtime, probed
    policy: ProviderPolicy  # what to load models with
    runners: int  # batches at once: one for each core, or one for a GPU, where more gain nothing
    threads_per_run: int
    batch_tokens: int
    cores: int


def probe_hardware(settings: InferSettings) -> Hardware:
    """Look at this machine. Raises ModelNotLoadableError if a GPU is required and does not work."""
    provider = probe_provider(settings.provider)
    cores = settings.threads or usable_cores()
    if provider == CPU:
        return Hardware(
            provider,
            policy="cpu",
            runners=max(1, cores // settings.threads_per_run),
            threads_per_run=settings.threads_per_run,
            batch_tokens=settings.batch_tokens or CPU_BATCH_TOKENS,
            cores=cores,
        )
    return Hardware(
        provider,
        policy=settings.provider,
        runners=1,
        threads_per_run=1,
        batch_tokens=settings.batch_tokens or GPU_BATCH_TOKENS,
        cores=cores,
    )


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return how many whole cores this process may use, at least 1: the smaller of its CPU affinity and its cgroup's quota.

    ONNX Runtime's own default, the cores of the machine, ignores both and makes a small pod on a large node crawl.
    """
    quota = _quota_cores(cgroup)
    allowed = len(os.sched_getaffinity(0))
    return allowed if quota is None else max(1, min(allowed, int(quota)))


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
