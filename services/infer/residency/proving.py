"""Whether an execution that the trainer's gate has never run may serve a version: it is held to the one that the gate has.

The gate runs the CPU provider. Another provider, or bf16, computes otherwise, and not alike on two machines, so that each server
finds out for itself, over the version's golden texts: alone and in mixed batches, a window of full length among them.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Final

import numpy as np

from shared.errors import ModelNotLoadableError
from shared.runtime.classification import Logits
from shared.runtime.execution import Precision
from shared.runtime.model import Decision, EncodedText, Model
from shared.runtime.windows import Window

# Shares of a window's largest logit. bf16 keeps 8 bits: one rounding moves a number by up to 0.4 %, and the roundings of a network's
# layers come out at 1 % where they are largest (MiniLM, classifiers and extractors); a wrong graph is off by tens.
MOST_DIFFERENT: Final[dict[Precision, float]] = {"fp32": 1e-3, "bf16": 3e-2}
# Its sums fall otherwise in a batch of another shape: one rounding more or less, measured at 0.5 %.
MOST_MOVED: Final[dict[Precision, float]] = {"fp32": 1e-3, "bf16": 1.5e-2}

_BATCH_SIZES: Final = (2, 7)


def prove(model: Model, reference: Model) -> None:
    """Hold `model` to `reference`, the version's fp32 graphs on the CPU provider. Raises ModelNotLoadableError."""
    examples = [example.text for example in model.manifest.golden_examples]
    if not examples:
        raise _unproved(model, "it has no golden examples to prove itself by")
    texts = model.encode(examples)
    windows = [window for text in texts for window in text.windows]
    (long,) = model.encode([" ".join(examples)])
    windows.append(long.windows[0])
    expected, alone = _run(reference, windows, (1,)), _run(model, windows, (1,))
    mixed = _run(model, windows, _BATCH_SIZES)
    decisions = _decisions(reference, texts, expected)
    if not decisions == _decisions(model, texts, alone) == _decisions(model, texts, mixed):
        raise _unproved(model, "it decides golden texts otherwise than fp32 on the CPU provider")
    precision = model.execution.precision
    _check(model, "to fp32 on the CPU provider", alone, expected, MOST_DIFFERENT[precision])
    _check(model, "among batch-mates", mixed, alone, MOST_MOVED[precision])


def _run(model: Model, windows: Sequence[Window], sizes: Sequence[int]) -> list[Logits]:
    """Compute windows in a drawn order, the same one each time, in batches of these sizes by turns."""
    order = np.random.default_rng(0).permutation(len(windows)).tolist()
    results: dict[int, Logits] = {}
    for size in cycle(sizes):
        drawn, order = order[:size], order[size:]
        results.update(zip(drawn, model.run([windows[i] for i in drawn]), strict=True))
        if not order:
            break
    return [results[i] for i in range(len(windows))]


def _decisions(model: Model, texts: Sequence[EncodedText], logits: Sequence[Logits]) -> list[Decision]:
    of_windows = iter(logits)
    return [model.decide(text, [next(of_windows) for _ in text.windows]) for text in texts]


def _check(model: Model, what: str, some: Sequence[Logits], others: Sequence[Logits], limit: float) -> None:
    furthest = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(some, others, strict=True))
    if not furthest <= limit:  # so that a NaN fails
        raise _unproved(
            model, f"its logits differ {what} by {furthest:.1e} of the largest, allowed are {limit:.1e}"
        )


def _unproved(model: Model, cause: str) -> ModelNotLoadableError:
    version = str(model.manifest.version)
    return ModelNotLoadableError(
        f"{version} cannot be run as {model.execution.precision} on {model.execution.provider}: {cause}",
        model_version=version,
        cause=cause,
    )
