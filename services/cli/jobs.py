"""`tagsmith jobs`, `watch`, `events`, `stop` and `cancel`; how a job is followed to its end."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer
from rich.table import Table

from services.cli.failures import CommandError
from services.cli.models import metrics_table
from services.cli.options import AsJson, session_of
from services.cli.paging import all_pages
from services.cli.progress import show_progress, stage, with_place, with_places
from services.cli.session import Session
from services.cli.training_records import event_record, job_record, state_name
from services.cli.watching import FINAL_STATES, PUBLISHED_STATES, watch_job
from shared.rpc.status import Explained, read_status
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.training.v1 import training_pb2 as pb

_LOG_LINES: Final = 10  # of a job that failed, on the screen; `tagsmith logs` has all
_LOG_LINE_CHARACTERS: Final = 300

JobArgument = Annotated[str, typer.Argument(metavar="JOB")]


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
    found = [with_place(session, job) for page in pages for job in page.jobs]
    table = Table("job", "state", "version", "dataset", "adaptable", "accepted", box=None)
    for job in found:
        table.add_row(
            job.id,
            stage(job),
            job.model_version,
            job.spec.dataset.partition("@")[0],
            "on" if job.spec.adaptable else "off",
            f"{job.create_time.ToDatetime():%Y-%m-%d %H:%M:%S}",
        )
    session.show({"jobs": [job_record(job) for job in found]}, table if found else "no jobs yet")


def watch(context: typer.Context, job_id: JobArgument, as_json: AsJson = False) -> None:
    """Follow a job to its end; with --json, one snapshot a line."""
    session = session_of(context)
    if not session.as_json:
        follow_job(session, job_id)
        return
    for job in with_places(session, watch_job(session, job_id)):
        session.show(job_record(job))
    _raise_unless_done(session, job)


def events(context: typer.Context, job_id: JobArgument, as_json: AsJson = False) -> None:
    """Show what happened to a job, oldest first."""
    session = session_of(context)
    request = pb.ListTrainingJobEventsRequest(id=job_id)
    history = [
        event_record(each) for each in session.call(session.training.ListTrainingJobEvents, request).events
    ]
    table = Table("time", "attempt", "what", "", box=None)
    for each in history:
        time = (each["time"] or "").replace("T", " ")[:19]
        table.add_row(time, str(each["attempt"] or ""), each["kind"], each["detail"])
    session.show({"events": history}, table)


def stop(context: typer.Context, job_id: JobArgument, as_json: AsJson = False) -> None:
    """Ask a job to end its training now and to publish the best so far."""
    session = session_of(context)
    job = session.call(session.training.StopTrainingJob, pb.StopTrainingJobRequest(id=job_id))
    ends = "" if job.state in FINAL_STATES else ", will end its training and keep the best so far"
    session.show(job_record(job), f"{job.id} is {state_name(job)}{ends}")


def cancel(context: typer.Context, job_id: JobArgument, as_json: AsJson = False) -> None:
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
            f"{job_id} goes on: `tagsmith watch {job_id}` follows it, `tagsmith stop {job_id}` ends its training and keeps the best so far,"
            f" `tagsmith cancel {job_id}` discards it"
        )
        raise
    if session.as_json:
        session.show(job_record(job))
    elif job.state in PUBLISHED_STATES:
        request = registry_pb2.GetModelVersionRequest(model_version=job.model_version)
        version = session.call(session.registry.GetModelVersion, request)
        early = " from a training that was ended early" if job.state == pb.TrainingJob.STOPPED else ""
        session.show({}, f"{version.name} published{early}", metrics_table(version))
    _raise_unless_done(session, job)


def _raise_unless_done(session: Session, job: pb.TrainingJob) -> None:
    """Raise CommandError unless all that an ended job was asked to do is done; the end of its log is told first where the error does not say it all."""
    if job.HasField("error"):  # also of a published version whose alias could not be moved
        explained = read_status(job.error)
        for line in () if explained.problems else _log_lines(job):
            session.tell(line)
        raise CommandError(explained)
    if job.state not in PUBLISHED_STATES:
        raise CommandError(
            Explained("ABORTED", "", f"{job.id} ended as {state_name(job)}", {"job": job.id}, (), None)
        )


def _log_lines(job: pb.TrainingJob) -> Iterator[str]:
    lines = [line.rstrip() for line in job.log_tail if line.strip()]
    if lines:
        yield f"its log ended with (`tagsmith logs {job.id}` shows all):"
    for line in lines[-_LOG_LINES:]:
        yield f"  {line[:_LOG_LINE_CHARACTERS]}"
