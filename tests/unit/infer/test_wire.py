"""Protos to the domain and back."""

import math

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
TIMING = CallTiming(tokenize_s=0.25, queue_s=1.5, inference_s=2.0, token_count=42)


def test_a_request_without_options_asks_for_everything_in_code_points() -> None:
    """Proto defaults are the API's defaults."""
    call = wire.classify_call(pb.ClassifyRequest(model="banking", texts=["a", "b"]), deadline_s=math.inf)
    assert (call.reference, list(call.texts)) == (AliasName("banking", "production"), ["a", "b"])
    assert (call.top_k, call.min_score) == (0, 0.0)
    extract = wire.extract_call(pb.ExtractEntitiesRequest(model="banking@7", texts=["a"]), deadline_s=9.0)
    assert (extract.reference, extract.unit, extract.deadline_s) == (V7, "UNICODE_CODE_POINTS", 9.0)


def test_a_malformed_name_and_an_unknown_unit_are_refused() -> None:
    """Proto3 enums are open: a newer client's unit must not be read as another one."""
    with pytest.raises(NameMalformedError):
        wire.classify_call(pb.ClassifyRequest(model="Bank ing"), deadline_s=math.inf)
    with pytest.raises(FieldInvalidError) as caught:
        wire.extract_call(pb.ExtractEntitiesRequest(model="banking", offset_unit=9), deadline_s=math.inf)  # type: ignore[arg-type]
    assert caught.value.metadata == {"field": "offset_unit", "value": "9"}


def test_results_stand_in_the_order_of_the_texts_with_faults_in_their_place() -> None:
    """A typed fault keeps its reason, an incident carries its id and nothing else."""
    answer = Answer(V7, [TextAnswer([LabelScore("card", 0.75, True)], 2), *FAULTS], TIMING)
    response = wire.classify_response(answer)
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
    timing = response.timing
    assert timing.tokenize_duration.ToTimedelta().total_seconds() == 0.25
    assert timing.queue_duration.ToTimedelta().total_seconds() == 1.5
    assert timing.inference_duration.ToTimedelta().total_seconds() == 2.0
    assert timing.token_count == 42


def test_entities_carry_the_unit_that_was_asked_for() -> None:
    """The response says what its numbers count, also when the default was meant."""
    answer = Answer(V7, [TextAnswer([Entity("person", 4, 7, "Ada", 0.5)], 1), *FAULTS], TIMING)
    request = pb.ExtractEntitiesRequest(model="banking@7", texts=["a"] * 3)
    response = wire.extract_response(answer, wire.extract_call(request, deadline_s=math.inf))
    assert response.offset_unit == pb.UNICODE_CODE_POINTS
    found = response.results[0].entities.entities[0]
    assert (found.label, found.start, found.end, found.surface, found.score) == ("person", 4, 7, "Ada", 0.5)
    assert [result.WhichOneof("outcome") for result in response.results] == ["entities", "error", "error"]


def test_a_version_that_could_not_be_loaded_shows_its_error() -> None:
    """ListLoadedModels tells an operator why an alias still answers with the version before."""
    resident = Resident(V7, state=State.FAILED, error=ArtifactCorruptError("bad blob", key="k"))
    message = wire.loaded_model(resident, ["production"])
    assert (message.model_version, message.state) == ("banking@7", pb.LoadedModel.FAILED)
    assert list(message.aliases) == ["production"]
    assert read_status(message.error).reason == "ARTIFACT_CORRUPT"


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_proto_value(state: State) -> None:
    """Under the same name, save that a version that waits for its turn is told as LOADING."""
    name = "LOADING" if state is State.QUEUED else state.name
    assert pb.LoadedModel.State.Name(wire.loaded_model(Resident(V7, state=state), []).state) == name
