"""`tagsmith compare`: two versions beside each other."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table

from services.cli.options import AsJson, session_of
from services.cli.records import Record
from shared.store.evaluation import signed_points
from shared.stubs.registry.v1 import registry_pb2 as pb

_MOST_SHOWN = 10  # of labels and of slices: the greatest losses


def compare(
    context: typer.Context,
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="support@7, support@production")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="What took its place, or is to.")],
    as_json: AsJson = False,
) -> None:
    """Show what a version gained and lost to another, on the rows that both were scored on."""
    session = session_of(context)
    request = pb.CompareVersionsRequest(before=before, after=after)
    found: pb.VersionComparison = session.call(session.registry.CompareVersions, request)
    record = {
        "before": found.before,
        "after": found.after,
        "splits": {
            each.split: {
                "row_count": each.row_count,
                "metrics": _changes(each.metrics),
                "labels": _changes(each.labels),
                "slices": _changes(each.slices),
            }
            for each in found.splits
        },
    }
    session.show(record, f"{found.before} to {found.after}", *_tables(record))


def _changes(changes: object) -> list[Record]:
    return [
        {"name": each.name, "row_count": each.row_count, "before": each.before, "after": each.after}
        for each in changes  # type: ignore[attr-defined]
    ]


def _tables(record: Record) -> Iterator[Table | str]:
    for split, compared in record["splits"].items():
        for what in ("metrics", "labels", "slices"):
            changes = compared[what] if what == "metrics" else compared[what][:_MOST_SHOWN]
            if changes:
                table = Table(f"{what} of {split}", "rows", "before", "after", "points", box=None)
                for each in changes:
                    table.add_row(
                        each["name"],
                        str(each["row_count"]),
                        f"{each['before']:.4f}",
                        f"{each['after']:.4f}",
                        signed_points(each["after"] - each["before"]),
                    )
                yield table
                if more := len(compared[what]) - len(changes):
                    yield f"... and {more} more {what} of {split}, which lost less; --json has them all"
