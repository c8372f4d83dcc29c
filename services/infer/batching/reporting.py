"""What metrics and logs tell of batches."""

import secrets
from collections.abc import Sequence

from services.infer.batching.isolation import Poisoned
from services.infer.batching.items import Computed, Item
from services.infer.batching.outcomes import Incident
from shared.telemetry.logs import get_logger

_log = get_logger()


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
