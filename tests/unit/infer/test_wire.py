"""Protos to the domain and back."""

import math
from dataclasses import replace

import pytest

from services.infer import wire
from services.infer.batching.outcomes import Incident
from services.infer.calls import Answer, CallTiming, Entity, TextAnswer
from services.infer.residency.lifecycle import State
from services.infer.residency.resident import Resident
from shared.errors import ArtifactCorruptError, FieldInvalidError, NameMalformedError, TextEmptyError
from shared.names import AliasName, VersionName
from shared.rpc.status import read_status
from shared.runtime.classification import LabelScore
from shared.stubs.inference.v1 import inference_pb2 as pb

V7 = VersionName("banking", 7)
FAULTS = (TextEmptyError("texts[1] is empty.", field="texts[1]"), Incident("ab12"))
TIMING = CallTiming(
    tokenize_s=0.25,
    queue_s=1.5,
    inference_s=2.0,
    token_count=42,
    padded_token_count=48,
    largest_batch=7,
)


def _classified() -> Answer[LabelScore]:
    outcomes = [TextAnswer([LabelScore("card", 0.75, True)], 2), *FAULTS]
    return Answer(V7, task="classification", variant="int8", outcomes=outcomes, timing=TIMING)


def _extracted() -> Answer[Entity]:
    outcomes = [TextAnswer([Entity("person", 4, 7, "Ada", 0.5)], 1), *FAULTS]
    return Answer(V7, task="entities", variant="fp32", outcomes=outcomes, timing=TIMING)


def test_a_request_without_options_asks_for_everything_in_code_points() -> None:
    """Proto defaults are the API's defaults."""
    call = wire.classify_call(pb.ClassifyRequest(model="banking", texts=["a", "b"]), deadline_s=math.inf)
    assert (list(call.references), list(call.texts)) == ([AliasName("banking", "production")], ["a", "b"])
    assert (call.top_k, call.min_score, call.is_bulk) == (0, 0.0, False)
    extract = wire.extract_call(pb.ExtractEntitiesRequest(model="banking@7", texts=["a"]), deadline_s=9.0)
    assert (list(extract.references), extract.unit, extract.deadline_s) == ([V7], "UNICODE_CODE_POINTS", 9.0)
    analyze = wire.analyze_call(
        pb.AnalyzeRequest(models=["banking", "banking@7"], texts=["a"]), deadline_s=9.0
    )
    assert list(analyze.references) == [AliasName("banking", "production"), V7]
    assert (analyze.top_k, analyze.min_score, analyze.unit) == (0, 0.0, "UNICODE_CODE_POINTS")


def test_a_malformed_name_and_an_unknown_unit_are_refused() -> None:
    """Proto3 enums are open: a newer client's unit must not be read as another one."""
    with pytest.raises(NameMalformedError):
        wire.classify_call(pb.ClassifyRequest(model="Bank ing"), deadline_s=math.inf)
    extract = pb.ExtractEntitiesRequest(model="banking", offset_unit=9)  # type: ignore[arg-type]
    analyze = pb.AnalyzeRequest(models=["banking"], offset_unit=9)  # type: ignore[arg-type]
    for read in (
        lambda: wire.extract_call(extract, deadline_s=math.inf),
        lambda: wire.analyze_call(analyze, deadline_s=math.inf),
    ):
        with pytest.raises(FieldInvalidError) as caught:
            read()
        assert caught.value.metadata == {"field": "offset_unit", "value": "9"}
    with pytest.raises(NameMalformedError) as malformed:
        wire.analyze_call(pb.AnalyzeRequest(models=["banking", "Bank ing"]), deadline_s=math.inf)
    assert "models[1]" in malformed.value.metadata.values()


def test_results_stand_in_the_order_of_the_texts_with_faults_in_their_place() -> None:
    """A typed fault keeps its reason, an incident carries its id and nothing else."""
    response = wire.classify_response(_classified())
    assert response.model_version == "banking@7"
    assert [result.WhichOneof("outcome") for result in response.results] == [
        "classification",
        "error",
        "error",
    ]
    first = response.results[0].classification
    assert ([(each.label, each.score) for each in first.labels], first.window_count) == ([("card", 0.75)], 2)
    assert read_status(response.results[1].error).reason == "TEXT_EMPTY"
    assert read_status(response.results[2].error).metadata == {"incident": "ab12"}


def test_entities_carry_the_unit_that_was_asked_for() -> None:
    """The response says what its numbers count, also when the default was meant."""
    request = pb.ExtractEntitiesRequest(model="banking@7", texts=["a"] * 3)
    response = wire.extract_response(_extracted(), wire.extract_call(request, deadline_s=math.inf))
    assert response.offset_unit == pb.UNICODE_CODE_POINTS
    found = response.results[0].entities.entities[0]
    assert (found.label, found.start, found.end, found.surface, found.score) == ("person", 4, 7, "Ada", 0.5)
    assert [result.WhichOneof("outcome") for result in response.results] == ["entities", "error", "error"]


def test_a_response_tells_how_the_call_was_answered() -> None:
    """Where the time went, in what company, with how much padding and by which variant."""
    timing = wire.classify_response(_classified()).timing
    assert timing.tokenize_duration.ToTimedelta().total_seconds() == 0.25
    assert timing.queue_duration.ToTimedelta().total_seconds() == 1.5
    assert timing.inference_duration.ToTimedelta().total_seconds() == 2.0
    assert (timing.token_count, timing.padded_token_count, timing.largest_batch) == (42, 48, 7)
    assert timing.variant == "int8"


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.001, 0.999_999_999, 59.25, 3600.0])
def test_durations_are_told_to_the_nanosecond(seconds: float) -> None:
    """No second is lost or gained on the way."""
    answer = replace(_classified(), timing=CallTiming(tokenize_s=seconds))
    duration = wire.classify_response(answer).timing.tokenize_duration
    assert 0 <= duration.nanos < 1_000_000_000
    assert duration.seconds + duration.nanos / 1e9 == pytest.approx(seconds, abs=2e-9)


def test_analyses_stand_in_the_order_of_the_models() -> None:
    """Each in the form of its task, with the unit that was asked for."""
    request = pb.AnalyzeRequest(models=["banking@7"] * 3, texts=["a"] * 3, offset_unit=pb.UTF8_BYTES)
    call = wire.analyze_call(request, deadline_s=math.inf)
    response = wire.analyze_response([_extracted(), _classified(), _extracted()], call)
    kinds = [each.WhichOneof("answer") for each in response.analyses]
    assert kinds == ["extract_entities", "classify", "extract_entities"]
    assert response.analyses[0].extract_entities.offset_unit == pb.UTF8_BYTES
    assert response.analyses[1].classify == wire.classify_response(_classified())


def test_a_version_that_could_not_be_loaded_shows_its_error() -> None:
    """ListLoadedModels tells an operator why an alias still answers with the version before."""
    error = ArtifactCorruptError("bad blob", key="k")
    resident = Resident(V7, state=State.FAILED, error=error, failures=3)
    message = wire.loaded_model(resident, ["production"])
    assert (message.model_version, message.state) == ("banking@7", pb.LoadedModel.FAILED)
    assert list(message.aliases) == ["production"]
    assert (read_status(message.error).reason, message.failed_load_count) == ("ARTIFACT_CORRUPT", 3)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_proto_value(state: State) -> None:
    """Under the same name, save that a version that waits for its turn is told as LOADING."""
    name = "LOADING" if state is State.QUEUED else state.name
    assert pb.LoadedModel.State.Name(wire.loaded_model(Resident(V7, state=state), []).state) == name
