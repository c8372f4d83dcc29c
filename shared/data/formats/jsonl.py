"""JSON Lines: an object a line; or spaCy's training form, a list of the text and an object of the rest."""

from shared.data.formats.record import LineError, Record, Records, decode, parse_json


def records(content: bytes) -> Records:
    """Yield a record for each line that is not blank."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, _object(parse_json(decode(line), what="the line"))
        except LineError as error:
            yield number, error


def _object(value: object) -> Record:
    match value:
        case dict():
            return value
        case [str(text), dict(rest)]:
            return {**rest, "text": text}
    raise LineError("is not a JSON object")
