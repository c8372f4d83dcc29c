"""Hyper-parameter search: several trainings on the same examples, each with knobs that the ones before suggest; the best one's network is kept.

Optuna proposes (TPE, with the job's seed), remembers, and gives up early what is worse than half of the others were at the same evaluation. Its journal
lies in the job's folder: a search that was stopped goes on with what it knows. The recipe's own defaults are the first trial, so that a search
never ends with worse than these on validation. Trials share the tokenized texts and a frozen encoder's outputs. Where they are trained, and how many
at a time, is the runner's affair (`trials.py`): each has a thread here, and one lock keeps what they decide in order.
"""

import copy
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial, TrialState

from services.train.events import Progress
from services.train.recipes import searched_knobs
from services.train.spec import MOST_BATCH_SIZE, Hyperparameters, JobSpec, Search, SearchedKnob
from services.train.trainer.network import Network
from services.train.trainer.recurrent import RecurrentEncoder
from services.train.trainer.search_journal import open_journal
from services.train.trainer.teaching import Lesson
from services.train.trainer.trials import HERE, TrialRunner
from shared.errors import TrainingDivergedError
from shared.store.evaluation import Trial

_STATES: Final = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
_DIVERGED: Final = "diverged"  # mark of a trial that failed by itself
_STARTUP_TRIALS: Final = 4  # that are drawn at random, and never given up

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Found:
    """The best trial."""

    network: Network
    hyperparameters: Hyperparameters
    trials: tuple[Trial, ...]
    told_as: int  # the trial whose progress was the network's; 0 where it was trained again, by a process that went on


def find(lesson: Lesson, search: Search, journal: Path, report: Report, runner: TrialRunner = HERE) -> Found:
    """Search, and return the network of the best trial; equal to that of a training with its hyperparameters alone."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    knobs = search.knobs or searched_knobs(lesson.spec.recipe, lesson.task, adaptable=lesson.spec.adaptable)
    study = _open_study(journal, lesson.spec, knobs, at_once=runner.at_once)
    run = _Run(lesson, search, knobs, study, runner, report)
    if runner.at_once == 1:
        run.try_all()
    else:
        with ThreadPoolExecutor(runner.at_once, "trial") as pool:
            for each in [pool.submit(run.try_all) for _ in range(runner.at_once)]:
                each.result()
    winner = study.best_trial
    chosen = lesson.spec.hyperparameters.model_copy(update=winner.params)
    best, told_as = run.best, run.told_as
    if best is None or told_as != winner.number + 1:
        best, told_as = runner.teach(_with(lesson, chosen), report), 0
    return Found(best, chosen, tuple(map(_described, study.get_trials(deepcopy=False))), told_as)


class _Run:
    """One process's part in a search. `try_all` may run in several threads: what it decides, it decides under the lock."""

    def __init__(
        self,
        lesson: Lesson,
        search: Search,
        knobs: tuple[SearchedKnob, ...],
        study: optuna.Study,
        runner: TrialRunner,
        report: Report,
    ) -> None:
        self._lesson, self._search, self._knobs = lesson, search, knobs
        self._study, self._runner, self._report = study, runner, report
        self._deadline_s = time.monotonic() + 60 * (search.most_minutes or float("inf"))
        self._lock = threading.RLock()
        self._running = 0
        self._broken = False  # a thread ended with an error, which ends the search
        self.best: Network | None = None
        self.told_as = 0

    def try_all(self) -> None:
        """Try one proposal after the other, until enough were tried or the time is over."""
        while (asked := self._ask()) is not None:
            trial, lesson = asked
            try:
                network = _carry_out(lesson, self._study, trial, self._report, self._runner, self._lock)
            except TrainingDivergedError:
                network = None
                if self._running == 1:  # nothing is better yet, nor may be
                    raise
            except BaseException:
                self._broken = True
                raise
            with self._lock:
                self._running -= 1
                if network is not None and self._study.best_trial.number == trial.number:
                    self.best, self.told_as = network, trial.number + 1

    def _ask(self) -> tuple[optuna.Trial, Lesson] | None:
        with self._lock:
            begun = _ended(self._study) + self._running
            if self._broken or begun >= self._search.most_trials:
                return None
            if begun and time.monotonic() >= self._deadline_s:
                return None
            self._running += 1
            trial = self._study.ask()
            chosen = _proposed(trial, self._lesson.spec.hyperparameters, self._knobs)
            return trial, _with(self._lesson, chosen)


def _open_study(
    journal: Path, spec: JobSpec, knobs: tuple[SearchedKnob, ...], *, at_once: int
) -> optuna.Study:
    """Open the journal, or begin it with the spec's own hyperparameters. What ran when its process ended is tried again."""
    own: dict[str, Any] = {str(knob): getattr(spec.hyperparameters, knob) for knob in knobs}
    storage = open_journal(journal)
    known = len(storage.get_all_trials(0, deepcopy=False)) if storage.get_all_studies() else 0
    study = optuna.create_study(
        storage=storage,
        # Another seed for a process that goes on: it must not propose what was tried.
        # Of several at a time, those that still run count as bad ones, so that not all look at the same place (arXiv:1206.2944).
        sampler=optuna.samplers.TPESampler(
            seed=spec.seed + known, n_startup_trials=_STARTUP_TRIALS, constant_liar=at_once > 1
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
        study_name="search",
        direction="maximize",
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params or own)
    if not study.trials:
        study.enqueue_trial(own)
    return study


def _carry_out(
    lesson: Lesson,
    study: optuna.Study,
    trial: optuna.Trial,
    report: Report,
    runner: TrialRunner,
    lock: threading.RLock,
) -> Network | None:
    """Teach with a trial's knobs and tell the study how it went; None where it was given up."""
    watch = _Watch(trial, report, lock)
    try:
        network = runner.teach(lesson, watch.note)
    except optuna.TrialPruned:
        with lock:
            study.tell(trial, state=TrialState.PRUNED)
        return None
    except TrainingDivergedError:
        with lock:
            trial.set_user_attr(_DIVERGED, value=True)
            study.tell(trial, state=TrialState.FAIL)
            if not study.get_trials(
                states=(TrialState.COMPLETE,)
            ):  # the recipe itself; nothing is better yet
                raise
        return None
    with lock:
        study.tell(trial, watch.best)
    return network


class _Watch:
    """Hears the evaluations of a trial, and gives it up where the pruner says so."""

    def __init__(self, trial: optuna.Trial, report: Report, lock: threading.RLock) -> None:
        self._trial, self._report, self._lock = trial, report, lock
        self._evaluations = 0
        self.best = 0.0

    def note(self, progress: Progress) -> None:
        with self._lock:
            self._report(progress.model_copy(update={"trial": self._trial.number + 1}))
            if not progress.evaluated or progress.best_metric is None:
                return
            self.best = progress.best_metric
            self._trial.report(self.best, self._evaluations)
            self._evaluations += 1
            if self._trial.should_prune():
                raise optuna.TrialPruned


def _with(lesson: Lesson, chosen: Hyperparameters) -> Lesson:
    """The lesson with other hyperparameters, and its encoder as it was at first."""
    spec, encoder = lesson.spec.model_copy(update={"hyperparameters": chosen}), copy.deepcopy(lesson.encoder)
    if isinstance(encoder, RecurrentEncoder):  # it was made with the spec's own
        encoder.dropout.p = chosen.dropout
    return replace(lesson, spec=spec, encoder=encoder)


def _proposed(trial: optuna.Trial, own: Hyperparameters, knobs: tuple[SearchedKnob, ...]) -> Hyperparameters:
    """Ask for a value of each knob, around the spec's own."""
    return own.model_copy(update={knob: _suggest(trial, knob, getattr(own, knob)) for knob in knobs})


def _suggest(trial: optuna.Trial, knob: SearchedKnob, own: float) -> float | int:
    match knob:
        case "encoder_learning_rate" | "head_learning_rate":
            return trial.suggest_float(knob, own / 5, min(5 * own, 0.5), log=True)
        case "batch_size":
            sizes = sorted({max(1, int(own) // 2), int(own), min(2 * int(own), MOST_BATCH_SIZE)})
            return int(trial.suggest_categorical(knob, sizes))
        case "weight_decay":
            return trial.suggest_float(knob, 0.0, 0.1)
        case "dropout":
            return trial.suggest_float(knob, 0.0, 0.6)
        case "label_smoothing":
            return trial.suggest_float(knob, 0.0, 0.3)
        case "layer_decay":
            return trial.suggest_float(knob, 0.6, 1.0)
        case "unfreezing_share":
            return trial.suggest_float(knob, 0.0, 0.4)
        case "averaging_decay":
            return float(trial.suggest_categorical(knob, sorted({0.0, 0.99, 0.998, float(own)})))


def _ended(study: optuna.Study) -> int:
    """The trials that came to an end, by themselves: those that a stop cut short are tried again."""
    return sum(
        trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or _DIVERGED in trial.user_attrs
        for trial in study.get_trials(deepcopy=False)
    )


def _described(trial: FrozenTrial) -> Trial:
    metric: Any = trial.value if trial.value is not None else 0.0
    knobs = {name: float(value) for name, value in trial.params.items()}
    return Trial(
        number=trial.number + 1, knobs=knobs, metric=metric, state=_STATES.get(trial.state, "failed")
    )
