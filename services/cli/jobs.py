"""`tagsmith jobs`, `watch` and `cancel`; how a job is followed to its end."""

from typing import Annotated

import typer
from rich.table import Table

from services.cli.failures import CommandError
from services.cli.models import metrics_table
from services.cli.options import AsJson, session_of
from services.cli.paging import all_pages
from services.cli.session import Session
from services.cli.training_records import job_record, state_name
from services.cli.watching import FINAL_STATES, show_progress, watch_job
from shared.rpc.status import Explained, read_status
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.training.v1 import training_pb2 as pb


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
        follow_job(session, job_id)
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


def follow_job(session: Session, job_id: str) -> None:
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
