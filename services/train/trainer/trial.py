"""What the gate measures: a loaded candidate beside the network that was trained.

Each measure is a number that should be nought, or nearly, and a line on how it was taken. Whatever a measure raises is the
gate's to judge: ONNX Runtime says so in exceptions if a graph cannot run in some shape.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from services.train.trainer.probes import ODD_TEXTS, Probes
from services.train.trainer.publishing import Candidate
from services.train.trainer.reference import Judgement, Logits, Reference
from shared.runtime.batches import batch_by_length
from shared.runtime.model import EncodedText, Model
from shared.runtime.windows import Window

TIE_MARGIN: Final = 1e-3  # decisions closer than this may fall either way

_BATCH_TOKENS = 512
_LARGE_LOGIT = 10.0
_BATCH_SIZES = (1, 2, 7, 32)


@dataclass(frozen=True, slots=True)
class Measure:
    """What was found, and how."""

    measured: float
    detail: str


class Trial:
    """One candidate and what it is measured against."""

    def __init__(
        self, reference: Reference, judgements: Sequence[Judgement], candidate: Candidate, model: Model
    ) -> None:
        """`model` is `candidate`, loaded; `judgements` are the reference's."""
        self._reference, self._judgements = reference, judgements
        self._candidate, self._model = candidate, model
        self._probes = Probes(reference.reader, [each.encoded for each in judgements])
        self._windows = [window for each in judgements for window in each.encoded.windows]
        self._expected = [logits for each in judgements for logits in each.logits]
        self._computed: list[Logits] = []  # of all windows, in batches as served; filled by `logits`

    def tokenizer(self) -> Measure:
        """Count the texts that the version cuts into tokens and windows otherwise than training did."""
        texts = [*(each.encoded.text for each in self._judgements), *ODD_TEXTS, self._probes.long_text]
        mine, theirs = self._model.encode(texts), self._reference.reader.encode(texts)
        differing = sum(not _same_encoding(a, b) for a, b in zip(mine, theirs, strict=True))
        return Measure(differing, f"texts of {len(texts)} whose windows or units differ from training's")

    def logits(self) -> Measure:
        """Take the largest difference over the whole validation set, in batches as served."""
        self._computed = self._run(self._windows)
        return Measure(
            largest_difference(self._computed, self._expected),
            f"largest difference to the trained network over {len(self._windows)} validation windows",
        )

    def finite(self) -> Measure:
        """Count the logits that are no numbers."""
        broken = sum(int(np.count_nonzero(~np.isfinite(logits))) for logits in self._measured())
        return Measure(broken, f"logits that are no numbers, of {len(self._computed)} windows")

    def decisions(self) -> Measure:
        """Count the validation texts that are decided otherwise, near ties apart."""
        computed = iter(self._measured())
        differing = ties = 0
        for each in self._judgements:
            if (
                self._model.decide(each.encoded, [next(computed) for _ in each.encoded.windows])
                == each.decision
            ):
                continue
            ties += each.margin < TIE_MARGIN
            differing += each.margin >= TIE_MARGIN
        return Measure(
            differing,
            f"texts of {len(self._judgements)} decided otherwise; {ties} more by a margin < {TIE_MARGIN}",
        )

    def scores(self) -> Measure:
        """Take the largest difference between the probabilities that are served and those of the trained logits."""
        computed = iter(self._measured())
        furthest = 0.0
        for each in self._judgements:
            served = self._model.classify(each.encoded, [next(computed) for _ in each.encoded.windows])
            of_label = dict(zip(self._reference.labels, each.probabilities.tolist(), strict=True))
            furthest = max(furthest, *(abs(each.score - of_label[each.label]) for each in served))
        return Measure(furthest, f"largest difference in a probability, of {len(self._judgements)} texts")

    def vocabulary(self) -> Measure:
        """Count the token embeddings that are not the trained ones: few texts reach them all, so the table itself is read."""
        trained = self._reference.network.encoder.token_embeddings.detach().numpy()
        differing = (int((table != trained).any(axis=1).sum()) for table in self._tables(trained.shape))
        return Measure(
            min(differing, default=len(trained)),
            f"token embeddings of {len(trained)} that are not the trained ones",
        )

    def padding(self) -> Measure:
        """Take the largest difference between a window alone and beside a longer one."""
        sample = self._probes.sample
        longest = self._probes.window_of(self._reference.reader.max_tokens)
        alone = [self._model.run([window])[0] for window in sample]
        padded = [
            logits
            for start in range(0, len(sample), 7)
            for logits in self._model.run([*sample[start : start + 7], longest])[:-1]
        ]
        return Measure(
            largest_difference(padded, alone),
            f"{len(sample)} windows, alone and beside one of {longest.token_count} tokens",
        )

    def batching(self) -> Measure:
        """Take the largest difference in batches of several sizes, in drawn order."""
        random, furthest = np.random.default_rng(0), 0.0
        sample = self._probes.sample
        expected = self._reference.logits(sample)
        for size in _BATCH_SIZES:
            order = random.permutation(len(sample)).tolist()
            for start in range(0, len(order), size):
                drawn = order[start : start + size]
                logits = self._model.run([sample[i] for i in drawn])
                furthest = max(furthest, largest_difference(logits, [expected[i] for i in drawn]))
        sizes = ", ".join(map(str, _BATCH_SIZES))
        return Measure(furthest, f"{len(sample)} windows in shuffled batches of {sizes}")

    def lengths(self) -> Measure:
        """Take the largest difference over windows of every kind of length."""
        windows = [self._probes.window_of(length) for length in self._probes.lengths]
        expected = self._reference.logits(windows, batch_tokens=1)
        computed = [self._model.run([window])[0] for window in windows]
        return Measure(
            largest_difference(computed, expected),
            f"{len(windows)} lengths from {windows[0].token_count} to {windows[-1].token_count} tokens",
        )

    def label_order(self) -> Measure:
        """Count the outputs whose name is not the one that training gave them."""
        labels = self._reference.labels
        if self._model.manifest.task != "entities":
            told = list(self._told_labels(len(labels)))
        else:
            told = list(self._told_entities(len(labels)))
        wrong = sum(a != b for a, b in zip(told, labels, strict=True)) + abs(
            len(self._model.manifest.labels) - len(labels)
        )
        return Measure(wrong, f"outputs of {len(labels)} that are not named as in training")

    def _told_labels(self, count: int) -> Iterator[str]:
        """What the version calls each output, by showing it logits that can mean nothing else."""
        text = self._judgements[0].encoded
        for i in range(count):
            logits = np.zeros(count, dtype=np.float32)
            logits[i] = 10
            yield self._model.classify(text, [logits] * len(text.windows))[0].label

    def _told_entities(self, count: int) -> Iterator[str]:
        (text,) = self._reference.reader.encode(["a"])
        for i in range(count):
            logits = np.zeros((text.windows[0].token_count, 2 * count + 1), dtype=np.float32)
            logits[:, 2 * i + 1] = 10
            yield self._model.extract(text, [logits])[0].label

    def _measured(self) -> list[Logits]:
        if not self._computed:
            raise RuntimeError("the logits could not be computed")
        return self._computed

    def _run(self, windows: Sequence[Window]) -> list[Logits]:
        results: dict[int, Logits] = {}
        for batch in batch_by_length([window.token_count for window in windows], batch_tokens=_BATCH_TOKENS):
            results.update(zip(batch, self._model.run([windows[i] for i in batch]), strict=True))
        return [results[i] for i in range(len(windows))]

    def _tables(self, shape: tuple[int, ...]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the weights of this shape in the graph that reads token ids."""
        graphs = self._candidate.manifest.variants["fp32"].graphs
        graph = graphs.get("encoder") or graphs["model"]
        for weight in onnx.load(self._candidate.open_file(graph.file)).graph.initializer:
            if tuple(weight.dims) == shape:
                yield numpy_helper.to_array(weight)


def _same_encoding(one: EncodedText, other: EncodedText) -> bool:
    same_windows = len(one.windows) == len(other.windows) and all(
        np.array_equal(a.token_ids, b.token_ids) and (a.start, a.end) == (b.start, b.end)
        for a, b in zip(one.windows, other.windows, strict=True)
    )
    if one.units is None or other.units is None:
        return same_windows and one.units is other.units
    return (
        same_windows
        and one.units.spans == other.units.spans
        and np.array_equal(one.units.tokens, other.units.tokens)
    )


def largest_difference(computed: Sequence[Logits], expected: Sequence[Logits]) -> float:
    """The largest difference; NaN and infinity count as infinitely far.

    Beyond `_LARGE_LOGIT` it counts relative to that size: float32 rounds in proportion, and so far out no probability moves.
    """
    differences = (
        float((np.abs(a - b) / np.maximum(1, np.abs(b) / _LARGE_LOGIT)).max())
        if a.shape == b.shape
        else math.inf
        for a, b in zip(computed, expected, strict=True)
    )
    return max((d if math.isfinite(d) else math.inf for d in differences), default=0.0)
