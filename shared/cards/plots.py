"""The plots of a report: reliability, confused labels, slices with their intervals, scores by label.

A plot shows what can be read off it: the worst labels, the most confused pairs; the tables beside it have the rest.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from shared.cards.drawing import NAME_WIDTH, Drawing, shortened
from shared.cards.facts import Column, Facts
from shared.store.evaluation import CurvePoint

MOST_BARS: Final = 30  # of a plot

_ROW: Final = 20
_NAMES: Final = NAME_WIDTH + 10  # width of the names' column
_PAIRS: Final = 2 * NAME_WIDTH + 30
_BARS: Final = 320
_AFTER: Final = 60  # for the figure behind a bar
_CURVE: Final = 560  # width of the training curve
_SIDE: Final = 300  # of the reliability diagram's square


def reliability_plot(facts: Facts) -> Markup | None:
    """Draw the share of right answers over their score; on the diagonal scores mean what they say."""
    bins = facts.evaluation.reliability if facts.evaluation else ()
    if not bins:
        return None
    left, top = 44, 10
    drawing = Drawing(
        "reliability",
        "Reliability diagram",
        f"{len(bins)} points, one for each range of scores; the table below has their figures.",
        width=left + _SIDE + 20,
        height=top + _SIDE + 40,
    )
    bottom, right = top + _SIDE, left + _SIDE
    drawing.share_axis(left, right, bottom, top)
    for quarter in range(5):
        y = bottom - _SIDE * quarter / 4
        drawing.line(left, y, right, y, "grid")
        drawing.text(left - 6, y + 4, f"{quarter / 4:g}", "end")
    drawing.line(left, bottom, right, top, "ideal")
    most = max(each.count for each in bins)
    points = [
        (left + _SIDE * each.mean_score, bottom - _SIDE * each.share_right, each.count) for each in bins
    ]
    for (x1, y1, _), (x2, y2, _) in pairwise(points):
        drawing.line(x1, y1, x2, y2, "curve")
    for x, y, count in points:
        drawing.circle(x, y, 3 + 7 * math.sqrt(count / most), "point")
    drawing.text(left + _SIDE / 2, bottom + 32, "score of the answer", "middle")
    return drawing.markup()


def curve_plot(points: Sequence[CurvePoint]) -> Markup | None:
    """Draw the metric at every look at validation while the weights learnt."""
    if not points:
        return None
    left, top, height = 44, 10, 160
    drawing = Drawing(
        "curve",
        "Training curve",
        f"{len(points)} points, one for each look at validation; the table below has their figures.",
        width=left + _CURVE + 20,
        height=top + height + 40,
    )
    bottom, steps = top + height, points[-1].step
    for quarter in range(5):
        y = bottom - height * quarter / 4
        drawing.line(left, y, left + _CURVE, y, "grid")
        drawing.text(left - 6, y + 4, f"{quarter / 4:g}", "end")
    places = [(left + _CURVE * each.step / steps, bottom - height * each.metric) for each in points]
    for (x1, y1), (x2, y2) in pairwise(places):
        drawing.line(x1, y1, x2, y2, "curve")
    for x, y in places:
        drawing.circle(x, y, 2.5, "point")
    drawing.text(left + _CURVE, bottom + 16, f"{steps} steps", "end")
    return drawing.markup()


def labels_plot(facts: Facts) -> Markup | None:
    """Draw the F1 of the labels that are answered worst."""
    worst = [each for each in facts.labels if each.scores.support][:MOST_BARS]
    if not worst:
        return None
    rows = _Rows("labels", "F1 by label, the worst first", len(worst))
    rows.add_share_axis()
    for number, (label, scores, _) in enumerate(worst):
        rows.add_bar(number, shortened(label), scores.f1, f"{scores.f1:.3f}")
    return rows.drawing.markup()


def confusions_plot(facts: Facts) -> Markup | None:
    """Draw how many rows the most confused pairs of labels have."""
    pairs = facts.confusions[:MOST_BARS]
    if not pairs:
        return None
    rows = _Rows("confusions", "Rows of the most confused pairs of labels", len(pairs), left=_PAIRS)
    for number, pair in enumerate(pairs):
        name = f"{shortened(pair.true)} → {shortened(pair.answered or 'no answer')}"
        rows.add_bar(number, name, pair.row_count / pairs[0].row_count, str(pair.row_count))
    return rows.drawing.markup()


def column_plot(column: Column, number: int) -> Markup:
    """Draw the metric of the values of a column with their 95 % intervals; `number` tells columns apart."""
    shown = column.slices[:MOST_BARS]
    rows = _Rows(f"column-{number}", f"Scores by {column.name}, with 95 % intervals", len(shown))
    rows.add_share_axis()
    for row, each in enumerate(shown):
        rows.add_interval(row, shortened(each.value), each.metric, (each.low, each.high))
    return rows.drawing.markup()


class _Rows:
    """A plot of one row under the other: a name, a bar or a point from 0 to 1, and its figure."""

    def __init__(self, name: str, title: str, count: int, *, left: int = _NAMES) -> None:
        """`left` is where bars begin."""
        self._count, self._left = count, left
        self.drawing = Drawing(
            name,
            title,
            f"{count} rows; the table below has their figures.",
            width=left + _BARS + _AFTER,
            height=count * _ROW + 28,
        )

    def add_share_axis(self) -> None:
        """Draw the scale."""
        self.drawing.share_axis(self._left, self._left + _BARS, self._count * _ROW + 8, 4)

    def add_bar(self, row: int, name: str, share: float, figure: str) -> None:
        """Draw a bar of `share` of the width, at least a hair."""
        y = self._name(row, name, figure)
        self.drawing.rectangle(self._left, y - 6, max(_BARS * share, 1), 12, "bar")

    def add_interval(self, row: int, name: str, value: float, interval: tuple[float, float]) -> None:
        """Draw a point and the interval around it."""
        y = self._name(row, name, f"{value:.3f}")
        low, high = (self._left + _BARS * end for end in interval)
        self.drawing.line(low, y, high, y, "interval")
        self.drawing.circle(self._left + _BARS * value, y, 4, "point")

    def _name(self, row: int, name: str, figure: str) -> float:
        """Write what stands before and behind; return the height of the row's middle."""
        y = 6 + row * _ROW + _ROW / 2
        self.drawing.text(self._left - 8, y + 4, name, "end")
        self.drawing.text(self._left + _BARS + 8, y + 4, figure, "start")
        return y
