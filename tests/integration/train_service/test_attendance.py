"""What callers can ask of a job while it runs and afterwards: to end early, its place, its history, what its trainer printed."""

import threading

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.train_service.harness import TIMEOUT_S, Service, refused, state_of, wait_for

Kind = pb.TrainingJobEvent


def create(service: Service, model: str, **fields: object) -> pb.TrainingJob:
    """Submit with fields of the request."""
    spec = pb.TrainingSpec(model=model, dataset="support")
    return service.training.CreateTrainingJob(pb.CreateTrainingJobRequest(spec=spec, **fields))


def stop(service: Service, job: pb.TrainingJob) -> pb.TrainingJob:
    """Ask for the best so far."""
    return service.training.StopTrainingJob(pb.StopTrainingJobRequest(id=job.id))


def events(service: Service, job: pb.TrainingJob) -> list[pb.TrainingJobEvent]:
    """The job's history."""
    return list(service.training.ListTrainingJobEvents(pb.ListTrainingJobEventsRequest(id=job.id)).events)


def log(service: Service, job: pb.TrainingJob, **fields: object) -> str:
    """What the trainer printed."""
    request = pb.ReadTrainingJobLogRequest(id=job.id, **fields)
    return "".join(part.text for part in service.training.ReadTrainingJobLog(request, timeout=TIMEOUT_S))


def test_a_stopped_job_publishes_the_best_so_far(service: Service) -> None:
    """A job that is stopped ends STOPPED with a version that its alias points to; stopping it again is OK, cancelling it is not."""
    job = service.submit("keep", promote_to="production")
    service.wait_until(job.id, "TRAINING")
    assert stop(service, job).stop_requested
    end = service.end_of(job.id)
    assert (state_of(end), end.metrics["validation.accuracy"]) == ("STOPPED", 1.0)
    assert service.promotions("keep") == [(1, job.id)]
    assert state_of(stop(service, job)) == "STOPPED"
    with refused("FAILED_PRECONDITION", "JOB_ALREADY_FINISHED"):
        service.cancel(job.id)
    kinds = [each.kind for each in events(service, job)]
    assert kinds.index(Kind.STOP_REQUESTED) < kinds.index(Kind.STOPPED_EARLY) < kinds.index(Kind.ENDED)


def test_a_job_that_has_had_its_time_is_stopped(service: Service) -> None:
    """max_duration ends training as a caller would."""
    end = service.end_of(create(service, "keep", max_duration=Duration(seconds=1)).id)
    assert (state_of(end), end.max_duration.seconds) == ("STOPPED", 1)


@pytest.mark.parametrize("fields", [{"priority": 101}, {"priority": -101}, {"max_duration": Duration()}])
def test_what_no_job_can_have_is_refused(service: Service, fields: dict[str, object]) -> None:
    """Priorities and limits out of their range are told with the field's name."""
    with refused("INVALID_ARGUMENT", "SPEC_INVALID") as refusal:
        create(service, "succeed", **fields)
    assert next(iter(fields)) in str(refusal.why)


def test_the_queue(own_service: Service) -> None:
    """One job runs; the urgent one goes first, everybody knows their place, and a stop of one that never ran cancels it."""
    running = own_service.submit("pause-training")
    own_service.wait_until(running.id, "TRAINING")
    later, urgent, patient = (create(own_service, "succeed", priority=each) for each in (0, 7, -7))
    places = [own_service.job(job.id).queue_place for job in (urgent, later, patient)]
    assert [place.ahead_count for place in places] == [0, 1, 2]
    assert not places[0].HasField("expected_wait_duration")  # nothing has shown yet how long a job takes
    assert not own_service.job(running.id).HasField("queue_place")
    assert state_of(stop(own_service, patient)) == "CANCELLED"
    own_service.go(running.id)
    ends = [own_service.end_of(job.id) for job in (urgent, later)]
    assert ends[0].start_time.ToDatetime() < ends[1].start_time.ToDatetime()

    holder = own_service.submit("pause-training")
    own_service.wait_until(holder.id, "TRAINING")
    place = own_service.job(own_service.submit("succeed").id).queue_place
    assert place.HasField("expected_wait_duration")
    own_service.go(holder.id)


def test_a_history_tells_of_every_attempt(service: Service) -> None:
    """An attempt that is lost and the one after it stand in the history, each with its service; times do not go back."""
    job = service.submit("pause-exporting")
    service.wait_until(job.id, "EXPORTING")
    [trainer] = service.trainers(job.id)
    trainer.kill()
    wait_for(lambda: service.job(job.id).attempt == 2, what="the second attempt")
    service.wait_until(job.id, "EXPORTING")
    service.go(job.id)
    end = service.end_of(job.id)
    assert (state_of(end), end.attempt) == ("SUCCEEDED", 2)
    history = events(service, job)
    started = [(each.attempt, each.detail) for each in history if each.kind == Kind.ATTEMPT_STARTED]
    assert started == [(1, service.owner), (2, service.owner)]
    assert [each.attempt for each in history if each.kind == Kind.ATTEMPT_LOST] == [1]
    assert history[-1].detail == "SUCCEEDED"
    assert [each.number for each in history] == list(range(1, len(history) + 1))
    times = [each.time.ToDatetime() for each in history]
    assert times == sorted(times)


def test_what_a_trainer_prints_can_be_read(service: Service) -> None:
    """A log is read as far as it goes, by attempt, and followed to the end of its job over every attempt."""
    job = service.submit("talk")
    service.wait_until(job.id, "TRAINING")
    heard: list[str] = []
    follower = threading.Thread(target=lambda: heard.append(log(service, job, follow=True)))
    follower.start()
    wait_for(lambda: log(service, job) == "attempt 1 begins\n", what="the first words")
    service.trainers(job.id)[0].kill()
    wait_for(lambda: service.job(job.id).attempt == 2, what="the second attempt")
    service.wait_until(job.id, "TRAINING")
    wait_for(lambda: "begins" in log(service, job), what="the second attempt's words")
    service.go(job.id)
    assert state_of(service.end_of(job.id)) == "SUCCEEDED"
    follower.join(TIMEOUT_S)
    assert heard == ["attempt 1 begins\nattempt 2 begins\nattempt 2 ends"]
    assert log(service, job, attempt=1) == "attempt 1 begins\n"
    assert log(service, job) == "attempt 2 begins\nattempt 2 ends"
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        log(service, job, attempt=3)


def test_a_failure_comes_with_the_last_words(service: Service) -> None:
    """A FAILED job carries the last lines that its trainer printed, any other job none."""
    end = service.end_of(service.submit("mumble").id)
    assert state_of(end) == "FAILED"
    assert list(end.log_tail) == [f"line {number}" for number in range(51, 101)]
    assert not service.end_of(service.submit("succeed").id).log_tail


def test_a_watch_goes_on_where_it_was(service: Service) -> None:
    """A watcher who comes back hears of what is new, and at once of a job that has ended meanwhile."""
    job = service.submit("pause-training")
    service.wait_until(job.id, "TRAINING")
    wait_for(lambda: service.job(job.id).progress.step == 1, what="progress")
    newest = service.job(job.id).revision
    watch = service.training.WatchTrainingJob(
        pb.WatchTrainingJobRequest(id=job.id, after_revision=newest), timeout=TIMEOUT_S
    )
    service.go(job.id)
    assert next(watch).revision > newest
    end = service.end_of(job.id)
    late = service.training.WatchTrainingJob(
        pb.WatchTrainingJobRequest(id=job.id, after_revision=end.revision), timeout=2
    )
    assert [each.revision for each in late] == [end.revision]


def test_a_watch_that_is_never_read_holds_up_nobody(service: Service) -> None:
    """Fifty watchers who read nothing cost their job no time."""
    with grpc.insecure_channel(f"127.0.0.1:{service.ready['port']}") as channel:
        watch = channel.unary_stream("/tagsmith.training.v1.TrainingService/WatchTrainingJob")
        job = service.submit("succeed")
        request = pb.WatchTrainingJobRequest(id=job.id).SerializeToString()
        watches = [watch(request) for _ in range(50)]
        assert state_of(service.end_of(job.id)) == "SUCCEEDED"
        for each in watches:
            each.cancel()
