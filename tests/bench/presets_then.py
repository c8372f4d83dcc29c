"""Whether a result was measured with the preset of today: some take hours, and stand until they are measured anew."""

from collections.abc import Mapping
from typing import Any, Final

from services.train.presets import STANDARD
from services.train.recipes import unused_knobs
from services.train.spec import Hyperparameters, RecipeName
from shared.store.manifest import Task
from shared.stubs.training.v1 import training_pb2 as pb

_TASKS: Final[dict[int, tuple[Task, RecipeName]]] = {
    pb.CLASSIFICATION: ("classification", "transformer-classifier"),
    pb.MULTI_LABEL: ("multi-label", "transformer-classifier"),
    pb.ENTITIES: ("entities", "entity-extractor"),
}
MARK: Final = " †"
FOOTNOTE: Final = "\n† Measured with the preset that came before today's, and not measured anew yet."


def mark(task: int, measured: Mapping[str, Any], *, adaptable: bool | None) -> str:
    """Return MARK where today's standard preset has other values than those that were `measured`; `adaptable` None: from scratch.

    What a result file does not name was not there to be chosen then, and had the value that specs have without it.
    """
    named, recipe = _TASKS[task]
    recipe = recipe if adaptable is not None else "rnn-classifier"
    switch = adaptable is not False
    unused = unused_knobs(recipe, named, adaptable=switch)
    then = {
        name: field.default for name, field in Hyperparameters.model_fields.items() if not field.is_required()
    }
    then |= dict(measured)
    today = STANDARD[recipe, switch].knobs()
    shape = today.pop("recurrent")
    if shape is not None:
        today["recurrent"] = shape.model_dump()
    return (
        MARK
        if any(then[knob] != value for knob, value in today.items() if knob not in unused and knob in then)
        else ""
    )
