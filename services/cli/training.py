"""`tagsmith train`."""

import uuid
from datetime import timedelta
from typing import Annotated, Literal

import typer

from services.cli import knobs
from services.cli.jobs import follow_job
from services.cli.options import (
    AsJson,
    DetachOption,
    InferenceTargetOption,
    MaxMinutesOption,
    PriorityOption,
    RequestIdOption,
    session_of,
)
from services.cli.plans import show_plan
from services.cli.policies import read_continuation, read_gates, read_search
from services.cli.training_records import job_record
from shared.stubs.training.v1 import training_pb2 as pb

RecipeName = Literal["transformer-classifier", "entity-extractor", "rnn-classifier"]
PresetName = Literal["standard", "quick", "cross-lingual"]


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
    preset: Annotated[
        PresetName | None,
        typer.Option(help="A way of training; the README says what each changes (default: standard)."),
    ] = None,
    promote: Annotated[
        str | None,
        typer.Option(
            metavar="ALIAS", help="Move this alias to the version if its gate passes, such as production."
        ),
    ] = None,
    continue_from: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Go on from this version and not from the base, such as support@production.",
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="With --continue-from: a label's new name; repeatable."),
    ] = None,
    keep_labels: Annotated[
        bool, typer.Option("--keep-labels", help="With --continue-from: labels that the dataset lacks stay.")
    ] = False,
    replay_share: Annotated[
        float | None,
        typer.Option(help="With --continue-from: old rows beside new ones, [0, 10]; default 0.25."),
    ] = None,
    like: Annotated[
        str, typer.Option(metavar="VERSION", help="What is left open is as it was for this version.")
    ] = "",
    golden_examples: Annotated[
        bool,
        typer.Option(
            "--golden-examples/--no-golden-examples",
            help="The version keeps some texts of validation, so that servers can check its answers.",
        ),
    ] = True,
    measure_gain: Annotated[
        bool, typer.Option("--measure-gain", help="Train from random weights too, to compare: as long again.")
    ] = False,
    search_trials: Annotated[
        int | None,
        typer.Option(help="Look for better hyperparameters by so many trainings at most, [2, 1000]."),
    ] = None,
    search_minutes: Annotated[
        float | None, typer.Option(help="Look for better hyperparameters; no trial begins after this.")
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            "--gate",
            metavar="NAME=VALUE",
            help="What the version must hold for the alias to move, such as least_metric=0.9 or most_slice_points_lost=2; repeatable."
            " The names stand in the README under 'Promotion by gates'.",
        ),
    ] = None,
    override_reason: Annotated[
        str, typer.Option(metavar="WHY", help="Why the alias is to move even if a --gate fails.")
    ] = "",
    inference_target: InferenceTargetOption = None,
    priority: PriorityOption = 0,
    max_minutes: MaxMinutesOption = None,
    detach: DetachOption = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the job and do not submit it.")
    ] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Look at the rows and the cost, give advice, and do not submit the job.",
        ),
    ] = False,
    find_suspects: Annotated[
        bool, typer.Option("--suspects", help="With --plan: look for labels that are probably wrong.")
    ] = False,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="With --plan: tell what more rows would be worth.")
    ] = False,
    request_id: RequestIdOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of weights, order and dropout.")
    ] = None,
    max_epochs: knobs.MaxEpochs = None,
    batch_size: knobs.BatchSize = None,
    encoder_learning_rate: knobs.EncoderLearningRate = None,
    head_learning_rate: knobs.HeadLearningRate = None,
    warmup_share: knobs.WarmupShare = None,
    weight_decay: knobs.WeightDecay = None,
    dropout: knobs.Dropout = None,
    patience: knobs.Patience = None,
    max_tokens: knobs.MaxTokens = None,
    pooling: knobs.Pooling = None,
    label_smoothing: knobs.LabelSmoothing = None,
    schedule: knobs.Schedule = None,
    layer_decay: knobs.LayerDecay = None,
    frozen_layers: knobs.FrozenLayers = None,
    freeze_embeddings: knobs.FreezeEmbeddings = None,
    unfreezing_share: knobs.UnfreezingShare = None,
    class_weights: knobs.ClassWeights = None,
    averaging_decay: knobs.AveragingDecay = None,
    precision: knobs.Precision = None,
    micro_batch_size: knobs.MicroBatchSize = None,
    most_refused_share: knobs.MostRefusedShare = None,
    cell: knobs.Cell = None,
    layers: knobs.Layers = None,
    width: knobs.Width = None,
    embedding_width: knobs.EmbeddingWidth = None,
    vocabulary_size: knobs.VocabularySize = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a base model on a dataset, or train an RNN from scratch, and watch until a version is published."""
    session = session_of(context)
    shape = pb.RecurrentShape(
        cell=_value(cell),
        layers=layers,
        width=width,
        embedding_width=embedding_width,
        vocabulary_size=vocabulary_size,
    )
    spec = pb.TrainingSpec(
        model=model,
        dataset=dataset,
        recipe=_value(recipe),
        base_model=base or "",
        adaptable=adaptable,
        preset=_value(preset),
        seed=seed,
        gates=read_gates(gate or []),
        like_version=like,
        measures_gain=measure_gain,
        without_golden_examples=not golden_examples,
        search=read_search(search_trials, search_minutes),
        continue_from=read_continuation(continue_from, rename or [], keep_labels, replay_share),
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
            pooling=_value(pooling),
            label_smoothing=label_smoothing,
            schedule=_value(schedule),
            layer_decay=layer_decay,
            frozen_layers=frozen_layers,
            freeze_embeddings=freeze_embeddings,
            unfreezing_share=unfreezing_share,
            class_weights=_value(class_weights),
            averaging_decay=averaging_decay,
            precision=_value(precision),
            micro_batch_size=micro_batch_size,
            most_refused_share=most_refused_share,
            recurrent=shape if shape.ListFields() else None,
        ),
    )
    if (find_suspects or learning_curve) and not plan:
        hint = "--suspects" if find_suspects else "--learning-curve"
        raise typer.BadParameter("goes with --plan", param_hint=hint)
    if override_reason and not promote:
        raise typer.BadParameter("goes with --promote", param_hint="--override-reason")
    if inference_target and not promote:
        raise typer.BadParameter("goes with --promote", param_hint="--inference-target")
    if plan:
        show_plan(
            session,
            spec,
            promote_to=promote or "",
            find_suspects=find_suspects,
            learning_curve=learning_curve,
        )
        return
    request = pb.CreateTrainingJobRequest(
        spec=spec,
        request_id=request_id or uuid.uuid4().hex,  # so that a repeated call is the same job
        promote_to=promote or "",
        override_reason=override_reason,
        inference_target=inference_target or "",
        priority=priority,
        validate_only=validate_only,
    )
    if max_minutes is not None:
        request.max_duration.FromTimedelta(timedelta(minutes=max_minutes))
    job = session.call(session.training.CreateTrainingJob, request)
    if validate_only:
        session.show(job_record(job), f"this job would be accepted: {job.spec.model} from {job.spec.dataset}")
    elif detach:
        session.show(job_record(job), f"{job.id} accepted; it will publish {job.model_version}")
    else:
        session.tell(f"{job.id}: {job.model_version} from {job.spec.dataset}")
        follow_job(session, job.id)


def _value(name: str | None) -> str | None:
    """The enum value that an option names, as `slanted-triangular` does SLANTED_TRIANGULAR."""
    return None if name is None else name.upper().replace("-", "_")
