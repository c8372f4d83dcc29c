"""Where references lead: which version the store means, which one answers, and what must therefore be in memory. Pure.

Invariants: a route that answers goes on answering. Its version changes only to one that is ACTIVE, so a bad new version never
takes the serving one down. What begins to be loaded gets the time for it, and to answer for a while, before it makes room for
others: else models that do not fit side by side would push each other out for ever, and none would answer.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from shared.names import ModelReference, VersionName

FIRST_LOAD_S: Final = 120.0  # that loading may take
STAY_S: Final = 10.0  # for which it then answers at the least


@dataclass(slots=True)
class Route:
    """A reference that this server follows: it was required by the settings, or somebody called it."""

    reference: ModelReference
    required: bool
    last_call_s: float
    target: VersionName | None = None  # what the store says; None: not known yet
    serving: VersionName | None = None  # what answers; None: nothing yet
    stays_until_s: float = 0.0  # makes no room for others before

    @property
    def successor(self) -> VersionName | None:
        """What is to answer, where something else does for now."""
        return self.target if self.serving is not None and self.target != self.serving else None

    def begin(self, version: VersionName, now_s: float) -> None:
        """Note that a version begins to be loaded."""
        if self.serving is None and self.target == version:
            self.stays_until_s = now_s + FIRST_LOAD_S

    def advance(self, active: Container[VersionName], now_s: float) -> None:
        """Let the target answer if it can."""
        if self.target is not None and self.target in active:
            if self.serving is None:
                self.stays_until_s = now_s + STAY_S
            self.serving = self.target


def new_route(reference: ModelReference, now_s: float, *, required: bool) -> Route:
    """Follow a reference from now on; where it leads is known if it is a version."""
    return Route(reference, required, now_s, reference if isinstance(reference, VersionName) else None)


def wanted(routes: Iterable[Route]) -> set[VersionName]:
    """Return the versions that must be in memory: every target, and what answers until its target can."""
    return {version for route in routes for version in (route.target, route.serving) if version is not None}


def evictable(routes: Iterable[Route], in_use: Container[VersionName], now_s: float) -> list[Route]:
    """Return the routes that may go to make room, the least recently called first: not required, with a version that has had its
    time to answer, that nobody is using and that no other route leads to.
    """
    routes = list(routes)
    found = [
        route
        for route in routes
        if not route.required and route.serving is not None and route.serving not in in_use
        if now_s >= route.stays_until_s
        if route.serving not in wanted(other for other in routes if other is not route)
    ]
    return sorted(found, key=lambda route: route.last_call_s)


def dispensable(
    routes: Iterable[Route], now_s: float, *, idle_limit_s: float, most: int
) -> list[ModelReference]:
    """Return the references to follow no longer: not required, had their time to answer, and not called for `idle_limit_s` or
    beyond the `most` that were called last; of those called at one time the later in `routes`.
    """
    on_demand = sorted((route for route in routes if not route.required), key=lambda route: route.last_call_s)
    return [
        route.reference
        for place, route in enumerate(reversed(on_demand))
        if now_s >= route.stays_until_s
        if place >= most or now_s - route.last_call_s >= idle_limit_s
    ]
