"""Trials of a search on a Ray cluster, several at a time: the result is of the same kind as that of trials one by one."""

from pathlib import Path

import pytest

from services.train.engines.port import Exit
from services.train.spec import SEARCH_JOURNAL, Assignment, JobSpec, Search
from services.train.trainer.search_journal import open_journal
from shared.names import VersionName
from tests.integration.ray.world import Attempt, MiniCluster
from tests.integration.trainer.world import FAST, Workplace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

SHORT = FAST.model_copy(update={"max_epochs": 3, "patience": 3, "head_learning_rate": 1e-3})


def searching(workplace: Workplace, base: Path, *, adaptable: bool, trials: int) -> Assignment:
    """A job that searches; the recipe's rate is too low to be the best."""
    order = workplace.assign(base, "classification", adaptable=adaptable, hyperparameters=SHORT)
    asked = Search(most_trials=trials, knobs=("head_learning_rate", "dropout"))
    return order.model_copy(
        update={"spec": order.spec.model_copy(update={"search": asked}), "trials_at_once": 3}
    )


@pytest.mark.parametrize("adaptable", [True, False])
def test_trials_at_once_end_as_trials_one_by_one(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path, adaptable: bool
) -> None:
    """Eight trials are told and kept in the journal, several ran at a time, and the winner is a recipe that makes the same version alone."""
    order = searching(workplace, tiny_base, adaptable=adaptable, trials=8)
    attempt = Attempt.of(workplace, order)
    assert attempt.end(attempt.start(cluster.engine())) == Exit(code=0), attempt.log
    manifest = workplace.models.manifest(VersionName.parse(order.version))
    assert len(manifest.trials) == 8
    first, best = manifest.trials[0], max(manifest.trials, key=lambda trial: trial.metric)
    assert first.knobs == {"head_learning_rate": 1e-3, "dropout": 0.1}
    assert {trial.state for trial in manifest.trials} <= {"complete", "pruned"}
    assert best.metric > first.metric
    assert manifest.evaluations["fp32"]["validation"].metrics["accuracy"] == pytest.approx(best.metric)

    storage = open_journal(Path(order.kept_folder) / SEARCH_JOURNAL)
    known = storage.get_all_trials(0)
    assert len(known) == 8
    assert all(trial.state.is_finished() for trial in known)
    spans = [(trial.datetime_start, trial.datetime_complete) for trial in known]
    at_once = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)  # type: ignore[operator]
    assert at_once == 3

    spec = JobSpec.model_validate(manifest.lineage.spec)
    assert spec.search is None
    assert spec.hyperparameters.head_learning_rate == best.knobs["head_learning_rate"]
    alone = workplace.train(
        workplace.assign(
            tiny_base, "classification", adaptable=adaptable, hyperparameters=spec.hyperparameters
        )
    ).manifest
    assert alone.training_curve == manifest.training_curve
    assert alone.weights == manifest.weights


def test_a_trial_outlives_its_node(workplace: Workplace, tiny_base: Path) -> None:
    """Trials whose node is lost are carried out again elsewhere: all are told once."""
    with MiniCluster.started(cpus=2) as cluster:
        order = searching(workplace, tiny_base, adaptable=True, trials=6)
        attempt = Attempt.of(workplace, order)
        trainer = attempt.start(cluster.engine())
        attempt.wait(lambda: cluster.trial_nodes(), trainer)
        cluster.lose(cluster.trial_nodes().pop())
        assert attempt.end(trainer) == Exit(code=0), attempt.log
    manifest = workplace.models.manifest(VersionName.parse(order.version))
    assert len(manifest.trials) == 6
    assert {trial.state for trial in manifest.trials} <= {"complete", "pruned"}
