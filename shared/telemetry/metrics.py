"""Every metric of Tagsmith: name, labels, unit. Labels never carry anything that a caller chose freely.

The README lists them; a test keeps the two alike.
"""

from functools import lru_cache
from typing import Final, TypeVar

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from shared.errors import PortTakenError

M = TypeVar("M", Counter, Gauge, Histogram)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_POWERS: Final = tuple(float(2**power) for power in range(15))

# Both services.
RPC_SECONDS: Final = Histogram(
    "tagsmith_rpc_seconds", "Time of a call on the server.", ["method", "code"], buckets=_SECONDS
)

# The inference service.
TEXTS: Final = Counter(
    "tagsmith_texts_total", "Texts answered, by outcome: ok or an error reason.", ["model", "outcome"]
)
QUEUE_TOKENS: Final = Gauge("tagsmith_queue_tokens", "Tokens waiting for a model run.")
QUEUE_SECONDS: Final = Histogram(
    "tagsmith_queue_seconds",
    "Time that the window of a model run which waited longest has waited.",
    buckets=_SECONDS,
)
BATCH_WINDOWS: Final = Histogram("tagsmith_batch_windows", "Windows in one model run.", buckets=_POWERS)
BATCH_TOKENS: Final = Counter(
    "tagsmith_batch_tokens_total", "Tokens that models read, padding not counted.", ["model"]
)
PADDED_TOKENS: Final = Counter(
    "tagsmith_batch_padded_tokens_total", "Tokens that models read, padding counted.", ["model"]
)
RUN_SECONDS: Final = Histogram("tagsmith_run_seconds", "Time of one model run.", ["model"], buckets=_SECONDS)
DROPPED_WINDOWS: Final = Counter(
    "tagsmith_dropped_windows_total", "Windows dropped before a model run: cancelled or expired.", ["cause"]
)
FAILED_PROBES: Final = Counter(
    "tagsmith_failed_probes_total", "Probes that a version in memory has failed.", ["model"]
)
LOADED_MODELS: Final = Gauge(
    "tagsmith_loaded_models", "1 for each version that answers.", ["model", "version", "variant", "provider"]
)
LOAD_FAILURES: Final = Counter(
    "tagsmith_load_failures_total", "Versions that could not be loaded.", ["model", "reason"]
)
LOAD_SECONDS: Final = Histogram(
    "tagsmith_load_seconds", "Time to fetch, verify, load and warm a version.", buckets=_SECONDS
)

LOST_LOG_LINES: Final = Counter(
    "tagsmith_lost_log_lines_total", "Log lines that could not be written, such as to a full disk."
)

# The training service.
JOBS: Final = Gauge("tagsmith_jobs", "Jobs by state, final states counted since the start.", ["state"])


@lru_cache(maxsize=4096)
def child(metric: M, *labels: str) -> M:
    """Return `metric.labels(*labels)`, found at a tenth of the price; not for metrics from which labels are removed."""
    return metric.labels(*labels)


def start_metrics_server(host: str, port: int) -> int:
    """Serve /metrics on host:port (0: any free one) from a daemon thread and return the port. Raises PortTakenError."""
    try:
        server, _ = start_http_server(port, addr=host)
    except OSError as error:
        raise PortTakenError(
            f"cannot serve metrics on {host}:{port} ({error.strerror}): stop the other process or set another port."
        ) from error
    return int(server.server_port)
