"""Texts that hold all that text steps look for, at all the places where it hurts."""

from hypothesis import strategies as st

PIECES = [
    *(
        "e\u0301",
        "\u0301",
        "\u0327",
        "q\u0307\u0323",
        "\u1100\u1161\u11a8",
        "\u1161",
        "\u0958",
        "\u212b",
        "\u0f73",
    ),
    *("👩\u200d👩\u200d👧", "👍🏽", "🇵🇹", "\ufe0f", "\u200d"),
    *("שלום", "מ\u05bcה", "\u202bمرحبا\u202c", "\u200f"),
    *("\r\n", " ", "  ", "\t", "\n", "\u00a0", "\u2003", "\u2028", "\u0085", "\x1c", "\x0c"),
    *("\x00", "\x08", "\x7f", "\ufffd", "\ud800"),
    *(
        "&amp;",
        "&amp;amp;",
        "&",
        "amp;",
        "&lt;",
        "&gt;",
        "&#769;",
        "&#x41;",
        "&#12;",
        "&#0;",
        "&#894;",
        "&nbsp;",
    ),
    *("&amp;lt;b&amp;gt;", "&notit;", "&NotEqualTilde;", ";", "\u037e", "#", "lt"),
    *(
        "<b>",
        "</b>",
        "<br/>",
        "<",
        ">",
        "b",
        "<p class='x'>",
        '<a href="&quot;">',
        "<b and c>",
        "<scr<b>ipt>",
    ),
    *("Ada", "x", "5", "北京", "é", "."),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=()), max_size=12).map("".join)


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, int, int]:
    """A text that is not empty, and where a span of it begins and ends."""
    text = draw(TEXTS.filter(bool))
    start = draw(st.integers(0, len(text) - 1))
    return text, start, draw(st.integers(start + 1, len(text)))
