"""Whether a result was measured with the preset of today: some take hours, and stand until they are measured anew."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from services.train.presets import Preset, presets_of
from services.train.recipes import RECIPES
from services.train.spec import PresetName
from shared.store.manifest import Task
from shared.stubs.training.v1 import training_pb2 as pb

_TASKS: Final[dict[int, Task]] = {
    pb.CLASSIFICATION: "classification",
    pb.MULTI_LABEL: "multi-label",
    pb.ENTITIES: "entities",
}
MARK: Final = " †"
FOOTNOTE: Final = "\n† Measured with the preset that came before today's, and not measured anew yet."


def preset_today(task: int, *, adaptable: bool | None, preset: PresetName = "standard") -> dict[str, Any]:
    """Return the numbers of a task's preset, as a result file keeps them; `adaptable` None: of rnn-classifier."""
    recipe = RECIPES[_TASKS[task]] if adaptable is not None else "rnn-classifier"
    numbers = presets_of(recipe, adaptable=adaptable is not False)[preset]
    return dict(TypeAdapter(Preset).dump_python(numbers, mode="json"))


def mark(result: Mapping[str, Any], today: Mapping[str, Any]) -> str:
    """Return MARK where a result was measured with other numbers than a preset has `today`."""
    return "" if result.get("preset") == today else MARK
