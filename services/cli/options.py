"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from services.cli.session import Session


def session_of(context: typer.Context) -> Session:
    """Return the session that the program made before the command ran."""
    session = context.find_root().obj
    assert isinstance(session, Session)  # noqa: S101  # for the type checker: the root callback made it
    return session


def _answer_in_json(context: typer.Context, value: bool) -> bool:
    session_of(context).as_json = value
    return value


# Its callback tells the session, which prints results and errors; commands have no need to look at it.
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout, errors as JSON on stderr.", callback=_answer_in_json),
]
AliasOption = Annotated[str, typer.Option("--alias", help="The alias.")]
