"""Between the wire and the domain."""

import pytest

from services.train.events import Failure, ProblemRecord
from services.train.job_wire import write_job
from services.train.jobs.lifecycle import FOLLOWERS
from services.train.spec import Hyperparameters, RecurrentShape
from services.train.spec_wire import read_order
from shared.errors import FieldInvalidError
from shared.rpc.status import read_status
from shared.stubs.training.v1 import training_pb2 as pb
from tests.unit.train.jobs.records import LATER, NOW, PROGRESS, SPEC, job_record


def order_of(**spec: object) -> dict[str, object]:
    """The hyperparameters that an order has."""
    request = pb.CreateTrainingJobRequest(spec=pb.TrainingSpec(model="m", dataset="d", **spec))  # type: ignore[arg-type]
    return dict(read_order(request.spec).hyperparameters)


def test_what_is_not_set_is_left_open() -> None:
    """An order holds only what its caller set; a 0 that was set is not an unset field."""
    request = pb.CreateTrainingJobRequest(spec=pb.TrainingSpec(model="m", dataset="d"))
    order = read_order(request.spec)
    assert (order.recipe, order.base_model, order.adaptable, order.seed) == (None, "", None, None)
    assert order.hyperparameters == {}
    request.spec.adaptable = False
    request.spec.seed = 0
    order = read_order(request.spec)
    assert (order.adaptable, order.seed) == (False, 0)
    assert order_of(hyperparameters=pb.Hyperparameters(dropout=0, patience=0)) == {
        "dropout": 0,
        "patience": 0,
    }


def test_every_knob_has_the_specs_name() -> None:
    """The proto's hyperparameters and the spec's are the same, by name."""
    assert {field.name for field in pb.Hyperparameters.DESCRIPTOR.fields} == set(Hyperparameters.model_fields)
    knobs = order_of(hyperparameters=pb.Hyperparameters(batch_size=8, pooling=pb.FIRST_TOKEN))
    assert knobs == {"batch_size": 8, "pooling": "first-token"}


def test_the_shape_of_a_recurrent_network_has_the_specs_names() -> None:
    """What is set of it is an order's; what is not is left open."""
    assert {field.name for field in pb.RecurrentShape.DESCRIPTOR.fields} == set(RecurrentShape.model_fields)
    shape = pb.RecurrentShape(cell=pb.LSTM, width=0)
    knobs = order_of(hyperparameters=pb.Hyperparameters(recurrent=shape))
    assert knobs == {"recurrent": {"cell": "lstm", "width": 0}}


@pytest.mark.parametrize(
    "spec",
    [
        {"recipe": 99},
        {"hyperparameters": pb.Hyperparameters(pooling=99)},
        {"hyperparameters": pb.Hyperparameters(recurrent=pb.RecurrentShape(cell=99))},
    ],
    ids=["recipe", "pooling", "cell"],
)
def test_an_enum_value_of_a_newer_release_is_refused(spec: dict[str, object]) -> None:
    """A value that this release does not know is not taken for a default."""
    with pytest.raises(FieldInvalidError):
        order_of(**spec)


def test_a_resolved_spec_goes_there_and_back() -> None:
    """What a job says of its spec, submitted again, is the same spec."""
    message = write_job(job_record())
    order = read_order(message.spec)
    assert Hyperparameters.model_validate(order.hyperparameters) == SPEC.hyperparameters
    assert (order.model, order.dataset, order.recipe, order.base_model, order.adaptable, order.seed) == (
        SPEC.model,
        SPEC.dataset,
        SPEC.recipe,
        SPEC.base_model,
        SPEC.adaptable,
        SPEC.seed,
    )


@pytest.mark.parametrize("state", FOLLOWERS)
def test_every_state_can_be_told(state: str) -> None:
    """Each state of the life cycle has its value on the wire."""
    assert pb.TrainingJob.State.Name(write_job(job_record(state=state)).state) == state


def test_a_job_is_told_whole() -> None:
    """Progress, failure with its problems, times to the microsecond, and what is absent is absent."""
    failure = Failure(
        reason="DATASET_INVALID",
        message="No.",
        metadata={"file": "a.csv"},
        problems=(ProblemRecord(field="a.csv:1", description="bad"),),
    )
    message = write_job(job_record(state="FAILED", progress=PROGRESS, failure=failure, end_time=LATER))
    assert message.create_time.ToDatetime(NOW.tzinfo) == NOW
    assert not message.HasField("start_time")
    assert message.progress.remaining_duration.ToMilliseconds() == 1000
    assert (message.progress.HasField("metric"), message.progress.best_metric) == (False, 0.5)
    error = read_status(message.error)
    assert (error.reason, error.message, error.metadata) == ("DATASET_INVALID", "No.", {"file": "a.csv"})
    assert [(each.field, each.description) for each in error.problems] == [("a.csv:1", "bad")]
    assert not write_job(job_record()).HasField("error")
