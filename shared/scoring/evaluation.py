"""The whole evaluation of a split, from its rows and the answers that they got.

The trainer calls it with what `shared.runtime` answers, `tagsmith eval` with what came over the wire: equal answers give equal figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.data.rows import Row
from shared.runtime.classification import LabelScore
from shared.runtime.entities import EntitySpan
from shared.scoring.calibration import calibration_error, reliability, without_temperature
from shared.scoring.intervals import interval
from shared.scoring.labels import NOTHING, score_classification, score_multi_label
from shared.scoring.outcomes import Outcomes, outcomes
from shared.scoring.overlaps import overlap_f1s
from shared.scoring.slices import slice_scores
from shared.scoring.spans import Surface, score_entities
from shared.store.evaluation import RowError, SplitEvaluation

_BEFORE: Final = "calibration_error_before"
MOST_ERRORS: Final = 200  # that an evaluation names; its figures count them all


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one split and the answers to their texts; answer i belongs to row i."""

    name: str
    rows: Sequence[Row]
    labels: Sequence[str]  # the model's

    def row_name(self, number: int) -> str:
        """Name a row, counted from 0, as reports do."""
        row = self.rows[number]
        return row.id or row.where or f"{self.name}:{number + 1}"


Answer = Sequence[LabelScore] | Sequence[EntitySpan]
Mention = tuple[int, int, str]


def outcomes_of(rows: Sequence[Row], answers: Sequence[Answer]) -> Outcomes:
    """Return how each row was answered; answer i belongs to row i. No answer where one label is wanted is a wrong one."""
    return outcomes(
        [wanted(row) for row in rows],
        [
            _given(answer) or ({NOTHING} if row.label is not None else set())
            for row, answer in zip(rows, answers, strict=True)
        ],
    )


def wanted(row: Row) -> set[str | Mention]:
    """Return what a row should be answered with: its labels, or its mentions."""
    if row.entities is not None:
        return {(span.start, span.end, span.label) for span in row.entities}
    return set(row.labels)


def _given(answer: Answer) -> set[str | Mention]:
    return {
        (each.start, each.end, each.label) if isinstance(each, EntitySpan) else each.label
        for each in answer
        if isinstance(each, EntitySpan) or each.is_given
    }


def evaluate_classification(
    split: Split,
    answers: Sequence[Sequence[LabelScore]],
    out_of_scope: Sequence[Sequence[LabelScore]] = (),
    *,
    temperature: float | None = None,
) -> SplitEvaluation:
    """Evaluate the best label of every row; `out_of_scope` are the answers to texts that belong to no label.

    With the `temperature` that they were made with, answers have all labels, and what it is worth is told.
    """
    true = [row.label or NOTHING for row in split.rows]
    answered = [_given_label(each) for each in answers]
    scores = score_classification(true, answered, split.labels)
    if out_of_scope or NOTHING in answered:
        scores.metrics["answered"] = sum(each != NOTHING for each in answered) / max(1, len(answered))
        best = [answer[0].label == label for answer, label in zip(answers, true, strict=True)]
        scores.metrics["best_label_accuracy"] = sum(best) / max(1, len(best))
    if out_of_scope:
        refused = sum(_given_label(each) == NOTHING for each in out_of_scope)
        scores.metrics["out_of_scope_recall"] = refused / len(out_of_scope)
    if temperature is not None:
        sure = without_temperature(_scores_of(answers), temperature, several=False).max(axis=1)
        right = [answer[0].label == label for answer, label in zip(answers, true, strict=True)]
        scores.metrics[_BEFORE] = calibration_error(reliability(sure, np.array(right)))
    return _completed(
        split,
        scores.model_copy(update={"out_of_scope_count": len(out_of_scope)}),
        outcomes_of(split.rows, answers),
        answer_scores=[each[0].score for each in answers],
        answers_right=[each[0].label == label for each, label in zip(answers, true, strict=True)],
        errors=[
            RowError(
                row=split.row_name(i), true=(true[i],), answered=(answered[i],), score=answers[i][0].score
            )
            for i in range(len(true))
            if true[i] != answered[i]
        ],
    )


def evaluate_multi_label(
    split: Split, answers: Sequence[Sequence[LabelScore]], *, temperature: float | None = None
) -> SplitEvaluation:
    """Evaluate the labels given to every row; `answers` have all labels, made with `temperature` if that is told."""
    true = [row.labels for row in split.rows]
    given = [[each.label for each in answer if each.is_given] for answer in answers]
    pairs = [
        (each.score, each.label in labels)
        for labels, answer in zip(true, answers, strict=True)
        for each in answer
    ]
    scores = score_multi_label(true, given, split.labels)
    if temperature is not None:
        sure = without_temperature(_scores_of(answers), temperature, several=True)
        right = np.array([right for _, right in pairs])
        scores.metrics[_BEFORE] = calibration_error(reliability(sure.ravel(), right))
    return _completed(
        split,
        scores,
        outcomes_of(split.rows, answers),
        answer_scores=[score for score, _ in pairs],
        answers_right=[right for _, right in pairs],
        errors=[
            RowError(
                row=split.row_name(i),
                true=tuple(sorted(true[i])),
                answered=tuple(sorted(given[i])),
                score=max((each.score for each in answers[i]), default=0.0),
            )
            for i in range(len(true))
            if set(true[i]) != set(given[i])
        ],
    )


def evaluate_entities(
    split: Split, answers: Sequence[Sequence[EntitySpan]], seen: set[Surface] | None
) -> SplitEvaluation:
    """Evaluate the spans of every row; `seen` are the train split's surfaces, None: nobody knows them."""
    true = [row.entities or () for row in split.rows]
    texts = [row.text for row in split.rows]
    scores = score_entities(true, answers, split.labels, seen or set(), texts)
    if seen is None:
        scores.metrics.pop("unseen_span_recall", None)
    scores.metrics.update(overlap_f1s(true, answers))
    wanted = [{(span.start, span.end, span.label) for span in spans} for spans in true]
    given = [{(span.start, span.end, span.label): span.score for span in spans} for spans in answers]
    pairs = [
        (score, span in of_row)
        for of_row, spans in zip(wanted, given, strict=True)
        for span, score in spans.items()
    ]
    return _completed(
        split,
        scores,
        outcomes_of(split.rows, answers),
        answer_scores=[score for score, _ in pairs],
        answers_right=[right for _, right in pairs],
        errors=[
            RowError(
                row=split.row_name(i),
                true=_described(wanted[i] - given[i].keys()),
                answered=_described(given[i].keys() - wanted[i]),
                score=max((given[i][span] for span in given[i].keys() - wanted[i]), default=0.0),
            )
            for i in range(len(true))
            if wanted[i] != given[i].keys()
        ],
    )


def _completed(
    split: Split,
    scores: SplitEvaluation,
    of_rows: Outcomes,
    *,
    answer_scores: Sequence[float],
    answers_right: Sequence[bool],
    errors: Sequence[RowError],
) -> SplitEvaluation:
    """Add what is made alike for all tasks."""
    bins = reliability(np.array(answer_scores, dtype=np.float64), np.array(answers_right, dtype=np.bool_))
    surest = sorted(errors, key=lambda error: -error.score)[:MOST_ERRORS]
    return scores.model_copy(
        update={
            "metrics": {**scores.metrics, "calibration_error": calibration_error(bins)},
            "interval": interval(of_rows),
            "reliability": bins,
            "slices": slice_scores(of_rows, [dict(row.columns) for row in split.rows]),
            "errors": tuple(surest),
        }
    )


def _scores_of(answers: Sequence[Sequence[LabelScore]]) -> npt.NDArray[np.float64]:
    return np.array([[each.score for each in answer] for answer in answers])


def _given_label(answer: Sequence[LabelScore]) -> str:
    return answer[0].label if answer[0].is_given else NOTHING


def _described(spans: set[tuple[int, int, str]]) -> tuple[str, ...]:
    return tuple(f"{label} [{start}, {end})" for start, end, label in sorted(spans))
