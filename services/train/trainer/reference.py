"""What the trained network itself decides: the truth that an export is held to.

Computed by torch in eval mode, from the token ids and in the label order of training, independently of every exported file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from services.train.trainer.features import EVALUATION_BATCH_TOKENS
from services.train.trainer.network import Network
from shared.runtime.batches import batch_by_length, pad
from shared.runtime.classification import pool_windows
from shared.runtime.entities import extract_spans, unit_logits
from shared.runtime.reader import EncodedText, TextReader
from shared.runtime.windows import Window

Logits = npt.NDArray[np.float32]
Decision = str | frozenset[tuple[int, int, str]]  # the best label, or the spans


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A text as the trained network sees and decides it."""

    encoded: EncodedText
    logits: tuple[Logits, ...]  # of each window: (labels,), or (its tokens, tags)
    decision: Decision
    margin: float  # between the best and the second best, in logits; of the least sure unit for entities

    @property
    def labels(self) -> frozenset[str]:
        """The labels of the decision."""
        if isinstance(self.decision, str):
            return frozenset({self.decision})
        return frozenset(label for _, _, label in self.decision)


class Reference:
    """The trained network, asked about texts and windows."""

    def __init__(self, network: Network, reader: TextReader, labels: Sequence[str]) -> None:
        """`labels` are in the order of training's targets."""
        self.network = network.eval()
        self.reader = reader
        self.labels = tuple(labels)

    def judge(self, texts: Sequence[str]) -> list[Judgement]:
        """Decide texts; result i belongs to text i."""
        encoded = self.reader.encode(texts)
        logits = iter(self.logits([window for text in encoded for window in text.windows]))
        return [self._judgement(text, tuple(next(logits) for _ in text.windows)) for text in encoded]

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
        if self.reader.task == "classification":
            return [results[i] for i in range(len(windows))]
        return [results[i][: window.token_count] for i, window in enumerate(windows)]

    def _judgement(self, text: EncodedText, logits: tuple[Logits, ...]) -> Judgement:
        if text.units is None:
            pooled = pool_windows(text.windows, logits)
            return Judgement(text, logits, self.labels[int(pooled.argmax())], _margin(pooled[np.newaxis]))
        spans = extract_spans(self.labels, text.units, text.windows, logits)
        decision = frozenset((span.start, span.end, span.label) for span in spans)
        units = text.units.tokens
        margin = _margin(unit_logits(units, text.windows, logits)) if len(units) else float("inf")
        return Judgement(text, logits, decision, margin)


def _margin(scores: npt.NDArray[np.floating]) -> float:
    """The least distance between the two best scores of a row of (rows, outputs)."""
    best = np.sort(scores, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).min())
