"""`tagsmith eval`: a labelled file through the inference service, and the metrics of its answers.

What is scored is what is served: the answers come over the RPCs, and every one from the same version.
"""

from pathlib import Path
from typing import Annotated, Literal, get_args

import grpc
import typer
from rich.table import Table

from services.cli.answers import batches, classify_batch, extract_batch
from services.cli.failures import CommandError, local_error
from services.cli.options import AsJson, FieldsOption, read_fields, session_of
from services.cli.records import Record
from services.cli.session import Session
from shared.data.readers import read_rows
from shared.data.rows import Row, Span
from shared.data.splits import assign_splits
from shared.rpc.status import Explained, explain
from shared.store.manifest import SplitEvaluation, Task
from shared.stubs.inference.v1 import inference_pb2 as pb

SplitChoice = Literal["train", "validation", "test", "all"]


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
    as_json: AsJson = False,
) -> None:
    """Score a served model on a labelled file."""
    session = session_of(context)
    loaded = _loaded(session, model)
    task = _task(loaded)
    rows, problems = read_rows(file.name, file.read_bytes(), task, read_fields(field))
    if problems:
        summary = f"{file.name} has {len(problems)} problems"
        raise CommandError(
            Explained("INVALID_ARGUMENT", "DATASET_INVALID", summary, {}, tuple(problems), None)
        )
    splits = assign_splits(rows)
    chosen = rows if split == "all" else splits[split]
    if not chosen:
        raise local_error("DATASET_INVALID", f"{file.name} has no {split} rows")

    version = loaded.model_version
    if task != "entities":
        scores = _score_classifier(session, version, task, chosen, list(loaded.labels))
    else:
        scores = _score_extractor(session, version, chosen, list(loaded.labels), splits["train"])
    _show(session, version, file.name, split, scores)


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
    session: Session, version: str, task: Task, rows: list[Row], labels: list[str]
) -> SplitEvaluation:
    top_k = 0 if task == "multi-label" else 1
    given: list[list[str]] = []
    for texts in batches(row.text for row in rows):
        for record in classify_batch(session, pb.ClassifyRequest(model=version, texts=texts, top_k=top_k)):
            given.append([each["label"] for each in _answered(record)["labels"] if each["is_given"]])
    # scikit-learn: a second that other commands need not wait
    from shared.scoring import score_classification, score_multi_label

    if task == "multi-label":
        return score_multi_label([row.labels for row in rows], given, labels)
    return score_classification([row.label or "" for row in rows], [best for (best,) in given], labels)


def _score_extractor(
    session: Session, version: str, rows: list[Row], labels: list[str], train_rows: list[Row]
) -> SplitEvaluation:
    texts = [row.text for row in rows]
    answered: list[list[Span]] = []
    for batch in batches(texts):
        for record in extract_batch(session, pb.ExtractEntitiesRequest(model=version, texts=batch)):
            answered.append([Span(x["start"], x["end"], x["label"]) for x in _answered(record)["entities"]])
    from shared.scoring import score_entities, surfaces  # as above

    seen = surfaces([row.text for row in train_rows], [row.entities or () for row in train_rows])
    scores = score_entities([row.entities or () for row in rows], answered, labels, seen, texts)
    if not train_rows:  # nothing is known of what the version has seen
        scores.metrics.pop("unseen_span_recall", None)
    return scores


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


def _show(session: Session, version: str, file_name: str, split: str, scores: SplitEvaluation) -> None:
    record = {"model_version": version, "file": file_name, "split": split, **scores.model_dump(mode="json")}
    heading = f"{version} on {scores.row_count} rows ({file_name}, split {split})"
    metrics = Table("metric", "value", box=None)
    for name, value in scores.metrics.items():
        metrics.add_row(name, f"{value:.4f}")
    labels = Table("label", "precision", "recall", "f1", "support", box=None)
    for name, score in scores.per_label.items():
        labels.add_row(
            name, f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support)
        )
    session.show(record, heading, metrics, labels)
