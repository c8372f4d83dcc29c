"""The gate: an exported version, run by the code that will serve it, against the network that was trained.

Owns the list of checks and their limits. Nothing overrides it. What fails as fp32 rejects the version; another variant that fails
is left out of it. A graph that does not load or run is a failed check, never a
crash. The candidate is a manifest and its files: exactly what the inference service would load.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from services.train.trainer.corpus import Corpus
from services.train.trainer.memory import lacks_memory
from services.train.trainer.publishing import Candidate
from services.train.trainer.reference import Judgement, Reference
from services.train.trainer.trial import Measure, Trial
from services.train.trainer.twin import Twin
from shared.errors import TagsmithError
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.manifest import GateCheck, VariantName

MOST_LOGIT_DIFFERENCE: Final = 1e-4
MOST_SCORE_DIFFERENCE: Final = 1e-4  # a softmax moves no probability further than its logits move
# Of other variants, on validation.
MOST_POINTS_LOST: Final = 0.3  # of the task's metric, in hundredths
MOST_DECIDED_OTHERWISE: Final = 0.05  # share of texts
MOST_FLIPPED_BY_BATCHES: Final = 0.005  # share of texts; none would, if rounding did not meet rounding

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
        model = Model.load(candidate.manifest, Parts(candidate.open_file), Execution(threads=threads))
    except TagsmithError as error:
        if lacks_memory(error):
            raise
        return (_not_loaded("fp32", error),)
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


def gate_variants(
    reference: Reference,
    judgements: Sequence[Judgement],
    candidate: Candidate,
    corpus: Corpus,
    *,
    threads: int = 1,
) -> Iterator[GateCheck]:
    """Check the variants of a candidate whose fp32 one the gate has passed."""
    parts = Parts(candidate.open_file)
    fp32 = Model.load(candidate.manifest, parts, Execution(threads=threads))
    for variant in candidate.manifest.variants.keys() - {"fp32"}:
        try:
            model = Model.load(candidate.manifest, parts, Execution(variant, threads=threads))
        except TagsmithError as error:
            if lacks_memory(error):
                raise
            yield _not_loaded(variant, error)
            continue
        twin = Twin(reference.reader, corpus, judgements, fp32, model)
        yield _check(f"{variant}.metric", MOST_POINTS_LOST, twin.metric, variant)
        yield _check(f"{variant}.decisions", MOST_DECIDED_OTHERWISE, twin.decisions, variant)
        yield _check(f"{variant}.batching", MOST_FLIPPED_BY_BATCHES, twin.batching, variant)
        yield _check(f"{variant}.lengths", 0, twin.lengths, variant)


def _not_loaded(variant: VariantName, error: TagsmithError) -> GateCheck:
    return _check(f"{variant}.runs", 0, lambda: Measure(1, error.message), variant)


def _check(
    name: str, limit: float, measure: Callable[[], Measure], variant: VariantName = "fp32"
) -> GateCheck:
    try:
        taken = measure()
    except Exception as error:
        if lacks_memory(error):  # but for this, of which the version is innocent
            raise
        taken = Measure(_NOT_MEASURED, f"could not be measured: {type(error).__name__}")
    measured = taken.measured if math.isfinite(taken.measured) else _NOT_MEASURED
    return GateCheck(
        name=name,
        variant=variant,
        passed=measured <= limit,
        measured=measured,
        limit=limit,
        detail=taken.detail,
    )
