"""Small plots as SVG: axes, bars, points. Made with the standard library's XML writer, which escapes what users wrote.

Each is an image with a title and a description, for those who cannot see it; the figures stand in a table beside it. Colours come
from the page, by class. Units are pixels at the natural size; y grows downwards.
"""

from typing import Final
from xml.etree import ElementTree

from markupsafe import Markup

from shared.cards.markup import one_line

_LONGEST_NAME: Final = 32  # characters of a label beside a bar, which take about NAME_WIDTH pixels
NAME_WIDTH: Final = 220


def shortened(text: str) -> str:
    """Return as much of a name as there is room for."""
    name = one_line(text)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


class Drawing:
    """An SVG that is being drawn."""

    def __init__(self, name: str, title: str, description: str, *, width: int, height: int) -> None:
        """`name` is unique on the page; title and description are for people who cannot see the plot."""
        self.width, self.height = width, height
        self._svg = ElementTree.Element(
            "svg",
            {
                "viewBox": f"0 0 {width} {height}",
                "width": str(width),
                "height": str(height),
                "role": "img",
                "aria-labelledby": f"{name}-title {name}-description",
            },
        )
        for kind, text, tag in (("title", title, "title"), ("description", description, "desc")):
            ElementTree.SubElement(self._svg, tag, {"id": f"{name}-{kind}"}).text = one_line(text)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a line of a class of the page."""
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a filled rectangle."""
        self._add("rect", kind, x=x, y=y, width=width, height=height)

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        """Draw a point."""
        self._add("circle", kind, cx=x, cy=y, r=radius)

    def text(self, x: float, y: float, text: str, kind: str) -> None:
        """Write; `kind` says by its class where the text is anchored."""
        self._add("text", kind, x=x, y=y).text = one_line(text)

    def share_axis(self, left: float, right: float, bottom: float, top: float) -> None:
        """Draw an axis from 0 to 1 along the bottom, with a thin line up at every quarter."""
        for quarter in range(5):
            x = left + (right - left) * quarter / 4
            self.line(x, bottom, x, top, "grid")
            self.text(x, bottom + 14, f"{quarter / 4:g}", "middle")

    def markup(self) -> Markup:
        """Return it for a page."""
        return Markup(ElementTree.tostring(self._svg, encoding="unicode"))  # noqa: S704  # the writer escaped it

    def _add(self, tag: str, kind: str, **numbers: float) -> ElementTree.Element:
        attributes = {name: f"{number:.2f}".rstrip("0").rstrip(".") for name, number in numbers.items()}
        return ElementTree.SubElement(self._svg, tag, {"class": kind, **attributes})
