"""What a version must hold to be promoted, and what its training goes on from, as `tagsmith train` is told."""

from collections.abc import Sequence

import typer

from shared.stubs.training.v1 import training_pb2 as pb


def read_gates(options: Sequence[str]) -> pb.QualityGates | None:
    """Read the options; nothing where there is none. Raises typer.BadParameter; the service knows the ranges."""
    fields = pb.QualityGates.DESCRIPTOR.fields_by_name
    gates = pb.QualityGates()
    for option in options:
        name, _, value = option.partition("=")
        if name not in fields or not value:
            raise typer.BadParameter(
                f"{option!r} is none of {', '.join(fields)} with =VALUE", param_hint="--gate"
            )
        kind = type(getattr(gates, name))
        try:
            setattr(gates, name, kind(value))
        except ValueError:
            raise typer.BadParameter(f"{value!r} is no value of {name}", param_hint="--gate") from None
    return gates if options else None


def read_continuation(
    version: str | None, renames: Sequence[str], keeps_labels: bool, replay_share: float | None
) -> pb.Continuation | None:
    """Read --continue-from and what goes with it. Raises typer.BadParameter."""
    if version is None:
        if renames or keeps_labels or replay_share is not None:
            raise typer.BadParameter(
                "goes with --continue-from", param_hint="--rename, --keep-labels, --replay-share"
            )
        return None
    for option in renames:
        old, _, new = option.partition("=")
        if not (old and new):
            raise typer.BadParameter(
                f"{option!r} is not OLD=NEW, such as refund=money-back", param_hint="--rename"
            )
    named = dict(option.split("=", 1) for option in renames)
    if len(named) < len(renames):
        raise typer.BadParameter("name each label once, as in refund=money-back", param_hint="--rename")
    return pb.Continuation(
        version=version, label_renames=named, keeps_labels=keeps_labels, replay_share=replay_share
    )


def read_search(trials: int | None, minutes: float | None) -> pb.Search | None:
    """Read --search-trials and --search-minutes; nothing where neither is there."""
    if trials is None and minutes is None:
        return None
    return pb.Search(most_trials=trials, most_minutes=minutes)
