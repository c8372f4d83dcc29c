"""The gates that the owner of a model set for its promotion, held against what was measured. Pure.

What cannot be measured, such as a loss to a champion that does not answer, has failed: a gate that is not looked at is none. Only to a champion that
is not there yet nothing can be lost.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.train.spec import QualityGates
from shared.store.evaluation import UNITS, Comparison, QualityCheck, QualityGate, SplitEvaluation
from shared.store.manifest import METRICS, Task, VariantName

_POINTS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Served:
    """The variant that servers choose unless they are told otherwise: the fastest, as measured on the training machine."""

    variant: VariantName
    size_bytes: int  # of its graphs' files
    latency_ms: float  # of one text alone, the median, on one thread


def quality_checks(
    gates: QualityGates,
    task: Task,
    split: str,
    evaluations: Mapping[VariantName, SplitEvaluation],
    comparisons: Mapping[VariantName, Comparison],
    *,
    champion_failure: str,
    served: Served | None,
) -> tuple[QualityCheck, ...]:
    """Return a check for each gate that is set; of scores the worst of all variants counts, for any may serve.

    `evaluations` are of `split`, fp32's at least. `comparisons` are none where there is no champion yet, and nothing is lost then; or where it could not
    answer, which `champion_failure` tells. `served` may be None where no gate asks for size or latency.
    """
    metric = METRICS[task]
    checks: list[QualityCheck] = []
    if gates.least_metric is not None:
        variant = min(evaluations, key=lambda each: evaluations[each].metrics[metric])
        reached = evaluations[variant].metrics[metric]
        checks.append(
            _check(
                "metric",
                _POINTS * (gates.least_metric - reached),
                0,
                f"{split} {metric} {reached:.4f} below {gates.least_metric:.4f}, as {variant}",
            )
        )
    if gates.most_calibration_error is not None:
        checks.append(_calibration(gates.most_calibration_error, split, evaluations))
    if served is not None:
        checks += _costs(gates, served)
    return (*checks, *_losses(gates, metric, comparisons, champion_failure))


def _calibration(
    limit: float, split: str, evaluations: Mapping[VariantName, SplitEvaluation]
) -> QualityCheck:
    for variant, evaluation in evaluations.items():
        if not evaluation.reliability:
            return _unmeasured("calibration", limit, f"no row of {split} was answered, as {variant}")
    errors = {variant: evaluation.metrics["calibration_error"] for variant, evaluation in evaluations.items()}
    variant = max(errors, key=lambda each: errors[each])
    return _check("calibration", errors[variant], limit, f"calibration error on {split}, as {variant}")


def _costs(gates: QualityGates, served: Served) -> Iterator[QualityCheck]:
    which = f"{served.variant}, the fastest variant here"
    if gates.most_size_bytes is not None:
        yield _check("size", served.size_bytes, gates.most_size_bytes, f"files of {which}")
    if gates.most_latency_ms is not None:
        detail = f"one text alone as {which}, the median, on one thread"
        yield _check("latency", served.latency_ms, gates.most_latency_ms, detail)


def _losses(
    gates: QualityGates, metric: str, comparisons: Mapping[VariantName, Comparison], failure: str
) -> Iterator[QualityCheck]:
    limits: dict[QualityGate, float | None] = {
        "champion": gates.most_points_lost,
        "labels": gates.most_label_points_lost,
        "slices": gates.most_slice_points_lost,
    }
    for name, limit in limits.items():
        if limit is None:
            continue
        if failure:
            yield _unmeasured(name, limit, f"the champion could not be compared with: {failure}")
        elif not comparisons:
            yield _unmeasured(name, limit, "there is no champion yet", passed=True)
        elif name == "champion":
            worst = min(comparisons.values(), key=lambda each: each.gain)
            yield _check(
                name,
                0.0 - _POINTS * worst.gain,  # never -0.0
                limit,
                f"{metric} lost to {worst.champion} on {worst.row_count} rows of {worst.split}, as {worst.variant}"
                f" (95 % interval {-_POINTS * worst.high:z.2f} to {-_POINTS * worst.low:z.2f})",
            )
        else:
            yield _worst(name, limit, gates.fewest_rows, comparisons.values())


def _worst(
    name: QualityGate, limit: float, fewest_rows: int, comparisons: Iterable[Comparison]
) -> QualityCheck:
    changes = [
        (change, comparison)
        for comparison in comparisons
        for change in (comparison.labels if name == "labels" else comparison.slices)
        if change.row_count >= fewest_rows
    ]
    if not changes:
        return _unmeasured(name, limit, f"there are no {name} with rows enough to compare")
    worst, where = min(changes, key=lambda each: each[0].after - each[0].before)
    count = len({change.name for change, _ in changes})
    return _check(
        name,
        _POINTS * (worst.before - worst.after),
        limit,
        f"lost to {where.champion} on {worst.name!r} ({worst.row_count} rows of {where.split}), as {where.variant}: {worst.before:.4f} to"
        f" {worst.after:.4f}, the greatest loss of {count} {name}",
    )


def _check(name: QualityGate, measured: float, limit: float, detail: str) -> QualityCheck:
    return QualityCheck(
        name=name,
        passed=measured <= limit,
        measured=measured,
        limit=limit,
        unit=UNITS[name],
        detail=detail,
    )


def _unmeasured(name: QualityGate, limit: float, why: str, *, passed: bool = False) -> QualityCheck:
    return QualityCheck(name=name, passed=passed, measured=None, limit=limit, unit=UNITS[name], detail=why)
