"""Arguments and options that several commands share."""

from dataclasses import fields
from typing import Annotated

import typer

from services.cli.session import Session
from shared.data.readers import FieldNames


def session_of(context: typer.Context) -> Session:
    """Return the session that the program made before the command ran."""
    session = context.find_root().obj
    assert isinstance(session, Session)  # noqa: S101  # for the type checker: the root callback made it
    return session


def whole_number(text: str) -> int:
    """Read an option that a field of 32 bits, or a seed, will hold. Raises typer.BadParameter; the services know the ranges."""
    try:
        number = int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number") from None
    if not -(2**31) <= number < 2**31:
        raise typer.BadParameter(f"{text} is far out of every range")
    return number


def read_fields(options: list[str] | None) -> FieldNames:
    """Read what `--field` said. Raises typer.BadParameter."""
    named = dict(option.split("=", 1) for option in options or [] if "=" in option)
    if (
        len(named) < len(options or [])
        or not all(named.values())
        or named.keys() - {f.name for f in fields(FieldNames)}
    ):
        raise typer.BadParameter(
            "name each of text, label, labels, entities, split and id once at most, as in label=intent",
            param_hint="--field",
        )
    return FieldNames(**named)


def _answer_in_json(context: typer.Context, value: bool) -> bool:
    session_of(context).as_json = value
    return value


# Its callback tells the session, which prints results and errors; commands have no need to look at it.
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout, errors as JSON on stderr.", callback=_answer_in_json),
]
FieldsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="OURS=THEIRS",
        help="What the files call text, label, labels, entities, split or id, such as label=intent; repeatable.",
    ),
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="Another column, such as domain, to score by each value of; repeatable.",
    ),
]
OutOfScopeOption = Annotated[
    str,
    typer.Option(
        "--out-of-scope", metavar="LABEL", help="Rows with this label belong to none of the labels."
    ),
]
CleanOption = Annotated[
    list[str] | None,
    typer.Option(
        "--clean",
        metavar="STEP",
        help="Mend rows before they are checked: drop-control-characters, unescape-html, nfc, collapse-white-space, trim-spans, snap-spans,"
        " trim-labels, merge-labels, drop-duplicates or drop-leaks; repeatable.",
    ),
]
AliasOption = Annotated[str, typer.Option("--alias", help="The alias.")]
PriorityOption = Annotated[
    int, typer.Option(min=-100, max=100, help="Of the jobs that wait, those with the highest go first.")
]


def _given(value: str | None) -> str | None:
    """What is there and empty is a variable that a script forgot, and would switch off what it asks for."""
    if value is not None and not value.strip():
        raise typer.BadParameter("is empty: give it a value, or leave the option out")
    return value


MaxMinutesOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1_000_000,
        help="After so many minutes training ends and the best so far is published, as by `tagsmith stop`.",
    ),
]
InferenceTargetOption = Annotated[
    str | None,
    typer.Option(
        callback=_given,
        metavar="HOST:PORT,...",
        help="Wait until these inference servers answer with the version, or dns:///NAME:PORT for all addresses of a name; else the alias goes back.",
    ),
]
RequestIdOption = Annotated[
    str | None,
    typer.Option(
        callback=_given, help="The same id never makes a second job; for scripts that may run twice."
    ),
]
DetachOption = Annotated[bool, typer.Option("--detach", help="Submit and do not wait.")]
