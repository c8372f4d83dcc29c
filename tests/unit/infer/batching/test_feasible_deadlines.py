"""Deadlines that can all be met are all met: every small case there is, against every order that could be run.

All windows are present, batches are of one and there is one runner. Costs and deadlines are whole units, so that a deadline can be
met to the moment; the unit is a quarter of a second, where patience ends amid the runs, or a 64th, where it never does.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations_with_replacement, permutations, product

import pytest

from services.infer.batching.policy import Limits
from tests.unit.infer.batching.grids import Lane, Window, per_token, window
from tests.unit.infer.batching.simulation import Service, policy

ONE_BY_ONE = Limits(batch_tokens=1, padding_ratio=1.0)
UNITS_S = (1 / 4, 1 / 64)
LANES = {unit_s: Lane(per_token(1000 * unit_s)) for unit_s in UNITS_S}

Item = tuple[int, float]  # cost and deadline, in units
Kind = tuple[str, bool]  # model, and whether it is bulk

ONE_KIND: tuple[Kind, ...] = (("banking", False),)
TWO_MODELS: tuple[Kind, ...] = (("banking", False), ("support", False))
TWO_CLASSES: tuple[Kind, ...] = (("banking", False), ("banking", True))
TWO_OF_BOTH: tuple[Kind, ...] = (("banking", False), ("support", True))
ALL_KINDS: tuple[Kind, ...] = tuple(product(("banking", "support"), (False, True)))


def _in_time(order: Iterable[Item]) -> bool:
    now = 0
    for cost, deadline in order:
        now += cost
        if now > deadline:
            return False
    return True


@cache
def _can_be_met(items: tuple[Item, ...]) -> bool:
    return any(_in_time(order) for order in permutations(items))


def _windows(items: Sequence[Item], kinds: Sequence[Kind], unit_s: float) -> list[Window]:
    return [
        window(cost, lane=LANES[unit_s], model=model, deadline_s=deadline * unit_s, is_bulk=is_bulk)
        for (cost, deadline), (model, is_bulk) in zip(items, kinds, strict=True)
    ]


@pytest.mark.parametrize("unit_s", UNITS_S)
@pytest.mark.parametrize(
    ("most", "costs", "deadlines", "kinds"),
    [
        (6, (1, 2), (2, 3, 5, 7, math.inf), ONE_KIND),
        (6, (1, 2), (4, 8), TWO_MODELS),
        (6, (1, 2), (4, 8), TWO_CLASSES),
        (6, (1, 2), (4, 8), TWO_OF_BOTH),
        (6, (2,), (4, 8), ALL_KINDS),
        (6, (1,), (2, 4, math.inf), TWO_OF_BOTH),
        (5, (1, 3), (4, 8, math.inf), TWO_OF_BOTH),
        (4, (1, 2), (2, 5, math.inf), ALL_KINDS),
    ],
)
def test_deadlines_that_can_be_met_are_met(
    most: int, costs: Sequence[int], deadlines: Sequence[float], kinds: Sequence[Kind], unit_s: float
) -> None:
    """Whenever any order meets all deadlines the policy does, whosever windows they are and whatever their class; and what has no
    deadline is answered too.
    """
    choose, cases = policy(ONE_BY_ONE), 0
    choices = sorted(product(product(costs, deadlines), kinds))
    for size in range(1, most + 1):
        for chosen in combinations_with_replacement(choices, size):
            items = tuple(item for item, _ in chosen)
            if not _can_be_met(items):
                continue
            cases += 1
            for order in (chosen, chosen[::-1]):  # of arrival, where nothing else decides
                windows = _windows([item for item, _ in order], [kind for _, kind in order], unit_s)
                Service(choose).serve(windows)
                assert all(each.fates == ["answered"] for each in windows), order
    assert cases > 100
