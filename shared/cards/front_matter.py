"""The metadata at the head of a card, as the Hugging Face Hub defines it: tags, base model, licence, and `model-index`.

A key whose value the manifest does not tell is left out. Base models are named where their name on the Hub is known.
"""

import re
from typing import Any, Final

from huggingface_hub import EvalResult, ModelCardData

from shared.cards.facts import SPLITS, Facts
from shared.names import DatasetName
from shared.store.evaluation import SplitEvaluation
from shared.store.manifest import VariantName

_PIPELINES: Final = {
    "classification": "text-classification",
    "multi-label": "text-classification",
    "entities": "token-classification",
}
_HUB_METRICS: Final = {  # of those that the Hub knows; others keep our name
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "span_f1": "f1",
    "span_precision": "precision",
    "span_recall": "recall",
}
# The Hub's ids of the licences of the bases that the catalogue knows, and of others that are usual for weights.
_LICENCES: Final = frozenset(
    {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "openrail"}
)
_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def front_matter(facts: Facts, *, library: str | None) -> str:
    """Return the YAML, without the lines of dashes around it; `library` is what loads the files beside the card, None: there are none."""
    manifest = facts.manifest
    base = manifest.lineage.base_model
    adapted = "adaptable" if manifest.lineage.adaptable else "frozen-encoder"
    data = ModelCardData(
        model_name=str(manifest.version),
        library_name=library,
        pipeline_tag=_PIPELINES[manifest.task],
        license=_licence(base.licence) if base else None,
        base_model=base.source if base and _HUB_ID.fullmatch(base.source) else None,
        metrics=sorted({_HUB_METRICS.get(facts.metric, facts.metric)}),
        tags=["tagsmith", "onnx", manifest.task, adapted if base else "from-scratch"],
        eval_results=_results(facts) or None,
    )
    yaml: str = data.to_yaml()
    return yaml


def _licence(name: str) -> str:
    """Name a base's licence as the Hub does."""
    return name.lower() if name.lower() in _LICENCES else "other" if name else "unknown"


def _results(facts: Facts) -> list[EvalResult]:
    """Every metric of every split, as each variant is served, fp32 first."""
    manifest = facts.manifest
    dataset = DatasetName.parse(manifest.lineage.dataset)
    return [
        EvalResult(
            task_type=_PIPELINES[manifest.task],
            dataset_type=dataset.dataset,
            dataset_name=dataset.dataset,
            dataset_split=split,
            dataset_revision=f"sha256:{dataset.digest}",
            metric_type=_HUB_METRICS.get(name, name),
            metric_name=name,
            metric_value=value,
            metric_args=_arguments(facts, variant, evaluation, name),
        )
        for split in SPLITS
        for variant in facts.variants
        if (evaluation := manifest.evaluations.get(variant, {}).get(split))
        for name, value in sorted(evaluation.metrics.items(), key=lambda each: each[0] != facts.metric)
    ]


def _arguments(facts: Facts, variant: VariantName, evaluation: SplitEvaluation, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"variant": variant}
    if count := evaluation.count_of(name):
        told["row_count"] = count
    if name == facts.metric and evaluation.interval:
        told["interval_95"] = list(evaluation.interval)
    return told
