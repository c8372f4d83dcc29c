"""Plans: from the domain to the wire. Pure functions."""

from google.protobuf.duration_pb2 import Duration

from services.train.plan import Cost, LearningCurve, Plan, TextFacts
from services.train.spec_wire import write_spec
from services.train.wire import write_finding
from shared.stubs.training.v1 import training_pb2 as pb


def write_plan(plan: Plan) -> pb.TrainingPlan:
    """Write a plan."""
    return pb.TrainingPlan(
        spec=write_spec(plan.spec),
        findings=map(write_finding, plan.report.findings),
        texts=_write_texts(plan.report.texts),
        cost=None if plan.report.cost is None else _write_cost(plan.report.cost),
        suspects=[pb.Suspect(**each.model_dump()) for each in plan.report.suspects],
        learning_curve=None
        if plan.report.learning_curve is None
        else _write_curve(plan.report.learning_curve),
        advice=[pb.Advice(field=each.field, value=each.value, reason=each.reason) for each in plan.advice],
    )


def _write_texts(texts: TextFacts) -> pb.TextFacts:
    return pb.TextFacts(**texts.model_dump())


def _write_curve(curve: LearningCurve) -> pb.LearningCurve:
    verdict = pb.LearningCurve.Verdict.Value(curve.verdict.upper())
    return pb.LearningCurve(**(curve.model_dump() | {"verdict": verdict}))


def _write_cost(cost: Cost) -> pb.TrainingCost:
    return pb.TrainingCost(
        total_steps=cost.total_steps,
        training_count=cost.training_count,
        step_duration=_duration(cost.step_ms),
        duration=_duration(cost.duration_ms),
        peak_memory_bytes=cost.peak_memory_bytes,
    )


def _duration(milliseconds: float) -> Duration:
    message = Duration()
    message.FromMicroseconds(round(1000 * milliseconds))
    return message
