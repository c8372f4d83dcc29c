"""What the table of jobs promises, on both databases. What is SQLite's own is in tests/unit/train/jobs/test_table.py."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from services.train.events import Failure, PhaseStarted, ProblemRecord
from services.train.jobs.database import Database
from services.train.jobs.record import JobRecord, Lease
from services.train.jobs.schema import EVENTS, JOBS
from services.train.jobs.table import JobTable, LeaseLostError
from services.train.pages import PageRequest
from shared.errors import JobAlreadyFinishedError, JobNotFoundError, StoreUnavailableError
from tests.contract.jobs.conftest import Changes
from tests.contract.jobs.worlds import LEASE_S, VirtualClock
from tests.unit.train.jobs.records import LATER, NOW, PROGRESS, job_record


def test_every_field_survives_a_reopening(open_table: Callable[..., JobTable]) -> None:
    """A job with every field set is read back equal by another process's eyes."""
    table = open_table()
    failure = Failure(
        reason="GATE_REJECTED",
        message="no",
        metadata={"checks": "fp32.logits"},
        problems=(ProblemRecord(field="a", description="b"),),
        log_tail=("last words",),
    )
    full = job_record(
        request_id="nightly",
        cancel_requested=True,
        stop_requested=True,
        stopped_early=True,
        inference_target="dns:///infer:50051",
        priority=-7,
        most_minutes=90.5,
        attempt=3,
        losses=2,
        furthest=4_000_000_017,
        most_windows=8,
        lease=Lease(owner="there", epoch=5, until_s=1767322445.25),
        ran_s=12.5,
        progress=PROGRESS,
        handle={"pid": 17, "start_s": 12.34},
        start_time=LATER,
        state="TRAINING",
    ).ended("REJECTED", now=LATER, metrics={"test.accuracy": 0.1 + 0.2}, failure=failure)
    stored = table.add(full)
    table.close()

    assert open_table().job(full.id) == stored == replace(full, sequence=1)


def test_one_request_id_is_one_job(table: JobTable) -> None:
    """Sixteen threads that add jobs with one request_id all get the first; jobs without one never meet."""
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda n: table.add(job_record(n, request_id="same")), range(1, 17)))
    assert len({job.id for job in jobs}) == 1
    assert table.find_request("same") == jobs[0]
    assert table.find_request("other") is None
    assert len({table.add(job_record(n)).id for n in (101, 102)}) == 2


def test_each_waiting_job_is_claimed_once_and_oldest_first(table: JobTable) -> None:
    """Threads that claim at once share the waiting jobs without overlap; one claimer gets them by age."""
    for number in range(1, 21):
        table.add(job_record(number))
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: table.claim(), range(10)))
    assert sorted(job.sequence for job in claimed if job) == list(range(1, 11))
    assert [(job := table.claim()) and job.sequence for _ in range(11)] == [*range(11, 21), None]
    job = table.job(job_record(1).id)
    assert (job.state, job.attempt, job.lease.owner, job.revision) == ("PREPARING", 1, "here", 2)
    assert job.start_time is not None


def test_the_urgent_go_first(table: JobTable) -> None:
    """Of those that wait the highest priority is claimed first, and among equals the oldest; places in the queue say the same."""
    for number, priority in enumerate((0, 5, -5, 5), start=1):
        table.add(job_record(number, priority=priority))
    ahead = [table.census.ahead_of(table.job(job_record(number).id)) for number in (1, 2, 3, 4)]
    assert ahead == [2, 0, 3, 1]
    assert [(job := table.claim()) and job.sequence for _ in range(4)] == [2, 4, 1, 3]
    assert table.census.running_count() == 4


def test_changes_never_cross(table: JobTable) -> None:
    """Sixteen threads that change one job at once lose no change."""
    job = table.add(job_record())

    def step(job: JobRecord) -> JobRecord:
        progress = job.progress or PROGRESS.model_copy(update={"step": 0})
        return replace(job, progress=progress.model_copy(update={"step": progress.step + 1}))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: table.change(job.id, step), range(64)))
    changed = table.job(job.id)
    assert changed.progress is not None
    assert (changed.progress.step, changed.revision) == (64, 65)


def test_a_refused_change_changes_nothing(table: JobTable, changes: Changes) -> None:
    """A change that raises leaves the job and the listener alone; one that changes nothing has no revision."""
    job = table.add(job_record(state="SUCCEEDED"))
    with pytest.raises(JobAlreadyFinishedError):
        table.change(job.id, lambda job: job.cancelled(now=LATER))
    assert table.change(job.id, lambda job: job) == job
    assert changes == [job]


def test_the_listener_hears_every_committed_change(table: JobTable, changes: Changes) -> None:
    """Additions, claims and changes are told with rising revisions, after they can be read by anybody."""
    job = table.add(job_record())
    table.claim()
    table.change(job.id, lambda job: job.ended("FAILED", now=LATER))
    assert [(each.state, each.revision) for each in changes] == [
        ("QUEUED", 1),
        ("PREPARING", 2),
        ("FAILED", 3),
    ]
    assert changes[-1] == table.job(job.id)


def test_unfinished_jobs_are_found(table: JobTable) -> None:
    """Jobs that wait or run are found, oldest first; those that ended are not."""
    for number, state in enumerate(("SUCCEEDED", "TRAINING", "QUEUED", "CANCELLED"), start=1):
        table.add(job_record(number, state=state))
    table.add(job_record(5, model="other"))
    assert [job.spec.model for job in table.unfinished()] == ["banking", "banking", "other"]
    assert table.census.tasks("banking") == {"classification"}
    assert table.census.tasks("nobody") == set()


def test_pages_of_a_model(table: JobTable) -> None:
    """Pages are newest first, of one model or of all."""
    for number in range(1, 6):
        table.add(job_record(number, model="odd" if number % 2 else "even"))
    jobs, token = table.page("odd", PageRequest(2, "", of="odd"))
    assert [job.sequence for job in jobs] == [5, 3]
    jobs, token = table.page("odd", PageRequest(2, token, of="odd"))
    assert ([job.sequence for job in jobs], token) == ([1], "")
    jobs, token = table.page("", PageRequest(0, "", of=""))
    assert ([job.sequence for job in jobs], token) == ([5, 4, 3, 2, 1], "")


def test_an_unknown_job_is_not_found(table: JobTable) -> None:
    """Reading or changing a job that is not there raises."""
    with pytest.raises(JobNotFoundError):
        table.job("job-ffffffffffffffff")
    with pytest.raises(JobNotFoundError):
        table.change("job-ffffffffffffffff", lambda job: job)


@pytest.mark.parametrize(
    "damage",
    [{"spec": "{}"}, {"spec": "oops"}, {"state": "DREAMING"}, {"create_time": "noon"}, {"handle": "{"}],
)
@pytest.mark.parametrize("state", ["QUEUED", "TRAINING", "SUCCEEDED"])
def test_a_job_that_cannot_be_read_is_named_at_the_start(
    open_table: Callable[..., JobTable], url: str, state: str, damage: dict[str, str]
) -> None:
    """A table with a job that cannot be read is not opened: the error names the job and what to do, and the table stays as it is."""
    table = open_table()
    table.add(job_record(1))
    broken = table.add(job_record(2, state=state))
    table.close()
    database = Database(url)
    with database.transaction() as connection:
        connection.execute(JOBS.update().where(JOBS.c.id == broken.id).values(damage))
    with pytest.raises(StoreUnavailableError, match=f"1 jobs that cannot be read: {broken.id}.*backup"):
        open_table()
    with database.transaction() as connection:
        connection.execute(EVENTS.delete().where(EVENTS.c.job == broken.sequence))
        connection.execute(JOBS.delete().where(JOBS.c.id == broken.id))
    database.close()
    assert [job.id for job in open_table().unfinished()] == [job_record(1).id]


def test_the_history_of_a_job(table: JobTable) -> None:
    """What happened stands in the order in which it did, with times that do not go back; a change that raises leaves no trace."""
    job = table.add(job_record(priority=3))
    table.claim()
    table.change(job.id, lambda job: job.heard([PhaseStarted(phase="TRAINING"), PROGRESS]))
    table.change(job.id, lambda job: job.lost(now=LATER))
    table.claim()
    with pytest.raises(LeaseLostError):
        table.change(job.id, lambda job: job.ended("SUCCEEDED", now=LATER), epoch=1)
    table.change(job.id, lambda job: job.stopped(now=LATER))
    table.change(
        job.id, lambda job: job.ended("FAILED", now=LATER, failure=Failure(reason="TRAINER_LOST", message=""))
    )
    events = table.events(job.id)
    assert [(each.kind, each.attempt, each.detail) for each in events] == [
        ("ACCEPTED", 0, "3"),
        ("ATTEMPT_STARTED", 1, "here"),
        ("PHASE_ENTERED", 1, "PREPARING"),
        ("PHASE_ENTERED", 1, "TRAINING"),
        ("ATTEMPT_LOST", 1, ""),
        ("REQUEUED", 1, ""),
        ("ATTEMPT_STARTED", 2, "here"),
        ("PHASE_ENTERED", 2, "PREPARING"),
        ("STOP_REQUESTED", 2, ""),
        ("ENDED", 2, "FAILED: TRAINER_LOST"),
    ]
    assert [each.number for each in events] == list(range(1, len(events) + 1))
    times = [each.time for each in events if each.time]
    assert times == sorted(times)
    assert len(times) == len(events)


def test_a_lease_that_runs_out_lets_another_service_take_over(open_table: Callable[..., JobTable]) -> None:
    """While its lease holds nobody else gets a job; afterwards another service does, and what the first one says then is not heard."""
    clock = VirtualClock()
    here, there = open_table(owner="here", clock=clock), open_table(owner="there", clock=clock)
    here.add(job_record(1))
    held = here.claim()
    assert held is not None
    here.change(held.id, lambda job: job.started({"pid": 1}), epoch=1)
    clock.now_s += LEASE_S - 0.1
    assert there.claim() is None
    clock.now_s += 0.2
    assert here.claim() is None  # it is its own
    taken = there.claim()
    assert taken is not None
    assert (taken.id, taken.lease.owner, taken.lease.epoch) == (held.id, "there", 2)
    assert (taken.attempt, taken.handle) == (1, {"pid": 1})  # what became of it is to be seen
    with pytest.raises(LeaseLostError):
        here.change(held.id, lambda job: job.heard([PROGRESS]), epoch=held.lease.epoch)
    assert here.renew({held.id: held.lease.epoch}) == []
    assert there.job(held.id) == taken


def test_a_lease_that_is_renewed_does_not_run_out(open_table: Callable[..., JobTable]) -> None:
    """A service that keeps renewing keeps its jobs, hears what others changed, and gets no change of its own for it."""
    clock = VirtualClock()
    here, there = open_table(owner="here", clock=clock), open_table(owner="there", clock=clock)
    here.add(job_record(1))
    held = here.claim()
    assert held is not None
    for _ in range(5):
        clock.now_s += LEASE_S / 2
        [ours] = here.renew({held.id: 1})
        assert there.claim() is None
    assert ours.revision == held.revision
    there.change(held.id, lambda job: job.cancelled(now=LATER))
    [ours] = here.renew({held.id: 1})
    assert ours.cancel_requested


def test_an_attempt_without_a_trainer_is_not_another_services_to_start(
    open_table: Callable[..., JobTable],
) -> None:
    """Where the first service has started no trainer yet, whoever takes over begins an attempt of its own: both would use one folder otherwise."""
    clock = VirtualClock()
    here, there = open_table(owner="here", clock=clock), open_table(owner="there", clock=clock)
    here.add(job_record(1))
    here.claim()
    clock.now_s += LEASE_S + 1
    taken = there.claim()
    assert taken is not None
    assert (taken.state, taken.attempt) == ("PREPARING", 2)


def test_a_service_that_comes_back_takes_its_own_at_once(open_table: Callable[..., JobTable]) -> None:
    """A restart does not wait for its own leases to run out, and leaves those of others alone."""
    here, there = open_table(owner="here"), open_table(owner="there")
    for number in (1, 2):
        here.add(job_record(number))
    here.claim()
    there.claim()
    [again] = open_table(owner="here").reclaim()
    assert (again.id, again.lease.epoch, again.attempt) == (job_record(1).id, 2, 1)


def test_two_services_share_a_queue(open_table: Callable[..., JobTable]) -> None:
    """Services that claim at once get different jobs, and all of them."""
    tables = [open_table(owner=f"service-{number}") for number in range(4)]
    for number in range(1, 41):
        tables[0].add(job_record(number))
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda turn: tables[turn % 4].claim(), range(40)))
    assert sorted(job.sequence for job in claimed if job) == list(range(1, 41))


def test_one_request_id_is_one_job_for_all_services(open_table: Callable[..., JobTable]) -> None:
    """G2 holds among services too."""
    tables = [open_table(owner=f"service-{number}") for number in range(4)]
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda n: tables[n % 4].add(job_record(n, request_id="same")), range(1, 33)))
    assert len({job.id for job in jobs}) == 1


def test_turns_come_one_after_the_other(open_table: Callable[..., JobTable], url: str) -> None:
    """What one service does in its turn no other service, and no other thread, is in the middle of."""
    shared = url.startswith("postgresql")  # a SQLite file is one service's alone
    tables = [open_table(owner=f"service-{number}") for number in range(2 if shared else 1)]
    inside = 0
    most = 0

    def take(number: int) -> None:
        nonlocal inside, most
        with tables[number % len(tables)].turn():
            inside += 1
            most = max(most, inside)
            time.sleep(0.002)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(32)))
    assert most == 1


def test_ended_jobs_are_forgotten(table: JobTable) -> None:
    """Jobs that ended before a time go with their histories; what ended later or runs stays."""
    old = table.add(job_record(1))
    table.claim()
    table.change(old.id, lambda job: job.ended("FAILED", now=NOW))
    new = table.add(job_record(2))
    table.claim()
    table.change(new.id, lambda job: job.ended("SUCCEEDED", now=LATER + timedelta(seconds=1)))
    table.add(job_record(3))
    assert table.ended(before=LATER) == [old.id]
    assert sorted(table.ended()) == sorted([old.id, new.id])
    table.forget([old.id, job_record(3).id])  # the second has not ended, and stays
    with pytest.raises(JobNotFoundError):
        table.events(old.id)
    assert [job.sequence for job in table.page("", PageRequest(0, "", of=""))[0]] == [3, 2]


def test_how_long_jobs_take(table: JobTable) -> None:
    """The median of those that published last says how long the next may take; nothing does before the first."""
    assert table.census.usual_s() is None
    for number, seconds in enumerate((10, 30, 1000), start=1):
        job = table.add(job_record(number))
        claimed = table.claim()
        assert claimed is not None
        end = cast(datetime, claimed.start_time) + timedelta(seconds=seconds)
        table.change(job.id, lambda job, end=end: job.ended("SUCCEEDED", now=end))
    assert table.census.usual_s() == pytest.approx(30)


def test_what_was_lost_is_taken_over_without_a_place(open_table: Callable[..., JobTable]) -> None:
    """A service that is busy looks after the jobs of one that died: what has a trainer is attended, what has none waits again, or is cancelled as was asked."""
    clock = VirtualClock()
    here, there = open_table(owner="here", clock=clock), open_table(owner="there", clock=clock)
    for number in (1, 2, 3):
        here.add(job_record(number))
        here.claim()
    here.change(job_record(2).id, lambda job: job.started({"pid": 1}))
    here.change(job_record(3).id, lambda job: job.cancelled(now=LATER))
    clock.now_s += LEASE_S + 1
    taken = there.claim(has_place=False)
    assert taken is not None
    assert (taken.id, taken.lease.owner) == (job_record(2).id, "there")
    assert there.claim(has_place=False) is None
    assert [there.job(job_record(number).id).state for number in (1, 3)] == ["QUEUED", "CANCELLED"]
    again = there.claim()
    assert again is not None
    assert (again.id, again.attempt) == (job_record(1).id, 2)


def test_nobody_is_held_for_dead_right_after_an_outage(
    open_table: Callable[..., JobTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database has been away for longer than a lease, every service gets the time of one to say that it lives."""
    clock = VirtualClock()
    here, there = open_table(owner="here", clock=clock), open_table(owner="there", clock=clock)
    here.add(job_record(1))
    held = here.claim()
    assert held is not None
    assert there.claim() is None
    clock.now_s += 2 * LEASE_S  # nobody could ask or renew meanwhile
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 2 * LEASE_S)
    assert there.claim() is None
    assert [job.id for job in here.renew({held.id: 1})] == [held.id]
    clock.now_s += LEASE_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 2.5 * LEASE_S)
    assert there.claim() is None
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 3.1 * LEASE_S)
    assert there.claim() is not None
