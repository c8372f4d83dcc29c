"""The life of a version in memory, as one table. Pure.

A version that is absent from memory has no state. QUEUED, DRAINING and FAILED end by being forgotten, which is no state either.
"""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """What a resident version is doing; see LoadedModel.State."""

    QUEUED = auto()  # for the loading thread; callers are told LOADING
    LOADING = auto()
    ACTIVE = auto()
    DRAINING = auto()
    FAILED = auto()


class Event(Enum):
    """What happens to a resident version."""

    BEGUN = auto()  # its turn has come
    LOADED = auto()  # fetched, verified, golden examples answered, warm
    LOAD_FAILED = auto()
    RETRIED = auto()  # its back-off is over
    UNWANTED = auto()  # no reference leads to it any more
    WANTED = auto()  # one does again


_TABLE: Final = {
    (State.QUEUED, Event.BEGUN): State.LOADING,
    (State.LOADING, Event.LOADED): State.ACTIVE,
    (State.LOADING, Event.LOAD_FAILED): State.FAILED,
    (State.FAILED, Event.RETRIED): State.QUEUED,
    (State.ACTIVE, Event.UNWANTED): State.DRAINING,
    (State.DRAINING, Event.WANTED): State.ACTIVE,
}


def next_state(state: State, event: Event) -> State:
    """Return the state after `event`. Raises ValueError if `event` cannot happen in `state`: a bug, not a condition."""
    try:
        return _TABLE[state, event]
    except KeyError:
        raise ValueError(f"{event.name} cannot happen to a version that is {state.name}") from None


def may_be_forgotten(state: State, *, wanted: bool, pins: int) -> bool:
    """Tell whether a version may leave memory: nothing leads to it, nobody is using it and no thread is loading it."""
    return not wanted and pins == 0 and state in (State.QUEUED, State.DRAINING, State.FAILED)


def retry_delay_s(failures: int) -> float:
    """How long to wait after the `failures`-th failed load in a row: 2 s, doubling, at most 5 minutes."""
    return float(min(2 ** min(failures, 9), 300))
