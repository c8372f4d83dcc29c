"""The plots of a report: reliability, confused labels, slices with their intervals, scores by label.

A plot shows what can be read off it: the worst labels, the most confused pairs; the tables beside it have the rest.
"""

import math
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from shared.cards.drawing import Drawing
from shared.cards.facts import Column, Facts

MOST_BARS: Final = 30  # of a plot

_ROW: Final = 20
_NAMES: Final = 230  # width of the labels' column
_BARS: Final = 320
_AFTER: Final = 60  # for the figure behind a bar
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


def labels_plot(facts: Facts) -> Markup | None:
    """Draw the F1 of the labels that are answered worst."""
    worst = [each for each in facts.labels if each.scores.support][:MOST_BARS]
    if not worst:
        return None
    drawing = _bars("labels", "F1 by label, the worst first", len(worst))
    for number, (label, scores, _) in enumerate(worst):
        _bar(drawing, number, label, scores.f1, f"{scores.f1:.3f}")
    return drawing.markup()


def confusions_plot(facts: Facts) -> Markup | None:
    """Draw how many rows the most confused pairs of labels have."""
    pairs = facts.confusions[:MOST_BARS]
    if not pairs:
        return None
    drawing = _bars("confusions", "Rows of the most confused pairs of labels", len(pairs), axis=False)
    for number, pair in enumerate(pairs):
        name = f"{pair.true} → {pair.answered or 'no answer'}"
        _bar(drawing, number, name, pair.row_count / pairs[0].row_count, str(pair.row_count))
    return drawing.markup()


def column_plot(column: Column, number: int) -> Markup:
    """Draw the metric of the values of a column with their 95 % intervals; `number` tells columns apart."""
    shown = column.slices[:MOST_BARS]
    drawing = _bars(f"column-{number}", f"Scores by {column.name}, with 95 % intervals", len(shown))
    for row, each in enumerate(shown):
        y = _middle(row)
        drawing.name(_NAMES - 8, y + 4, each.value)
        drawing.line(_NAMES + _BARS * each.low, y, _NAMES + _BARS * each.high, y, "interval")
        drawing.circle(_NAMES + _BARS * each.metric, y, 4, "point")
        drawing.text(_NAMES + _BARS + 8, y + 4, f"{each.metric:.3f}", "start")
    return drawing.markup()


def _bars(name: str, title: str, count: int, *, axis: bool = True) -> Drawing:
    height = count * _ROW + 28
    drawing = Drawing(
        name,
        title,
        f"{count} rows; the table below has their figures.",
        width=_NAMES + _BARS + _AFTER,
        height=height,
    )
    if axis:
        drawing.share_axis(_NAMES, _NAMES + _BARS, count * _ROW + 8, 4)
    return drawing


def _bar(drawing: Drawing, row: int, name: str, share: float, figure: str) -> None:
    y = _middle(row)
    drawing.name(_NAMES - 8, y + 4, name)
    drawing.rectangle(_NAMES, y - 6, max(_BARS * share, 1), 12, "bar")
    drawing.text(_NAMES + _BARS + 8, y + 4, figure, "start")


def _middle(row: int) -> float:
    return 6 + row * _ROW + _ROW / 2
