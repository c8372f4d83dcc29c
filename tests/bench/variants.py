"""A version's variants side by side: what is lost to fp32, whether batch-mates move answers, and how fast each is, in one run.

Speed is that of `Model.answer` on one thread, tokenizing and decoding included, the variants by turns; ratios are told, because times
move with whatever else a machine does.
"""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from services.train.trainer.reference import Decision
from services.train.trainer.trial import decide
from shared.runtime.model import Model
from shared.store.manifest import Manifest, VariantName
from tests.bench.data import Rows
from tests.bench.served import Answer, Served

ROUNDS: Final = 3


def compare(
    services: Served, manifest: Manifest, rows: Rows, metric: str, answers: Sequence[Answer]
) -> dict[str, Any]:
    """Describe each variant; `answers` are those that clients got from the one that is served."""
    models = {name: services.load(manifest, name) for name in manifest.variants}
    seconds: dict[VariantName, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            started = time.perf_counter()
            model.answer(rows.texts)
            seconds[name].append(time.perf_counter() - started)
    decided = {name: [_decide(model, text) for text in rows.texts] for name, model in models.items()}
    served = services.served_variant(manifest)
    among_others = [_as_decision(answer) for answer in answers]
    return {
        "served": served,
        # Texts whose answer among whatever batch-mates 16 clients gave it is not the one it gets alone.
        "flipped_by_batches": _share(among_others, decided[served]),
        "variants": {
            name: {
                metric: manifest.evaluations[name]["test"].metrics[metric],
                "graph_bytes": sum(g.file.size_bytes for g in manifest.variants[name].graphs.values()),
                "speed_to_fp32": round(median(seconds["fp32"]) / median(seconds[name]), 2),
                "decided_otherwise": _share(decided[name], decided["fp32"]),
                "gate": {c.name: c.measured for c in manifest.gate_checks if c.variant == name != "fp32"},
            }
            for name in models
        },
    }


def _decide(model: Model, text: str) -> Decision:
    (encoded,) = model.encode([text])
    return decide(model, encoded, [model.run([window])[0] for window in encoded.windows])


def _as_decision(answer: Answer) -> Decision:
    if isinstance(answer, list):
        return frozenset((span.start, span.end, span.label) for span in answer)
    return frozenset({answer}) if isinstance(answer, str) else answer


def _share(some: Sequence[Decision], others: Sequence[Decision]) -> float:
    """The share of texts that are decided otherwise."""
    return sum(a != b for a, b in zip(some, others, strict=True)) / len(some)
