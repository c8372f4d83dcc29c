"""A training that was broken off and gone on with is the training that was not."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

from services.train.events import Progress
from services.train.spec import Assignment
from services.train.trainer.checkpoint import Checkpoint
from services.train.trainer.driving import Course, Driver
from services.train.trainer.gain import teach_from_scratch
from services.train.trainer.keeping import Keeper, Pace
from services.train.trainer.kept import Kept
from services.train.trainer.learners import HeadTraining
from services.train.trainer.loop import Training
from services.train.trainer.validation import Evaluation
from tests.integration.trainer.lessons import (
    RECIPES,
    Killed,
    assigned,
    differences,
    killed_after,
    lesson_of,
    weights_of,
)
from tests.integration.trainer.world import Workplace

Whole = Callable[[str], tuple[Assignment, dict[str, Tensor], Course]]

_DICE = random.Random(12)  # noqa: S311 - test data
# Each recipe a few times: after which step it is killed, as a share of all, and how many steps lie between two checkpoints.
KILLS = [(name, _DICE.random(), _DICE.randint(1, 7)) for name in [*RECIPES, *RECIPES, *[*RECIPES][:4]]]
# As long as `make test` takes for everything: twenty times each, in `make test-slow`.
MANY_KILLS = [(name, _DICE.random(), _DICE.randint(1, 7)) for name in RECIPES for _ in range(20)]


@pytest.fixture(scope="module")
def whole(workplace: Workplace, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """`whole(recipe)`: a job, and what comes of its training if nobody breaks it off or keeps anything."""

    @cache
    def trained(name: str) -> tuple[Assignment, dict[str, Tensor], Course]:
        assignment = assigned(workplace, tiny_base, name)
        lesson = lesson_of(assignment, tmp_path_factory.mktemp("scratch"))
        taught = lesson.teach(Driver(lambda _: None))
        return assignment, weights_of(taught), taught.course

    return trained


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """`every(steps)`: from now on trainings are kept every so many steps."""

    def set_steps(steps: int) -> None:
        def note(keeper: Keeper, training: Training, *, evaluated: bool) -> None:
            if training.step % steps == 0:
                keeper._keep(training)

        monkeypatch.setattr(Keeper, "note", note)

    return set_steps


def kept_in(assignment: Assignment, folder: Path, attempt: int = 1) -> Kept:
    """The kept folder of a job, elsewhere."""
    return Kept(assignment.model_copy(update={"kept_folder": str(folder / "kept"), "attempt": attempt}))


@pytest.mark.parametrize(
    ("name", "share", "steps"),
    [*KILLS, *(pytest.param(*each, marks=pytest.mark.slow) for each in MANY_KILLS)],
)
def test_g12_a_resumed_training_equals_an_unbroken_one(
    name: str, share: float, steps: int, whole: Whole, every: Callable[[int], None], tmp_path: Path
) -> None:
    """Killed at any step, twice if there is room, and gone on with: every weight, the curve and the length are the same, bit for bit."""
    assignment, weights, course = whole(name)
    every(steps)
    step = 1 + int(share * (course.step - 1))
    resumed: list[int] = []
    for attempt, until in enumerate([step, (course.step - step) // 2, 10**6], start=1):
        driver = Driver(
            lambda _: None,
            kept_in(assignment, tmp_path, attempt).checkpoints("checkpoints"),
            killed_after(until),
            resumed.append,
        )
        torch.manual_seed(attempt)  # whatever was drawn before is nothing to it
        lesson = lesson_of(assignment, tmp_path / f"scratch-{attempt}")
        try:
            taught = lesson.teach(driver)
        except Killed:
            continue
    assert not differences(weights_of(taught), weights)
    assert taught.course == course
    if step > steps:
        assert resumed[0] == (step - 1) // steps * steps


def test_patience_goes_on_where_it_was(
    workplace: Workplace, tiny_base: Path, every: Callable[[int], None], tmp_path: Path
) -> None:
    """Killed after an evaluation that was no better: it counts, and the training ends where the unbroken one does."""
    assignment = assigned(workplace, tiny_base, "frozen")
    chosen = assignment.spec.hyperparameters.model_copy(update={"max_epochs": 20, "patience": 3})
    spec = assignment.spec.model_copy(update={"hyperparameters": chosen})
    assignment = assignment.model_copy(update={"spec": spec})
    every(5)
    with mock.patch.object(HeadTraining, "evaluate", return_value=Evaluation(0.5, 1.0)):
        whole = lesson_of(assignment, tmp_path / "scratch").teach(Driver(lambda _: None)).course
        assert whole.step == 4 * 20 < 20 * 9  # the first evaluation is the best, three are not
        checkpoints = kept_in(assignment, tmp_path).checkpoints("checkpoints")
        with pytest.raises(Killed):
            lesson_of(assignment, tmp_path / "scratch").teach(
                Driver(lambda _: None, checkpoints, killed_after(47))
            )
        resumed: list[int] = []
        checkpoints = kept_in(assignment, tmp_path, 2).checkpoints("checkpoints")
        driver = Driver(lambda _: None, checkpoints, resumed=resumed.append)
        course = lesson_of(assignment, tmp_path / "scratch").teach(driver).course
    assert resumed == [45]
    assert course == whole


def test_the_network_that_the_gain_is_measured_against_comes_of_the_seed(
    workplace: Workplace, tiny_base: Path, tmp_path: Path
) -> None:
    """Its random weights are the same whatever was drawn before: after a resume it is another number of things."""
    assignment = assigned(workplace, tiny_base, "all weights in parts")
    twins = []
    for drawn in (1, 2):
        lesson = lesson_of(assignment, tmp_path / "scratch")
        torch.manual_seed(drawn)
        twins.append(weights_of(teach_from_scratch(lesson, Driver(lambda _: None, stop_asked=lambda: True))))
    assert not differences(*twins)


def test_what_has_ended_is_not_trained_again(whole: Whole, tmp_path: Path) -> None:
    """A death after training: the next attempt takes the network as it was, without a step."""
    for number, name in enumerate(("all weights, thawing, averaged, bf16", "frozen", "from scratch")):
        assignment, weights, course = whole(name)
        folder = tmp_path / str(number)
        folder.mkdir()
        for attempt in (1, 2):
            steps: list[Progress] = []
            resumed: list[int] = []
            checkpoints = kept_in(assignment, folder, attempt).checkpoints("checkpoints")
            driver = Driver(steps.append, checkpoints, resumed=resumed.append)
            taught = lesson_of(assignment, folder / "scratch").teach(driver)
            assert not differences(weights_of(taught), weights)
            assert taught.course == course
            assert not taught.network.training
        assert (steps, resumed) == ([], [course.step])


def test_time_that_nobody_trained_in_does_not_count(
    whole: Whole, every: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a resume the rate and the time that is left are those of the steps, and the step is counted on."""
    assignment, _, _ = whole("all weights in parts")
    every(1)
    clock = [1000.0]
    monkeypatch.setattr("services.train.trainer.driving.time.monotonic", lambda: clock[0])
    advance = Training.advance

    def takes_a_second(training: Training) -> Progress | None:
        clock[0] += 1.0
        return advance(training)

    monkeypatch.setattr(Training, "advance", takes_a_second)
    told: list[Progress] = []
    for attempt, until in ((1, 11), (2, 5)):
        checkpoints = kept_in(assignment, tmp_path, attempt).checkpoints("checkpoints")
        lesson = lesson_of(assignment, tmp_path / "scratch")
        with pytest.raises(Killed):
            lesson.teach(Driver(told.append, checkpoints, killed_after(until)))
        clock[0] += 5000.0  # until the next attempt
    last = told[-1]
    assert last.step == 14
    assert last.remaining_ms == 1000 * (last.total_steps - 14)
    assert last.rows_per_second == pytest.approx(16)


def test_a_damaged_checkpoint_is_passed_over(
    whole: Whole, every: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the newest a bit is flipped: the one before is gone on from. Of that too: training begins anew. Both are told, and the end is the same."""
    assignment, weights, _ = whole("entities")
    every(3)
    for damaged, expected in ((1, [6]), (2, [])):
        folder = tmp_path / str(damaged)
        folder.mkdir()
        lesson = lesson_of(assignment, folder / "scratch")
        checkpoints = kept_in(assignment, folder).checkpoints("checkpoints")
        with pytest.raises(Killed):
            lesson.teach(Driver(lambda _: None, checkpoints, killed_after(11)))
        found = sorted((folder / "kept" / "checkpoints").iterdir(), reverse=True)
        assert [path.name[:8] for path in found] == ["00000009", "00000006"]
        for path in found[:damaged]:
            file = path / "moving.safetensors"
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        resumed: list[int] = []
        checkpoints = kept_in(assignment, folder, 2).checkpoints("checkpoints")
        driver = Driver(lambda _: None, checkpoints, resumed=resumed.append)
        taught = lesson_of(assignment, folder / "scratch").teach(driver)
        assert resumed == expected
        assert not differences(weights_of(taught), weights)
        assert capsys.readouterr().err.count("moving.safetensors is damaged") == damaged


def test_a_state_of_another_network_is_passed_over(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint that is whole but of other weights, as another version of the code might write: training begins anew, from nothing of it."""
    assignment, weights, _ = whole("all weights in parts")
    checkpoints = kept_in(assignment, tmp_path).checkpoints("checkpoints")
    lesson = lesson_of(assignment, tmp_path / "scratch")
    _, learner = lesson.begin(lambda _: None)
    training = Training(learner, assignment.spec.hyperparameters, seed=3, now=lambda: 0.0)
    training.advance()
    state = training.state
    for number, spoilt in enumerate(("weights/", "moments/3.", "generators/cpu"), start=1):
        moving = {
            name: torch.zeros(2, 3, 5) if name.startswith(spoilt) else each
            for name, each in state.moving.items()
        }
        checkpoints.save(Checkpoint(number, state.record, {"moving": moving}))
        driver = Driver(lambda _: None, kept_in(assignment, tmp_path).checkpoints("checkpoints"))
        taught = lesson_of(assignment, tmp_path / "scratch").teach(driver)
        assert not differences(weights_of(taught), weights)
        assert f"checkpoint of step {number} cannot be gone on from" in capsys.readouterr().err
        driver.checkpoints.clear()  # type: ignore[union-attr]


def test_another_spec_begins_anew(whole: Whole, every: Callable[[int], None], tmp_path: Path) -> None:
    """What was kept for another spec, or for the network that the gain is measured against, is nothing to a training."""
    assignment, weights, _ = whole("frozen")
    every(4)
    other = assignment.spec.model_copy(update={"seed": 14})
    for kept in (
        kept_in(assignment.model_copy(update={"spec": other}), tmp_path).checkpoints("checkpoints"),
        kept_in(assignment.model_copy(update={"version": "tiny@99"}), tmp_path).checkpoints("checkpoints"),
        replace(kept_in(assignment, tmp_path).checkpoints("twin"), folder=tmp_path / "kept" / "checkpoints"),
    ):
        with pytest.raises(Killed):
            lesson_of(assignment, tmp_path / "scratch").teach(Driver(lambda _: None, kept, killed_after(9)))
        resumed: list[int] = []
        checkpoints = kept_in(assignment, tmp_path, 2).checkpoints("checkpoints")
        driver = Driver(lambda _: None, checkpoints, resumed=resumed.append)
        taught = lesson_of(assignment, tmp_path / "scratch").teach(driver)
        assert not resumed
        assert not differences(weights_of(taught), weights)
        checkpoints.clear()


def test_two_attempts_at_once_do_not_disturb_the_later(
    whole: Whole, every: Callable[[int], None], tmp_path: Path
) -> None:
    """An attempt that should be dead goes on beside its successor, both keeping after every step: the successor ends as it would alone."""
    assignment, weights, course = whole("frozen entities")
    every(1)
    first = kept_in(assignment, tmp_path, 1).checkpoints("checkpoints")
    with pytest.raises(Killed):
        lesson_of(assignment, tmp_path / "scratch").teach(Driver(lambda _: None, first, killed_after(6)))

    lesson = lesson_of(assignment, tmp_path / "scratch")
    _, learner = lesson.begin(lambda _: None)
    zombie = Training(learner, assignment.spec.hyperparameters, seed=assignment.spec.seed, now=lambda: 0.0)
    (checkpoint,) = [next(first.read(is_final=False))]
    zombie.restore(
        checkpoint.record, dict(checkpoint.parts["moving"]), dict(checkpoint.parts.get("best", {}))
    )
    haunting = Keeper(first, Pace(), learning_bytes=0)

    def haunted() -> bool:
        drawn = torch.get_rng_state()  # it has a process of its own
        if not zombie.has_ended:
            zombie.advance()
            haunting._keep(zombie)
        torch.set_rng_state(drawn)
        return False

    second = kept_in(assignment, tmp_path, 2).checkpoints("checkpoints")
    taught = lesson_of(assignment, tmp_path / "scratch-2").teach(Driver(lambda _: None, second, haunted))
    assert not differences(weights_of(taught), weights)
    assert taught.course == course
    third = kept_in(assignment, tmp_path, 3).checkpoints("checkpoints")
    assert [each.number for each in third.read(is_final=True)] == [course.step]


def test_nothing_can_be_written_and_training_goes_on(
    whole: Whole, every: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kept folder that refuses everything costs the checkpoints, is told once, and changes nothing."""
    assignment, weights, _ = whole("frozen")
    every(1)
    checkpoints = kept_in(assignment, tmp_path).checkpoints("checkpoints")
    (tmp_path / "kept" / "checkpoints").write_text("a file where a folder belongs")
    taught = lesson_of(assignment, tmp_path / "scratch").teach(Driver(lambda _: None, checkpoints))
    assert not differences(weights_of(taught), weights)
    assert capsys.readouterr().err.count("no checkpoint could be written") == 1


@pytest.mark.parametrize(
    ("cost_s", "evaluated", "gap_s"), [(10.0, True, 210.0), (0.1, False, 60.1), (0.1, True, 2.1)]
)
def test_keeping_takes_a_small_share_of_the_time(
    cost_s: float, evaluated: bool, gap_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save that takes ten seconds comes every 200 at most, though every evaluation asks for one; between evaluations one comes every minute."""
    clock, saves = [0.0], []

    def keep(_: Keeper, __: Training) -> None:
        saves.append(clock[0])
        clock[0] += cost_s

    monkeypatch.setattr(Keeper, "_keep", keep)
    keeper = Keeper(None, Pace(), learning_bytes=0, now=lambda: clock[0])  # type: ignore[arg-type]
    for _ in range(100_000):
        clock[0] += 0.01
        keeper.note(None, evaluated=evaluated)  # type: ignore[arg-type]
    gaps = [late - early for early, late in pairwise(saves)]
    assert min(gaps) == pytest.approx(gap_s, rel=0.02)
    assert max(gaps) == pytest.approx(gap_s, rel=0.02)
