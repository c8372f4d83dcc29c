"""How the Trainer's learning rate is tuned, run by run, and when a row's verdict counts it."""

from typing import Any

import pytest

from tests.bench import hugging_face
from tests.bench.hugging_face import Tuning, tune
from tests.bench.rows import RowSpec, verdict

_VALIDATION = {1e-4: 0.5, 2e-4: 0.7, 4e-4: 0.6}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int, float]]:
    """Runs that are scored by a table, and which there were: (rate, seed, share of the rows)."""
    made: list[tuple[float, int, float]] = []

    def fine_tune(_: RowSpec, __: Tuning, rate: float, seed: int, share: float) -> dict[str, Any]:
        made.append((rate, seed, share))
        test = _VALIDATION[rate] - 0.01 * seed
        scores = {"validation": _VALIDATION[rate], "test": test, "metrics": {}, "interval": (0.0, 1.0)}
        return {"learning_rate": rate, **scores, "seconds": 1.0}

    monkeypatch.setattr(hugging_face, "_fine_tune", fine_tune)
    for name, share in (("small", 1.0), ("large", 0.1)):
        tuning = Tuning(tuple(_VALIDATION), epochs=1, batch_size=1, tried_share=share)
        monkeypatch.setitem(hugging_face.TUNINGS, name, tuning)
    return made


def test_the_best_rate_of_the_first_seed_is_run_with_the_others(
    calls: list[tuple[float, int, float]],
) -> None:
    """On all rows the first seed's run at that rate stands as it is."""
    *_, arm = tune(RowSpec("small", 0, "accuracy", baseline_seeds=(1, 2)), None)
    assert calls == [(1e-4, 1, 1.0), (2e-4, 1, 1.0), (4e-4, 1, 1.0), (2e-4, 2, 1.0)]
    assert arm["test"] == pytest.approx((0.69 + 0.68) / 2)
    assert (arm["left"], arm["seconds"]) == ([], 4.0)


def test_rates_that_were_tried_on_a_share_of_the_rows_give_no_score(
    calls: list[tuple[float, int, float]],
) -> None:
    """Only the run on all rows is scored."""
    *before, last = tune(RowSpec("large", 0, "accuracy", baseline_seeds=(1,)), None)
    assert all("test" not in arm for arm in before)
    assert calls[-1] == (2e-4, 1, 1.0)
    assert last["test"] == pytest.approx(0.69)


def test_what_was_cut_short_goes_on_where_it_was(calls: list[tuple[float, int, float]]) -> None:
    """Nothing is run twice."""
    half = next(
        arm
        for arm in tune(RowSpec("small", 0, "accuracy", baseline_seeds=(1, 2)), None)
        if len(arm["tried"]) == 2
    )
    calls.clear()
    *_, arm = tune(RowSpec("small", 0, "accuracy", baseline_seeds=(1, 2)), half)
    assert calls == [(4e-4, 1, 1.0), (2e-4, 2, 1.0)]
    assert set(arm["runs"]) == {"1", "2"}


def test_a_baseline_with_runs_left_holds_nobody_to_its_score() -> None:
    """It is named as not measured, with what is left."""
    row = RowSpec("small", 0, "accuracy", baselines=("hugging-face",))
    ours = {"test": 0.5, "metrics": {}, "runs": {"13": {}}}
    theirs = {"test": 0.9, "left": ["seed 2"]}
    assert verdict(row, {"tagsmith": ours, "hugging-face": theirs}) == "not measured: hugging-face: seed 2"
    assert verdict(row, {"tagsmith": ours, "hugging-face": {**theirs, "left": []}}) == "missed"
