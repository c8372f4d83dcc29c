"""`--gate NAME=VALUE`: what a version must hold to be promoted."""

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
