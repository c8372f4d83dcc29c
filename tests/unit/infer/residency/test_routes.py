"""Where references lead."""

from services.infer.residency.routes import STAY_S, Route, dispensable, evictable, wanted
from shared.names import AliasName, VersionName

PRODUCTION = AliasName("banking", "production")
V1, V2 = VersionName("banking", 1), VersionName("banking", 2)


def test_a_route_moves_only_to_what_is_active() -> None:
    """Until the new version can answer, the one before does; both are wanted meanwhile."""
    route = Route(PRODUCTION, required=True, last_call_s=0, target=V2, serving=V1)
    route.advance({V1}, 0)
    assert route.serving == V1
    assert wanted([route]) == {V1, V2}
    route.advance({V1, V2}, 0)
    assert route.serving == V2
    assert wanted([route]) == {V2}


def test_a_successor_is_what_the_store_means_and_what_does_not_answer_yet() -> None:
    """None where nothing answers, whose callers are told of the target itself, and none where the target does."""
    for target, serving, successor in ((V2, V1, V2), (V2, V2, None), (V2, None, None), (None, V1, None)):
        route = Route(PRODUCTION, required=True, last_call_s=0, target=target, serving=serving)
        assert route.successor == successor


def test_a_route_without_a_target_wants_nothing() -> None:
    """A required alias that the store does not have yet costs no memory."""
    route = Route(PRODUCTION, required=True, last_call_s=0)
    route.advance({V1}, 0)
    assert (route.serving, wanted([route])) == (None, set())


def test_idle_and_surplus_references_are_dispensable_and_required_ones_never() -> None:
    """What was not called for long goes, and of the rest all but the `most` called last."""
    routes = [
        Route(PRODUCTION, required=True, last_call_s=0),
        Route(VersionName("a", 1), required=False, last_call_s=10),  # idle
        Route(VersionName("b", 1), required=False, last_call_s=91),  # surplus
        Route(VersionName("c", 1), required=False, last_call_s=95),
        Route(VersionName("d", 1), required=False, last_call_s=93),
    ]
    gone = dispensable(routes, 100.0, idle_limit_s=90, most=2)
    assert sorted(map(str, gone)) == ["a@1", "b@1"]
    assert dispensable(routes, 1000.0, idle_limit_s=90, most=9) == [
        route.reference for route in sorted(routes[1:], key=lambda route: -route.last_call_s)
    ]


def test_what_begins_to_answer_stays_for_a_while() -> None:
    """Neither for room nor as surplus does it go before; what it serves next is no new beginning."""
    route = Route(PRODUCTION, required=False, last_call_s=0, target=V1)
    assert dispensable([route], 4.0, idle_limit_s=1, most=0)
    route.begin(V1, 4.0)
    assert not dispensable([route], 5.0, idle_limit_s=1, most=0)
    route.advance({V1}, 5.0)
    for now_s, goes in ((4.9 + STAY_S, False), (5.0 + STAY_S, True)):
        assert bool(evictable([route], (), now_s)) == goes
        assert bool(dispensable([route], now_s, idle_limit_s=1, most=0)) == goes
    route.target = V2
    route.advance({V2}, 50.0)
    assert evictable([route], (), 50.0) == [route]


def test_what_is_in_use_or_required_or_led_to_otherwise_is_not_evictable() -> None:
    """Of all that serve only the one that nobody needs."""
    free, used, required = (
        Route(VersionName(name, 1), required=name == "c", last_call_s=0, serving=VersionName(name, 1))
        for name in "abc"
    )
    double = [Route(AliasName("d", alias), False, 0, serving=VersionName("d", 1)) for alias in ("one", "two")]
    assert evictable([free, used, required, *double], {VersionName("b", 1)}, 100.0) == [free]
