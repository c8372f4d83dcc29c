"""Jobs by state, as the metric tells them."""

from dataclasses import replace

import pytest

from services.train.jobs.census import Census
from shared.telemetry.metrics import JOBS
from tests.unit.train.jobs.records import LATER, job_record


@pytest.fixture(autouse=True)
def no_jobs() -> None:
    """The metric starts empty."""
    JOBS.clear()


def counted() -> dict[str, float]:
    """The states that have jobs."""
    samples = next(iter(JOBS.collect())).samples
    return {sample.labels["state"]: sample.value for sample in samples if sample.value}


def test_each_job_counts_once_in_its_newest_state() -> None:
    """A job moves from state to state; a change that is heard late, and one heard twice, move nothing."""
    census = Census()
    waiting, other = job_record(1), job_record(2)
    running = replace(waiting.claimed(now=LATER), revision=2)
    ended = replace(running.ended("FAILED", now=LATER), revision=3)
    census.note(waiting)
    census.note(other)
    assert counted() == {"QUEUED": 2}
    for job in (ended, running, ended):
        census.note(job)
    assert counted() == {"QUEUED": 1, "FAILED": 1}
