"""From "these rows, live" to an order: everything that is not said is as the version was trained that the alias points to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from services.train.jobs.order import Order
from shared.errors import FieldInvalidError, Problem, SpecInvalidError
from shared.names import AliasName, DatasetName, check_id
from shared.store.models import ModelStore

Promote = Literal["if-gates-pass", "never", "always-with-reason"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """What a caller asks for; what is empty is left to us."""

    model: str
    dataset: str = ""
    alias: str = "production"
    continues: bool = False
    promote: Promote = "if-gates-pass"
    override_reason: str = ""
    gates: Mapping[str, int | float | str] = field(default_factory=dict)
    inference_target: str = ""
    priority: int = 0
    most_minutes: float | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of what was asked."""
        return hashlib.sha256(json.dumps(["retrain", asdict(self)], sort_keys=True).encode()).hexdigest()


def order_of(asked: Retraining, models: ModelStore) -> Order:
    """Return the order of a retraining. Blocks. Raises NameMalformedError, FieldInvalidError, SpecInvalidError, the NOT_FOUNDs of model and alias."""
    check_id(asked.model, field="model")
    check_id(asked.alias, field="alias")
    _check_promotion(asked)
    version = models.resolve(AliasName(asked.model, asked.alias))
    lineage = models.manifest(version).lineage
    spec: dict[str, Any] = lineage.spec
    gates = asked.gates or {
        name: value
        for name, value in (spec.get("gates") or {}).items()
        if value is not None and name != "champion"
    }
    return Order(
        model=asked.model,
        dataset=asked.dataset or DatasetName.parse(lineage.dataset).dataset,
        like_version="" if asked.continues else str(version),
        continues={"version": str(version)} if asked.continues else {},
        without_golden_examples=bool(spec.get("without_golden_examples")),
        measures_gain=bool(spec.get("measures_gain")),
        gates={"champion": str(version), **gates},
        promote_to="" if asked.promote == "never" else asked.alias,
        override_reason=asked.override_reason,
        inference_target=asked.inference_target,
        priority=asked.priority,
        most_minutes=asked.most_minutes,
    )


def _check_promotion(asked: Retraining) -> None:
    if (asked.promote == "always-with-reason") != bool(asked.override_reason):
        raise SpecInvalidError(
            "The retraining cannot be carried out.",
            [Problem("override_reason", "goes with ALWAYS_WITH_REASON: set both, or neither")],
            field="override_reason",
        )
    if asked.promote == "never" and asked.inference_target:
        raise FieldInvalidError(
            "inference_target: nothing goes live where promote is NEVER: leave one of them out.",
            field="inference_target",
        )
