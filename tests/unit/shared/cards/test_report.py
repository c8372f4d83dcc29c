"""Reports: one file, for every reader, with plots that are true to the figures."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from shared.cards.markup import one_line
from shared.cards.report import write_report
from shared.store.manifest import Task
from tests.unit.shared.cards.test_card import HOSTILE, TASKS
from tests.unit.shared.cards.versions import SECRET, version

OUR_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "ul", "li", "strong"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("svg", "desc", "line", "rect", "circle", "text"),
}


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.texts.append(data)


def plots(page: str) -> dict[str, ElementTree.Element]:
    """The page's plots by the id of their title."""
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    found = [ElementTree.fromstring(svg) for svg in drawn]  # noqa: S314 - our own
    return {svg[0].attrib["id"].removesuffix("-title"): svg for svg in found}


@pytest.mark.parametrize("task", TASKS)
def test_a_report_is_whole_in_itself(task: Task, tmp_path: Path) -> None:
    """It has no script, no event, no link, and nothing that is loaded from elsewhere."""
    page = write_report(version(tmp_path, task))
    tags = Page(page).tags
    assert {tag for tag, _ in tags} <= OUR_TAGS
    attributes = {name for _, attributes in tags for name in attributes}
    assert not {name for name in attributes if name.startswith("on")} | attributes & {"src", "href", "style"}
    assert not re.search(r"url\(|@import|https?:", page)


def test_what_users_wrote_is_text_whatever_it_holds(tmp_path: Path) -> None:
    """Hostile label names make no tag and stand in the table as they were written."""
    page = Page(write_report(version(tmp_path, labels=HOSTILE)))
    assert {tag for tag, _ in page.tags} <= OUR_TAGS
    assert {one_line(label) for label in HOSTILE} <= set(page.texts)


@pytest.mark.parametrize("task", TASKS)
def test_every_plot_can_be_read_without_seeing_it(task: Task, tmp_path: Path) -> None:
    """Each plot is an image with a title and a description of its own; each table has a caption and headings."""
    page = write_report(version(tmp_path, task))
    found = plots(page)
    assert {"reliability", "labels", "column-0", "column-1"} <= found.keys()
    assert ("confusions" in found) is (task == "classification")
    for name, svg in found.items():
        assert svg.attrib["role"] == "img"
        assert svg.attrib["aria-labelledby"].split() == [f"{name}-title", f"{name}-description"]
        assert [part.attrib["id"] for part in svg[:2]] == svg.attrib["aria-labelledby"].split()
        assert all(part.text for part in svg[:2])
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        assert "<caption>" in table
        assert 'scope="' in table


def test_plots_are_true_to_the_figures(tmp_path: Path) -> None:
    """Points lie where their figures say, on a scale from 0 to 1, and a confused pair's bar is as long as its rows."""
    found = plots(write_report(version(tmp_path)))

    def numbers(name: str, tag: str, kind: str, *attributes: str) -> list[tuple[float, ...]]:
        shapes = [each for each in found[name].iter(tag) if each.attrib["class"] == kind]
        return [tuple(float(shape.attrib[a]) for a in attributes) for shape in shapes]

    ((left, bottom, right, top),) = numbers("reliability", "line", "ideal", "x1", "y1", "x2", "y2")
    points = numbers("reliability", "circle", "point", "cx", "cy")
    placed = [((x - left) / (right - left), (bottom - y) / (bottom - top)) for x, y in points]
    assert placed == [pytest.approx((0.5, 0.25)), pytest.approx((0.9, 1.0))]
    grid = [x for (x,) in numbers("column-0", "line", "grid", "x1")]
    scale = [
        tuple((x - grid[0]) / (grid[-1] - grid[0]) for x in line)
        for line in numbers("column-0", "line", "interval", "x1", "x2")
    ]
    assert scale == [pytest.approx((0.6, 0.8)), pytest.approx((0.9, 1.0))]
    widths = [width for (width,) in numbers("confusions", "rect", "bar", "width")]
    assert [width / widths[0] for width in widths] == pytest.approx([1, 0.5, 0.5, 0.5], abs=0.01)


def test_few_labels_show_the_whole_matrix_and_many_the_worst_pairs(tmp_path: Path) -> None:
    """Three labels have a grid with a column for no answer; 150 have the largest pairs, in far less than a megabyte."""
    small = write_report(version(tmp_path / "small"))
    assert '<th scope="row">b</th><td class="number heat0">0</td><td class="number heat3">2</td>' in small
    labels = [f"a rather long label of a team, number {number}" for number in range(150)]
    large = write_report(version(tmp_path / "large", labels=labels))
    assert "Rows of each label (down)" not in large
    assert f"50 of {150 * 149 // 2 + 1}" in large
    assert len(large.encode()) < 200_000
    assert all(label in large for label in labels)


@pytest.mark.parametrize("task", TASKS)
def test_users_texts_stand_in_a_report_only_if_asked_for(task: Task, tmp_path: Path) -> None:
    """Golden examples are left out, unless the caller wants them."""
    manifest = version(tmp_path, task)
    assert SECRET not in write_report(manifest)
    assert SECRET in write_report(manifest, with_texts=True)


def test_a_version_without_scores_has_a_report(tmp_path: Path) -> None:
    """One that its gate refused says so, and has no plot but that of its training."""
    nothing = version(tmp_path).model_copy(update={"evaluations": {}, "state": "rejected"})
    page = write_report(nothing)
    assert "The manifest has no metrics of it." in page
    assert plots(page).keys() == {"curve"}
    assert plots(write_report(nothing.model_copy(update={"training_curve": ()}))) == {}


def test_a_report_shows_training_search_and_what_was_lost(tmp_path: Path) -> None:
    """The curve's points rise as the metric does; trials, both comparisons and the owner's gates stand in tables."""
    manifest = version(tmp_path)
    page = write_report(manifest)
    points = [each for each in plots(page)["curve"] if each.attrib.get("class") == "point"]
    heights = [float(point.attrib["cy"]) for point in points]
    assert len(points) == len(manifest.training_curve)
    assert heights == sorted(heights, reverse=True)
    texts = " ".join(Page(page).texts)
    for told in (
        "dropout 0.3125",
        "pruned",
        "-3.12 points of accuracy to m@3 on 120 rows of test, as fp32, 95 % interval -6.25 to +1.56: it may be chance.",
        "to m@4",
        "language=de",
        "5.5 points 2 points lost on 'language=de'",
        "not measured 2 points there are no labels",
    ):
        assert told in texts
