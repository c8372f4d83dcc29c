"""One lesson: the learner that a spec asks for, made and taught.

Adaptable on: a linear head on an encoder that learns. Off: a deeper head on the outputs of an encoder that is run once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import nn

from services.train.events import Progress
from services.train.spec import JobSpec
from services.train.trainer.devices import training_device
from services.train.trainer.driving import Driver, Report
from services.train.trainer.examples import Example
from services.train.trainer.features import Features, compute_features
from services.train.trainer.learners import FineTuning, HeadTraining, Learner
from services.train.trainer.meter import REPORT_INTERVAL_S
from services.train.trainer.network import DeepHead, Encoder, LinearHead, Network, reading_of
from services.train.trainer.objective import Objective
from services.train.trainer.taught import Taught, keep, recall
from services.train.trainer.validation import Validation
from services.train.trainer.weights import Weights, put_learnt_weights
from shared.store.manifest import Task


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is taught, from what, to whom."""

    spec: JobSpec
    task: Task
    output_count: int  # labels or tags
    encoder: Encoder
    train: Sequence[Example]  # each with at least one target
    validation: Validation
    pad_id: int
    carry_head: Callable[[nn.Module], None] = lambda _: None  # puts what is known already into a new head
    frozen: dict[str, Features] = field(
        default_factory=dict
    )  # a frozen encoder's outputs, once they are there

    def teach(self, driver: Driver) -> Taught:
        """Train to the end and return the network with its best weights. Raises TrainingDivergedError, TrainingOutOfMemoryError.

        With checkpoints it goes on from the newest, and where an earlier attempt came to the end, that is it.
        """
        kept, adaptable = driver.checkpoints, self.spec.adaptable
        recalled = kept and recall(kept, lambda _, weights: self.with_weights(weights))
        ended = driver.workers.of_leader(lambda: recalled[0].course if recalled else None)
        if ended is not None:
            driver.resumed(ended.step)
            return recalled[0] if recalled else Taught(self._untaught(), ended)  # the one that leads has it
        network, learner = self.begin(driver.report)
        # The steps of a head alone are so small that a second thread would only be waited for.
        with _threads(torch.get_num_threads() if adaptable else 1):
            course = driver.drive(learner, self.spec.hyperparameters, seed=self.spec.seed)
        # All that follows asks for the arithmetic of a processor.
        taught = Taught(network.cpu().eval(), course)
        if kept is not None:
            keep(taught, kept, adaptable=adaptable)
        return taught

    def with_weights(self, weights: Weights) -> Network:
        """Return the network as it was once it was taught. Raises ValueError where `weights` are another one's."""
        network = self._untaught()
        put_learnt_weights(weights, network, adaptable=self.spec.adaptable)
        return network.eval()

    def _untaught(self) -> Network:
        chosen, width = self.spec.hyperparameters, self.encoder.width
        head = (
            LinearHead(width, self.output_count, dropout=chosen.dropout)
            if self.spec.adaptable
            else DeepHead(width, self.output_count, dropout=chosen.dropout, vectors=torch.zeros(2, width))
        )
        return Network(self.encoder, head, reading_of(self.task, self.spec))

    def begin(self, report: Report) -> tuple[Network, Learner]:
        """Make the network and what the loop teaches of it; a frozen encoder's one pass is taken here.

        The head, and all that is drawn later, comes of the spec's seed, whatever was drawn before.
        """
        torch.manual_seed(self.spec.seed)
        return self._fine_tuning() if self.spec.adaptable else self._head_training(report)

    def _fine_tuning(self) -> tuple[Network, Learner]:
        chosen = self.spec.hyperparameters
        head = LinearHead(self.encoder.width, self.output_count, dropout=chosen.dropout)
        self.carry_head(head)
        network = Network(self.encoder, head, reading_of(self.task, self.spec)).to(training_device())
        learner = FineTuning(
            examples=self.train,
            objective=Objective(self.train, self.output_count, chosen),
            validation=self.validation,
            hyperparameters=chosen,
            network=network,
            pad_id=self.pad_id,
        )
        return network, learner

    def _head_training(self, report: Report) -> tuple[Network, Learner]:
        chosen, reading = self.spec.hyperparameters, reading_of(self.task, self.spec)
        watch = _EncodingWatch(
            len(self.train) + len(self.validation.examples), self.validation.metric_name, report
        )

        def features(examples: Sequence[Example]) -> Features:
            return compute_features(self.encoder, reading, examples, self.pad_id, on_done=watch.count)

        self.encoder.to(training_device())
        if not self.frozen:
            self.frozen.update(train=features(self.train), validation=features(self.validation.examples))
        of_train, of_validation = self.frozen["train"], self.frozen["validation"]
        head = DeepHead(
            self.encoder.width, self.output_count, dropout=chosen.dropout, vectors=of_train.vectors
        )
        self.carry_head(head)
        learner = HeadTraining(
            examples=self.train,
            objective=Objective(self.train, self.output_count, chosen),
            validation=self.validation,
            hyperparameters=chosen,
            head=head,
            features=of_train,
            validation_features=of_validation,
        )
        return Network(self.encoder, head, reading), learner


_OF_THE_NETWORK: Final = {"loss", "metric", "best_metric", "trial"}


class Telling:
    """Passes progress on: of the version's network, and of the one that it is compared with."""

    def __init__(self, report: Report) -> None:
        """`report` hears everything."""
        self._report = report
        self._last: Progress | None = None

    def note(self, progress: Progress) -> None:
        """Hear how far the training is."""
        self._last = progress
        self._report(progress)

    def note_twin(self, progress: Progress) -> None:
        """Hear how far the training is of a network that is compared with and never published: how well it does is not told as the version's."""
        kept = self._last.model_dump(include=_OF_THE_NETWORK) if self._last else {}
        self._report(progress.model_copy(update={"evaluated": False, "interval_loss": None, **kept}))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _EncodingWatch:
    """Progress of a frozen encoder's one pass, told as step 0 of the training to come."""

    def __init__(self, examples: int, metric_name: str, report: Report) -> None:
        self._examples, self._metric_name, self._report = examples, metric_name, report
        self._done = 0
        self._start_s = self._reported_s = time.monotonic()

    def count(self, examples: int) -> None:
        self._done += examples
        now_s = time.monotonic()
        if now_s - self._reported_s < REPORT_INTERVAL_S:
            return
        self._reported_s = now_s
        rate = self._done / (now_s - self._start_s)
        self._report(
            Progress(
                step=0,
                total_steps=0,
                epoch=0,
                loss=0.0,
                metric_name=self._metric_name,
                metric=None,
                best_metric=None,
                remaining_ms=int(1000 * (self._examples - self._done) / rate),
                rows_per_second=rate,
            )
        )
