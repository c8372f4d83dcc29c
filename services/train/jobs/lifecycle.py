"""The life of a job: its states and every transition between them, as one table.

Everything that decides which state may follow which stands here. Pure.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from services.train.events import Phase

State = Literal[
    "QUEUED",
    "PREPARING",
    "TRAINING",
    "EVALUATING",
    "EXPORTING",
    "PUBLISHING",
    "ROLLING_OUT",
    "SUCCEEDED",
    "REJECTED",
    "STOPPED",
    "CANCELLED",
    "FAILED",
]
FinalState = Literal["SUCCEEDED", "REJECTED", "STOPPED", "CANCELLED", "FAILED"]

PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
RUNNING: Final[tuple[State, ...]] = (*PHASES, "ROLLING_OUT")  # somebody attends it, or ought to
FINAL: Final[frozenset[State]] = frozenset(get_args(FinalState))

# A phase may be passed over, never returned to within an attempt. A job whose attempt was lost, or whose service stops, goes back into the queue.
FOLLOWERS: Final[Mapping[State, frozenset[State]]] = {
    "QUEUED": frozenset({"PREPARING", "CANCELLED"}),
    "PREPARING": FINAL | {"QUEUED", "TRAINING", "EVALUATING", "EXPORTING", "PUBLISHING", "ROLLING_OUT"},
    "TRAINING": FINAL | {"QUEUED", "EVALUATING", "EXPORTING", "PUBLISHING", "ROLLING_OUT"},
    "EVALUATING": FINAL | {"QUEUED", "EXPORTING", "PUBLISHING", "ROLLING_OUT"},
    "EXPORTING": FINAL | {"QUEUED", "PUBLISHING", "ROLLING_OUT"},
    "PUBLISHING": FINAL | {"QUEUED", "ROLLING_OUT"},
    "ROLLING_OUT": FINAL,  # what is published is never trained anew
    "SUCCEEDED": frozenset(),
    "REJECTED": frozenset(),
    "STOPPED": frozenset(),
    "CANCELLED": frozenset(),
    "FAILED": frozenset(),
}


class IllegalTransitionError(Exception):
    """A job was told to enter a state that cannot follow its own: a defect of this service."""


def check_transition(state: State, following: State) -> State:
    """Return `following` if it may come after `state`, else raise IllegalTransitionError."""
    if following not in FOLLOWERS[state]:
        raise IllegalTransitionError(f"{following} cannot follow {state}")
    return following


def state_after(state: State, phase: Phase) -> State:
    """Return the state of a job whose trainer says that it entered `phase`: forward, or where it is.

    A service that was restarted hears a trainer's phases from the first one on.
    """
    return phase if phase in FOLLOWERS[state] else state
