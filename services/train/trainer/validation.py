"""The task metric on the validation split, from logits: what early stopping looks at.

Decodes with the runtime's own functions and scores with shared.scoring, so that the number is what serving would score, up to
rounding of the exported graph.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from services.train.trainer.corpus import Corpus
from services.train.trainer.examples import Example
from services.train.trainer.thresholds import Present, best_threshold, present_labels
from shared.runtime.classification import pool_windows, sigmoid
from shared.runtime.entities import extract_spans
from shared.runtime.model import EncodedText
from shared.scoring.evaluation import wanted
from shared.scoring.outcomes import Outcomes, metric_of, outcomes
from shared.store.manifest import METRICS

Logits = npt.NDArray[np.float32]
Given = Sequence[Collection[Hashable]]  # of each row: its labels, or its mentions as (start, end, label)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One look at the validation split."""

    metric: float  # of METRICS, [0, 1]
    loss: float  # mean over the targets


class Validation:
    """The validation rows, encoded, and how logits for their targets are scored."""

    def __init__(
        self, corpus: Corpus, encoded: Sequence[EncodedText], examples: Sequence[Sequence[Example]]
    ) -> None:
        """`encoded` and `examples` are those of the validation rows, one element a row."""
        self._corpus = corpus
        self._encoded = encoded
        self._examples = examples
        self.metric_name = METRICS[corpus.task]
        self.examples = [example for of_row in examples for example in of_row]
        self._targets = torch.from_numpy(np.concatenate([example.targets for example in self.examples]))

    def evaluate(self, logits: torch.Tensor) -> Evaluation:
        """Score `logits`, (targets of all `examples` in order, outputs)."""
        entropy = (
            functional.binary_cross_entropy_with_logits
            if self._targets.ndim == 2
            else functional.cross_entropy
        )
        loss = entropy(logits, self._targets).item()
        return Evaluation(float(metric_of(self.outcomes(logits.numpy()).sum(axis=0))), loss)

    def outcomes(self, logits: Logits) -> Outcomes:
        """Tell how each row would be answered by `logits`, (targets of all `examples` in order, outputs)."""
        per_row = iter(self._windows(logits))
        windows = [[next(per_row) for _ in of_row] for of_row in self._examples]
        read = {"classification": self._label, "multi-label": self._labels, "entities": self._mentions}
        return outcomes(self._true, read[self._corpus.task](windows))

    def _windows(self, logits: Logits) -> list[Logits]:
        """Logits as the runtime has them: (labels,), or (tokens of the window, tags), zeros where no tag is read."""
        result, at = [], 0
        for example in self.examples:
            mine = logits[at : at + len(example.targets)]
            at += len(mine)
            if self._corpus.task != "entities":
                result.append(mine[0])
            else:
                tokens = np.zeros((example.window.token_count, logits.shape[1]), dtype=np.float32)
                tokens[example.rows] = mine
                result.append(tokens)
        return result

    def _label(self, windows: Sequence[Sequence[Logits]]) -> Given:
        return [
            {self._corpus.labels[int(pool_windows(text.windows, logits).argmax())]}
            for text, logits in zip(self._encoded, windows, strict=True)
        ]

    def _labels(self, windows: Sequence[Sequence[Logits]]) -> Given:
        """With one threshold for all labels, the best there is: their own are chosen when the training has ended."""
        scores = np.stack(
            [
                sigmoid(pool_windows(text.windows, logits))
                for text, logits in zip(self._encoded, windows, strict=True)
            ]
        )
        given = scores >= best_threshold(scores, self._present)[0]
        return [{self._corpus.labels[i] for i in np.flatnonzero(of_row)} for of_row in given]

    @cached_property
    def _true(self) -> Given:
        return [wanted(row) for row in self._corpus.splits["validation"]]

    @cached_property
    def _present(self) -> Present:
        return present_labels(self._corpus, "validation")

    def _mentions(self, windows: Sequence[Sequence[Logits]]) -> Given:
        answered = [
            extract_spans(self._corpus.labels, text.units, text.windows, logits) if text.units else []
            for text, logits in zip(self._encoded, windows, strict=True)
        ]
        return [{(span.start, span.end, span.label) for span in spans} for spans in answered]
