"""`tagsmith train --plan`: what is known of a job before it is submitted."""

from collections.abc import Iterator

from rich.table import Table

from services.cli.data import caution
from services.cli.records import Record
from services.cli.session import Session
from services.cli.training_records import plan_record
from shared.stubs.training.v1 import training_pb2 as pb

_MOST_SHOWN = 20
_VERDICTS = {
    "RISING": "more rows still help",
    "FLAT": "flat: as many rows again would hardly help; labels or base limit it",
    "UNCLEAR": "unclear: the validation rows are too few to tell",
}
_TIMEOUT_S = 900.0  # it may wait for others, and reads all rows


def show_plan(
    session: Session, spec: pb.TrainingSpec, *, promote_to: str, find_suspects: bool, learning_curve: bool
) -> None:
    """Ask for a plan and show it."""
    request = pb.PlanTrainingJobRequest(
        spec=spec, promote_to=promote_to, find_suspects=find_suspects, learning_curve=learning_curve
    )
    plan = session.training.PlanTrainingJob(request, timeout=_TIMEOUT_S)
    record = plan_record(plan)
    curve = record["learning_curve"]
    tables = [
        _facts(record),
        *(_suspects(record) if find_suspects else []),
        *([_points(curve)] if curve else []),
    ]
    session.show(record, f"{plan.spec.model} from {plan.spec.dataset}", *tables)
    for line in (*map(caution, record["findings"]), *([_worth(curve)] if curve else []), *_advice(record)):
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


def _suspects(record: Record) -> Iterator[str | Table]:
    """Show the most suspect ones as they are ranked; --json has them all."""
    suspects = record["suspects"]
    if not suspects:
        yield "no suspect rows"
        return
    shown = suspects[:_MOST_SHOWN]
    yield (
        f"{len(suspects)} suspect rows, the most suspect first{f', {len(shown)} of them' if len(shown) < len(suspects) else ''}: confidence is"
        " the probability of what a row has, from a probe that never saw it; the further below what that label usually gets, the more suspect"
    )
    table = Table("suspect row", "has", "should perhaps have", "confidence", box=None)
    for each in shown:
        span = f" [{each['start']}, {each['end']})" if each["end"] else ""
        table.add_row(
            each["place"] + span,
            ", ".join(each["labels"]) or "none",
            ", ".join(each["suggested_labels"]) or "none",
            f"{each['confidence']:.3f}",
        )
    yield table


def _points(curve: Record) -> Table:
    table = Table("train rows", f"{curve['metric_name']} of a probe", box=None)
    for each in curve["points"]:
        table.add_row(str(each["row_count"]), f"{each['score']:.3f}")
    return table


def _worth(curve: Record) -> str:
    """Say what more rows would be worth, and how sure that is."""
    if len(curve["points"]) < 2:
        return "learning curve: train has too few rows of some label to take half of them away"
    gain, low, high = (100 * curve[each] for each in ("gain", "gain_low", "gain_high"))
    told = _VERDICTS.get(curve["verdict"], curve["verdict"])
    last, rows = curve["points"][-1]["row_count"], curve["train_row_count"]
    cut = f"; of {rows} train rows it has {last}, which a probe learns from in minutes" if last < rows else ""
    return f"learning curve: {told}; the last doubling gained {gain:+.1f} points ({low:+.1f} to {high:+.1f}){cut}"


def _advice(record: Record) -> Iterator[str]:
    for each in record["advice"]:
        yield f"advice: {each['field']} = {each['value']}: {each['reason']}"
