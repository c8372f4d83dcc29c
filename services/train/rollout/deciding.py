"""What a look means for a version that is to go live. Pure: how long the rollout has waited is an argument.

The store decides what an alias means: where it has moved on, the rollout is over, whatever servers say. Then a server that refuses the
version for good breaks the rollout at once, because it would refuse it for ever; only then patience counts.
"""

from dataclasses import dataclass
from typing import Final, Literal

from services.train.rollout.snapshots import Look, Refusal, Snapshot
from shared.errors import Problem
from shared.names import VersionName

PATIENCE_S: Final = 600.0

State = Literal["WAITING", "LIVE", "BROKEN", "TIMED_OUT", "SUPERSEDED"]

# Loads in a row that must fail before a refusal counts as one for good; what is not here may pass by itself and is waited for. Once more
# than once, since a server may meet something that passes, such as a full disk, on its first try. Memory may be held by calls of this
# very moment, and by a model that was just loaded: four tries take 14 s or more.
_LOADS_BEFORE_GOOD: Final = {
    "VERSION_REJECTED": 1,
    "MODEL_NOT_LOADABLE": 2,
    "ARTIFACT_CORRUPT": 2,
}
_LOADS_WITHOUT_MEMORY: Final = 4
_MEMORY: Final = "memory budget"

_SILENT: Final = {
    "UNAVAILABLE": "cannot be reached: check that the server runs, and that this service can reach it",
    "DEADLINE_EXCEEDED": "did not answer in time: check that the server runs, and that this service can reach it",
    "UNIMPLEMENTED": "answers, but not as an inference server of this release: check inference_target",
    "MODEL_NOT_FOUND": "does not find the model: check that it reads the same store as this service",
    "ALIAS_NOT_FOUND": "does not find the alias: check that it reads the same store as this service",
    "STORE_UNAVAILABLE": "cannot read its store: check the store's disk, rights and network from there",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, and what stands in the way at each address."""

    state: State
    problems: tuple[
        Problem, ...
    ]  # of the addresses that do not answer with the version; of BROKEN, those that refuse it
    live: int  # addresses that answer with it
    addresses: int


def decide(
    version: VersionName,
    look: Look,
    *,
    alias_points_to: VersionName | None,
    waited_s: float,
    patience_s: float = PATIENCE_S,
) -> Verdict:
    """Judge a look. `alias_points_to` is what the store says, None if it cannot be read now."""
    live = sum(is_live(version, each) for each in look.snapshots)
    broken = tuple(_problem(version, each) for each in look.snapshots if _is_refused(version, each))
    waiting = tuple(_problem(version, each) for each in look.snapshots if not is_live(version, each))
    waiting += tuple(Problem(name, "stands for no address: check the name") for name in look.unresolved)

    def verdict(state: State, problems: tuple[Problem, ...] = ()) -> Verdict:
        return Verdict(state, problems, live, len(look.snapshots))

    if _is_superseded(version, alias_points_to):
        return verdict("SUPERSEDED")
    if broken:
        return verdict("BROKEN", broken)
    if not waiting and live:
        return verdict("LIVE")
    if waited_s >= patience_s:
        return verdict("TIMED_OUT", waiting)
    return verdict("WAITING", waiting)


def is_live(version: VersionName, snapshot: Snapshot) -> bool:
    """Tell whether an address answers calls with the version, and its golden examples right."""
    return snapshot.serving == version and not snapshot.is_failing_probes


def is_for_good(refusal: Refusal) -> bool:
    """Tell whether a server would refuse a version however long it is waited for."""
    if refusal.cause == _MEMORY:
        return refusal.failed_loads >= _LOADS_WITHOUT_MEMORY
    needed = _LOADS_BEFORE_GOOD.get(refusal.reason)
    return needed is not None and refusal.failed_loads >= needed


def _is_refused(version: VersionName, snapshot: Snapshot) -> bool:
    refusal = snapshot.refusal
    return refusal is not None and refusal.version == version and is_for_good(refusal)


def _is_superseded(version: VersionName, alias_points_to: VersionName | None) -> bool:
    return alias_points_to is not None and alias_points_to != version


def _problem(version: VersionName, snapshot: Snapshot) -> Problem:
    return Problem(snapshot.address, _description(version, snapshot))


def _description(version: VersionName, snapshot: Snapshot) -> str:
    refusal = snapshot.refusal
    if refusal is not None and refusal.version == version:
        times = f", {refusal.failed_loads} times" if refusal.failed_loads > 1 else ""
        return f"refused {version}{times} ({refusal.reason or 'UNKNOWN'}): {refusal.message}"
    if snapshot.silence:
        return _SILENT.get(snapshot.silence, f"did not tell of the alias ({snapshot.silence})")
    if snapshot.serving == version:
        return f"answers with {version}, but fails its probes: look at the server's accelerator and log"
    answers = f"still answers with {snapshot.serving}" if snapshot.serving else "answers with no version yet"
    if snapshot.coming == version:
        return f"{answers} and is loading {version}"
    return f"{answers} and has not seen {version}: check that it reads the same store as this service"
