"""Trainers as processes, killed by SIGKILL, and what the next one makes of what they kept."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.train.events import EVENT, Failed, Finished, Progress, Resumed, TrainerEvent
from services.train.spec import Assignment, RecurrentShape
from shared.names import VersionName
from shared.store.manifest import Manifest
from tests.integration.trainer.lessons import RECIPES, assigned
from tests.integration.trainer.world import Workplace

_DICE = random.Random(4)  # noqa: S311 - test data
WIDE = [(name, "step", _DICE.randint(1, 40)) for name in [*RECIPES, *RECIPES, *[*RECIPES][:4]]] + [
    ("frozen", "fsync", 31)
]
FEW = [
    ("all weights, thawing, averaged, bf16", "step", 23),
    ("from scratch", "phase", 3),  # TRAINING was the second
]


def attempt(
    workplace: Workplace, assignment: Assignment, number: int, *how: object
) -> tuple[int, list[TrainerEvent]]:
    """Run a trainer in the folder of its attempt; `how` it dies. Return its exit code and what it said."""
    folder = workplace.folder(assignment) / "attempts" / f"{number:04}"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(assignment.model_copy(update={"attempt": number}).model_dump_json())
    module = "tests.integration.trainer.mortal" if how else "services.train.trainer"
    with (folder / "trainer.log").open("wb") as log:
        code = subprocess.call(
            [sys.executable, "-m", module, str(folder), *map(str, how)], stdout=log, stderr=log
        )
    lines = (folder / "events.jsonl").read_bytes().split(b"\n")[:-1]
    return code, [EVENT.validate_json(line) for line in lines]


def manifest_of(workplace: Workplace, assignment: Assignment) -> Manifest:
    """The version."""
    return workplace.models.manifest(VersionName.parse(assignment.version))


def check_g12(workplace: Workplace, base: Path, name: str, where: str, number: int) -> None:
    """A job whose first trainer is killed gives the version of one that nobody touched."""
    assignment, untouched = (assigned(workplace, base, name) for _ in range(2))
    code, _ = attempt(workplace, assignment, 1, where, number)
    assert code == -signal.SIGKILL
    code, told = attempt(workplace, assignment, 2)
    assert code == 0
    assert isinstance(told[-1], Finished)
    (resumed,) = [event for event in told if isinstance(event, Resumed)]
    steps = [event.step for event in told if isinstance(event, Progress) and event.total_steps]
    assert all(step > resumed.step for step in steps)
    if where == "step":
        assert resumed.step in (number, number - 1)
    if where == "phase":
        assert steps == []
    whole = workplace.train(untouched).manifest
    manifest = manifest_of(workplace, assignment)
    assert manifest.weights == whole.weights
    assert manifest.training_curve == whole.training_curve
    assert manifest.lineage.spec["hyperparameters"] == whole.lineage.spec["hyperparameters"]
    kept = workplace.folder(assignment) / "kept"
    assert not [path for path in kept.rglob("*") if path.is_file()], "what was kept is of no use any more"


@pytest.mark.parametrize(("name", "where", "number"), FEW)
def test_g12_a_killed_process_is_gone_on_with(
    name: str, where: str, number: int, workplace: Workplace, tiny_base: Path
) -> None:
    """Killed after a step, in the middle of a save, or after training: the next process makes the same weights and curve, bit for bit."""
    check_g12(workplace, tiny_base, name, where, number)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "where", "number"), WIDE)
def test_g12_processes_of_every_recipe_killed_at_random_steps(
    name: str, where: str, number: int, workplace: Workplace, tiny_base: Path
) -> None:
    """The same, over all recipes."""
    check_g12(workplace, tiny_base, name, where, number)


HUGE = RecurrentShape(cell="lstm", layers=4, width=1024, embedding_width=1024, vocabulary_size=400)


@pytest.mark.parametrize("most_bytes", [1, 100 << 20, 1200 << 20])
def test_a_process_that_may_hold_too_little_says_so(
    most_bytes: int, workplace: Workplace, tiny_base: Path
) -> None:
    """Whether the libraries alone do not fit, or a network of 370 MB and its optimiser: the trainer itself says TRAINING_OUT_OF_MEMORY, and nobody
    kills it."""
    chosen = RECIPES["from scratch"].hyperparameters.model_copy(update={"recurrent": HUGE})
    assignment = workplace.assign(None, "classification", adaptable=True, hyperparameters=chosen)
    code, told = attempt(workplace, assignment.model_copy(update={"most_memory_bytes": most_bytes}), 1)
    assert code == 1
    last = told[-1]
    assert isinstance(last, Failed)
    assert last.failure.reason == "TRAINING_OUT_OF_MEMORY"
    assert last.failure.metadata == {"max_tokens": "32"}


def test_a_limit_that_is_enough_changes_nothing(workplace: Workplace, tiny_base: Path) -> None:
    """The process, and what it starts, ends well under a limit that holds it."""
    assignment = assigned(workplace, tiny_base, "frozen")
    code, told = attempt(workplace, assignment.model_copy(update={"most_memory_bytes": 4 << 30}), 1)
    assert (code, told[-1]) == (0, Finished())


def test_limits_are_inherited() -> None:
    """A process of a process that is limited is limited as well, and cannot raise its limit."""
    program = (
        "import resource, subprocess, sys; from services.train.trainer.memory import limit_memory; limit_memory(3 << 30); limit_memory(5 << 30);"
        "subprocess.run([sys.executable, '-c', 'import resource; print(resource.getrlimit(resource.RLIMIT_DATA))'])"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == str((3 << 30, 3 << 30))
