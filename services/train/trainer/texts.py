"""How a corpus reads to the tokenizer that its model will have: lengths, what the vocabulary lacks, languages, dirt.

Findings name rows and never hold their text.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.train.plan import TextFacts
from shared.data.inspection.findings import Finding, Kind, Placed, places
from shared.errors import DatasetInvalidError, Problem
from shared.runtime.reader import EncodedText

MOST_UNKNOWN: Final = 0.5  # share of tokens: of more, nothing can be learnt
_DOUBTFUL_UNKNOWN: Final = 0.2  # share of a row's tokens
_MOST_IDENTIFIED: Final = 2000  # rows whose language is looked at
_FEWEST_IDENTIFIED: Final = 20
_SURE: Final = 0.9  # probability of a language
_SHORTEST_IDENTIFIED: Final = 20  # code points; of less, nobody can tell
_FOREIGN: Final = 0.02  # share of rows in a language that the base does not claim
_TAG: Final = re.compile(
    r"</?(?:p|br|div|span|a|b|i|strong|em|li|ul|td|tr|table|script)\b[^<>]*>", re.IGNORECASE
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")


def text_facts(rows: Sequence[Placed], encoded: Sequence[EncodedText], tokenizer: Path) -> TextFacts:
    """Describe the texts; element i of `encoded` is the text of row i, `tokenizer` the file that read them.

    Raises DatasetInvalidError if the vocabulary does not have most of what they hold.
    """
    lengths = np.array([text.token_count for text in encoded])
    unknown = _unknown_shares(encoded, tokenizer)
    share = float(np.average(unknown, weights=[max(1, _content(text)) for text in encoded]))
    if share > MOST_UNKNOWN:
        raise DatasetInvalidError(
            f"{share:.0%} of the tokens are unknown to the base: choose one whose tokenizer knows the script of the texts.",
            [
                Problem(place, "most of it is unknown to the base")
                for place in places(_doubtful(rows, unknown))
            ],
        )
    return TextFacts(
        row_count=len(rows),
        window_count=sum(len(text.windows) for text in encoded),
        long_row_count=sum(len(text.windows) > 1 for text in encoded),
        median_tokens=int(np.median(lengths)),
        p95_tokens=int(np.quantile(lengths, 0.95)),
        most_tokens=int(lengths.max()),
        unknown_token_share=share,
        language_shares=_language_shares(rows),
    )


def doubtful_texts(
    rows: Sequence[Placed],
    encoded: Sequence[EncodedText],
    tokenizer: Path,
    facts: TextFacts,
    languages: Sequence[str],
) -> Iterator[Finding]:
    """Look at the texts one by one, and at their languages beside those that the base claims (`mul`: many; none: nobody knows)."""
    if unknown := list(_doubtful(rows, _unknown_shares(encoded, tokenizer))):
        yield Finding(
            Kind.UNKNOWN_TOKENS,
            f"more than {_DOUBTFUL_UNKNOWN:.0%} of the tokens are unknown to the base: mend the text, or choose a base that knows its script",
            len(unknown),
            places(unknown),
        )
    if dirty := [placed for placed in rows if is_dirty(placed.row.text)]:
        yield Finding(
            Kind.DIRTY_TEXT,
            "the text holds HTML, control characters or characters that were lost when it was decoded: mend it, unless callers send such texts too; the cleaning steps `unescape-html` and `drop-control-characters` do all but what was lost",
            len(dirty),
            places(dirty),
        )
    claimed = {language for language in languages if language}
    foreign = {
        language: share
        for language, share in facts.language_shares.items()
        if share >= _FOREIGN and claimed and "mul" not in claimed and language not in claimed
    }
    if foreign:
        named = ", ".join(f"{language} ({share:.0%} of rows)" for language, share in foreign.items())
        yield Finding(
            Kind.FOREIGN_LANGUAGE,
            f"{named}: the base was trained for {', '.join(sorted(claimed))}; choose a multilingual one",
            len(foreign),
        )


def is_dirty(text: str) -> bool:
    """Tell whether a text holds HTML, or characters that nobody typed."""
    return _CONTROL.search(text) is not None or _TAG.search(text) is not None or _has_entity(text)


def _has_entity(text: str) -> bool:
    return re.search(r"&(?:[a-z]{2,8}|#\d{2,5});", text) is not None and html.unescape(text) != text


def _unknown_shares(encoded: Sequence[EncodedText], tokenizer: Path) -> list[float]:
    unknown = _unknown_id(tokenizer)
    return [
        0.0
        if unknown is None
        else sum(int((window.token_ids == unknown).sum()) for window in text.windows) / max(1, _content(text))
        for text in encoded
    ]


def _content(text: EncodedText) -> int:
    """Tokens of a text, special ones left out."""
    return sum(window.content_count for window in text.windows)


def _doubtful(rows: Sequence[Placed], unknown: Sequence[float]) -> Iterator[Placed]:
    return (placed for placed, share in zip(rows, unknown, strict=True) if share > _DOUBTFUL_UNKNOWN)


def _unknown_id(tokenizer: Path) -> int | None:
    """The id that stands for what the vocabulary does not have; None where bytes stand in for it."""
    model: dict[str, Any] = json.loads(tokenizer.read_text("utf-8"))["model"]
    if "unk_id" in model:
        number: int | None = model["unk_id"]
        return number
    vocabulary: dict[str, int] = model.get("vocab", {})
    return vocabulary.get(model.get("unk_token") or "")


def _language_shares(rows: Sequence[Placed]) -> dict[str, float]:
    """Return the shares of languages among the rows whose language can be told, the most frequent first; none where that are too few."""
    long_enough = [placed.row.text for placed in rows if len(placed.row.text) >= _SHORTEST_IDENTIFIED]
    looked_at = long_enough[:: -(-len(long_enough) // _MOST_IDENTIFIED) or 1]
    told = Counter(language for text in looked_at for language in _language(text))
    total = told.total()
    if total < _FEWEST_IDENTIFIED:
        return {}
    return {language: count / total for language, count in told.most_common() if count / total >= _FOREIGN}


def _language(text: str) -> list[str]:
    """The language of a text, if it is sure enough."""
    language, probability = _identifier().classify(text)
    return [str(language)] if probability >= _SURE else []


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # reads its model: a tenth of a second

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
