"""What the trained network itself decides: the truth that an export is held to.

Computed by torch in eval mode, from the token ids and in the label order of training, independently of every exported file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit, softmax

from services.train.trainer.features import EVALUATION_BATCH_TOKENS
from services.train.trainer.network import Network
from shared.runtime.batches import batch_by_length, pad
from shared.runtime.classification import pool_windows
from shared.runtime.entities import extract_spans, unit_logits
from shared.runtime.model import Decision
from shared.runtime.reader import EncodedText, TextReader
from shared.runtime.windows import Window
from shared.store.manifest import ClassificationDecoding, EntitiesDecoding, MultiLabelDecoding

Logits = npt.NDArray[np.float32]
_TINY: Final = 1e-12

Decoding = ClassificationDecoding | MultiLabelDecoding | EntitiesDecoding


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """A text as the trained network sees it."""

    encoded: EncodedText
    logits: tuple[Logits, ...]  # of each window: (labels,), or (its tokens, tags)

    @property
    def pooled(self) -> npt.NDArray[np.float64]:
        """The text's logits, (labels,); not for entities."""
        return pool_windows(self.encoded.windows, self.logits).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement(Computed):
    """A text as the trained network decides it."""

    decision: Decision
    margin: float  # to another decision, in logits: of the least sure unit for entities, of the least sure label for several
    probabilities: npt.NDArray[np.float64]  # (labels,), as they are to be served; none for entities

    @property
    def labels(self) -> frozenset[str]:
        """The labels of the decision."""
        return frozenset(each if isinstance(each, str) else each[2] for each in self.decision)


class Reference:
    """The trained network, asked about texts and windows."""

    def __init__(self, network: Network, reader: TextReader, labels: Sequence[str]) -> None:
        """`labels` are in the order of training's targets."""
        self.network = network.eval()
        self.reader = reader
        self.labels = tuple(labels)

    def compute(self, texts: Sequence[str]) -> list[Computed]:
        """Run the network on texts; result i belongs to text i."""
        encoded = self.reader.encode(texts)
        logits = iter(self.logits([window for text in encoded for window in text.windows]))
        return [Computed(text, tuple(next(logits) for _ in text.windows)) for text in encoded]

    def judge(self, computed: Computed, decoding: Decoding) -> Judgement:
        """Decide a text."""
        decided: tuple[Decision, float]
        if isinstance(decoding, EntitiesDecoding):
            decided, probabilities = self._spans(computed), np.zeros(0)
        elif isinstance(decoding, MultiLabelDecoding):
            decided = self._label_set(computed.pooled, decoding)
            probabilities = expit(computed.pooled / decoding.temperature)
        else:
            probabilities = softmax(computed.pooled / decoding.temperature)
            decided = self._label(computed.pooled, probabilities, decoding)
        return Judgement(computed.encoded, computed.logits, decided[0], decided[1], probabilities)

    def logits(
        self, windows: Sequence[Window], *, batch_tokens: int = EVALUATION_BATCH_TOKENS
    ) -> list[Logits]:
        """Compute windows; result i belongs to window i. `batch_tokens=1` puts each into a batch of its own."""
        results: dict[int, Logits] = {}
        with torch.inference_mode():
            for indices in batch_by_length([each.token_count for each in windows], batch_tokens=batch_tokens):
                batch = pad([windows[i] for i in indices], self.reader.tokenizer.pad_id)
                computed = self.network(
                    torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
                )
                results.update(zip(indices, computed.numpy(), strict=True))
        if self.reader.task != "entities":
            return [results[i] for i in range(len(windows))]
        return [results[i][: window.token_count] for i, window in enumerate(windows)]

    def _label_set(
        self, pooled: npt.NDArray[np.float64], decoding: MultiLabelDecoding
    ) -> tuple[frozenset[str], float]:
        over = pooled - decoding.temperature * logit(decoding.thresholds)
        given = frozenset(label for label, above in zip(self.labels, over >= 0, strict=True) if above)
        return given, float(np.abs(over).min())

    def _label(
        self,
        pooled: npt.NDArray[np.float64],
        probabilities: npt.NDArray[np.float64],
        decoding: ClassificationDecoding,
    ) -> tuple[frozenset[str], float]:
        """The best label, unless its probability is too low; the margin is to the nearer of the two other decisions."""
        best, to_next = frozenset({self.labels[int(pooled.argmax())]}), _margin(pooled[np.newaxis])
        if decoding.unknown_below is None:
            return best, to_next
        inside = np.clip([probabilities.max(), decoding.unknown_below], _TINY, 1 - _TINY)
        over = decoding.temperature * float(-np.diff(logit(inside))[0])
        return (best, min(to_next, over)) if over >= 0 else (frozenset(), -over)

    def _spans(self, computed: Computed) -> tuple[frozenset[tuple[int, int, str]], float]:
        text, logits = computed.encoded, computed.logits
        assert text.units is not None  # noqa: S101 - a reader of the entities task always finds units
        spans = extract_spans(self.labels, text.units, text.windows, logits)
        units = text.units.tokens
        margin = _margin(unit_logits(units, text.windows, logits)) if len(units) else float("inf")
        return frozenset((span.start, span.end, span.label) for span in spans), margin


def _margin(scores: npt.NDArray[np.floating]) -> float:
    """The least distance between the two best scores of a row of (rows, outputs)."""
    best = np.sort(scores, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).min())
