"""Finishing what a trainer published."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.train.jobs.publication import Publication
from services.train.jobs.record import JobRecord
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny
from tests.unit.train.jobs.records import job_record


@pytest.fixture
def models() -> ModelStore:
    """An empty store."""
    return ModelStore(MemoryStore())


def publish(models: ModelStore, scratch: Path, number: int) -> JobRecord:
    """The `number`th job, and its version in the store."""
    job = job_record(number)
    publish_tiny(models, "banking", "classification", scratch=scratch, job_id=job.id)
    return job


def moves(models: ModelStore) -> list[tuple[int, str]]:
    """The history of `banking@production` as (version, actor), oldest first."""
    return [(record.version, record.actor) for record in models.alias_history("banking", "production")][::-1]


def test_only_the_jobs_own_version_counts(models: ModelStore, tmp_path: Path) -> None:
    """A version is found by its job; an absent one, a reservation and another job's version are none."""
    publication = Publication(models)
    job = publish(models, tmp_path, 1)
    manifest = publication.manifest(job)
    assert manifest is not None
    assert manifest.lineage.job_id == job.id
    assert publication.manifest(job_record(2)) is None
    assert publication.manifest(job_record(1, model="absent")) is None
    assert publication.manifest(job_record(5, version="banking@1")) is None


def test_a_promotion_that_is_repeated_is_made_once(models: ModelStore, tmp_path: Path) -> None:
    """A service that died between promotion and record promotes again without effect, also when an operator moved on since."""
    first, second = publish(models, tmp_path, 1), publish(models, tmp_path, 2)
    publication = Publication(models)
    publication.promote(first)
    publication.promote(second)
    models.set_alias("banking", "production", 1, expected=2, actor="ops", reason="rollback")

    publication.promote(second)
    assert moves(models) == [(1, first.id), (2, second.id), (1, "ops")]


def test_racing_promotions_all_arrive(models: ModelStore, tmp_path: Path) -> None:
    """Jobs that promote at the same moment each move the alias once."""
    jobs = [publish(models, tmp_path, number) for number in range(1, 9)]
    publication = Publication(models)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publication.promote, jobs))
    assert sorted(actor for _, actor in moves(models)) == [job.id for job in jobs]
