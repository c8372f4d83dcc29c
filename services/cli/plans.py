"""`tagsmith train --plan`: what is known of a job before it is submitted."""

from collections.abc import Iterator

from rich.table import Table

from services.cli.data import caution
from services.cli.records import Record
from services.cli.session import Session
from services.cli.training_records import plan_record
from shared.stubs.training.v1 import training_pb2 as pb

_MOST_SHOWN = 20
_TIMEOUT_S = 900.0  # it may wait for others, and reads all rows


def show_plan(session: Session, spec: pb.TrainingSpec, *, promote_to: str, find_suspects: bool) -> None:
    """Ask for a plan and show it."""
    request = pb.PlanTrainingJobRequest(spec=spec, promote_to=promote_to, find_suspects=find_suspects)
    plan = session.training.PlanTrainingJob(request, timeout=_TIMEOUT_S)
    record = plan_record(plan)
    tables = [_facts(record), *([_suspects(record)] if find_suspects else [])]
    session.show(record, f"{plan.spec.model} from {plan.spec.dataset}", *tables)
    for line in (*map(caution, record["findings"]), *_advice(record)):
        session.tell(line)


def _facts(record: Record) -> Table:
    texts, cost = record["texts"], record["cost"]
    table = Table("fact", "value", box=None)
    table.add_row("rows", str(texts["row_count"]))
    table.add_row(
        "tokens of a text",
        f"{texts['median_tokens']} (median), {texts['p95_tokens']} (95 %), {texts['most_tokens']} (longest)",
    )
    table.add_row("texts read in pieces", str(texts["long_row_count"]))
    table.add_row("tokens unknown to the base", f"{texts['unknown_token_share']:.2%}")
    languages = ", ".join(f"{language} {share:.0%}" for language, share in texts["language_shares"].items())
    table.add_row("languages", languages or "cannot be told")
    if cost is not None:
        trainings = f" in each of {cost['training_count']} trainings" if cost["training_count"] > 1 else ""
        table.add_row("steps", f"{cost['total_steps']}{trainings}, {cost['step_ms']:.0f} ms each")
        table.add_row(
            "training, at most", f"{cost['duration_ms'] / 60_000:.1f} min; export and gate come on top"
        )
        table.add_row("memory of the probe", f"{cost['peak_memory_bytes'] / 2**20:.0f} MiB")
    return table


def _suspects(record: Record) -> Table:
    """Show the most suspect ones; --json has them all."""
    table = Table("suspect row", "has", "should perhaps have", "confidence", box=None)
    for each in record["suspects"][:_MOST_SHOWN]:
        span = f" [{each['start']}, {each['end']})" if each["end"] else ""
        table.add_row(
            each["place"] + span,
            ", ".join(each["labels"]) or "none",
            ", ".join(each["suggested_labels"]) or "none",
            f"{each['confidence']:.3f}",
        )
    return table


def _advice(record: Record) -> Iterator[str]:
    for each in record["advice"]:
        yield f"advice: {each['field']} = {each['value']}: {each['reason']}"
