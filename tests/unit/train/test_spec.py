"""The spec of a job."""

import pytest
from pydantic import ValidationError

from services.train.presets import STANDARD
from services.train.spec import JobSpec
from tests.unit.train.jobs.records import SPEC

RECURRENT = SPEC.hyperparameters.model_copy(update={"recurrent": STANDARD["rnn-classifier", True].recurrent})
FROM_SCRATCH = {
    "recipe": "rnn-classifier",
    "base_model": None,
    "base_digest": None,
    "hyperparameters": RECURRENT,
}


def test_a_spec_starts_from_a_base_or_from_nothing() -> None:
    """Both are sound."""
    JobSpec.model_validate(dict(SPEC))
    JobSpec.model_validate(dict(SPEC) | FROM_SCRATCH)


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "rnn-classifier"},
        {"base_model": None},
        {"base_digest": None},
        {"hyperparameters": RECURRENT},
        FROM_SCRATCH | {"base_model": "tiny"},
        FROM_SCRATCH | {"hyperparameters": SPEC.hyperparameters},
    ],
)
def test_a_spec_never_starts_from_both(change: dict[str, object]) -> None:
    """Half of the one and half of the other would train what nobody ordered."""
    with pytest.raises(ValidationError, match="either a base or a network"):
        JobSpec.model_validate(dict(SPEC) | change)
