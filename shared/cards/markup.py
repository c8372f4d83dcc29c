"""How what users wrote (labels, columns, names of rows) gets into Markdown and HTML: as text, whatever it holds.

Every expression of a template is escaped, by the kind of file that it makes; only what was made here as markup is not.
"""

import re
from collections.abc import Callable
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shared.store.evaluation import figure, signed_points

_TAGS: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What Markdown takes for its own within a line; templates see to it that no value begins one.
_MARKDOWN: Final = re.compile(
    r"[\\`*\[\]|~$]"  # code, emphasis, links, columns, strikes, formulas
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, which is none within a word
    r"|:(?=//|[a-z0-9_+-]*[a-z_+-]:)|(?<=www)\.|(?<!\w)@"  # links and mentions without brackets, named emoji
)
_INVISIBLE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def one_line(value: object) -> str:
    """Return what `value` prints, on one line: control characters and turns of writing direction are spaces."""
    return _INVISIBLE.sub(" ", str(value)).strip()


def markdown_text(value: object) -> Markup:
    """Return `value` as text within a Markdown line or table cell: it makes no link, tag, emphasis or column."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", one_line(value))
    return Markup("".join(_TAGS.get(character, character) for character in escaped))  # noqa: S704  # escaped here


def _as_markdown(value: object) -> Markup:
    return value if isinstance(value, Markup) else markdown_text(value)


def _as_html(value: object) -> object:
    return value if isinstance(value, Markup) else one_line(value)  # autoescape does the rest


def markdown_templates() -> Environment:
    """Return the templates, for Markdown."""
    return _templates(_as_markdown)


def html_templates() -> Environment:
    """Return the templates, for HTML."""
    return _templates(_as_html)


def _templates(finalize: Callable[[object], object]) -> Environment:
    environment = Environment(
        loader=PackageLoader("shared.cards"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"figure": figure, "points": signed_points}
    return environment
