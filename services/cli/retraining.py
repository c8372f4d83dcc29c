"""`tagsmith retrain`: from new rows to live in one command."""

import uuid
from datetime import timedelta
from typing import Annotated

import typer

from services.cli.jobs import follow_job
from services.cli.options import (
    AliasOption,
    AsJson,
    DetachOption,
    InferenceTargetOption,
    MaxMinutesOption,
    PriorityOption,
    RequestIdOption,
    session_of,
)
from services.cli.policies import read_gates
from services.cli.training_records import job_record
from shared.stubs.training.v1 import training_pb2 as pb


def retrain(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model to train anew.")],
    dataset: Annotated[
        str,
        typer.Argument(
            help="The rows: a dataset (its newest snapshot) or NAME@sha256:DIGEST; default: the version's own dataset as it is now."
        ),
    ] = "",
    alias: AliasOption = "production",
    continues: Annotated[
        bool,
        typer.Option(
            "--continue", help="Go on from the version's weights, with a replay, instead of from its base."
        ),
    ] = False,
    no_promote: Annotated[
        bool, typer.Option("--no-promote", help="Publish the version and leave the alias where it is.")
    ] = False,
    override_reason: Annotated[
        str, typer.Option(metavar="WHY", help="Why the alias is to move even if a quality gate fails.")
    ] = "",
    gate: Annotated[
        list[str] | None,
        typer.Option(
            "--gate",
            metavar="NAME=VALUE",
            help="What the version must hold for the alias to move; repeatable (default: what the version before was held to).",
        ),
    ] = None,
    inference_target: InferenceTargetOption = None,
    priority: PriorityOption = 0,
    max_minutes: MaxMinutesOption = None,
    request_id: RequestIdOption = None,
    detach: DetachOption = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on other rows as the version was trained that its alias points to, and take it live.

    The exit code is 0 only if the new version is live: the alias points to it and, with --inference-target, these servers answer with it.
    """
    session = session_of(context)
    if no_promote and (override_reason or inference_target):
        hint = "--override-reason" if override_reason else "--inference-target"
        raise typer.BadParameter("does not go with --no-promote", param_hint=hint)
    promote = (
        pb.RetrainModelRequest.ALWAYS_WITH_REASON if override_reason else pb.RetrainModelRequest.IF_GATES_PASS
    )
    request = pb.RetrainModelRequest(
        model=model,
        dataset=dataset,
        alias=alias,
        continues=continues,
        promote=pb.RetrainModelRequest.NEVER if no_promote else promote,
        override_reason=override_reason,
        gates=read_gates(gate or []),
        inference_target=inference_target or "",
        priority=priority,
        request_id=request_id or uuid.uuid4().hex,  # so that a repeated call is the same job
    )
    if max_minutes is not None:
        request.max_duration.FromTimedelta(timedelta(minutes=max_minutes))
    job = session.call(session.training.RetrainModel, request)
    if detach:
        session.show(job_record(job), f"{job.id} accepted; it will publish {job.model_version}")
        return
    session.tell(f"{job.id}: {job.model_version} from {job.spec.dataset}")
    follow_job(session, job.id)
