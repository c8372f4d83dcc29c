"""What Tagsmith is held against beside `hugging_face`: scikit-learn's linear models, their C chosen on the validation split."""

from collections.abc import Mapping
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
from transformers import AutoModel, AutoTokenizer

from tests.bench.data import BASE, SPLITS, Rows, read_split

SEED = 13


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
        runs[f"{strength:g}"] = _scores(fitted, vectors, rows)
    return _best("scikit-learn LogisticRegression", "C", runs)


def tf_idf(dataset: str) -> Baseline:
    """Fit scikit-learn's LinearSVC on TF-IDF of words and their pairs; C chosen on validation."""
    rows = {split: read_split(dataset, split) for split in SPLITS}
    texts = {split: part.texts for split, part in rows.items()}
    runs = {}
    for strength in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC(C=strength, random_state=SEED)
        ).fit(texts["train"], rows["train"].labels)
        runs[f"{strength:g}"] = _scores(model, texts, rows)
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


def _scores(model: Any, inputs: Mapping[str, Any], rows: dict[str, Rows]) -> dict[str, float]:
    """Accuracy on validation and test, and macro F1 on test."""
    answered, true = model.predict(inputs["test"]), rows["test"].labels
    return {
        "validation": float(model.score(inputs["validation"], rows["validation"].labels)),
        "test": float(model.score(inputs["test"], true)),
        "macro_f1": float(f1_score(true, answered, average="macro", zero_division=0)),
    }


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


BASELINES = {
    "logistic-regression": logistic_regression,
    "one-vs-rest": one_vs_rest,
    "tf-idf": tf_idf,
}
