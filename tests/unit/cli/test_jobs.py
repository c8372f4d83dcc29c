"""How jobs are told of: where they stand, how they ended, what is left undone."""

import json

import pytest
from google.protobuf.duration_pb2 import Duration
from typer.testing import CliRunner

from services.cli.app import app
from services.cli.progress import stage
from services.cli.training_records import event_record, job_record
from shared.rpc.status import make_status
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.registry.v1.registry_pb2_grpc import RegistryServiceServicer
from shared.stubs.training.v1 import training_pb2 as pb
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceServicer
from tests.unit.cli.servers import refuse, serving

State = pb.TrainingJob


def job_of(**fields):
    """A job of `m@2` that is to move `production`."""
    return pb.TrainingJob(
        **{
            "id": "job-1",
            "spec": pb.TrainingSpec(model="m"),
            "model_version": "m@2",
            "promote_to": "production",
        }
        | fields
    )


class Jobs(TrainingServiceServicer):
    """Has one job, and keeps what it was asked."""

    def __init__(self, job):
        self.job = job
        self.asked = []

    def _answer(self, request, context):
        self.asked.append(request)
        return self.job

    CreateTrainingJob = RetrainModel = GetTrainingJob = StopTrainingJob = _answer

    def WatchTrainingJob(self, request, context):
        yield self.job

    def ListTrainingJobs(self, request, context):
        return pb.ListTrainingJobsResponse(jobs=[self.job])

    def ListTrainingJobEvents(self, request, context):
        return pb.ListTrainingJobEventsResponse(
            events=[
                pb.TrainingJobEvent(number=1, kind=pb.TrainingJobEvent.ACCEPTED),
                pb.TrainingJobEvent(
                    number=2, kind=pb.TrainingJobEvent.ATTEMPT_STARTED, attempt=1, detail="host-1"
                ),
            ]
        )


class Versions(RegistryServiceServicer):
    """Has every version."""

    def GetModelVersion(self, request, context):
        return registry_pb2.ModelVersion(name=request.model_version, metrics={"test.accuracy": 0.9})


def run(service, *arguments):
    """Run a command against a service."""
    with serving(training=service, registry=Versions()) as session:
        return CliRunner().invoke(app, ["--train-address", session.train_address, *arguments])


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (job_of(state=State.QUEUED), "QUEUED"),
        (job_of(state=State.QUEUED, queue_place=pb.QueuePlace(ahead_count=2)), "QUEUED (2 ahead)"),
        (
            job_of(
                state=State.QUEUED,
                attempt=1,
                queue_place=pb.QueuePlace(expected_wait_duration=Duration(seconds=61)),
            ),
            "QUEUED (for attempt 2, 0 ahead, about 1:01 to wait)",
        ),
        (job_of(state=State.TRAINING, attempt=1), "TRAINING"),
        (job_of(state=State.TRAINING, attempt=3), "TRAINING (attempt 3)"),
        (
            job_of(state=State.ROLLING_OUT, rollout=pb.Rollout(live_count=2, address_count=3)),
            "ROLLING_OUT (2 of 3 live)",
        ),
        (job_of(state=State.STOPPED, rollout=pb.Rollout(live_count=3, address_count=3)), "STOPPED"),
    ],
)
def test_a_job_is_told_where_it_stands(job, said):
    """Only what matters in its state is told beside it; `jobs` and `watch` say the same."""
    assert stage(job) == said
    assert f" {said} " in run(Jobs(job), "jobs").stdout


def test_the_record_of_a_job_has_all_of_it():
    """Durations are in milliseconds; what is not set is null."""
    bare, full = (
        job_record(job_of()),
        job_record(
            job_of(
                max_duration=Duration(seconds=90),
                queue_place=pb.QueuePlace(ahead_count=1, expected_wait_duration=Duration(seconds=2)),
                rollout=pb.Rollout(live_count=1, address_count=2),
                log_tail=["a", "b"],
                priority=-3,
            )
        ),
    )
    assert [bare[name] for name in ("max_duration_ms", "queue_place", "rollout", "log_tail")] == [
        None,
        None,
        None,
        [],
    ]
    assert full["max_duration_ms"] == 90_000
    assert full["queue_place"] == {"ahead_count": 1, "expected_wait_ms": 2000}
    assert full["rollout"] == {"live_count": 1, "address_count": 2}
    assert (full["log_tail"], full["priority"]) == (["a", "b"], -3)


def test_a_failed_job_is_told_with_the_end_of_its_log():
    """The last lines of the log come first and are short, the error with its remedy last."""
    job = job_of(
        state=State.FAILED,
        error=make_status("TRAINING_DIVERGED", "the loss is not finite", {}),
        log_tail=[*(f"line {number}" for number in range(40)), "", "x" * 5000],
    )
    ended = run(Jobs(job), "watch", "job-1")
    assert ended.exit_code == 1
    lines = ended.stderr.splitlines()
    assert lines[1] == "its log ended with (`tagsmith logs job-1` shows all):"
    assert lines[2] == "  line 31"
    assert lines[-2] == "  " + "x" * 300
    assert lines[-1] == (
        "error: TRAINING_DIVERGED: the loss is not finite (train again with a lower learning rate)"
    )
    assert len(lines) == 13


def test_a_stopped_job_is_a_success():
    """What was kept is published and told; the exit code is 0."""
    ended = run(Jobs(job_of(state=State.STOPPED)), "watch", "job-1")
    assert (ended.exit_code, ended.stderr) == (0, "m STOPPED\n")
    assert "m@2 published from a training that was ended early" in ended.stdout


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rollout": pb.Rollout(live_count=2, address_count=2)}, 0),
        ({"error": make_status("ALIAS_CONFLICT", "somebody moved it on", {})}, 1),
        ({"inference_target": ""}, 0),
        ({"state": State.CANCELLED}, 1),
        ({"error": make_status("ROLLOUT_FAILED", "refused at x:1", {})}, 1),
    ],
)
def test_retrain_succeeds_only_if_the_rows_are_live(fields, code):
    """The exit code is 0 if every server answers with the version, or if the alias moved and no server was named."""
    job = job_of(**{"state": State.SUCCEEDED, "inference_target": "x:1,y:1"} | fields)
    ended = run(Jobs(job), "retrain", "m")
    assert ended.exit_code == code
    assert ("error: " in ended.stderr) == bool(code)


def test_retrain_asks_for_what_it_was_told():
    """Options become the fields of one request; without any, all is left to the service."""
    service = Jobs(job_of(state=State.QUEUED))
    options = [
        "--alias",
        "canary",
        "--continue",
        "--gate",
        "least_metric=0.9",
        "--inference-target",
        "dns:///infer:1",
        "--priority",
        "5",
        "--request-id",
        "r",
    ]
    assert (
        run(service, "retrain", "m", "rows", *options, "--override-reason", "we know", "--detach").exit_code
        == 0
    )
    assert run(service, "retrain", "m", "--no-promote", "--detach").exit_code == 0
    first, second = service.asked
    assert first == pb.RetrainModelRequest(
        model="m",
        dataset="rows",
        alias="canary",
        continues=True,
        promote=pb.RetrainModelRequest.ALWAYS_WITH_REASON,
        override_reason="we know",
        gates=pb.QualityGates(least_metric=0.9),
        inference_target="dns:///infer:1",
        priority=5,
        request_id="r",
    )
    assert second.request_id
    second.request_id = ""
    assert second == pb.RetrainModelRequest(
        model="m", alias="production", promote=pb.RetrainModelRequest.NEVER
    )
    for option in (("--override-reason", "x"), ("--inference-target", "x:1")):
        refused = run(service, "retrain", "m", "--no-promote", *option)
        assert (refused.exit_code, option[0] in refused.output) == (2, True)


def test_train_asks_for_what_it_was_told():
    """How a job runs is said beside what it trains."""
    service = Jobs(job_of(state=State.QUEUED))
    options = [
        "--promote",
        "production",
        "--inference-target",
        "x:1",
        "--priority",
        "-2",
        "--max-minutes",
        "1.5",
        "--detach",
    ]
    assert run(service, "train", "m", "rows", *options).exit_code == 0
    (asked,) = service.asked
    assert (asked.inference_target, asked.priority, asked.max_duration.ToSeconds()) == ("x:1", -2, 90)
    refused = run(service, "train", "m", "rows", "--inference-target", "x:1")
    assert (refused.exit_code, "--inference-target" in refused.output) == (2, True)


def test_stop_says_what_will_come():
    """A job that runs on is told so; one that has ended is told as it is."""
    assert run(Jobs(job_of(state=State.TRAINING)), "stop", "job-1").stdout == (
        "job-1 is TRAINING, will end its training and keep the best so far\n"
    )
    assert run(Jobs(job_of(state=State.STOPPED)), "stop", "job-1").stdout == "job-1 is STOPPED\n"


def test_events_are_listed():
    """In order, for people and for programs; a kind that this client does not know is told by its number."""
    said = run(Jobs(job_of()), "events", "job-1").stdout
    assert said.index("ACCEPTED") < said.index("ATTEMPT_STARTED") < said.index("host-1")
    told = json.loads(run(Jobs(job_of()), "events", "job-1", "--json").stdout)["events"]
    assert told[1] == {"number": 2, "time": None, "kind": "ATTEMPT_STARTED", "attempt": 1, "detail": "host-1"}
    assert event_record(pb.TrainingJobEvent(kind=99))["kind"] == "KIND_99"


class Printing(TrainingServiceServicer):
    """Plays one script for each stream: parts of a log, and how the stream ends."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.asked = []

    def GetTrainingJob(self, request, context):
        return job_of()

    def ReadTrainingJobLog(self, request, context):
        self.asked.append((request.attempt, request.follow))
        parts, end = self.scripts.pop(0)
        for attempt, text in parts:
            yield pb.TrainingJobLog(attempt=attempt, text=text)
        if end:
            refuse(context, end)


def test_a_log_is_shown_as_it_is():
    """Nothing is added to stdout, and no line is cut or wrapped."""
    service = Printing(([(2, "a\n[b]\n"), (2, "c" * 1000 + "\n")], None))
    shown = run(service, "logs", "job-1", "--attempt", "2")
    assert shown.stdout == "a\n[b]\n" + "c" * 1000 + "\n"
    assert (shown.stderr, service.asked) == ("", [(2, False)])


def test_a_log_that_breaks_is_gone_on_with():
    """What was shown is not shown again, what was printed meanwhile is; a later attempt is announced on stderr."""
    service = Printing(
        ([(1, "a\n"), (1, "b\n")], "SERVER_DRAINING"),
        ([], "SERVER_DRAINING"),
        ([(1, "a\nb\nc\n")], None),  # the rest of the attempt
        ([(2, "d\n"), (2, "e\n")], None),  # the newest one
    )
    shown = run(service, "logs", "job-1", "-f")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "a\nb\nc\nd\ne\n", "attempt 2\n")
    assert service.asked == [(0, True), (1, False), (1, False), (0, True)]


def test_a_log_without_a_line_yet_is_waited_for():
    """A stream that breaks before it brought anything is begun again too, unless the log lies where it cannot be read."""
    service = Printing(([], "SERVER_DRAINING"), ([(1, "a\n")], None))
    assert run(service, "logs", "job-1", "-f").stdout == "a\n"
    assert service.asked == [(0, True), (0, True)]
    elsewhere = run(Printing(([], "STORE_UNAVAILABLE")), "logs", "job-1", "-f")
    assert (elsewhere.exit_code, "STORE_UNAVAILABLE" in elsewhere.stderr) == (1, True)
    assert run(TrainingServiceServicer(), "logs", "job-1", "-f").exit_code == 1


def test_a_log_that_was_not_followed_is_not_begun_again():
    """A command that is to end at once tells what is wrong at once."""
    service = Printing(([(1, "a\n")], "STORE_UNAVAILABLE"))
    shown = run(service, "logs", "job-1", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)) == (1, {"attempt": 1, "text": "a\n"})
    assert json.loads(shown.stderr)["error"]["reason"] == "STORE_UNAVAILABLE"


@pytest.mark.parametrize("option", ["--inference-target", "--request-id"])
def test_an_empty_option_is_refused(option):
    """A variable that a script forgot does not switch off what it asks for."""
    ended = run(Jobs(job_of(state=State.SUCCEEDED)), "retrain", "m", option, "")
    assert ended.exit_code == 2
    assert "is empty" in ended.stderr
