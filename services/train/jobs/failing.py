"""What callers are told of an error that ends a job here, in the service."""

import secrets

from services.train.events import Failure
from shared.errors import TagsmithError
from shared.telemetry.logs import get_logger

_log = get_logger()


def failure_of(error: Exception, *, job_id: str) -> Failure:
    """Return an error's own words if it was raised on purpose; else nothing but the id under which the log has it."""
    if isinstance(error, TagsmithError):
        return Failure.of(error)
    incident = secrets.token_hex(4)
    _log.error("job_defect", job=job_id, incident=incident, exc_info=error)
    return Failure(
        reason="INTERNAL", message=f"internal error, incident {incident}", metadata={"incident": incident}
    )
