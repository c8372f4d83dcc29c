"""How the Hugging Face Trainer is given each task, as its course shows, and how its logits are read as answers: sets, of labels or of spans."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
)

from shared.data.rows import Span
from shared.scoring.intervals import interval
from shared.scoring.labels import score_multi_label
from shared.scoring.outcomes import metric_of, outcomes
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.data import BASE, Rows

MAX_TOKENS: Final = 256
THRESHOLDS: Final = np.linspace(0.05, 0.95, 19)

Answers = Sequence[frozenset[Hashable]]  # one of each row
Logits = dict[str, np.ndarray]  # by split; validation is always there


@dataclass(frozen=True, slots=True)
class Task:
    """What the Trainer is given, and how its logits are read."""

    model: Any
    encoded: dict[str, list[dict[str, Any]]]
    collator: Any
    true: dict[str, Answers]
    read: Callable[[Logits], dict[str, Answers]]
    labels: list[str]  # of several labels a text; else empty

    def score(self, logits: Logits) -> dict[str, Any]:
        """Score each split: accuracy, micro F1 or strict span F1; of test the interval too, and of several labels a text the other metrics."""
        answered = self.read(logits)
        rows = {split: outcomes(self.true[split], given) for split, given in answered.items()}
        scores: dict[str, Any] = {split: float(metric_of(of.sum(axis=0))) for split, of in rows.items()}
        if "test" not in rows:
            return scores
        metrics = (
            score_multi_label(self.true["test"], answered["test"], self.labels).metrics if self.labels else {}
        )
        return {**scores, "interval": interval(rows["test"]), "metrics": metrics}


def task_of(task: int, tokenizer: Any, rows: dict[str, Rows]) -> Task:
    """Prepare the rows' splits for a task."""
    return {pb.CLASSIFICATION: _one_label, pb.MULTI_LABEL: _many_labels, pb.ENTITIES: _entities}[task](
        tokenizer, rows
    )


def _one_label(tokenizer: Any, rows: dict[str, Rows]) -> Task:
    labels = sorted(set(rows["train"].labels))
    targets = {split: [labels.index(label) for label in part.labels] for split, part in rows.items()}
    return Task(
        AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=len(labels)),
        {split: _encoded(tokenizer, part.texts, targets[split]) for split, part in rows.items()},
        DataCollatorWithPadding(tokenizer),
        {split: [frozenset([label]) for label in part.labels] for split, part in rows.items()},
        lambda logits: {
            split: [frozenset([labels[best]]) for best in of.argmax(-1)] for split, of in logits.items()
        },
        [],
    )


def _many_labels(tokenizer: Any, rows: dict[str, Rows]) -> Task:
    """One threshold for all labels, that of the best micro F1 on validation."""
    binarizer = MultiLabelBinarizer().fit(rows["train"].label_sets)
    present = {split: binarizer.transform(part.label_sets) for split, part in rows.items()}

    def read(logits: Logits) -> dict[str, Answers]:
        scores = {split: 1 / (1 + np.exp(-of.astype(np.float64))) for split, of in logits.items()}
        threshold = max(
            THRESHOLDS,
            key=lambda each: f1_score(present["validation"], scores["validation"] >= each, average="micro"),
        )
        return {
            split: [frozenset(labels) for labels in binarizer.inverse_transform(of >= threshold)]
            for split, of in scores.items()
        }

    return Task(
        AutoModelForSequenceClassification.from_pretrained(
            BASE, num_labels=len(binarizer.classes_), problem_type="multi_label_classification"
        ),
        {
            split: _encoded(tokenizer, part.texts, present[split].astype(float).tolist())
            for split, part in rows.items()
        },
        DataCollatorWithPadding(tokenizer),
        {split: part.label_sets for split, part in rows.items()},
        read,
        list(binarizer.classes_),
    )


def _encoded(tokenizer: Any, texts: list[str], targets: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {**tokenizer(text, truncation=True, max_length=MAX_TOKENS), "labels": target}
        for text, target in zip(texts, targets, strict=True)
    ]


def _entities(tokenizer: Any, rows: dict[str, Rows]) -> Task:
    """Tags at first sub-words, as the course shows; strict spans of the text, as for Tagsmith: their words' offsets, all true spans."""
    labels = sorted({span.label for spans in rows["train"].entities or () for span in spans})
    tags = ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]

    def encode(text: str, spans: Sequence[Span]) -> dict[str, Any]:
        encoding = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_offsets_mapping=True)
        offsets, words = encoding.pop("offset_mapping"), encoding.word_ids()
        target, previous = [], None
        for (start, end), word in zip(offsets, words, strict=True):
            span = next((s for s in spans if word is not None and s.start <= start and end <= s.end), None)
            tag = "O" if span is None else f"{'B' if start == span.start else 'I'}-{span.label}"
            known = tag in tags and word is not None and word != previous
            target.append(tags.index(tag) if known else -100)
            previous = word
        return {**encoding, "labels": target}

    def read(logits: Logits) -> dict[str, Answers]:
        return {
            split: [
                frozenset(_spans(tokenizer, text, [tags[tag] for tag in row.argmax(-1)]))
                for text, row in zip(rows[split].texts, of, strict=True)
            ]
            for split, of in logits.items()
        }

    return Task(
        AutoModelForTokenClassification.from_pretrained(BASE, num_labels=len(tags)),
        {
            split: [encode(text, spans) for text, spans in zip(part.texts, part.entities or (), strict=True)]
            for split, part in rows.items()
        },
        DataCollatorForTokenClassification(tokenizer),
        {split: [frozenset(spans) for spans in part.entities or ()] for split, part in rows.items()},
        read,
        [],
    )


def _spans(tokenizer: Any, text: str, tags: list[str]) -> list[Span]:
    """Read words' tags as spans; an I- tag goes on with the span before it if that has its label, else it begins one."""
    encoding = tokenizer(text, truncation=True, max_length=MAX_TOKENS)
    spans: list[Span] = []
    previous, before = None, "O"
    for position, word in enumerate(encoding.word_ids()):
        if word is None or word == previous:
            continue
        previous, tag = word, tags[position]
        if tag != "O":
            start, end = encoding.word_to_chars(word)
            label = tag[2:]
            if tag[0] == "I" and before[2:] == label and spans:
                spans[-1] = Span(spans[-1].start, end, label)
            else:
                spans.append(Span(start, end, label))
        before = tag
    return spans
