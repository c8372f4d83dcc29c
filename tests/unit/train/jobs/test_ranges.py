"""How fields out of their ranges are told."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.train.jobs.ranges import range_problems
from services.train.spec import QualityGates, Search


@pytest.mark.parametrize(
    ("record", "values", "field", "told"),
    [
        (Search, {"most_trials": 1}, "most_trials", "is less than 2, the least"),
        (Search, {"most_trials": 1001}, "most_trials", "is over 1000, the most"),
        (Search, {"most_minutes": 0}, "most_minutes", "is not over 0"),
        (Search, {"most_minutes": float("nan")}, "most_minutes", "is no finite number"),
        (Search, {"knobs": ("colour",)}, "knobs.0", "is none of 'encoder_learning_rate', "),
        (QualityGates, {"least_metric": 1.5}, "least_metric", "is over 1, the most"),
    ],
)
def test_a_bound_is_named_in_our_words(
    record: type[Search] | type[QualityGates], values: dict[str, Any], field: str, told: str
) -> None:
    """With the field, and without the value."""
    with pytest.raises(ValidationError) as caught:
        record.model_validate(values)
    (problem,) = range_problems("spec.x", caught.value)
    assert problem.field == f"spec.x.{field}"
    assert problem.description.startswith(told)
    assert "nput" not in problem.description
