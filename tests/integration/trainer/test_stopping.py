"""Training that is asked to end early keeps the best so far, and goes on to a version as usual."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.train.events import Progress, Resumed, Stopped
from services.train.spec import STOP, Assignment, Search
from services.train.trainer import pipeline
from services.train.trainer import search as searching
from services.train.trainer.driving import Driver
from services.train.trainer.stopping import StopRequest
from tests.integration.trainer.lessons import RECIPES, assigned, lesson_of
from tests.integration.trainer.world import Outcome, Workplace


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`stop_after(steps)`: the request comes when a job has taken so many steps, over all its trainings."""

    def set_steps(steps: int) -> None:
        asked = StopRequest.__call__
        looks = 0

        def ask(request: StopRequest) -> bool:
            nonlocal looks
            looks += 1
            if looks >= steps:
                request._file.touch()
                request._next_look_s = 0.0
            return asked(request)

        monkeypatch.setattr(StopRequest, "__call__", ask)

    return set_steps


def with_spec(assignment: Assignment, **change: object) -> Assignment:
    """The job with another spec."""
    return assignment.model_copy(update={"spec": assignment.spec.model_copy(update=change)})


def stopped_of(outcome: Outcome) -> list[int]:
    """The steps of all Stopped events."""
    return [event.step for event in outcome.events if isinstance(event, Stopped)]


def test_the_file_is_looked_for_twice_a_second(tmp_path: Path) -> None:
    """Between two looks nothing is asked of the disk; once it was there it stays asked."""
    now = 0.0
    request = StopRequest(tmp_path / STOP, lambda: now)
    assert not request()
    (tmp_path / STOP).touch()
    assert not request()
    now = 0.51
    assert request()
    (tmp_path / STOP).unlink()
    now = 9.0
    assert request()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [1, 7, 33])
def test_the_best_so_far_is_kept(
    name: str, steps: int, workplace: Workplace, tiny_base: Path, tmp_path: Path
) -> None:
    """Asked before and after the first evaluation: what was the best, averages where there are, is in the network; before it there is one evaluation."""
    lesson = lesson_of(assigned(workplace, tiny_base, name), tmp_path)
    asked = iter([*[False] * (steps - 1), True])
    told: list[Progress] = []
    taught = lesson.teach(Driver(told.append, stop_asked=lambda: next(asked)))
    course = taught.course
    if course.step < steps:  # it ended by itself
        assert not course.was_stopped
        return
    assert (course.step, course.was_stopped) == (steps, True)
    assert len(course.curve) == 1 if steps < 20 else len(course.curve) >= 1
    best = max(point.metric for point in course.curve)
    network, learner = lesson.begin(lambda _: None)
    network.load_state_dict(taught.network.state_dict())
    assert learner.evaluate().metric == best
    assert told[-1].best_metric == best


def test_a_stopped_job_ends_with_a_version(
    workplace: Workplace, tiny_base: Path, stop_after: Callable[[int], None]
) -> None:
    """Asked in the middle: Stopped is told once, all phases follow, and the version says so; the gain is left out."""
    stop_after(30)
    job = with_spec(assigned(workplace, tiny_base, "all weights in parts"), measures_gain=True)
    outcome = workplace.train(job)
    assert stopped_of(outcome) == [30]
    assert outcome.phases == ["TRAINING", "EVALUATING", "EXPORTING", "PUBLISHING"]
    assert outcome.manifest.lineage.stopped_step == 30
    assert outcome.manifest.gain is None
    assert max(event.step for event in outcome.events if isinstance(event, Progress)) <= 30


def test_the_network_that_the_gain_is_measured_against_is_left_out(
    workplace: Workplace, tiny_base: Path, stop_after: Callable[[int], None]
) -> None:
    """Asked while it is trained: the version is the whole one, and has no gain."""
    stop_after(45 + 5)
    job = with_spec(assigned(workplace, tiny_base, "all weights in parts"), measures_gain=True)
    outcome = workplace.train(job)
    assert stopped_of(outcome) == [45]
    assert (outcome.manifest.lineage.stopped_step, outcome.manifest.gain) == (45, None)
    assert outcome.manifest.training_curve[-1].step == 45


def test_who_is_asked_too_late_has_ended_by_itself(
    workplace: Workplace, tiny_base: Path, stop_after: Callable[[int], None]
) -> None:
    """A request that comes with the last step changes nothing."""
    stop_after(45)
    job = assigned(workplace, tiny_base, "frozen")
    outcome = workplace.train(job)
    assert (workplace.folder(job) / STOP).exists()
    assert outcome.manifest.training_curve[-1].step == 45
    assert stopped_of(outcome) == []
    assert outcome.manifest.lineage.stopped_step is None


@pytest.mark.parametrize(("steps", "trials"), [(5, 1), (45 * 2 + 5, 3)])
def test_a_search_ends_with_its_best_trial(
    steps: int, trials: int, workplace: Workplace, tiny_base: Path, stop_after: Callable[[int], None]
) -> None:
    """The trial under way counts, the first too; no other begins; the best of them is the version."""
    stop_after(steps)
    search = Search(most_trials=8, knobs=("head_learning_rate",))
    outcome = workplace.train(with_spec(assigned(workplace, tiny_base, "frozen"), search=search))
    manifest = outcome.manifest
    assert len(manifest.trials) == trials
    assert {trial.state for trial in manifest.trials} == {"complete"}
    best = max(trial.metric for trial in manifest.trials)
    assert manifest.evaluations["fp32"]["validation"].metrics["accuracy"] == pytest.approx(best)
    assert len(stopped_of(outcome)) == 1
    assert stopped_of(outcome) == [manifest.lineage.stopped_step]


class Died(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("asked", [Search(most_trials=4, knobs=("head_learning_rate",)), None])
def test_a_death_after_training_repeats_none_of_it(
    asked: Search | None, workplace: Workplace, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt that dies while it exports has kept the network, the twin, the trials and the curve: the next takes no step."""
    job = with_spec(assigned(workplace, tiny_base, "all weights in parts"), search=asked, measures_gain=True)
    whole = workplace.train(
        with_spec(assigned(workplace, tiny_base, "all weights in parts"), search=asked, measures_gain=True)
    ).manifest

    def dies(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "export", dies)
        with pytest.raises(Died):
            workplace.train(job)
    (workplace.folder(job) / "scratch").rmdir()
    outcome = workplace.train(job.model_copy(update={"attempt": 2}))
    assert not [event for event in outcome.events if isinstance(event, Progress)]
    assert len([event for event in outcome.events if isinstance(event, Resumed)]) == 1
    manifest = outcome.manifest
    assert manifest.weights == whole.weights
    assert manifest.training_curve == whole.training_curve
    assert manifest.trials == whole.trials
    assert manifest.gain == whole.gain
    assert manifest.lineage.spec == whole.lineage.spec


def test_a_search_that_was_cut_short_keeps_its_best_network(
    workplace: Workplace, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short in its last trial, and asked to stop at once: the next attempt ends with the best trial of before without training it again."""
    search = Search(most_trials=5, knobs=("head_learning_rate",))
    job = with_spec(assigned(workplace, tiny_base, "frozen"), search=search)
    carry_out, calls = searching._carry_out, []

    def dies(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise Died
        return carry_out(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(searching, "_carry_out", dies)
        with pytest.raises(Died):
            workplace.train(job)
    (workplace.folder(job) / "scratch").rmdir()
    (workplace.folder(job) / STOP).touch()
    outcome = workplace.train(job.model_copy(update={"attempt": 2}))
    assert not [event for event in outcome.events if isinstance(event, Progress) and event.total_steps]
    best = max(outcome.manifest.trials, key=lambda trial: trial.metric)
    assert (
        outcome.manifest.lineage.spec["hyperparameters"]["head_learning_rate"]
        == best.knobs["head_learning_rate"]
    )
    assert outcome.manifest.evaluations["fp32"]["validation"].metrics["accuracy"] == pytest.approx(
        best.metric
    )
    assert len(stopped_of(outcome)) == 1
