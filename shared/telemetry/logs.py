"""Structured logs: one JSON object a line on stderr, for libraries' records and uncaught exceptions too.

Fields carry ids, counts, durations and names of models. They never carry a user's text: exceptions are logged by type and
frames, without local values, and with their message only if it cannot quote what a caller sent. For the same reason a library's
record is told by where it was made, never by its words: asyncio's, for one, quote exceptions.
"""

import logging
import sys
import threading
import traceback
from typing import TextIO, cast

import structlog

from shared.errors import TagsmithError
from shared.telemetry import metrics


def configure_logs(service: str, level: str = "INFO") -> None:
    """Set up logging for this process; `service` stands in every line. Called once, by main."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(lambda exc_info: describe_error(exc_info[1])),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Lines(sys.stderr))),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(
        handlers=[_LibraryHandler()], level=max(logging.getLevelName(level), logging.WARNING), force=True
    )
    sys.excepthook = lambda kind, error, trace: get_logger().critical("uncaught", exc_info=error)
    threading.excepthook = lambda caught: get_logger().critical("uncaught", exc_info=caught.exc_value)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return a logger: the first argument of its methods is the event's name, the rest are fields."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger())


class _Lines:
    """Where log lines go. A full disk behind it costs lines and nothing else: a service outlives its log."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        try:
            self._file.write(line)
        except OSError:
            metrics.LOST_LOG_LINES.inc()

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            metrics.LOST_LOG_LINES.inc()


class _LibraryHandler(logging.Handler):
    """Tells of the standard library's records in our own form."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        get_logger().log(
            record.levelno,
            "library_record",
            logger=record.name,
            where=f"{record.module}:{record.lineno}",
            **({"exc_info": error} if error else {}),
        )


def describe_error(error: BaseException | None) -> str:
    """Write an exception and its causes, the innermost first as Python does, without messages that may quote a user's text."""
    parts: list[str] = []
    while error is not None:
        parts.append("".join(traceback.format_tb(error.__traceback__)) + _headline(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich led to:\n".join(reversed(parts))


def _headline(error: BaseException) -> str:
    """Name an exception. A KeyError or UnicodeError may quote a user's text; ours, the system's and ONNX Runtime's do not."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    safe = isinstance(error, TagsmithError | OSError) or kind.__module__.startswith("onnxruntime.")
    return f"{name}: {error}" if safe else name
