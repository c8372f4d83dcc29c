"""Names of metrics and units as people read them."""

from typing import Final

from shared.store.manifest import Task

METRIC_WORDS: Final = {
    "accuracy": "accuracy",
    "answered": "share answered",
    "best_label_accuracy": "accuracy had it always answered",
    "calibration_error": "calibration error",
    "calibration_error_before": "calibration error without the temperature",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "out_of_scope_recall": "out-of-scope recall",
    "partial_f1": "partial F1",
    "span_f1": "span F1",
    "span_precision": "span precision",
    "span_recall": "span recall",
    "subset_accuracy": "subset accuracy",
    "type_f1": "type F1",
    "unseen_span_recall": "unseen span recall",
}
UNITS: Final[dict[Task, str]] = {  # what a label's support counts
    "classification": "Rows",
    "multi-label": "Rows",
    "entities": "Mentions",
}
