"""`tagsmith report`: a version's model card and its report, from its manifest as the registry tells it."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from services.cli.failures import local_error
from services.cli.files import write_files
from services.cli.options import AsJson, session_of
from shared.store.manifest import Manifest
from shared.stubs.registry.v1 import registry_pb2 as pb


def report(
    context: typer.Context,
    version: Annotated[
        str,
        typer.Argument(
            metavar="MODEL[@VERSION]", help="support@7, support@canary, or support: its production alias."
        ),
    ],
    card: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The model card. Default: MODEL-VERSION.md, such as support-7.md."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The report. Default: MODEL-VERSION.html.")
    ] = None,
    with_texts: Annotated[
        bool,
        typer.Option(
            "--with-texts", help="Show the golden examples, which are texts of the validation split."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a version's model card (Markdown) and its report (HTML)."""
    # A third of a second that other commands need not wait.
    from shared.cards.card import write_card
    from shared.cards.report import write_report

    session = session_of(context)
    request = pb.GetModelVersionRequest(model_version=version)
    found: pb.ModelVersion = session.call(session.registry.GetModelVersion, request)
    manifest = _read(found)
    stem = f"{manifest.model}-{manifest.number}"
    files = {
        card or Path(f"{stem}.md"): write_card(manifest, with_texts=with_texts),
        html or Path(f"{stem}.html"): write_report(manifest, with_texts=with_texts),
    }
    write_files({path: text.encode() for path, text in files.items()}, force=force)
    names = [str(path) for path in files]
    session.show(
        {"model_version": found.name, "card": names[0], "html": names[-1]},
        f"{found.name}: {' and '.join(names)}",
    )


def _read(version: pb.ModelVersion) -> Manifest:
    try:
        return Manifest.model_validate_json(version.manifest_json)
    except ValidationError:
        raise local_error(
            "MANIFEST_UNKNOWN",
            f"{version.name} has a manifest that this command does not know",
            model_version=version.name,
        ) from None
