"""Hyper-parameter searches: the recipe first, the best on validation kept, gone on with after a stop, and written out to run alone."""

import json
from pathlib import Path

import pytest

from services.train.spec import SEARCH_JOURNAL, Assignment, JobSpec, Search
from services.train.trainer import search as searching
from shared.store.manifest import Manifest
from tests.integration.trainer.world import FAST, Workplace

SHORT = FAST.model_copy(update={"max_epochs": 3, "patience": 3})


def ordered(
    workplace: Workplace, base: Path, asked: Search, *, adaptable: bool, **change: object
) -> Assignment:
    """A job that searches."""
    assignment = workplace.assign(
        base, "classification", adaptable=adaptable, hyperparameters=SHORT.model_copy(update=change)
    )
    return assignment.model_copy(update={"spec": assignment.spec.model_copy(update={"search": asked})})


def weights_of(workplace: Workplace, manifest: Manifest) -> bytes:
    """The file of a version's weights."""
    assert manifest.weights is not None
    (blob,) = workplace.root.glob(f"store/blobs/sha256/*/{manifest.weights.digest}")
    return blob.read_bytes()


@pytest.mark.parametrize("adaptable", [True, False])
def test_the_winner_is_a_recipe_that_runs_alone(
    workplace: Workplace, tiny_base: Path, adaptable: bool
) -> None:
    """The version's spec has the best trial's hyperparameters and no search; a job with it makes the same weights, byte for byte."""
    asked = Search(most_trials=8, knobs=("head_learning_rate", "dropout"))
    # Too low a rate, so that the recipe itself is not the best.
    order = ordered(
        workplace, tiny_base, asked, adaptable=adaptable, head_learning_rate=1e-3, encoder_learning_rate=1e-3
    )
    manifest = workplace.train(order).manifest
    assert len(manifest.trials) == 8
    first, best = manifest.trials[0], max(manifest.trials, key=lambda trial: trial.metric)
    assert first.knobs == {"head_learning_rate": 1e-3, "dropout": 0.1}
    assert first.state == "complete"
    assert best.metric > first.metric
    assert manifest.evaluations["fp32"]["validation"].metrics["accuracy"] == pytest.approx(best.metric)

    spec = JobSpec.model_validate(manifest.lineage.spec)
    assert spec.search is None
    assert spec.hyperparameters.head_learning_rate == best.knobs["head_learning_rate"]
    alone = workplace.assign(
        tiny_base, "classification", adaptable=adaptable, hyperparameters=spec.hyperparameters
    )
    again = workplace.train(alone).manifest
    assert weights_of(workplace, again) == weights_of(workplace, manifest)
    assert again.training_curve == manifest.training_curve


def test_a_search_that_was_stopped_goes_on(
    workplace: Workplace, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer that ends in its third trial leaves a journal, its last line torn; the next one tries that one again and what is left, and may choose
    a winner of before."""
    asked = Search(most_trials=5, knobs=("head_learning_rate",))
    order = ordered(workplace, tiny_base, asked, adaptable=False)
    folder = workplace.folder(order)
    carry_out, calls = searching._carry_out, []

    def dies_in_the_third(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return carry_out(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "_carry_out", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        workplace.train(order)
    with (folder / "kept" / SEARCH_JOURNAL).open("ab") as torn:
        assert torn.tell() > 0
        torn.write(b'{"op_code":5,"wor')
    monkeypatch.setattr(searching, "_carry_out", carry_out)
    for left in sorted((folder / "scratch").rglob("*"), reverse=True):
        left.unlink() if left.is_file() else left.rmdir()
    (folder / "scratch").rmdir()
    manifest = workplace.train(order).manifest
    (cut_short,) = (trial for trial in manifest.trials if trial.state == "failed")
    ended = [trial for trial in manifest.trials if trial.state != "failed"]
    assert len(ended) == 5
    assert cut_short.knobs in [trial.knobs for trial in ended]
    assert manifest.evaluations["fp32"]["validation"].metrics["accuracy"] == pytest.approx(
        max(trial.metric for trial in manifest.trials)
    )


def test_what_is_clearly_worse_is_given_up_early(workplace: Workplace, tiny_base: Path) -> None:
    """Of many trials with rates over four orders some are pruned: they are told as such, with what they had reached."""
    asked = Search(most_trials=12, knobs=("head_learning_rate",))
    order = ordered(workplace, tiny_base, asked, adaptable=False, max_epochs=8, head_learning_rate=3e-3)
    trials = workplace.train(order).manifest.trials
    states = {trial.state for trial in trials}
    assert "complete" in states
    assert "pruned" in states
    reached = {state: max(t.metric for t in trials if t.state == state) for state in states}
    assert reached["pruned"] <= reached["complete"]


def test_no_trial_begins_after_the_time_is_over(workplace: Workplace, tiny_base: Path) -> None:
    """One that had begun is finished, so that there always is a version."""
    asked = Search(most_trials=1000, most_minutes=1e-6)
    manifest = workplace.train(ordered(workplace, tiny_base, asked, adaptable=False)).manifest
    assert len(manifest.trials) == 1
    assert manifest.state == "published"
    assert json.loads(manifest.model_dump_json())["lineage"]["spec"]["search"] is None


def test_every_knob_may_be_searched(workplace: Workplace, tiny_base: Path) -> None:
    """Each has a range around the recipe's own value; of two trials the second has another value of each."""
    knobs = tuple(searching.SearchedKnob.__args__)  # type: ignore[attr-defined]
    asked = Search(most_trials=3, knobs=knobs)
    first, *others = workplace.train(
        ordered(workplace, tiny_base, asked, adaptable=True, max_epochs=1)
    ).manifest.trials
    assert set(first.knobs) == set(knobs)
    assert all(
        any(other.knobs[knob] != first.knobs[knob] for other in others)
        for knob in knobs
        if knob != "batch_size"
    )
