"""A network whose training has ended, kept so that nothing that follows makes anybody train it again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.train.trainer.checkpoint import Checkpoint, Checkpoints
from services.train.trainer.driving import Course
from services.train.trainer.log import say
from services.train.trainer.network import Network
from services.train.trainer.weights import Weights, learnt_weights
from shared.store.evaluation import CurvePoint


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A network with its best weights, in eval mode on the processor, and how it came to them."""

    network: Network
    course: Course


def keep(
    taught: Taught, checkpoints: Checkpoints, *, adaptable: bool, number: int | None = None, **more: Any
) -> None:
    """Keep a network, and `more`, which goes through JSON. `number` tells it from others; the last step by default."""
    course = taught.course
    record = {
        "curve": [point.model_dump() for point in course.curve],
        "step": course.step,
        "was_stopped": course.was_stopped,
        **more,
    }
    weights = learnt_weights(taught.network, adaptable=adaptable)
    place = course.step if number is None else number
    checkpoints.save(Checkpoint(place, record, {"network": weights}, is_final=True))


def recall(
    checkpoints: Checkpoints, make: Callable[[Mapping[str, Any], Weights], Network]
) -> tuple[Taught, Mapping[str, Any]] | None:
    """Return the network that is kept, and its record, if there is one that can be used; `make` makes it of the record and its weights."""
    for checkpoint in checkpoints.read(is_final=True):
        record = checkpoint.record
        try:
            curve = tuple(CurvePoint.model_validate(point) for point in record["curve"])
            course = Course(curve, record["step"], record["was_stopped"])
            network = make(record, dict(checkpoint.parts["network"]))
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            say(f"the network that was kept at step {checkpoint.number} cannot be used: {error}")
            continue
        return Taught(network, course), record
    return None
