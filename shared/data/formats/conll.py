"""CoNLL: a token a line, its tag in the last column, a blank line after each sentence.

Tags are those of any of the usual schemes: IOB1, IOB2, BIOES, BILOU. A sentence's text is its tokens with a space between: the format
does not say how they were written. Lines `-DOCSTART-` and comments such as `# sent_id = 7` are passed over.
"""

import re
from collections.abc import Iterator

from shared.data.formats.record import LineError, Record, Records, decode_lines

_COMMENT = re.compile(r"#\s*[\w.:-]+\s*=")
_TAG = re.compile(r"(?:O|([BIESLU])-(\S+))")
_OPENING, _CLOSING = frozenset("BSU"), frozenset("ESLU")


def records(content: bytes) -> Records:
    """Yield a record for each sentence, by its first line."""
    lines, unreadable = decode_lines(content)
    if unreadable:  # sentences cannot be told apart across such a line
        yield from unreadable
        return
    for sentence in _sentences(lines):
        number = sentence[0][0]
        try:
            yield number, _record(sentence)
        except LineError as error:
            yield number, error


def _sentences(lines: list[str]) -> Iterator[list[tuple[int, str]]]:
    sentence: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
        elif not line.startswith("-DOCSTART-") and (sentence or not _COMMENT.match(line)):
            sentence.append((number, line))
    if sentence:
        yield sentence


def _record(sentence: list[tuple[int, str]]) -> Record:
    text, entities = "", list[dict[str, object]]()
    open_label: str | None = None
    for number, line in sentence:
        token, prefix, label = _columns(number, line)
        start = len(text) + 1 if text else 0
        text = f"{text} {token}" if text else token
        if label is None:
            open_label = None
            continue
        if prefix in _OPENING or label != open_label:
            entities.append({"start": start, "label": label})
        entities[-1]["end"] = len(text)
        open_label = None if prefix in _CLOSING else label
    return {"text": text, "entities": entities}


def _columns(number: int, line: str) -> tuple[str, str, str | None]:
    """Return a line's token, and the prefix and label of its tag, None for none."""
    # By tabs where there are any: a token may hold a space then.
    columns = [each.strip() for each in line.split("\t")] if "\t" in line.strip() else line.split()
    if len(columns) < 2:
        raise LineError(f"line {number} of the file has no tag")
    match = _TAG.fullmatch(columns[-1])
    if match is None:
        raise LineError(f"the last column of line {number} is no tag such as O, B-x or I-x")
    return columns[0], match[1] or "", match[2]
