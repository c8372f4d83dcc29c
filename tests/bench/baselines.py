"""What Tagsmith is held against: the plain Hugging Face Trainer and scikit-learn, on the same rows and the same base.

Each has one knob tuned on the validation split: linear models their C, the Trainer its learning rate, by a whole run at each.
The Trainer takes about as many optimiser steps of as many rows as Tagsmith's recipe.
"""

import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC
from torch.utils.data import SequentialSampler
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from shared.data.rows import Span
from shared.scoring.spans import score_entities
from tests.bench.data import BASE, Rows, read_split

LEARNING_RATES = {
    "banking77": (5e-5, 1e-4, 2e-4, 4e-4),
    "uner_ewt": (5e-5, 1e-4, 2e-4, 4e-4),
    "wnut17": (1e-4, 2e-4, 4e-4),  # its texts are long
}
EPOCHS = {"banking77": 9, "wnut17": 8, "uner_ewt": 15}
BATCH_SIZES = {"banking77": 32, "wnut17": 16, "uner_ewt": 16}
SEED = 13
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Baseline:
    """One trained baseline: validation and test scores, [0, 1]."""

    name: str
    tuned: str  # the knob
    tried: dict[str, float]  # validation score by the knob's setting
    validation: float
    test: float
    metrics: dict[str, float] = field(default_factory=dict)  # others, on test


def logistic_regression(dataset: str) -> Baseline:
    """Fit scikit-learn's LogisticRegression on the frozen base's masked-mean vectors; C chosen on validation."""
    rows = {split: read_split(dataset, split) for split in SPLITS}
    vectors = _vectors(rows)
    runs = {}
    for strength in (1.0, 10.0, 100.0):
        fitted = LogisticRegression(C=strength, max_iter=3000).fit(vectors["train"], rows["train"].labels)
        runs[f"{strength:g}"] = {
            split: float(fitted.score(vectors[split], rows[split].labels)) for split in ("validation", "test")
        }
    return _best("scikit-learn LogisticRegression", "C", runs)


def tf_idf(dataset: str) -> Baseline:
    """Fit scikit-learn's LinearSVC on TF-IDF of words and their pairs; C chosen on validation."""
    rows = {split: read_split(dataset, split) for split in SPLITS}
    runs = {}
    for strength in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC(C=strength, random_state=SEED)
        ).fit(rows["train"].texts, rows["train"].labels)
        runs[f"{strength:g}"] = {
            split: float(model.score(rows[split].texts, rows[split].labels))
            for split in ("validation", "test")
        }
    return _best("scikit-learn TF-IDF + LinearSVC", "C", runs)


def one_vs_rest(dataset: str) -> Baseline:
    """Fit a LogisticRegression for each label, on the frozen base's masked-mean vectors.

    C, and one threshold for all labels, are chosen on validation for micro F1.
    """
    rows = {split: read_split(dataset, split) for split in SPLITS}
    vectors = _vectors(rows)
    binarizer = MultiLabelBinarizer().fit(rows["train"].label_sets)
    present = {split: binarizer.transform(part.label_sets) for split, part in rows.items()}
    runs: dict[str, dict[str, float]] = {}
    for strength in (0.1, 1.0, 10.0):
        fitted = OneVsRestClassifier(LogisticRegression(C=strength, max_iter=300))
        fitted.fit(vectors["train"], present["train"])
        scores = {split: fitted.predict_proba(vectors[split]) for split in ("validation", "test")}
        for threshold in np.linspace(0.05, 0.7, 14):
            given = {split: scores[split] >= threshold for split in scores}
            runs[f"{strength:g}, threshold {threshold:.2f}"] = {
                "validation": float(f1_score(present["validation"], given["validation"], average="micro")),
                "test": float(f1_score(present["test"], given["test"], average="micro")),
                "macro_f1": float(f1_score(present["test"], given["test"], average="macro", zero_division=0)),
            }
    return _best("scikit-learn one-vs-rest LogisticRegression", "C", runs)


def _best(name: str, knob: str, runs: dict[str, dict[str, float]]) -> Baseline:
    tried = {setting: scores["validation"] for setting, scores in runs.items()}
    best = dict(runs[max(tried, key=tried.__getitem__)])
    return Baseline(name, knob, tried, best.pop("validation"), best.pop("test"), best)


def _vectors(rows: dict[str, Rows]) -> dict[str, np.ndarray]:
    tokenizer, encoder = AutoTokenizer.from_pretrained(BASE), AutoModel.from_pretrained(BASE).eval()
    return {split: _pooled(encoder, tokenizer, part.texts) for split, part in rows.items()}


@torch.inference_mode()
def _pooled(encoder: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    vectors = np.empty((len(texts), encoder.config.hidden_size), np.float32)
    order = np.argsort([len(text) for text in texts])
    for start in range(0, len(order), 64):
        index = order[start : start + 64]
        batch = tokenizer(
            [texts[i] for i in index], padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        hidden, mask = encoder(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
        vectors[index] = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    return vectors


class _TrainerInOrder(Trainer):
    """The plain Trainer; only that `group_by_length` does not shuffle what is evaluated: spans are scored against the rows' texts."""

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)


def hugging_face(dataset: str) -> Baseline:
    """Fine-tune with transformers.Trainer as its documentation shows; the best rate and epoch by validation are kept."""
    runs = {f"{rate:g}": _fine_tune(dataset, rate) for rate in LEARNING_RATES[dataset]}
    return _best("Hugging Face Trainer", "learning_rate", runs)


def _fine_tune(dataset: str, learning_rate: float) -> dict[str, float]:
    set_seed(SEED)
    rows = {split: read_split(dataset, split) for split in SPLITS}
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    build = _token_task if rows["train"].entities is not None else _text_task
    model, encoded, collator, metric = build(tokenizer, rows)
    with tempfile.TemporaryDirectory() as folder:
        trainer = _TrainerInOrder(
            model,
            TrainingArguments(
                folder,
                learning_rate=learning_rate,
                num_train_epochs=EPOCHS[dataset],
                group_by_length=True,
                per_device_train_batch_size=BATCH_SIZES[dataset],
                per_device_eval_batch_size=64,
                warmup_ratio=0.1,
                weight_decay=0.01,
                eval_strategy="epoch",
                save_strategy="epoch",
                save_total_limit=1,
                load_best_model_at_end=True,
                metric_for_best_model="score",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
                seed=SEED,
                use_cpu=True,
            ),
            data_collator=collator,
            train_dataset=encoded["train"],
            eval_dataset=encoded["validation"],
            compute_metrics=metric,
        )
        trainer.train()
        return {
            split: float(trainer.evaluate(encoded[split])["eval_score"]) for split in ("validation", "test")
        }


def _text_task(tokenizer: Any, rows: dict[str, Rows]) -> tuple[Any, dict[str, Any], Any, Any]:
    labels = sorted(set(rows["train"].labels))
    encoded = {
        split: [
            {**tokenizer(text, truncation=True, max_length=256), "labels": labels.index(label)}
            for text, label in zip(part.texts, part.labels, strict=True)
        ]
        for split, part in rows.items()
    }
    model = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=len(labels))

    def metric(prediction: Any) -> dict[str, float]:
        return {"score": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}

    return model, encoded, DataCollatorWithPadding(tokenizer), metric


def _token_task(tokenizer: Any, rows: dict[str, Rows]) -> tuple[Any, dict[str, Any], Any, Any]:
    labels = sorted({span.label for spans in rows["train"].entities or () for span in spans})
    tags = ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]

    def encode(text: str, spans: Any) -> dict[str, Any]:
        encoding = tokenizer(text, truncation=True, max_length=256, return_offsets_mapping=True)
        offsets, words = encoding.pop("offset_mapping"), encoding.word_ids()
        target, previous = [], None
        for (start, end), word in zip(offsets, words, strict=True):
            span = next((s for s in spans if word is not None and s.start <= start and end <= s.end), None)
            tag = "O" if span is None else f"{'B' if start == span.start else 'I'}-{span.label}"
            known = (
                tag in tags and word is not None and word != previous
            )  # first sub-words only, as the course shows
            target.append(tags.index(tag) if known else -100)
            previous = word
        return {**encoding, "labels": target}

    encoded = {
        split: [encode(text, spans) for text, spans in zip(part.texts, part.entities or (), strict=True)]
        for split, part in rows.items()
    }
    model = AutoModelForTokenClassification.from_pretrained(BASE, num_labels=len(tags))
    parts = {
        len(encoded[split]): split for split in ("validation", "test")
    }  # the Trainer does not say which it evaluates

    def metric(prediction: Any) -> dict[str, float]:
        """Score strict spans of the text, as for Tagsmith: tags at first sub-words, their words' offsets, all true spans."""
        part = rows[parts[len(prediction.predictions)]]
        answered = [
            _spans(tokenizer, text, [tags[tag] for tag in row.argmax(-1)])
            for text, row in zip(part.texts, prediction.predictions, strict=True)
        ]
        true = part.entities or []
        return {"score": score_entities(true, answered, labels, set(), part.texts).metrics["span_f1"]}

    return model, encoded, DataCollatorForTokenClassification(tokenizer), metric


def _spans(tokenizer: Any, text: str, tags: list[str]) -> list[Span]:
    """Read words' tags as spans; an I- tag goes on with the span before it if that has its label, else it begins one."""
    encoding = tokenizer(text, truncation=True, max_length=256)
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


BASELINES = {
    "hugging-face": hugging_face,
    "logistic-regression": logistic_regression,
    "one-vs-rest": one_vs_rest,
    "tf-idf": tf_idf,
}
