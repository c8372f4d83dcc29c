"""The changes of a job record."""

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


def test_a_job_back_in_the_queue_is_as_new() -> None:
    """Requeueing forgets trainer, progress and start, and keeps identity, version and place."""
    waiting = job_record()
    ran = waiting.claimed(now=LATER).started({"pid": 1}).heard([PhaseStarted(phase="TRAINING"), PROGRESS])
    assert ran.requeued() == waiting


def test_an_end_is_final() -> None:
    """No change leads out of an end."""
    ended = job_record().claimed(now=LATER).ended("FAILED", now=LATER)
    for change in (
        ended.requeued,
        lambda: ended.claimed(now=LATER),
        lambda: ended.ended("SUCCEEDED", now=LATER),
    ):
        with pytest.raises(IllegalTransitionError):
            change()
