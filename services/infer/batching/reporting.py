"""What metrics and logs tell of batches."""

import secrets
from collections.abc import Sequence

from services.infer.batching.isolation import Poisoned
from services.infer.batching.items import Computed, Item
from services.infer.batching.outcomes import Incident
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

_log = get_logger()


def observe(batch: Sequence[Item], now_s: float) -> None:
    """Count a batch that starts."""
    metrics.BATCH_WINDOWS.observe(len(batch))
    metrics.QUEUE_SECONDS.observe(now_s - min(item.arrival_s for item in batch))
    longest = batch[-1].tokens
    tokens: dict[str, list[int]] = {}
    for item in batch:
        tokens.setdefault(item.model, []).append(item.tokens)
    for model, of_model in tokens.items():
        metrics.child(metrics.BATCH_TOKENS, model).inc(sum(of_model))
        metrics.child(metrics.PADDED_TOKENS, model).inc(len(of_model) * longest)


def told(batch: Sequence[Item], outcomes: Sequence[Computed | Poisoned]) -> Sequence[Computed | Incident]:
    """Log the faults of a batch, if any, as one incident, which takes their place."""
    faults = [
        (item, outcome.error)
        for item, outcome in zip(batch, outcomes, strict=True)
        if isinstance(outcome, Poisoned)
    ]
    incident = Incident(secrets.token_hex(4) if faults else "")
    if faults:
        item, error = faults[0]
        _log.error(
            "model_run_failed",
            incident=incident.id,
            model_version=", ".join(str(reader.version) for reader in item.work[1]),
            failed_windows=len(faults),
            batch_windows=len(outcomes),
            exc_info=error,
        )
    return [incident if isinstance(outcome, Poisoned) else outcome for outcome in outcomes]
