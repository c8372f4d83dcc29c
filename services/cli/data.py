"""`tagsmith data`: files into datasets."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from services.cli.failures import local_error
from services.cli.options import (
    AsJson,
    CleanOption,
    ColumnsOption,
    FieldsOption,
    OutOfScopeOption,
    read_fields,
    session_of,
)
from services.cli.paging import all_pages, tell_damage
from services.cli.records import Record
from services.cli.session import Session
from services.cli.training_records import dataset_record
from shared.stubs.training.v1 import training_pb2 as pb

_CHUNK_BYTES = 1024 * 1024
_IMPORT_TIMEOUT_S = 1800.0
_MOST_SHOWN = 5

TaskName = Literal["classification", "multi-label", "entities"]
_TASKS = {"classification": pb.CLASSIFICATION, "multi-label": pb.MULTI_LABEL, "entities": pb.ENTITIES}

SplitFiles = Annotated[
    list[Path] | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="FILE",
        help="Rows of this split only; repeatable.",
    ),
]

app = typer.Typer(no_args_is_help=True, help="Import and list datasets.")


@app.command("import")
def import_files(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The dataset's name.")],
    task: Annotated[TaskName, typer.Option(help="What the rows are for.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help=".jsonl, .csv, .tsv or .parquet with text and label (or labels, or entities), and maybe split, or .conll; rows without a"
            " split are split 80/10/10 by hash.",
        ),
    ] = None,
    train: SplitFiles = None,
    validation: SplitFiles = None,
    test: SplitFiles = None,
    server_path: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="A file on the server, or an object such as s3://bucket/rows.csv, that it may read; repeatable.",
        ),
    ] = None,
    fields: FieldsOption = None,
    columns: ColumnsOption = None,
    out_of_scope: OutOfScopeOption = "",
    clean: CleanOption = None,
    as_json: AsJson = False,
) -> None:
    """Store files as a dataset. All rows are checked first; the same rows again give the same snapshot."""
    session = session_of(context)
    parts = [
        (path, split)
        for paths, split in (
            (files, pb.SPLIT_UNSPECIFIED),
            (train, pb.TRAIN),
            (validation, pb.VALIDATION),
            (test, pb.TEST),
        )
        for path in paths or []
    ]
    if not parts and not server_path:
        raise typer.BadParameter("name at least one file", param_hint="FILES")
    header = pb.ImportFileHeader(
        dataset=name,
        task=_TASKS[task],
        field_names=pb.FieldNames(**asdict(read_fields(fields))),
        columns=columns or [],
        out_of_scope_label=out_of_scope,
        cleaning=clean or [],
    )
    messages = _messages(header, parts, server_path or [])
    dataset = session.training.ImportDataset(messages, timeout=_IMPORT_TIMEOUT_S)
    record = dataset_record(dataset)
    session.show(record, dataset.name, _splits_table(record))
    for line in (*cleaned(record), *cautions(record)):
        session.tell(line)


@app.command("list")
def list_datasets(context: typer.Context, as_json: AsJson = False) -> None:
    """List the newest snapshot of every dataset."""
    session = session_of(context)
    pages = all_pages(session, session.training.ListDatasets, pb.ListDatasetsRequest())
    found = [dataset for page in pages for dataset in page.datasets]
    records = [dataset_record(dataset) for dataset in found]
    table = Table("dataset", "task", "train", "validation", "test", "labels", box=None)
    for record in records:
        counts = [
            str(record["splits"].get(split, {}).get("row_count", 0))
            for split in ("train", "validation", "test")
        ]
        table.add_row(
            record["name"],
            "UNREADABLE" if record["error"] else record["task"],
            *counts,
            str(len(record["labels"])),
        )
    session.show(
        {"datasets": records}, table if records else "no datasets yet; `tagsmith data import` makes one"
    )
    tell_damage(session, found)


@app.command("delete")
def delete(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A dataset (all its snapshots) or NAME@sha256:DIGEST.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete rows for good. Versions that learnt from them stay."""
    session = session_of(context)
    if not yes:
        _check_there(session, name)
        typer.confirm(f"Delete {name} for good?", abort=True, err=True)
    answer = session.call(session.training.DeleteDataset, pb.DeleteDatasetRequest(name=name))
    session.show({"deleted": list(answer.deleted)}, "\n".join(f"{each} deleted" for each in answer.deleted))


def _check_there(session: Session, name: str) -> None:
    """Raise CommandError where there is no such dataset: nobody is asked about what is not there. Its snapshots the service knows."""
    wanted = name.partition("@")[0]
    pages = all_pages(session, session.training.ListDatasets, pb.ListDatasetsRequest())
    if not any(dataset.name.partition("@")[0] == wanted for page in pages for dataset in page.datasets):
        raise local_error("DATASET_NOT_FOUND", f"there is no dataset {wanted}", dataset=wanted)


def cautions(record: Record) -> Iterator[str]:
    """Say what is doubtful about a dataset; each is allowed, and nothing else would warn of it."""
    yield from map(caution, record["findings"])


def caution(finding: Record) -> str:
    """Say what is doubtful, and where first."""
    shown = _shown(finding["places"], finding["count"])
    return f"caution: {finding['message']}" + (f" ({finding['count']}x: {shown})" if shown else "")


def cleaned(record: Record) -> Iterator[str]:
    """Say what each cleaning step did to the rows, or that it found nothing to do."""
    for report in record["cleaning_reports"]:
        counts = {"changed": report["changed_count"], "dropped": report["dropped_count"]}
        done = " and ".join(f"{verb} {count}" for verb, count in counts.items() if count)
        shown = _shown(report["places"], sum(counts.values()))
        yield (
            f"cleaned: {report['step']} {done} ({shown})"
            if done
            else f"cleaned: {report['step']} had nothing to do"
        )


def _shown(places: list[str], count: int) -> str:
    return ", ".join(places[:_MOST_SHOWN]) + (", ..." if places and count > _MOST_SHOWN else "")


def _messages(
    header: pb.ImportFileHeader, parts: list[tuple[Path, pb.Split]], server_paths: list[str]
) -> Iterator[pb.ImportDatasetRequest]:
    for server_path in server_paths:
        yield _opening(header, file_name=server_path.rpartition("/")[2], server_path=server_path)
    for path, split in parts:
        yield _opening(header, file_name=path.name, split=split)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield pb.ImportDatasetRequest(chunk=chunk)


def _opening(header: pb.ImportFileHeader, **of_file: Any) -> pb.ImportDatasetRequest:
    opening = pb.ImportDatasetRequest(header=header)
    opening.header.MergeFrom(pb.ImportFileHeader(**of_file))
    return opening


def _splits_table(record: Record) -> Table:
    table = Table("split", "rows", "labels", box=None)
    for split, summary in record["splits"].items():
        table.add_row(split, str(summary["row_count"]), str(len(summary["label_counts"])))
    return table
