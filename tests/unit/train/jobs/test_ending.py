"""What the end of a trainer makes of its job."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from services.train.engines.port import UNWATCHED, Exit
from services.train.events import Failed, Failure, Finished, Stopped
from services.train.jobs.ending import TrainerEnd, after_trainer, with_log
from services.train.jobs.record import JobRecord
from services.train.jobs.retrying import MOST_LOSSES
from shared.store.manifest import Manifest
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.records import LATER, PROGRESS, job_record

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
    again = after(RUNNING, exit_=UNWATCHED, spoke=False)
    assert (again.state, again.losses) == ("QUEUED", 0)


@pytest.mark.parametrize("exit_", [UNWATCHED, Exit(code=1), Exit(signal="SIGKILL"), Exit(signal="SIGSEGV")])
def test_a_lost_attempt_is_followed_by_another(exit_: Exit) -> None:
    """A trainer that ended without a word is tried again; three in a row of which none got further are the end."""
    job = RUNNING
    for losses in (1, 2):
        job = after(job, exit_=exit_)
        assert (job.state, job.losses, job.lease.owner) == ("QUEUED", losses, "")
        job = job.claimed(now=LATER)
    assert job.attempt == 3
    assert after(job, exit_=exit_).state == "FAILED"


def test_an_attempt_that_gets_further_counts_anew() -> None:
    """Losses count in a row: what an attempt adds to those before it forgives them, what it only repeats does not."""
    job = after(RUNNING.heard([PROGRESS]), exit_=Exit(code=1)).claimed(now=LATER)
    assert job.heard([PROGRESS]).losses == 1
    assert job.heard([PROGRESS.model_copy(update={"step": PROGRESS.step + 1})]).losses == 0
    assert job.heard([PROGRESS.model_copy(update={"step": 1, "trial": 2})]).losses == 0


def test_a_trainer_that_is_killed_twice_computes_less_at_once() -> None:
    """One kill may be anything, and the attempt after it computes the same; where it happens again memory may be short."""
    once = after(RUNNING, exit_=Exit(signal="SIGKILL"))
    assert once.most_windows is None
    twice = after(once.claimed(now=LATER), exit_=Exit(signal="SIGKILL"))
    assert twice.most_windows == RUNNING.spec.hyperparameters.batch_size // 2
    assert after(once.claimed(now=LATER), exit_=Exit(code=1)).most_windows is None


@pytest.mark.parametrize("reason", ["STORE_UNAVAILABLE", "TRAINING_DIVERGED"])
def test_only_what_a_machine_is_to_blame_for_is_tried_again(reason: str) -> None:
    """A store that was away is no fault of the job; a training that diverges would do so again."""
    ended = after(RUNNING, last_word=Failed(failure=Failure(reason=reason, message="no")))
    assert ended.state == ("QUEUED" if reason == "STORE_UNAVAILABLE" else "FAILED")


def test_a_training_that_was_ended_early_is_stopped(published: Manifest) -> None:
    """A version of a training that ended early makes its job STOPPED; a wish that came too late leaves it SUCCEEDED."""
    asked = RUNNING.stopped(now=LATER)
    assert after(asked.heard([Stopped(step=7)]), manifest=published).state == "STOPPED"
    assert after(asked, manifest=published).state == "SUCCEEDED"


def test_a_failure_comes_with_the_last_words() -> None:
    """A job that FAILED carries what its trainer printed last; no other does."""
    failed = after(RUNNING, last_word=Failed(failure=FAILURE))
    with_words = with_log(failed, ("one", "two"))
    assert with_words.failure is not None
    assert with_words.failure.log_tail == ("one", "two")
    assert with_log(RUNNING, ("one",)) == RUNNING


@pytest.mark.parametrize(
    ("exit_", "words", "metadata"),
    [
        (Exit.of_returncode(-signal.SIGKILL), ("SIGKILL", "batch_size"), {"signal": "SIGKILL"}),
        (Exit.of_returncode(-signal.SIGSEGV), ("SIGSEGV", "log"), {"signal": "SIGSEGV"}),
        (Exit.of_returncode(3), ("exit code 3", "log"), {"exit_code": "3"}),
        (UNWATCHED, ("no service watched", "log"), {}),
    ],
)
def test_a_lost_trainer_names_its_end_and_a_remedy(
    exit_: Exit, words: tuple[str, ...], metadata: dict[str, str]
) -> None:
    """TRAINER_LOST says how the process ended, for people and for programs, and what to do."""
    ended = after(replace(RUNNING, losses=MOST_LOSSES - 1), exit_=exit_)
    assert ended.state == "FAILED"
    assert ended.failure is not None
    assert (ended.failure.reason, ended.failure.metadata) == ("TRAINER_LOST", {**metadata, "attempts": "1"})
    assert all(word in ended.failure.message for word in words)
