"""How commands call services."""

import json

import grpc
import pytest

from services.cli.paging import all_pages
from services.cli.session import Session
from shared.stubs.inference.v1 import inference_pb2
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceServicer
from shared.stubs.training.v1 import training_pb2
from tests.unit.cli.servers import refuse, serving


class Loading(InferenceServiceServicer):
    """Refuses `refusals` calls and answers the next."""

    def __init__(self, refusals: int, reason: str = "MODEL_LOADING", retry_after_ms: int | None = 20) -> None:
        self.calls = 0
        self.refusals = refusals
        self.reason = reason
        self.retry_after_ms = retry_after_ms

    def ExtractEntities(self, request, context):
        return inference_pb2.ExtractEntitiesResponse(model_version="m" * 9_000_000)

    def Classify(self, request, context):
        self.calls += 1
        if self.calls <= self.refusals:
            refuse(context, self.reason, retry_after_ms=self.retry_after_ms)
        return inference_pb2.ClassifyResponse(model_version="m@1")


def test_a_loading_model_is_asked_again_until_it_answers():
    """RetryInfo is heeded."""
    service = Loading(refusals=3)
    with serving(inference=service) as session:
        answer = session.call(session.inference.Classify, inference_pb2.ClassifyRequest())

    assert (answer.model_version, service.calls) == ("m@1", 4)


def test_waiting_is_told_once(capsys):
    """Whoever waits knows for what; the same reason is not repeated."""
    with serving(inference=Loading(refusals=3)) as session:
        session.call(session.inference.Classify, inference_pb2.ClassifyRequest())

    assert capsys.readouterr().err.count("trying again") == 1


def test_patience_ends():
    """A model that never loads does not hold the command for longer than its patience."""
    service = Loading(refusals=10_000)
    with serving(inference=service) as session, pytest.raises(grpc.RpcError) as caught:
        session.call(session.inference.Classify, inference_pb2.ClassifyRequest(), patience_s=0.3)

    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert 2 <= service.calls <= 8


def test_errors_without_retry_info_are_not_repeated():
    """What the service refuses for good is asked once."""
    service = Loading(refusals=10_000, reason="MODEL_NOT_FOUND", retry_after_ms=None)
    with serving(inference=service) as session, pytest.raises(grpc.RpcError):
        session.call(session.inference.Classify, inference_pb2.ClassifyRequest())

    assert service.calls == 1


def test_an_answer_may_be_larger_than_grpcs_default():
    """The entities of a legal call can be more than 4 MiB; they arrive."""
    with serving(inference=Loading(refusals=0)) as session:
        answer = session.call(session.inference.ExtractEntities, inference_pb2.ExtractEntitiesRequest())

    assert len(answer.model_version) == 9_000_000


def test_lists_are_read_to_their_last_page():
    """Every page is asked for, each with the token of the one before; a limit needs one page only."""
    asked = []

    def rpc(request, timeout):
        asked.append((request.page_size, request.page_token))
        number = len(asked)
        return training_pb2.ListTrainingJobsResponse(
            jobs=[training_pb2.TrainingJob(id=f"job-{number}")],
            next_page_token=str(number) if number < 3 else "",
        )

    with Session(train_address="unused", infer_address="unused") as session:
        pages = list(all_pages(session, rpc, training_pb2.ListTrainingJobsRequest()))
        assert [job.id for page in pages for job in page.jobs] == ["job-1", "job-2", "job-3"]
        assert asked == [(500, ""), (500, "1"), (500, "2")]
        asked.clear()
        assert len(list(all_pages(session, rpc, training_pb2.ListTrainingJobsRequest(), at_most=7))) == 1
        assert asked == [(7, "")]


def test_json_goes_out_as_it_is(capsys):
    """A record is one line of JSON however long it is and whatever looks like markup in it."""
    session = Session(train_address="unused", infer_address="unused", as_json=True)
    record = {"text": "[bold]x[/] :smile: é " * 200}

    session.show(record, "for people")
    session.tell("for people")

    captured = capsys.readouterr()
    assert json.loads(captured.out) == record
    assert captured.out.count("\n") == 1
    assert captured.err == ""


def test_people_read_text_as_it_is(capsys):
    """Brackets and colons in a customer's text are shown, not taken for markup."""
    session = Session(train_address="unused", infer_address="unused")

    session.show({}, "a [red]text[/red] with :smile: " + "and more " * 100)

    out = capsys.readouterr().out
    assert out.startswith("a [red]text[/red] with :smile: ")
    assert out.count("\n") == 1
