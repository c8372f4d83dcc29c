"""`tagsmith classify` and `tagsmith extract`: texts to the inference service, answers to stdout in the texts' order.

With --json one line for each text. A text that has no answer is told in its place and makes the exit code 1; the others are
answered.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from services.cli.failures import local_error
from services.cli.options import AsJson, session_of
from services.cli.records import Record, classification_record, extraction_record
from services.cli.session import Session
from shared.stubs.inference.v1 import inference_pb2 as pb

BATCH_TEXTS = 64

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="support (its production alias), support@canary or support@7")
]
TextsArgument = Annotated[
    list[str], typer.Argument(metavar="TEXT...", help="Texts, or one `-` to read a text a line from stdin.")
]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Leave out what scores lower.")]


def classify(
    context: typer.Context,
    model: ModelArgument,
    texts: TextsArgument,
    top_k: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Labels for each text, best first; 0: all.")
    ] = 3,
    min_score: MinScore = 0.0,
    as_json: AsJson = False,
) -> None:
    """Classify texts."""
    session = session_of(context)

    def ask(batch: list[str]) -> Iterator[Record]:
        request = pb.ClassifyRequest(model=model, texts=batch, top_k=top_k, min_score=min_score)
        return classify_batch(session, request)

    _answer_all(
        session,
        texts,
        ask,
        lambda record: "  ".join(map(_label, record["labels"])) or "nothing found",
    )


def _label(label: Record) -> str:
    """A label with its score; one that the version does not give stands in brackets."""
    told = f"{label['label']} {label['score']:.3f}"
    return told if label["is_given"] else f"({told})"


def extract(
    context: typer.Context,
    model: ModelArgument,
    texts: TextsArgument,
    min_score: MinScore = 0.0,
    as_json: AsJson = False,
) -> None:
    """Extract entities from texts; offsets count code points."""
    session = session_of(context)

    def ask(batch: list[str]) -> Iterator[Record]:
        return extract_batch(
            session, pb.ExtractEntitiesRequest(model=model, texts=batch, min_score=min_score)
        )

    def describe(record: Record) -> str:
        found = (
            f"{x['label']} {x['surface']!r} [{x['start']}, {x['end']}) {x['score']:.3f}"
            for x in record["entities"]
        )
        return "  ".join(found) or "nothing found"

    _answer_all(session, texts, ask, describe)


def classify_batch(session: Session, request: pb.ClassifyRequest) -> Iterator[Record]:
    """Yield the answer to each text of a call."""
    response = session.call(session.inference.Classify, request)
    for text, result in zip(request.texts, response.results, strict=True):
        yield classification_record(text, response.model_version, result)


def extract_batch(session: Session, request: pb.ExtractEntitiesRequest) -> Iterator[Record]:
    """Yield the answer to each text of a call."""
    response = session.call(session.inference.ExtractEntities, request)
    for text, result in zip(request.texts, response.results, strict=True):
        yield extraction_record(text, response.model_version, result)


def batches(texts: Iterable[str], size: int = BATCH_TEXTS) -> Iterator[list[str]]:
    """Cut texts into lists of `size`, the last shorter."""
    source = iter(texts)
    while batch := list(islice(source, size)):
        yield batch


def _answer_all(
    session: Session,
    arguments: list[str],
    ask: Callable[[list[str]], Iterable[Record]],
    describe: Callable[[Record], str],
) -> None:
    refused = 0
    for batch in batches(_texts(arguments)):
        for record in ask(batch):
            refused += "error" in record
            session.show(record, f"{record['model_version']}  {_line(record, describe)}")
    if refused:
        raise typer.Exit(1)


def _line(record: Record, describe: Callable[[Record], str]) -> str:
    error: dict[str, Any] | None = record.get("error")
    answer = f"error: {error['reason']}: {error['message']}" if error else describe(record)
    return f"{answer}  <- {' '.join(record['text'].split())}"


def _texts(arguments: list[str]) -> Iterator[str]:
    lines = (
        sys.stdin.buffer
        if arguments == ["-"]
        else [argument.encode(errors="surrogateescape") for argument in arguments]
    )
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise local_error(
                "FIELD_INVALID", f"text {number} is not UTF-8", field="texts", value=f"text {number}"
            ) from error
