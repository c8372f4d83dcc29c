"""`tagsmith eval`: a labelled file through the inference service, and the metrics of its answers.

What is scored is what is served: the answers come over the RPCs, and every one from the same version.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import grpc
import typer
from rich.table import Table

from services.cli.answers import batches, classify_batch, extract_batch
from services.cli.failures import CommandError, local_error
from services.cli.options import (
    AsJson,
    ColumnsOption,
    FieldsOption,
    OutOfScopeOption,
    read_fields,
    session_of,
)
from services.cli.records import Record
from services.cli.session import Session
from shared.data.inspection.columns import crowded_columns, why_unscored
from shared.data.readers import Extras, read_rows
from shared.data.rows import Row
from shared.data.splits import assign_splits
from shared.rpc.status import Explained, explain
from shared.store.evaluation import SplitEvaluation
from shared.store.manifest import METRICS, Task
from shared.stubs.inference.v1 import inference_pb2 as pb

_MOST_NAMED = 5
SplitChoice = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows that are scored, and the labels of the model."""

    name: str
    rows: list[Row]
    labels: list[str]


def evaluate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="support (its production alias), support@canary or support@7")],
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="Labelled rows, as for `data import`."
        ),
    ],
    split: Annotated[
        SplitChoice,
        typer.Option(
            help="Which rows of the file: a split, told by the rows or by hash as in `data import`."
        ),
    ] = "all",
    field: FieldsOption = None,
    columns: ColumnsOption = None,
    out_of_scope: OutOfScopeOption = "",
    as_json: AsJson = False,
) -> None:
    """Score a served model on a labelled file."""
    session = session_of(context)
    loaded = _loaded(session, model)
    task = _task(loaded)
    extras = Extras(tuple(columns or ()), out_of_scope)
    rows, problems = read_rows(file.name, file.read_bytes(), task, read_fields(field), extras)
    if problems:
        summary = f"{file.name} has {len(problems)} problems"
        raise CommandError(
            Explained("INVALID_ARGUMENT", "DATASET_INVALID", summary, {}, tuple(problems), None)
        )
    splits = assign_splits(rows)
    chosen = rows if split == "all" else splits[split]
    in_scope = [row for row in chosen if not row.out_of_scope]
    if not in_scope:
        raise local_error("DATASET_INVALID", f"{file.name} has no {split} rows")

    version = loaded.model_version
    part = Part(file.name if split == "all" else split, in_scope, list(loaded.labels))
    if task != "entities":
        others = [row for row in chosen if row.out_of_scope]
        scores = _score_classifier(session, version, task, part, others)
    else:
        scores = _score_extractor(session, version, part, splits["train"])
    unscored = crowded_columns(in_scope)
    _show(session, version, file.name, split, task, scores, unscored)
    for line in doubts(version, task, split, part, scores):
        session.tell(f"caution: {line}")
    for column, value_count in unscored.items():
        session.tell(f"caution: {why_unscored(column, value_count, part.name)}")


def doubts(
    version: str, task: Task, split: SplitChoice, part: Part, scores: SplitEvaluation
) -> Iterator[str]:
    """Yield what makes scores say something else than they seem to. Pure."""
    learnt = sum(row.split == "train" for row in part.rows)
    if split == "all" and learnt:
        yield (
            f"{learnt} of the {len(part.rows)} rows are of train, by the file's own splits, and are scored with the others: --split test"
            " scores those of test alone"
        )
    unknown = sorted({label for row in part.rows for label in row.labels} - set(part.labels))
    if unknown and task == "classification" and scores.metrics.get("answered", 1.0) < 1:
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        yield (
            f"{version} does not know {', '.join(map(repr, unknown[:_MOST_NAMED]))}{more}, and gives some texts no label: if that is what the"
            " file calls texts that belong to none, name it with --out-of-scope"
        )


def _loaded(session: Session, model: str) -> pb.LoadedModel:
    """Have the model loaded by a call, whatever its task is, and return what the server tells of it."""
    try:
        session.call(session.inference.Classify, pb.ClassifyRequest(model=model, texts=["hello"]))
    except grpc.RpcError as error:
        if explain(error).reason != "TASK_MISMATCH":
            raise
    loaded: pb.LoadedModel = session.call(
        session.inference.GetLoadedModel, pb.GetLoadedModelRequest(model=model)
    )
    return loaded


def _task(loaded: pb.LoadedModel) -> Task:
    tasks: tuple[Task, ...] = get_args(Task)
    for task in tasks:
        if loaded.task == task:
            return task
    raise local_error(
        "TASK_MISMATCH", f"{loaded.model_version} does {loaded.task}, which this command cannot score"
    )


def _score_classifier(
    session: Session, version: str, task: Task, part: Part, out_of_scope: list[Row]
) -> SplitEvaluation:
    top_k = 0 if task == "multi-label" else 1
    # scikit-learn: a second that other commands need not wait
    from shared.runtime.classification import LabelScore
    from shared.scoring.evaluation import Split, evaluate_classification, evaluate_multi_label

    answers: list[list[LabelScore]] = []
    for texts in batches(row.text for row in (*part.rows, *out_of_scope)):
        for record in classify_batch(session, pb.ClassifyRequest(model=version, texts=texts, top_k=top_k)):
            answers.append([LabelScore(**each) for each in _answered(record)["labels"]])
    split = Split(part.name, part.rows, part.labels)
    if task == "multi-label":
        return evaluate_multi_label(split, answers)
    return evaluate_classification(split, answers[: len(part.rows)], answers[len(part.rows) :])


def _score_extractor(session: Session, version: str, part: Part, train_rows: list[Row]) -> SplitEvaluation:
    from shared.runtime.entities import EntitySpan  # as above
    from shared.scoring.evaluation import Split, evaluate_entities
    from shared.scoring.spans import surfaces

    answers: list[list[EntitySpan]] = []
    for texts in batches(row.text for row in part.rows):
        for record in extract_batch(session, pb.ExtractEntitiesRequest(model=version, texts=texts)):
            answers.append(
                [
                    EntitySpan(x["start"], x["end"], x["label"], x["score"])
                    for x in _answered(record)["entities"]
                ]
            )
    seen = surfaces([row.text for row in train_rows], [row.entities or () for row in train_rows])
    split = Split(part.name, part.rows, part.labels)
    # Without train rows nothing is known of what the version has seen.
    return evaluate_entities(split, answers, seen if train_rows else None)


def _answered(record: Record) -> Record:
    if error := record.get("error"):
        raise CommandError(
            Explained(
                error["code"],
                error["reason"],
                f"a row has no answer: {error['message']}",
                error["metadata"],
                (),
                None,
            )
        )
    return record


def _show(
    session: Session,
    version: str,
    file_name: str,
    split: str,
    task: Task,
    scores: SplitEvaluation,
    unscored_columns: dict[str, int],
) -> None:
    record = {
        "model_version": version,
        "file": file_name,
        "split": split,
        **scores.model_dump(mode="json"),
        "unscored_columns": unscored_columns,  # column -> different values
    }
    low, high = scores.interval or (0.0, 1.0)
    heading = (
        f"{version} on {scores.row_count} rows ({file_name}, split {split});"
        f" 95 % interval of {METRICS[task]}: {low:.4f} to {high:.4f}"
    )
    metrics = Table("metric", "value", box=None)
    for name, value in scores.metrics.items():
        metrics.add_row(name, f"{value:.4f}")
    labels = Table("label", "precision", "recall", "f1", "support", box=None)
    for name, score in scores.per_label.items():
        labels.add_row(
            name, f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support)
        )
    session.show(record, heading, metrics, labels, *slice_tables(scores))


def slice_tables(scores: SplitEvaluation) -> Iterator[Table]:
    """Show the scores of every value of every column, the worst first."""
    for column in dict.fromkeys(each.column for each in scores.slices):
        table = Table(column, "rows", "metric", "95 % interval", box=None)
        for each in sorted(scores.slices, key=lambda scored: scored.metric):
            if each.column == column:
                table.add_row(
                    each.value,
                    str(each.row_count),
                    f"{each.metric:.3f}",
                    f"{each.low:.3f} to {each.high:.3f}",
                )
        yield table
