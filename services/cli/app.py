"""The `tagsmith` program: which command is which function, and how every one of them ends.

Exit codes: 0 done; 1 a service refused, a job failed, or a text has no answer; 2 the command was used wrongly; 130 Ctrl-C.
"""

from typing import Annotated, Any

import grpc
import typer
from typer.core import TyperGroup

from services.cli import (
    answers,
    bases,
    comparing,
    data,
    evaluation,
    export,
    jobs,
    logs,
    models,
    report,
    retraining,
    training,
    up,
)
from services.cli.failures import CommandError
from services.cli.session import Session
from shared.rpc.status import explain


class _Program(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run the command; tell what a service or the command refused, without a traceback."""
        try:
            return super().invoke(ctx)
        except CommandError as error:
            explained = error.explained
        except grpc.RpcError as error:
            explained = explain(error)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        ctx.obj.complain(explained)
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train text classifiers and entity extractors on your own data, and serve them.",
)
app.command("up")(up.up)
app.add_typer(data.app, name="data")
app.command("bases")(bases.bases)
app.add_typer(bases.app, name="base")
app.command("train")(training.train)
app.command("retrain")(retraining.retrain)
app.command("jobs")(jobs.jobs)
app.command("watch")(jobs.watch)
app.command("events")(jobs.events)
app.command("logs")(logs.logs)
app.command("stop")(jobs.stop)
app.command("cancel")(jobs.cancel)
app.command("models")(models.models)
app.command("compare")(comparing.compare)
app.command("promote")(models.promote)
app.command("rollback")(models.rollback)
app.command("classify")(answers.classify)
app.command("extract")(answers.extract)
app.command("eval")(evaluation.evaluate)
app.command("report")(report.report)
app.command("export")(export.export)


@app.callback()
def _program(
    context: typer.Context,
    train_address: Annotated[
        str,
        typer.Option(envvar="TAGSMITH_TRAIN_ADDRESS", help="Where the training service and registry are."),
    ] = "127.0.0.1:50061",
    infer_address: Annotated[
        str, typer.Option(envvar="TAGSMITH_INFER_ADDRESS", help="Where the inference service is.")
    ] = "127.0.0.1:50051",
) -> None:
    session = Session(train_address=train_address, infer_address=infer_address)
    context.obj = context.with_resource(session)


def main() -> None:
    """Run the program and exit."""
    app()
