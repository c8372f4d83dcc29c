"""Named failpoints: places at which the process kills itself, armed by `TAGSMITH_TEST_FAILPOINT=<name>:<nth time>`.

They wrap what the code calls anyway, so that no production code knows of them. `before` a call and `after` it are different crashes: in the
second one the world has changed and nobody was told.
"""

import os
import signal
from collections.abc import Callable
from typing import Any, Final

from services.train.engines.local import LocalEngine, LocalTrainer
from services.train.jobs.event_log import EventLog
from services.train.jobs.publication import Publication
from services.train.jobs.table import JobTable
from shared.store.attempts import Attempts
from shared.store.models import ModelStore

VARIABLE: Final = "TAGSMITH_TEST_FAILPOINT"
_Call = tuple[type, str]

OF_SERVICE: Final[dict[str, _Call]] = {
    "reserve": (ModelStore, "reserve"),
    "add": (JobTable, "add"),
    "claim": (JobTable, "claim"),
    "reclaim": (JobTable, "reclaim"),
    "renew": (JobTable, "renew"),
    "change": (JobTable, "change"),
    "give up attempts": (Publication, "give_up_attempts"),
    "start trainer": (LocalEngine, "start"),
    "stop trainer": (LocalTrainer, "stop"),
    "read events": (EventLog, "read"),
    "look for the manifest": (Publication, "manifest"),
    "promote": (Publication, "promote"),
    "move the alias": (ModelStore, "set_alias"),
}
OF_TRAINER: Final[dict[str, _Call]] = {
    "put a file": (ModelStore, "put_file"),
    "publish": (ModelStore, "publish"),
    "record the attempt": (Attempts, "_end"),
    "write the manifest": (ModelStore, "_write_manifest"),
}
NAMES: Final = tuple(f"{when} {name}" for name in (*OF_SERVICE, *OF_TRAINER) for when in ("before", "after"))


def arm(calls: dict[str, _Call]) -> None:
    """Arm the failpoint that the environment names, if it is one of these calls."""
    named, _, nth = os.environ.get(VARIABLE, "").rpartition(":")
    when, _, name = named.partition(" ")
    if name in calls:
        owner, method = calls[name]
        setattr(owner, method, _wrapped(getattr(owner, method), after=when == "after", nth=int(nth)))


def _wrapped(real: Callable[..., Any], *, after: bool, nth: int) -> Callable[..., Any]:
    left = nth

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if left == 0 and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
