"""What the end of a trainer makes of its job."""

import signal
from pathlib import Path

import pytest

from services.train.engines.port import UNWATCHED, Exit
from services.train.events import Failed, Failure, Finished
from services.train.jobs.ending import TrainerEnd, after_trainer
from services.train.jobs.record import JobRecord
from shared.store.manifest import Manifest
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.records import LATER, job_record

RUNNING = job_record().claimed(now=LATER)
CANCELLED = RUNNING.cancelled(now=LATER)
FAILURE = Failure(reason="TRAINING_DIVERGED", message="The loss is not finite.")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The manifest of a version that passed."""
    return tiny_manifest(tmp_path_factory.mktemp("version"), "classification")[0]


def after(
    job: JobRecord,
    *,
    last_word: Finished | Failed | None = None,
    exit_: Exit = Exit(code=1),  # noqa: B008  # frozen
    spoke: bool = True,
    manifest: Manifest | None = None,
    service_stops: bool = False,
) -> JobRecord:
    """The job after such an end."""
    end = TrainerEnd(
        last_word=last_word, exit=exit_, spoke=spoke, manifest=manifest, service_stops=service_stops
    )
    return after_trainer(job, end, now=LATER)


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("job", [RUNNING, CANCELLED], ids=["running", "cancelled"])
@pytest.mark.parametrize("word", [None, Failed(failure=FAILURE), Finished()])
def test_a_published_version_decides(
    published: Manifest, job: JobRecord, word: Finished | Failed | None, *, stops: bool
) -> None:
    """A version in the store is the job's success, whatever was said, asked or stopped; its metrics are the manifest's."""
    ended = after(job, last_word=word, manifest=published, service_stops=stops)
    assert (ended.state, ended.metrics, ended.end_time) == (
        "SUCCEEDED",
        {"validation.accuracy": 1.0, "validation.macro_f1": 1.0},
        LATER,
    )


def test_a_refused_version_names_its_checks(tmp_path: Path) -> None:
    """A version that the gate refused ends its job REJECTED with the checks that failed."""
    manifest, _ = tiny_manifest(tmp_path, "classification", state="rejected")
    ended = after(RUNNING, manifest=manifest)
    assert ended.state == "REJECTED"
    assert ended.failure is not None
    assert (ended.failure.reason, ended.failure.metadata["checks"]) == ("GATE_REJECTED", "fp32.logits")
    assert "train again" in ended.failure.message
    assert ended.metrics == {"validation.accuracy": 1.0, "validation.macro_f1": 1.0}


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("word", [None, Failed(failure=FAILURE)])
def test_a_cancelled_job_ends_cancelled(word: Failed | None, *, stops: bool) -> None:
    """A job that a caller cancelled is CANCELLED, also where its trainer failed on the way out or the service stops."""
    assert after(CANCELLED, last_word=word, service_stops=stops).state == "CANCELLED"


@pytest.mark.parametrize("stops", [False, True])
def test_a_failure_is_passed_on(*, stops: bool) -> None:
    """What the trainer said of its failure is the job's failure; a service that stops does not run it again."""
    ended = after(RUNNING, last_word=Failed(failure=FAILURE), service_stops=stops)
    assert (ended.state, ended.failure) == ("FAILED", FAILURE)


def test_a_service_that_stops_puts_the_job_back() -> None:
    """A trainer that was stopped with its service leaves its job in the queue."""
    assert after(RUNNING, service_stops=True).state == "QUEUED"


def test_a_trainer_that_never_ran_gets_another_try() -> None:
    """A trainer that ended unwatched before its first word, killed with the service that started it, is started anew."""
    assert after(RUNNING, exit_=UNWATCHED, spoke=False).state == "QUEUED"
    assert after(RUNNING, exit_=Exit(code=1), spoke=False).state == "FAILED"
    assert after(RUNNING, exit_=UNWATCHED, spoke=True).state == "FAILED"


@pytest.mark.parametrize(
    ("exit_", "words", "metadata"),
    [
        (Exit.of_returncode(-signal.SIGKILL), ("SIGKILL", "batch_size"), {"signal": "SIGKILL"}),
        (Exit.of_returncode(-signal.SIGSEGV), ("SIGSEGV", "trainer.log"), {"signal": "SIGSEGV"}),
        (Exit.of_returncode(3), ("exit code 3", "trainer.log"), {"exit_code": "3"}),
        (UNWATCHED, ("no service watched", "trainer.log"), {}),
    ],
)
def test_a_lost_trainer_names_its_end_and_a_remedy(
    exit_: Exit, words: tuple[str, ...], metadata: dict[str, str]
) -> None:
    """TRAINER_LOST says how the process ended, for people and for programs, and what to do."""
    ended = after(RUNNING, exit_=exit_)
    assert ended.state == "FAILED"
    assert ended.failure is not None
    assert (ended.failure.reason, ended.failure.metadata) == ("TRAINER_LOST", metadata)
    assert all(word in ended.failure.message for word in words)
