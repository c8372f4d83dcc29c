"""The changes of a job record."""

from datetime import timedelta

import pytest

from services.train.events import PhaseStarted
from services.train.jobs.lifecycle import FINAL, IllegalTransitionError, State
from shared.errors import JobAlreadyFinishedError
from tests.unit.train.jobs.records import LATER, PROGRESS, job_record


def test_hearing_the_same_story_twice_changes_nothing() -> None:
    """Events that are read again from the first one on, as after a restart, leave the record as it is."""
    story = [PhaseStarted(phase="PREPARING"), PhaseStarted(phase="TRAINING"), PROGRESS]
    once = job_record().claimed(now=LATER).heard(story)
    assert (once.state, once.progress) == ("TRAINING", PROGRESS)
    assert once.heard(story) == once


def test_cancelling_a_job_that_waits_ends_it() -> None:
    """A job that waits is CANCELLED at once."""
    cancelled = job_record().cancelled(now=LATER)
    assert (cancelled.state, cancelled.end_time, cancelled.cancel_requested) == ("CANCELLED", LATER, True)


def test_cancelling_a_running_job_asks_it_to_end() -> None:
    """A running job only learns that it is to end; asking twice is the same."""
    running = job_record().claimed(now=LATER)
    cancelled = running.cancelled(now=LATER)
    assert (cancelled.state, cancelled.cancel_requested) == ("PREPARING", True)
    assert cancelled.cancelled(now=LATER) == cancelled


@pytest.mark.parametrize("state", sorted(FINAL - {"CANCELLED"}))
def test_cancelling_an_ended_job_is_refused(state: State) -> None:
    """A job that ended otherwise cannot be cancelled, and its state is in the error."""
    with pytest.raises(JobAlreadyFinishedError) as raised:
        job_record(state=state).cancelled(now=LATER)
    assert raised.value.metadata["state"] == state


def test_a_job_back_in_the_queue_waits_for_another_attempt() -> None:
    """Requeueing forgets the trainer and its start, and keeps identity, version and place, how far it was and how long it ran."""
    waiting = job_record()
    ran = waiting.held("a", until_s=9.0).claimed(now=LATER).started({"pid": 1})
    again = ran.heard([PhaseStarted(phase="TRAINING"), PROGRESS]).requeued(now=LATER + timedelta(seconds=5))
    assert (again.state, again.handle, again.start_time, again.lease.owner) == ("QUEUED", None, None, "")
    assert (again.version, again.attempt, again.progress, again.ran_s) == (waiting.version, 1, PROGRESS, 5.0)
    assert again.lease.epoch == 1
    assert again.claimed(now=LATER).attempt == 2


def test_a_job_that_changes_hands_keeps_an_attempt_that_has_a_trainer() -> None:
    """Whoever takes over a job whose lease ran out looks after its trainer; one that never had one is nobody's to start late."""
    claimed = job_record().held("a", until_s=9.0).claimed(now=LATER)
    with_trainer = claimed.started({"pid": 1})
    assert with_trainer.taken_over(now=LATER) == with_trainer
    again = claimed.taken_over(now=LATER)
    assert (again.state, again.attempt, again.claimed(now=LATER).attempt) == ("QUEUED", 1, 2)
    rolling_out = claimed.rolling_out()
    assert rolling_out.taken_over(now=LATER) == rolling_out  # what is published is never trained anew


def test_stopping() -> None:
    """A job that never ran has nothing to keep; one that runs, or waits for another attempt, is asked; asking twice is the same."""
    assert job_record().stopped(now=LATER).state == "CANCELLED"
    running = job_record().claimed(now=LATER)
    asked = running.stopped(now=LATER)
    assert (asked.state, asked.stop_requested) == ("PREPARING", True)
    assert asked.stopped(now=LATER) == asked
    assert running.requeued(now=LATER).stopped(now=LATER).state == "QUEUED"
    ended = asked.ended("STOPPED", now=LATER)
    assert ended.stopped(now=LATER) == ended
    with pytest.raises(JobAlreadyFinishedError):
        job_record(state="SUCCEEDED").stopped(now=LATER)


def test_time_is_counted_over_attempts() -> None:
    """A job is overdue by the time that it ran in all attempts, not by that in which it waited."""
    job = job_record(most_minutes=1.0).claimed(now=LATER)
    again = job.requeued(now=LATER + timedelta(seconds=40)).claimed(now=LATER + timedelta(days=1))
    assert not again.is_overdue(now=LATER + timedelta(days=1, seconds=10))
    assert again.is_overdue(now=LATER + timedelta(days=1, seconds=21))


def test_an_end_is_final() -> None:
    """No change leads out of an end."""
    ended = job_record().claimed(now=LATER).ended("FAILED", now=LATER)
    for change in (
        lambda: ended.requeued(now=LATER),
        lambda: ended.claimed(now=LATER),
        lambda: ended.ended("SUCCEEDED", now=LATER),
    ):
        with pytest.raises(IllegalTransitionError):
            change()
