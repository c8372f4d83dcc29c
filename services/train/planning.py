"""Plans: a survey of a job that may be, by a trainer process of its own, and advice on what it found.

One survey at a time: its probe measures the machine. A survey ends with its call: whoever hangs up stops it.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from services.train.advice import advise
from services.train.catalogue import Catalogue
from services.train.engines.port import Engine, Exit, Trainer
from services.train.events import Failed, Failure, Surveyed, TrainerEvent
from services.train.jobs.event_log import EventLog
from services.train.jobs.order import Order
from services.train.jobs.submission import Submission
from services.train.plan import Plan, Report
from services.train.spec import FROM_SCRATCH, JobSpec, Survey
from shared.errors import FieldInvalidError, Problem, ProblemsError, TagsmithError, TrainerLostError
from shared.names import DatasetName
from shared.store.datasets import DatasetStore
from shared.store.failures import store_errors

_POLL_INTERVAL_S: Final = 0.1
_STOP_GRACE_S: Final = 1.0


class Planner:
    """Makes plans."""

    def __init__(
        self,
        submission: Submission,
        datasets: DatasetStore,
        catalogue: Catalogue,
        engine: Engine,
        folder: Path,
        work_of: Callable[[JobSpec], dict[str, Any]],
    ) -> None:
        """Surveys run in folders below `folder`; `work_of` tells what a trainer needs to know of a spec, and blocks."""
        self._submission = submission
        self._datasets = datasets
        self._catalogue = catalogue
        self._engine = engine
        self._folder = folder
        self._work_of = work_of
        self._turn = asyncio.Lock()
        shutil.rmtree(folder, ignore_errors=True)  # what a service before this one left

    async def plan(self, order: Order, *, probes: bool, finds_suspects: bool, draws_curve: bool) -> Plan:
        """Look at an order. Raises what Submission.submit does, what would fail its job before it trains, and FieldInvalidError."""
        spec = await asyncio.to_thread(self._submission.resolve, order)
        if (finds_suspects or draws_curve) and spec.recipe in FROM_SCRATCH:
            field, told = (
                ("find_suspects", "which labels are suspect")
                if finds_suspects
                else ("learning_curve", "what more rows would be worth")
            )
            raise FieldInvalidError(
                f"{spec.recipe} has no base whose vectors would tell {told}: plan a transformer recipe for that.",
                field=field,
            )
        work = await asyncio.to_thread(self._work_of, spec)
        assignment = Survey(**work, probes=probes, finds_suspects=finds_suspects, draws_curve=draws_curve)
        async with self._turn:
            report = await self._survey(assignment)
        return await asyncio.to_thread(self._advised, spec, report)

    def _advised(self, spec: JobSpec, report: Report) -> Plan:
        train = self._datasets.snapshot(DatasetName.parse(spec.dataset)).splits["train"]
        base = None if spec.base_model is None else self._catalogue.find(spec.base_model)
        advice = advise(
            spec,
            report,
            rows_per_label=sum(train.label_counts.values()) / len(train.label_counts),
            base=base,
            bases=self._catalogue.list(),
        )
        return Plan(spec=spec, report=report, advice=tuple(advice))

    async def _survey(self, assignment: Survey) -> Report:
        folder = self._folder / secrets.token_hex(8)
        async with self._trainer(assignment, folder) as trainer:
            while (exit_ := await asyncio.to_thread(trainer.poll)) is None:  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(_POLL_INTERVAL_S)
            events = await asyncio.to_thread(EventLog(folder / "events.jsonl").read)
            return _report_of(events, exit_, folder)  # in here: why it failed decides whether its log is kept

    @asynccontextmanager
    async def _trainer(self, assignment: Survey, folder: Path) -> AsyncIterator[Trainer]:
        """Start the survey's process; on the way out nothing of it is left, but for the log of what nobody foresaw."""
        keep, starting = False, asyncio.ensure_future(asyncio.to_thread(self._start, assignment, folder))
        try:
            trainer = await asyncio.shield(starting)
        except asyncio.CancelledError:  # the caller hung up meanwhile; what is being started is stopped first
            await asyncio.to_thread(_clear, await starting, folder, keep=False)
            raise
        try:
            yield trainer
        except TagsmithError as error:
            keep = error.reason in {"INTERNAL", TrainerLostError.reason}
            raise
        finally:
            await asyncio.shield(asyncio.to_thread(_clear, trainer, folder, keep=keep))

    def _start(self, assignment: Survey, folder: Path) -> Trainer:
        with store_errors("start trainer"):
            folder.mkdir(parents=True)
            (folder / "spec.json").write_text(assignment.model_dump_json(indent=1), "utf-8")
            return self._engine.start(folder, lambda _: None)


class _RelayedError(ProblemsError):
    """What a survey's process failed for, told as if it had been found here."""

    def __init__(self, failure: Failure) -> None:
        TagsmithError.__init__(self, failure.message, **failure.metadata)
        self.reason = failure.reason
        self.problems = tuple(Problem(each.field, each.description) for each in failure.problems)


def _report_of(events: Iterable[TrainerEvent], exit_: Exit, folder: Path) -> Report:
    for event in events:
        if isinstance(event, Surveyed):
            return event.report
        if isinstance(event, Failed):
            raise _RelayedError(event.failure)
    raise TrainerLostError(
        f"The survey {exit_}: train with less memory in use, or ask again. Its last words are in surveys/{folder.name}/trainer.log.",
        **exit_.metadata,
        survey=folder.name,
    )


def _clear(trainer: Trainer, folder: Path, *, keep: bool) -> None:
    trainer.stop(grace_s=_STOP_GRACE_S)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
