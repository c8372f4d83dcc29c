"""`tagsmith models`, `promote` and `rollback`: what the store holds and where its aliases point."""

import getpass
from typing import Annotated

import typer
from rich.table import Table

from services.cli.failures import local_error
from services.cli.history import version_before
from services.cli.options import AliasOption, AsJson, session_of
from services.cli.paging import all_pages, tell_damage
from services.cli.records import alias_record, model_record, version_record
from services.cli.session import Session
from services.cli.trainings import how_it_was_trained, training_record
from shared.names import VersionName
from shared.store.evaluation import figure
from shared.store.manifest import METRICS
from shared.stubs.registry.v1 import registry_pb2 as pb

ReasonOption = Annotated[str, typer.Option(help="Why, for the history.")]


def models(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL[@VERSION]]", help="A model: its versions. A version or alias: all about it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List models, the versions of one, or all about a version."""
    session = session_of(context)
    if name is None:
        _show_models(session)
    elif "@" in name:
        version = _version(session, name)
        training = training_record(version)
        session.show(
            version_record(version) | training,
            f"{version.name} {_facts(version)}",
            metrics_table(version),
            _gate_table(version),
            *how_it_was_trained(training),
        )
    else:
        _show_versions(session, name)


def promote(
    context: typer.Context,
    version: Annotated[
        str, typer.Argument(metavar="MODEL@VERSION", help="The version, or another alias that points to it.")
    ],
    alias: AliasOption = "production",
    expect: Annotated[
        int | None,
        typer.Option(min=0, help="Only if the alias points to this version now; 0: only if it is new."),
    ] = None,
    reason: ReasonOption = "",
    override_reason: Annotated[
        str, typer.Option(metavar="WHY", help="Why it is to move even if the version fails a quality gate.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Point an alias to a version."""
    session = session_of(context)
    if "@" not in version:
        raise typer.BadParameter("say which version, such as support@7", param_hint="MODEL@VERSION")
    target = VersionName.parse(_version(session, version).name)
    _move(session, target, alias, expected=expect, reason=reason, override=override_reason)


def rollback(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model.")],
    alias: AliasOption = "production",
    reason: ReasonOption = "",
    as_json: AsJson = False,
) -> None:
    """Point an alias to the version that it had before. Twice goes back two versions."""
    session = session_of(context)
    request = pb.ListAliasHistoryRequest(model=model, alias=alias)
    newest_first = [
        move.version
        for page in all_pages(session, session.registry.ListAliasHistory, request)
        for move in page.moves
    ]
    before = version_before(newest_first[::-1])
    if before is None:
        raise local_error(
            "VERSION_NOT_FOUND",
            f"nothing is left to go back to: {model}@{alias} is back at its first version, {model}@{newest_first[0]}",
            model=model,
            alias=alias,
        )
    why = reason or "rolled back"  # to what was served before: no gate stands in the way of that
    _move(session, VersionName(model, before), alias, expected=newest_first[0], reason=why, override=why)


def metrics_table(version: pb.ModelVersion) -> Table:
    """Metrics by split, each split with its number of rows; a column for each variant."""
    others = [variant for variant in version.variants if variant.name != "fp32"]
    table = Table("split", "rows", "metric", "fp32", *(variant.name for variant in others), box=None)
    for name, value in sorted(version.metrics.items(), reverse=True):  # validation before test
        split, _, metric = name.partition(".")
        values = (f"{each:.4f}" for each in (value, *(variant.metrics[name] for variant in others)))
        counts = version.out_of_scope_counts if metric == "out_of_scope_recall" else version.row_counts
        table.add_row(split, str(counts.get(split) or "-"), metric, *values)
    return table


def _show_models(session: Session) -> None:
    pages = all_pages(session, session.registry.ListModels, pb.ListModelsRequest())
    found = [model for page in pages for model in page.models]
    records = [model_record(model) for model in found]
    table = Table("model", "latest", "aliases", box=None)
    for record in records:
        aliases = " ".join(f"{alias}={version}" for alias, version in record["aliases"].items())
        table.add_row(record["name"], str(record["latest_version"] or "-"), aliases)
    session.show({"models": records}, table if records else "no models yet; `tagsmith train` makes one")
    tell_damage(session, found)


def _show_versions(session: Session, model: str) -> None:
    pages = all_pages(session, session.registry.ListModelVersions, pb.ListModelVersionsRequest(model=model))
    versions = [version for page in pages for version in page.versions]
    table = Table(
        "version", "state", "aliases", "validation", "test", "base", "adaptable", "published", box=None
    )
    for version in versions:
        if version.HasField("error"):
            table.add_row(version.name, "UNREADABLE")
            continue
        table.add_row(
            version.name,
            pb.ModelVersion.State.Name(version.state),
            " ".join(version.aliases),
            _headline(version, "validation"),
            _headline(version, "test"),
            version.base_model or "none",
            "on" if version.adaptable else "off",
            f"{version.create_time.ToDatetime():%Y-%m-%d %H:%M:%S}",
        )
    session.show({"versions": [version_record(version) for version in versions]}, table)
    tell_damage(session, versions)


def _headline(version: pb.ModelVersion, split: str) -> str:
    metric = next((metric for task, metric in METRICS.items() if task == version.task), "")
    name = f"{split}.{metric}"
    if name not in version.metrics:
        return "-"
    return f"{metric} {version.metrics[name]:.4f} ({version.row_counts[split]} rows)"


def _facts(version: pb.ModelVersion) -> str:
    facts = [
        pb.ModelVersion.State.Name(version.state),
        version.task,
        f"{len(version.labels)} labels",
        f"base {version.base_model or 'none'}",
        f"adaptable {'on' if version.adaptable else 'off'}",
        f"{version.size_bytes / 1e6:.1f} MB",
        f"from {version.dataset}",
        f"by {version.job}",
    ]
    return ", ".join(facts + [f"@{alias}" for alias in version.aliases])


def _gate_table(version: pb.ModelVersion) -> Table:
    table = Table("gate", "", "measured", "limit", "", box=None)
    for check in version.gate_checks:
        table.add_row(
            check.name, _verdict(check), f"{check.measured:.3g}", f"{check.limit:.3g}", check.detail
        )
    for gate in version.quality_checks:
        measured = gate.measured if gate.HasField("measured") else None
        told = (figure(measured, gate.unit), figure(gate.limit, gate.unit))
        table.add_row(gate.name, _verdict(gate), *told, gate.detail)
    return table


def _verdict(check: pb.GateCheck | pb.QualityCheck) -> str:
    return "passed" if check.passed else "FAILED"


def _version(session: Session, name: str) -> pb.ModelVersion:
    request = pb.GetModelVersionRequest(model_version=name)
    version: pb.ModelVersion = session.call(session.registry.GetModelVersion, request)
    return version


def _move(
    session: Session, target: VersionName, alias: str, *, expected: int | None, reason: str, override: str
) -> None:
    request = pb.SetAliasRequest(
        model=target.model,
        alias=alias,
        version=target.number,
        expected_version=expected,
        actor=f"{getpass.getuser()} (tagsmith command)",
        reason=reason,
        override_reason=override,
    )
    moved = session.call(session.registry.SetAlias, request)
    before = f", was {target.model}@{moved.previous_version}" if moved.previous_version else ""
    session.show(alias_record(moved), f"{moved.model}@{moved.alias} is {target}{before}")
