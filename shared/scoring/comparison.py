"""Two versions on the same rows: what one gains over the other in all, and what it gives up on a label or a slice."""

from collections.abc import Iterator, Mapping

from shared.scoring.intervals import difference
from shared.scoring.outcomes import Outcomes
from shared.store.evaluation import Change, Comparison, SplitEvaluation
from shared.store.manifest import VariantName


def compare(
    champion: str,
    split: str,
    *,
    before: tuple[SplitEvaluation, Outcomes],
    after: tuple[SplitEvaluation, Outcomes],
    variant: VariantName = "fp32",
) -> Comparison:
    """Compare the challenger (`after`), which answered as `variant`, with the champion (`before`), both answered on the rows of `split`."""
    (was, was_of_rows), (now, now_of_rows) = before, after
    gain, low, high = difference(now_of_rows, was_of_rows)
    return Comparison(
        champion=champion,
        variant=variant,
        split=split,
        row_count=now.row_count,
        gain=gain,
        low=low,
        high=high,
        labels=label_changes(was, now),
        slices=slice_changes(was, now),
    )


def label_changes(before: SplitEvaluation, after: SplitEvaluation) -> tuple[Change, ...]:
    """Return how the F1 of each label changed that the rows have, the greatest loss first."""
    return tuple(_changes(_label_scores(before), _label_scores(after)))


def slice_changes(before: SplitEvaluation, after: SplitEvaluation) -> tuple[Change, ...]:
    """Return how the metric of each slice changed, the greatest loss first."""
    return tuple(_changes(_slice_scores(before), _slice_scores(after)))


def _label_scores(evaluation: SplitEvaluation) -> dict[str, tuple[int, float]]:
    return {label: (scores.support, scores.f1) for label, scores in evaluation.per_label.items()}


def _slice_scores(evaluation: SplitEvaluation) -> dict[str, tuple[int, float]]:
    return {f"{each.column}={each.value}": (each.row_count, each.metric) for each in evaluation.slices}


def _changes(
    before: Mapping[str, tuple[int, float]], after: Mapping[str, tuple[int, float]]
) -> Iterator[Change]:
    """Yield what both were scored on, the greatest loss first."""
    shared = [name for name in after if name in before and after[name][0]]
    for name in sorted(shared, key=lambda each: after[each][1] - before[each][1]):
        yield Change(name=name, row_count=after[name][0], before=before[name][1], after=after[name][1])
