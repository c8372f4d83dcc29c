"""`tagsmith train`, `jobs`, `watch` and `cancel`."""

import uuid
from typing import Annotated, Literal

import typer
from rich.table import Table

from services.cli.failures import CommandError
from services.cli.models import metrics_table
from services.cli.options import AsJson, session_of, whole_number
from services.cli.paging import all_pages
from services.cli.records import job_record, state_name
from services.cli.session import Session
from services.cli.watching import FINAL_STATES, show_progress, watch_job
from shared.rpc.status import Explained, read_status
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.training.v1 import training_pb2 as pb

RecipeName = Literal["transformer-classifier", "entity-extractor", "rnn-classifier"]
PoolingName = Literal["masked-mean", "first-token"]
CellName = Literal["gru", "lstm"]
_RECIPES = {
    "transformer-classifier": pb.TRANSFORMER_CLASSIFIER,
    "entity-extractor": pb.ENTITY_EXTRACTOR,
    "rnn-classifier": pb.RNN_CLASSIFIER,
}
_POOLINGS = {"masked-mean": pb.MASKED_MEAN, "first-token": pb.FIRST_TOKEN}
_CELLS = {"gru": pb.GRU, "lstm": pb.LSTM}
_KNOBS = "Hyperparameters (default: the recipe's)"
_RNN_KNOBS = "The network of rnn-classifier (default: the recipe's)"


def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model to publish a version of.")],
    dataset: Annotated[str, typer.Argument(help="A dataset (its newest snapshot) or NAME@sha256:DIGEST.")],
    recipe: Annotated[
        RecipeName | None, typer.Option(help="Default: the one for the dataset's task.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="A base model; `tagsmith bases` lists them.")] = None,
    adaptable: Annotated[
        bool | None,
        typer.Option(
            "--adaptable/--frozen",
            help="All weights learn (default), or only the head: a fraction of the time.",
        ),
    ] = None,
    promote: Annotated[
        str | None,
        typer.Option(
            metavar="ALIAS", help="Move this alias to the version if its gate passes, such as production."
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and do not wait.")] = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the job and do not submit it.")
    ] = False,
    request_id: Annotated[
        str | None, typer.Option(help="The same id never makes a second job; for scripts that may run twice.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of weights, order and dropout.")
    ] = None,
    max_epochs: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="INTEGER", rich_help_panel=_KNOBS, help="[1, 1000]"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="INTEGER", rich_help_panel=_KNOBS, help="Windows a step, [1, 1024]."
        ),
    ] = None,
    encoder_learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel=_KNOBS, help="Peak, (0, 1).")
    ] = None,
    head_learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel=_KNOBS, help="Peak, (0, 1).")
    ] = None,
    warmup_share: Annotated[
        float | None, typer.Option(rich_help_panel=_KNOBS, help="Of all steps, [0, 1).")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(rich_help_panel=_KNOBS, help="[0, 1]")] = None,
    dropout: Annotated[
        float | None, typer.Option(rich_help_panel=_KNOBS, help="Before the head, [0, 1).")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="INTEGER",
            rich_help_panel=_KNOBS,
            help="Evaluations without a better metric, [1, 1000].",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="INTEGER", rich_help_panel=_KNOBS, help="Longest window, [8, 8192]."
        ),
    ] = None,
    pooling: Annotated[
        PoolingName | None, typer.Option(rich_help_panel=_KNOBS, help="For classifiers.")
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(rich_help_panel=_KNOBS, help="Spread over all labels, [0, 1).")
    ] = None,
    cell: Annotated[
        CellName | None, typer.Option(rich_help_panel=_RNN_KNOBS, help="Kind of recurrent unit.")
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="INTEGER", rich_help_panel=_RNN_KNOBS, help="[1, 4]"),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="INTEGER",
            rich_help_panel=_RNN_KNOBS,
            help="Units of each direction, [8, 1024].",
        ),
    ] = None,
    embedding_width: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="INTEGER", rich_help_panel=_RNN_KNOBS, help="[8, 1024]"),
    ] = None,
    vocabulary_size: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="INTEGER",
            rich_help_panel=_RNN_KNOBS,
            help="Tokens at most, [300, 100000].",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a base model on a dataset, or train an RNN from scratch, and watch until a version is published."""
    session = session_of(context)
    shape = pb.RecurrentShape(
        cell=_CELLS[cell] if cell else None,
        layers=layers,
        width=width,
        embedding_width=embedding_width,
        vocabulary_size=vocabulary_size,
    )
    spec = pb.TrainingSpec(
        model=model,
        dataset=dataset,
        recipe=_RECIPES[recipe] if recipe else None,
        base_model=base or "",
        adaptable=adaptable,
        seed=seed,
        hyperparameters=pb.Hyperparameters(
            max_epochs=max_epochs,
            batch_size=batch_size,
            encoder_learning_rate=encoder_learning_rate,
            head_learning_rate=head_learning_rate,
            warmup_share=warmup_share,
            weight_decay=weight_decay,
            dropout=dropout,
            patience=patience,
            max_tokens=max_tokens,
            pooling=_POOLINGS[pooling] if pooling else None,
            label_smoothing=label_smoothing,
            recurrent=shape if shape.ListFields() else None,
        ),
    )
    request = pb.CreateTrainingJobRequest(
        spec=spec,
        request_id=request_id or uuid.uuid4().hex,  # so that a repeated call is the same job
        promote_to=promote or "",
        validate_only=validate_only,
    )
    job = session.call(session.training.CreateTrainingJob, request)
    if validate_only:
        session.show(job_record(job), f"this job would be accepted: {job.spec.model} from {job.spec.dataset}")
    elif detach:
        session.show(job_record(job), f"{job.id} accepted; it will publish {job.model_version}")
    else:
        session.tell(f"{job.id}: {job.model_version} from {job.spec.dataset}")
        _follow(session, job.id)


def jobs(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List training jobs."""
    session = session_of(context)
    request = pb.ListTrainingJobsRequest(model=model or "")
    pages = all_pages(session, session.training.ListTrainingJobs, request, at_most=limit)
    found = [job for page in pages for job in page.jobs]
    table = Table("job", "state", "version", "dataset", "adaptable", "accepted", box=None)
    for job in found:
        table.add_row(
            job.id,
            state_name(job),
            job.model_version,
            job.spec.dataset.partition("@")[0],
            "on" if job.spec.adaptable else "off",
            f"{job.create_time.ToDatetime():%Y-%m-%d %H:%M:%S}",
        )
    session.show({"jobs": [job_record(job) for job in found]}, table if found else "no jobs yet")


def watch(
    context: typer.Context, job_id: Annotated[str, typer.Argument(metavar="JOB")], as_json: AsJson = False
) -> None:
    """Follow a job to its end; with --json, one snapshot a line."""
    session = session_of(context)
    if not session.as_json:
        _follow(session, job_id)
        return
    for job in watch_job(session, job_id):
        session.show(job_record(job))
    _raise_unless_done(job)


def cancel(
    context: typer.Context, job_id: Annotated[str, typer.Argument(metavar="JOB")], as_json: AsJson = False
) -> None:
    """Ask a job to end and discard its work."""
    session = session_of(context)
    job = session.call(session.training.CancelTrainingJob, pb.CancelTrainingJobRequest(id=job_id))
    session.show(
        job_record(job),
        f"{job.id} is {state_name(job)}" + ("" if job.state in FINAL_STATES else ", will end soon"),
    )


def _follow(session: Session, job_id: str) -> None:
    """Show a job's progress to its end, then how it ended. Raises CommandError unless all that it was asked to do is done."""
    try:
        job = show_progress(session, watch_job(session, job_id))
    except KeyboardInterrupt:
        session.tell(
            f"{job_id} goes on: `tagsmith watch {job_id}` follows it, `tagsmith cancel {job_id}` ends it"
        )
        raise
    if session.as_json:
        session.show(job_record(job))
    elif job.state == pb.TrainingJob.SUCCEEDED:
        request = registry_pb2.GetModelVersionRequest(model_version=job.model_version)
        version = session.call(session.registry.GetModelVersion, request)
        session.show({}, f"{version.name} published", metrics_table(version))
    _raise_unless_done(job)


def _raise_unless_done(job: pb.TrainingJob) -> None:
    if job.HasField("error"):  # also of a published version whose alias could not be moved
        raise CommandError(read_status(job.error))
    if job.state != pb.TrainingJob.SUCCEEDED:
        message = f"{job.id} ended as {state_name(job)}"
        raise CommandError(Explained("ABORTED", "", message, {"job": job.id}, (), None))
