"""Structured logs: one JSON object a line on stderr.

Fields carry ids, counts, durations and names of models. They never carry a user's text, and exceptions are logged by type and
traceback without local values.
"""

import logging
import sys
from typing import cast

import structlog


def configure_logs(service: str, level: str = "INFO") -> None:
    """Set up logging for this process; `service` stands in every line. Called once, by main."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return a logger: the first argument of its methods is the event's name, the rest are fields."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger())
