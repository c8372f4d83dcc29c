"""The registry: from the model store's records to the wire. Pure functions."""

from collections.abc import Sequence

from services.train.comparing import VersionComparison
from services.train.job_wire import write_time
from services.train.registry import ModelSummary, UnreadableVersion, VersionSummary
from shared.rpc.status import to_status
from shared.store.aliases import AliasRecord
from shared.store.evaluation import Change
from shared.store.manifest import Manifest, VariantName
from shared.stubs.registry.v1 import registry_pb2 as pb

_STATES = {"published": pb.ModelVersion.PUBLISHED, "rejected": pb.ModelVersion.REJECTED}


def write_model(model: ModelSummary) -> pb.Model:
    """Write a model."""
    return pb.Model(
        name=model.name,
        aliases=[write_alias(alias) for alias in model.aliases],
        latest_version=model.versions[-1] if model.versions else 0,
        error=to_status(model.damage) if model.damage else None,
    )


def write_alias(alias: AliasRecord) -> pb.Alias:
    """Write one move of an alias."""
    return pb.Alias(
        model=alias.model,
        alias=alias.alias,
        version=alias.version,
        previous_version=alias.previous,
        actor=alias.actor,
        reason=alias.reason,
        move_time=write_time(alias.time),
        sequence=alias.sequence,
    )


def write_listed(version: VersionSummary | UnreadableVersion) -> pb.ModelVersion:
    """Write a version of a list, or what stands in its place."""
    if isinstance(version, UnreadableVersion):
        return pb.ModelVersion(name=str(version.name), error=to_status(version.damage))
    return write_version(*version, with_manifest=False)


def write_comparison(comparison: VersionComparison) -> pb.VersionComparison:
    """Write two versions beside each other."""
    return pb.VersionComparison(
        before=str(comparison.before.version),
        after=str(comparison.after.version),
        splits=[
            pb.SplitComparison(
                split=each.split,
                row_count=each.row_count,
                metrics=map(_change, each.metrics),
                labels=map(_change, each.labels),
                slices=map(_change, each.slices),
            )
            for each in comparison.splits
        ],
    )


def _change(change: Change) -> pb.ScoreChange:
    return pb.ScoreChange(**change.model_dump())


def _variant(manifest: Manifest, name: VariantName) -> pb.Variant:
    graphs = manifest.variants[name].graphs.values()
    return pb.Variant(
        name=name,
        graph_bytes=sum(graph.file.size_bytes for graph in graphs),
        metrics=manifest.metrics_of(name),
    )


def write_version(
    manifest: Manifest, aliases: Sequence[AliasRecord], *, with_manifest: bool
) -> pb.ModelVersion:
    """Write a version; `aliases` are all of its model. The manifest holds texts and has no bound: never in a list."""
    return pb.ModelVersion(
        name=str(manifest.version),
        state=_STATES[manifest.state],
        task=manifest.task,
        labels=manifest.labels,
        metrics=manifest.metrics,
        row_counts={
            split: evaluation.row_count for split, evaluation in manifest.evaluations.get("fp32", {}).items()
        },
        out_of_scope_counts={
            split: evaluation.out_of_scope_count
            for split, evaluation in manifest.evaluations.get("fp32", {}).items()
            if evaluation.out_of_scope_count
        },
        job=manifest.lineage.job_id,
        base_model=manifest.lineage.base_model.id if manifest.lineage.base_model else "",
        adaptable=manifest.lineage.adaptable,
        dataset=manifest.lineage.dataset,
        size_bytes=sum({file.digest: file.size_bytes for file in manifest.files}.values()),
        aliases=sorted(alias.alias for alias in aliases if alias.version == manifest.number),
        gate_checks=[pb.GateCheck(**check.model_dump()) for check in manifest.gate_checks],
        quality_checks=[pb.QualityCheck(**check.model_dump()) for check in manifest.quality_checks],
        variants=[_variant(manifest, name) for name in manifest.variants],
        create_time=write_time(manifest.create_time),
        manifest_json=manifest.model_dump_json() if with_manifest else "",
    )
