"""How a version's logits become answers: what is chosen on validation once the weights are."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from services.train.trainer.calibration import Logits, Targets, choose_unknown_below, fit_temperature
from services.train.trainer.corpus import Corpus
from services.train.trainer.examples import unit_tags
from services.train.trainer.reference import Computed, Decoding
from services.train.trainer.thresholds import choose_thresholds, present_labels
from shared.runtime.classification import sigmoid
from shared.runtime.entities import unit_logits
from shared.store.manifest import (
    FEWEST_CALIBRATED_ROWS,
    ClassificationDecoding,
    EntitiesDecoding,
    MultiLabelDecoding,
)

Pooled = npt.NDArray[np.float64]  # (texts, labels)


def choose_decoding(
    corpus: Corpus,
    computed: Sequence[Computed],
    out_of_scope: Sequence[Computed],
    *,
    most_refused_share: float,
) -> Decoding:
    """Return the decoding; `computed` are the logits of the validation rows, `out_of_scope` of texts that belong to no label."""
    if corpus.task == "entities":
        return EntitiesDecoding(temperature=_tag_temperature(corpus, computed))
    pooled = _pooled(computed)
    if corpus.task == "classification":
        return _choose_classification(corpus, pooled, out_of_scope, most_refused_share)
    present = present_labels(corpus, "validation")
    temperature = _temperature(corpus, pooled, present)
    thresholds = choose_thresholds(sigmoid(pooled / temperature), present)
    return MultiLabelDecoding(temperature=temperature, thresholds=thresholds)


def _choose_classification(
    corpus: Corpus, pooled: Pooled, out_of_scope: Sequence[Computed], most_refused_share: float
) -> ClassificationDecoding:
    number = {label: i for i, label in enumerate(corpus.labels)}
    true = np.array([number[row.label or ""] for row in corpus.splits["validation"]])
    temperature = _temperature(corpus, pooled, true)
    if not out_of_scope:
        return ClassificationDecoding(temperature=temperature)
    unknown_below = choose_unknown_below(
        _best_scores(pooled, temperature),
        pooled.argmax(axis=1) == true,
        _best_scores(_pooled(out_of_scope), temperature),
        most_refused_share=most_refused_share,
    )
    return ClassificationDecoding(temperature=temperature, unknown_below=unknown_below)


def _tag_temperature(corpus: Corpus, computed: Sequence[Computed]) -> float:
    """Fit on all units of the validation texts, which a tag is read of."""
    number = {label: i for i, label in enumerate(corpus.labels)}
    logits, targets = [], []
    for row, each in zip(corpus.splits["validation"], computed, strict=True):
        units = each.encoded.units
        if units is not None and len(units):
            logits.append(unit_logits(units.tokens, each.encoded.windows, each.logits))
            targets.append(unit_tags(units, row.entities or (), number))
    return _temperature(corpus, np.concatenate(logits), np.concatenate(targets))


def _temperature(corpus: Corpus, logits: Logits, targets: Targets) -> float:
    """Fit it, or leave the logits as they are; rows count and not their words, which are right and wrong together."""
    if len(corpus.splits["validation"]) < FEWEST_CALIBRATED_ROWS:
        return 1.0
    return fit_temperature(logits, targets)


def _pooled(computed: Sequence[Computed]) -> Pooled:
    return np.stack([each.pooled for each in computed])


def _best_scores(pooled: Pooled, temperature: float) -> Pooled:
    return np.asarray(softmax(pooled / temperature, axis=1).max(axis=1))
