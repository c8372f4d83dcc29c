"""How many trainings a job is."""

import pytest

from services.train.spec import Search
from services.train.trainer.budget import training_count
from tests.unit.train.jobs.records import SPEC

MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("search", "count"),
    [
        (None, 1),
        (Search(most_trials=7), 7),
        (Search(most_trials=7, most_minutes=100), 7),
        (Search(most_trials=7, most_minutes=6), 3),  # begun after 0, 2 and 4 minutes
        (Search(most_trials=7, most_minutes=6.1), 4),
        (Search(most_trials=7, most_minutes=0.001), 1),  # the recipe's own, whatever the time
    ],
)
def test_a_search_trains_as_often_as_it_may(search: Search | None, count: int) -> None:
    """As many trials as may begin in its time, of two minutes each; the gain's training comes on top."""
    spec = SPEC.model_copy(update={"search": search})
    assert training_count(spec, 2 * MINUTE_MS) == count
    assert training_count(spec.model_copy(update={"measures_gain": True}), 2 * MINUTE_MS) == count + 1


def test_trainings_that_take_no_time_are_as_many_as_asked_for() -> None:
    """A clock that saw none of it divides by nothing."""
    assert training_count(SPEC.model_copy(update={"search": Search(most_minutes=1)}), 0) == 20
