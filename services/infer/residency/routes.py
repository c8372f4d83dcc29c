"""Where references lead: which version the store means, which one answers, and what must therefore be in memory. Pure.

Invariant: a route that answers goes on answering. Its version changes only to one that is ACTIVE, so a bad new version never
takes the serving one down.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

from shared.names import ModelReference, VersionName


@dataclass(slots=True)
class Route:
    """A reference that this server follows: it was required by the settings, or somebody called it."""

    reference: ModelReference
    required: bool
    last_call_s: float
    target: VersionName | None = None  # what the store says; None: not known yet
    serving: VersionName | None = None  # what answers; None: nothing yet

    def advance(self, active: Container[VersionName]) -> None:
        """Let the target answer if it can."""
        if self.target is not None and self.target in active:
            self.serving = self.target


def wanted(routes: Iterable[Route]) -> set[VersionName]:
    """Return the versions that must be in memory: every target, and what answers until its target can."""
    return {version for route in routes for version in (route.target, route.serving) if version is not None}


def evictable(routes: Iterable[Route], in_use: Container[VersionName]) -> list[Route]:
    """Return the routes that may go to make room, the least recently called first: not required, with a version that answers,
    that nobody is using and that no other route leads to.
    """
    routes = list(routes)
    found = [
        route
        for route in routes
        if not route.required and route.serving is not None and route.serving not in in_use
        if route.serving not in wanted(other for other in routes if other is not route)
    ]
    return sorted(found, key=lambda route: route.last_call_s)


def dispensable(
    routes: Iterable[Route], now_s: float, *, idle_limit_s: float, most: int
) -> list[ModelReference]:
    """Return the references to follow no longer: not required, and not called for `idle_limit_s` or beyond the `most` that
    were called last; of those called at one time the later in `routes`.
    """
    on_demand = sorted((route for route in routes if not route.required), key=lambda route: route.last_call_s)
    return [
        route.reference
        for place, route in enumerate(reversed(on_demand))
        if place >= most or now_s - route.last_call_s >= idle_limit_s
    ]
