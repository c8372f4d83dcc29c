"""Hyper-parameter search: several trainings on the same examples, each with knobs that the ones before suggest; the best one's network is kept.

Optuna proposes (TPE, with the job's seed), remembers, and gives up early what is worse than half of the others were at the same evaluation. Its journal
lies in the job's kept folder, and beside it the best network so far: a search that was cut short goes on with what it knows. The recipe's own defaults are the first trial, so that a search
never ends with worse than these on validation. Trials share one process, and with it the tokenized texts and a frozen encoder's outputs.
Where training is asked to end early, the trial under way counts with what it has come to.
"""

import copy
import time
from collections.abc import Mapping
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


def find(lesson: Lesson, search: Search, driver: Driver, kept: Kept) -> Found:
    """Search, and return the network of the best trial; equal to that of a training with its hyperparameters alone, if it was not stopped."""
    ended = kept.checkpoints("checkpoints")
    if recalled := _recalled(lesson, ended):
        driver.resumed(recalled.taught.course.step)
        return recalled
    found = _search(lesson, search, driver, kept)
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


def _search(lesson: Lesson, search: Search, driver: Driver, kept: Kept) -> Found:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    knobs = search.knobs or searched_knobs(lesson.spec.recipe, lesson.task, adaptable=lesson.spec.adaptable)
    study = _open_study(kept.journal, lesson.spec, knobs)
    if study.trials and any(trial.state is TrialState.COMPLETE for trial in study.trials):
        driver.resumed(0)
    deadline_s = time.monotonic() + 60 * (search.most_minutes or float("inf")) - _spent_s(study)
    alone = replace(driver, checkpoints=None, resumed=lambda _: None)  # a trial is made from its beginning
    best, best_number, was_stopped = None, -1, False
    while _ended(study) < search.most_trials and (_ended(study) == 0 or time.monotonic() < deadline_s):
        if _ended(study) and driver.stop_asked():
            was_stopped = True
            break
        trial = study.ask()
        suggested = _with(lesson, proposed(trial, lesson.spec.hyperparameters, knobs))
        taught = _carry_out(suggested, study, trial, alone)
        if taught is not None and study.best_trial.number == trial.number:
            best, best_number = taught, trial.number
            beside = kept.checkpoints("best-trial")
            keep(taught, beside, adaptable=lesson.spec.adaptable, number=trial.number, trial=trial.number)
        was_stopped |= taught is not None and taught.course.was_stopped
    winner = study.best_trial
    chosen = lesson.spec.hyperparameters.model_copy(update=winner.params)
    if best is None or best_number != winner.number:  # an earlier attempt has made it
        best = _made_before(_with(lesson, chosen), kept, winner.number)
    if best is None:  # ... and could not keep it; to the end, since it is to be what the trial says
        best = _with(lesson, chosen).teach(replace(alone, stop_asked=lambda: False))
    return Found(best, chosen, tuple(map(_described, study.get_trials(deepcopy=False))), was_stopped)


def _made_before(lesson: Lesson, kept: Kept, number: int) -> Taught | None:
    """Return the network of a trial that an earlier attempt carried out, if it was kept."""

    def make(record: Mapping[str, Any], weights: Weights) -> Network:
        if record["trial"] != number:
            raise ValueError(f"it is of trial {record['trial'] + 1}")
        return lesson.with_weights(weights)

    recalled = recall(kept.checkpoints("best-trial"), make)
    return recalled[0] if recalled else None


def _open_study(journal: Path, spec: JobSpec, knobs: tuple[SearchedKnob, ...]) -> optuna.Study:
    """Open the journal, or begin it with the spec's own hyperparameters. What ran when its process ended is tried again."""
    own: dict[str, Any] = {str(knob): getattr(spec.hyperparameters, knob) for knob in knobs}
    storage = open_journal(journal)
    known = len(storage.get_all_trials(0, deepcopy=False)) if storage.get_all_studies() else 0
    study = optuna.create_study(
        storage=storage,
        # Another seed for a process that goes on: it must not propose what was tried.
        sampler=optuna.samplers.TPESampler(seed=spec.seed + known, n_startup_trials=_STARTUP_TRIALS),
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


def _carry_out(lesson: Lesson, study: optuna.Study, trial: optuna.Trial, driver: Driver) -> Taught | None:
    """Teach with a trial's knobs and tell the study how it went; None where it was given up."""
    watch = _Watch(trial, driver.report)
    try:
        taught = lesson.teach(replace(driver, report=watch.note))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
        return None
    except TrainingDivergedError:
        trial.set_user_attr(_DIVERGED, value=True)
        study.tell(trial, state=TrialState.FAIL)
        if not study.get_trials(states=(TrialState.COMPLETE,)):  # the recipe itself; nothing is better yet
            raise
        return None
    study.tell(trial, watch.best)
    return taught


class _Watch:
    """Hears the evaluations of a trial, and gives it up where the pruner says so."""

    def __init__(self, trial: optuna.Trial, report: Report) -> None:
        self._trial, self._report = trial, report
        self._evaluations = 0
        self.best = 0.0

    def note(self, progress: Progress) -> None:
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
