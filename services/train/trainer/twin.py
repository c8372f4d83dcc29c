"""What the gate measures of a variant that computes otherwise than the network was trained, such as int8.

Its logits may differ; what counts is what becomes of them: the task's metric, the decisions, and that batch-mates change nothing.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np

from services.train.trainer.corpus import Corpus
from services.train.trainer.probes import Probes
from services.train.trainer.reference import Judgement, Logits
from services.train.trainer.serving import evaluate_split
from services.train.trainer.trial import Measure, largest_difference
from shared.runtime.model import Decision, Model
from shared.runtime.reader import TextReader
from shared.store.manifest import METRICS

_MOST_WINDOWS: Final = 32  # of a drawn batch


class Twin:
    """A loaded variant beside the loaded fp32 one."""

    def __init__(
        self, reader: TextReader, corpus: Corpus, judgements: Sequence[Judgement], fp32: Model, variant: Model
    ) -> None:
        """`judgements` are the trained network's, of all validation texts."""
        self._reader, self._corpus, self._judgements = reader, corpus, judgements
        self._fp32, self._variant = fp32, variant
        self._windows = [window for each in judgements for window in each.encoded.windows]

    def metric(self) -> Measure:
        """Take the points of the task's metric that are lost on validation; less than nought where some are gained."""
        name = METRICS[self._corpus.task]
        before, after = (
            100 * evaluate_split(model, self._corpus, "validation").metrics[name]
            for model in (self._fp32, self._variant)
        )
        return Measure(
            before - after, f"points of validation {name} less than fp32: {after:.2f} for {before:.2f}"
        )

    def decisions(self) -> Measure:
        """Take the share of validation texts that are decided otherwise than by the trained network."""
        decided = self._decide(self._alone)
        differing = sum(a != each.decision for a, each in zip(decided, self._judgements, strict=True))
        return Measure(
            differing / len(decided), f"share of {len(decided)} texts decided otherwise than as trained"
        )

    def batching(self) -> Measure:
        """Take the share of validation texts that are decided otherwise among drawn batch-mates than alone."""
        together = self._drawn()
        pairs = zip(self._decide(together), self._decide(self._alone), strict=True)
        share = sum(a != b for a, b in pairs) / len(self._judgements)
        furthest = largest_difference(together, self._alone)
        return Measure(
            share,
            f"share of {len(self._judgements)} texts decided otherwise in drawn batches than alone;"
            f" logits differ by {furthest:.1e} at most",
        )

    def lengths(self) -> Measure:
        """Count the lengths at which a logit is no number."""
        probes = Probes(self._reader, [each.encoded for each in self._judgements])
        windows = [probes.window_of(length) for length in probes.lengths]
        broken = sum(not np.isfinite(self._variant.run([window])[0]).all() for window in windows)
        return Measure(broken, f"lengths of {len(windows)} at which a logit is no number")

    @cached_property
    def _alone(self) -> list[Logits]:
        return [self._variant.run([window])[0] for window in self._windows]

    def _drawn(self) -> list[Logits]:
        """The logits of all windows, computed in batches of drawn size and order."""
        random, results = np.random.default_rng(0), dict[int, Logits]()
        order, start = random.permutation(len(self._windows)).tolist(), 0
        while start < len(order):
            drawn = order[start : start + int(random.integers(1, _MOST_WINDOWS + 1))]
            results.update(zip(drawn, self._variant.run([self._windows[i] for i in drawn]), strict=True))
            start += len(drawn)
        return [results[i] for i in range(len(order))]

    def _decide(self, logits: Sequence[Logits]) -> list[Decision]:
        of_windows = iter(logits)
        return [
            self._variant.decide(each.encoded, [next(of_windows) for _ in each.encoded.windows])
            for each in self._judgements
        ]
