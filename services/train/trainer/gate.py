"""The gate: an exported version, run by the code that will serve it, against the network that was trained.

Owns the list of checks and their limits. Nothing overrides it. A graph that does not load or run is a failed check, never a
crash. The candidate is a manifest and its files: exactly what the inference service would load.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from services.train.trainer.publishing import Candidate
from services.train.trainer.reference import Judgement, Reference
from services.train.trainer.trial import Measure, Trial
from shared.errors import TagsmithError
from shared.runtime.model import Model
from shared.store.manifest import GateCheck

MOST_LOGIT_DIFFERENCE: Final = 1e-4
MOST_SCORE_DIFFERENCE: Final = 1e-4  # a softmax moves no probability further than its logits move

_NOT_MEASURED = 1e9  # stands for what could not be measured: manifests hold finite numbers


def gate(
    reference: Reference,
    judgements: Sequence[Judgement],
    candidate: Candidate,
    *,
    threads: int = 1,
) -> tuple[GateCheck, ...]:
    """Check `candidate`. `judgements` are the reference's, of all validation texts; `threads` run each graph."""
    try:
        model = Model.load(candidate.manifest, candidate.open_file, threads=threads)
    except TagsmithError as error:
        return (GateCheck(name="fp32.runs", passed=False, measured=1, limit=0, detail=error.message),)
    trial = Trial(reference, judgements, candidate, model)
    measures: list[tuple[str, float, Callable[[], Measure]]] = [
        ("fp32.runs", 0, lambda: Measure(0, "it loads and answers a short text")),
        ("tokenizer", 0, trial.tokenizer),
        ("fp32.logits", MOST_LOGIT_DIFFERENCE, trial.logits),
        ("finite", 0, trial.finite),
        ("fp32.decisions", 0, trial.decisions),
        ("fp32.vocabulary", 0, trial.vocabulary),
        ("fp32.padding", MOST_LOGIT_DIFFERENCE, trial.padding),
        ("fp32.batching", MOST_LOGIT_DIFFERENCE, trial.batching),
        ("fp32.lengths", MOST_LOGIT_DIFFERENCE, trial.lengths),
        ("fp32.label_order", 0, trial.label_order),
    ]
    if candidate.manifest.task != "entities":
        measures.append(("fp32.scores", MOST_SCORE_DIFFERENCE, trial.scores))
    return tuple(_check(*each) for each in measures)


def _check(name: str, limit: float, measure: Callable[[], Measure]) -> GateCheck:
    try:
        taken = measure()
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no closer class; whatever it is, the version failed
        taken = Measure(_NOT_MEASURED, f"could not be measured: {type(error).__name__}")
    measured = taken.measured if math.isfinite(taken.measured) else _NOT_MEASURED
    return GateCheck(name=name, passed=measured <= limit, measured=measured, limit=limit, detail=taken.detail)
