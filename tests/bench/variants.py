"""A version's variants side by side: what is lost to fp32, how fast each is, in one run; and whether real batch-mates moved answers.

Speed is that of `Model.answer` on one thread, tokenizing and decoding included, the variants by turns; ratios are told, because times
move with whatever else a machine does.
"""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from shared.data.rows import Span
from shared.runtime.classification import Logits
from shared.runtime.model import EncodedText, Model
from shared.scoring.labels import NOTHING
from shared.store.manifest import Manifest, VariantName
from tests.bench.data import Rows
from tests.bench.served import Answer, Served, score

ROUNDS: Final = 3


def compare(
    services: Served, manifest: Manifest, rows: Rows, metric: str, answers: Sequence[Answer]
) -> dict[str, Any]:
    """Describe each variant, also an int8 that the gate left out; `answers` are those that clients got from the one that is served."""
    models = services.load_variants(manifest)
    seconds: dict[VariantName, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            started = time.perf_counter()
            model.answer(rows.texts)
            seconds[name].append(time.perf_counter() - started)
    alone = {name: [_answer_alone(model, text) for text in rows.texts] for name, model in models.items()}
    served = services.served_variant(manifest)
    return {
        "served": served,
        # Share of texts whose answer among whatever batch-mates the clients gave it is not the one it gets alone.
        "moved_when_served": _share(answers, alone[served]),
        "variants": {
            name: {
                metric: score(manifest, rows, alone[name]).metrics[metric],
                "passed": name in manifest.variants,
                "gate": {c.name: c.measured for c in manifest.gate_checks if c.variant == name != "fp32"},
                "graph_bytes": sum(g.file.size_bytes for g in model.manifest.variants[name].graphs.values()),
                "speed_to_fp32": round(median(seconds["fp32"]) / median(seconds[name]), 2),
                "decided_otherwise": _share(alone[name], alone["fp32"]),
            }
            for name, model in models.items()
        },
    }


def _answer_alone(model: Model, text: str) -> Answer:
    (encoded,) = model.encode([text])
    return _answer(model, encoded, [model.run([window])[0] for window in encoded.windows])


def _answer(model: Model, encoded: EncodedText, logits: Sequence[Logits]) -> Answer:
    if model.manifest.task == "entities":
        return [Span(each.start, each.end, each.label) for each in model.extract(encoded, logits)]
    given = [each.label for each in model.classify(encoded, logits) if each.is_given]
    if model.manifest.task == "multi-label":
        return frozenset(given)
    return given[0] if given else NOTHING


def _share(some: Sequence[Answer], others: Sequence[Answer]) -> float:
    """The share of texts that are answered otherwise."""
    return sum(a != b for a, b in zip(some, others, strict=True)) / len(some)
