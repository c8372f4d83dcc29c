"""The loads that scenarios share: waiting callers, and arrivals at a rate, each measured in a quiet moment."""

from typing import Any, Final

from tests.bench.serving.quiet import Figures
from tests.bench.serving.servers import Server
from tests.bench.serving.stand import Stand

SINGLE: Final = {"callers": 128, "texts_per_call": 1}
BULK: Final = {"callers": 16, "texts_per_call": 32}
WARM_UP_S: Final = 1.0
MEASURED_S: Final = 3.5


def waiting_callers(
    stand: Stand, server: Server, corpus: str, *, measured_s: float = MEASURED_S, **fields: Any
) -> Figures:
    """Load a server with callers that ask again when they are answered."""
    return stand.patience.quietest(
        lambda: stand.load(
            server, corpus, kind="closed", warm_up_s=WARM_UP_S, measured_s=measured_s, **fields
        )
    )


def arrivals(
    stand: Stand,
    server: Server,
    corpus: str,
    *,
    calls_per_s: float,
    measured_s: float,
    timeout_ms: int | None = None,
    **fields: Any,
) -> Figures:
    """Load a server with calls of one text at random moments, whatever becomes of them."""
    return stand.patience.quietest(
        lambda: stand.load(
            server,
            corpus,
            kind="open",
            calls_per_s=calls_per_s,
            warm_up_s=WARM_UP_S,
            measured_s=measured_s,
            timeout_ms=timeout_ms,
            seed=1,
            **fields,
        )
    )
