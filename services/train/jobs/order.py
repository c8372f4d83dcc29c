"""What a caller asks for, as it was sent."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from services.train.spec import PresetName, RecipeName

_LATER: Final = ("priority", "most_minutes", "inference_target", "asked_as")
Knob = int | float | str | dict[str, int | str]  # the last: a knob that has knobs of its own, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks for, as it was sent: what is empty or None is left to us."""

    model: str
    dataset: str
    recipe: RecipeName | None = None
    base_model: str = ""
    adaptable: bool | None = None
    preset: PresetName | None = None
    hyperparameters: Mapping[str, Knob] = field(default_factory=dict)  # those that are set
    seed: int | None = None
    gates: Mapping[str, int | float | str] = field(default_factory=dict)  # those that are set
    like_version: str = ""  # reference of the version whose spec fills in what is left open
    search: Mapping[str, Any] | None = None  # those of Search that are set; None: nothing is searched
    continues: Mapping[str, Any] = field(
        default_factory=dict
    )  # those of Continuation that are set; empty: nothing
    without_golden_examples: bool = False
    measures_gain: bool = False
    promote_to: str = ""
    override_reason: str = ""
    priority: int = 0
    most_minutes: float | None = None
    inference_target: str = ""
    asked_as: str = ""  # digest of the request that it was made of, where that was none for an order

    @property
    def digest(self) -> str:
        """SHA-256 of the order: equal orders are repetitions, even if the newest dataset is another one by now."""
        if self.asked_as:
            return self.asked_as
        told = asdict(self)
        # What was asked before these were there is the same as asking for none of them.
        told = {name: value for name, value in told.items() if value or name not in _LATER}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
