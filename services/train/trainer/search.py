"""Hyper-parameter search: several trainings on the same examples, each with knobs that the ones before suggest; the best one's network is kept.

Optuna proposes (TPE, with the job's seed), remembers, and gives up early what is worse than half of the others were at the same evaluation. Its journal
lies in the job's kept folder, and beside it the best network so far: a search that was cut short goes on with what it knows. The recipe's own defaults are the first trial, so that a search
never ends with worse than these on validation. Trials share the tokenized texts and a frozen encoder's outputs. Where they are taught, and how many at a time, is the
runner's affair (`trials.py`): each has a thread here, and one lock keeps what they decide in order.
Where training is asked to end early, the trial under way counts with what it has come to.
"""

import copy
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial, TrialState

from services.train.events import Progress
from services.train.recipes import searched_knobs
from services.train.spec import Hyperparameters, JobSpec, Search, SearchedKnob
from services.train.trainer.checkpoint import Checkpoints
from services.train.trainer.driving import Driver, Report
from services.train.trainer.kept import Kept
from services.train.trainer.network import Network
from services.train.trainer.proposals import proposed
from services.train.trainer.recurrent import RecurrentEncoder
from services.train.trainer.search_journal import open_journal
from services.train.trainer.taught import Taught, keep, recall
from services.train.trainer.teaching import Lesson
from services.train.trainer.trials import HERE, TrialRunner
from services.train.trainer.weights import Weights
from shared.errors import TrainingDivergedError
from shared.store.evaluation import Trial

_STATES: Final = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
_DIVERGED: Final = "diverged"  # mark of a trial that failed by itself
_STARTUP_TRIALS: Final = 4  # that are drawn at random, and never given up


@dataclass(frozen=True, slots=True)
class Found:
    """The best trial."""

    taught: Taught
    hyperparameters: Hyperparameters
    trials: tuple[Trial, ...]
    was_stopped: bool  # trials, or the rest of one, were left out on request


def find(lesson: Lesson, search: Search, driver: Driver, kept: Kept, runner: TrialRunner = HERE) -> Found:
    """Search, and return the network of the best trial; equal to that of a training with its hyperparameters alone, if it was not stopped."""
    ended = kept.checkpoints("checkpoints")
    if recalled := _recalled(lesson, ended):
        driver.resumed(recalled.taught.course.step)
        return recalled
    found = _search(lesson, search, driver, kept, runner)
    keep(
        found.taught,
        ended,
        adaptable=lesson.spec.adaptable,
        hyperparameters=found.hyperparameters.model_dump(mode="json"),
        trials=[trial.model_dump(mode="json") for trial in found.trials],
        search_was_stopped=found.was_stopped,
    )
    return found


def _recalled(lesson: Lesson, ended: Checkpoints) -> Found | None:
    """Return what a search of before has found."""

    def make(record: Mapping[str, Any], weights: Weights) -> Network:
        return _with(lesson, Hyperparameters.model_validate(record["hyperparameters"])).with_weights(weights)

    if (recalled := recall(ended, make)) is None:
        return None
    taught, record = recalled
    trials = tuple(Trial.model_validate(trial) for trial in record["trials"])
    chosen = Hyperparameters.model_validate(record["hyperparameters"])
    return Found(taught, chosen, trials, record["search_was_stopped"])


def _search(lesson: Lesson, search: Search, driver: Driver, kept: Kept, runner: TrialRunner) -> Found:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    knobs = search.knobs or searched_knobs(lesson.spec.recipe, lesson.task, adaptable=lesson.spec.adaptable)
    study = _open_study(kept.journal, lesson.spec, knobs, at_once=runner.at_once)
    if study.trials and any(trial.state is TrialState.COMPLETE for trial in study.trials):
        driver.resumed(0)
    alone = replace(driver, checkpoints=None, resumed=lambda _: None)  # a trial is made from its beginning
    trials = _Trials(lesson, search, knobs, study, alone, kept, runner)
    if runner.at_once == 1:
        trials.carry_out()
    else:
        with ThreadPoolExecutor(runner.at_once, "trial") as pool:
            for each in [pool.submit(trials.carry_out) for _ in range(runner.at_once)]:
                each.result()
    winner = study.best_trial
    chosen = lesson.spec.hyperparameters.model_copy(update=winner.params)
    best = trials.best
    if best is None or trials.best_number != winner.number:  # an earlier attempt has made it
        best = _made_before(_with(lesson, chosen), kept, winner.number)
    if best is None:  # ... and could not keep it; to the end, since it is to be what the trial says
        best = runner.teach(_with(lesson, chosen), replace(alone, stop_asked=lambda: False))
    described = tuple(map(_described, study.get_trials(deepcopy=False)))
    return Found(best, chosen, described, trials.was_stopped)


class _Trials:
    """The trials of one process. `carry_out` may run in several threads: what they decide, they decide under the lock."""

    def __init__(
        self,
        lesson: Lesson,
        search: Search,
        knobs: tuple[SearchedKnob, ...],
        study: optuna.Study,
        driver: Driver,
        kept: Kept,
        runner: TrialRunner,
    ) -> None:
        self._lesson, self._search, self._knobs = lesson, search, knobs
        self._study, self._driver, self._kept, self._runner = study, driver, kept, runner
        self._deadline_s = time.monotonic() + 60 * (search.most_minutes or float("inf")) - _spent_s(study)
        self._lock = threading.RLock()
        self._running = 0
        self._is_broken = False  # a thread ended with an error, which ends the search
        self.best: Taught | None = None
        self.best_number = -1
        self.was_stopped = False

    def carry_out(self) -> None:
        """Try one proposal after the other, until enough were tried, the time is over, or training is asked to end."""
        while (asked := self._ask()) is not None:
            trial, lesson = asked
            try:
                taught = _carry_out(lesson, self._study, trial, self._driver, self._runner, self._lock)
            except BaseException as error:
                if not self._may_go_on(error):
                    raise
                taught = None
            with self._lock:
                self._running -= 1
                if taught is not None:
                    self._weigh(taught, trial.number)

    def _ask(self) -> tuple[optuna.Trial, Lesson] | None:
        with self._lock:
            begun = _ended(self._study) + self._running
            is_over = begun >= self._search.most_trials or (begun and time.monotonic() >= self._deadline_s)
            if is_over or self._is_broken:
                return None
            if begun and self._driver.stop_asked():
                self.was_stopped = True
                return None
            self._running += 1
            trial = self._study.ask()
            chosen = proposed(trial, self._lesson.spec.hyperparameters, self._knobs)
            return trial, _with(self._lesson, chosen)

    def _may_go_on(self, error: BaseException) -> bool:
        """Tell whether a trial's error leaves the search something to end with."""
        with self._lock:
            if isinstance(error, TrainingDivergedError) and self._running > 1:
                return True
            self._is_broken = True
            return False

    def _weigh(self, taught: Taught, number: int) -> None:
        self.was_stopped |= taught.course.was_stopped
        if self._study.best_trial.number != number:
            return
        self.best, self.best_number = taught, number
        beside = self._kept.checkpoints("best-trial")
        keep(taught, beside, adaptable=self._lesson.spec.adaptable, number=number, trial=number)


def _made_before(lesson: Lesson, kept: Kept, number: int) -> Taught | None:
    """Return the network of a trial that an earlier attempt carried out, if it was kept."""

    def make(record: Mapping[str, Any], weights: Weights) -> Network:
        if record["trial"] != number:
            raise ValueError(f"it is of trial {record['trial'] + 1}")
        return lesson.with_weights(weights)

    recalled = recall(kept.checkpoints("best-trial"), make)
    return recalled[0] if recalled else None


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
        # Of several at a time, those that still run count as bad, so that not all look at the same place.
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
    driver: Driver,
    runner: TrialRunner,
    lock: threading.RLock,
) -> Taught | None:
    """Teach with a trial's knobs and tell the study how it went; None where it was given up."""
    watch = _Watch(trial, driver.report, lock)
    try:
        taught = runner.teach(lesson, replace(driver, report=watch.note))
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
    return taught


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


def _ended(study: optuna.Study) -> int:
    """The trials that came to an end, by themselves: those that a stop cut short are tried again."""
    return sum(
        trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or _DIVERGED in trial.user_attrs
        for trial in study.get_trials(deepcopy=False)
    )


def _spent_s(study: optuna.Study) -> float:
    """How long the trials took that earlier attempts carried out."""
    durations = (trial.duration for trial in study.get_trials(deepcopy=False))
    return sum(each.total_seconds() for each in durations if each is not None)


def _described(trial: FrozenTrial) -> Trial:
    metric: Any = trial.value if trial.value is not None else 0.0
    knobs = {name: float(value) for name, value in trial.params.items()}
    return Trial(
        number=trial.number + 1, knobs=knobs, metric=metric, state=_STATES.get(trial.state, "failed")
    )
