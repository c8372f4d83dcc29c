"""What a look means."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.rollout.deciding import State, Verdict, decide, is_for_good, is_live
from services.train.rollout.snapshots import Look, Refusal, Snapshot
from shared.errors import TagsmithError
from shared.names import VersionName

V7, V8, V9 = (VersionName("support", number) for number in (7, 8, 9))

WRONG = Refusal(V8, "MODEL_NOT_LOADABLE", "support@8 cannot be loaded.", "golden", failed_loads=2)
LIVE = Snapshot("a:1", serving=V8, golden_examples=3)
OLD = Snapshot("b:1", serving=V7)
LOADING = replace(OLD, coming=V8)
REFUSED = replace(OLD, coming=V8, refusal=WRONG)
GONE = Snapshot("c:1", silence="UNAVAILABLE")


def judged(
    *snapshots: Snapshot,
    points_to: VersionName | None = V8,
    waited_s: float = 0.0,
    unresolved: tuple[str, ...] = (),
) -> Verdict:
    """Decide for version 8, with ten seconds' patience."""
    look = Look(snapshots, unresolved)
    return decide(V8, look, alias_points_to=points_to, waited_s=waited_s, patience_s=10)


def test_a_version_is_live_when_it_answers_everywhere() -> None:
    """And no sooner."""
    assert judged(LIVE, replace(LIVE, address="b:1")) == Verdict("LIVE", (), live=2, addresses=2)
    assert judged(LIVE, LOADING).state == "WAITING"


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (OLD, "still answers with support@7 and has not seen support@8"),
        (LOADING, "still answers with support@7 and is loading support@8"),
        (Snapshot("b:1"), "answers with no version yet and has not seen support@8"),
        (Snapshot("b:1", coming=V8), "answers with no version yet and is loading support@8"),
        (replace(LIVE, is_failing_probes=True), "answers with support@8, but fails its probes"),
        (GONE, "cannot be reached"),
        (Snapshot("b:1", silence="DEADLINE_EXCEEDED"), "did not answer in time"),
        (Snapshot("b:1", silence="ALIAS_NOT_FOUND"), "same store"),
        (Snapshot("b:1", silence="ODD"), "did not tell of the alias (ODD)"),
        (
            replace(OLD, coming=V8, refusal=replace(WRONG, failed_loads=1)),
            "refused support@8 (MODEL_NOT_LOADABLE): support@8 cannot be loaded.",
        ),
        (
            replace(OLD, coming=V8, refusal=Refusal(V8, "STORE_UNAVAILABLE", "away.", failed_loads=9)),
            "refused support@8, 9 times (STORE_UNAVAILABLE): away.",
        ),
    ],
)
def test_what_may_pass_is_waited_for_with_patience(snapshot: Snapshot, words: str) -> None:
    """Then the version has not gone live in time; meanwhile and then the address and what stands in the way are told."""
    waiting, late = judged(LIVE, snapshot, waited_s=9.9), judged(LIVE, snapshot, waited_s=10)
    assert (waiting.state, late.state) == ("WAITING", "TIMED_OUT")
    assert waiting.problems == late.problems
    (problem,) = late.problems
    assert problem.field == snapshot.address
    assert words in problem.description


def test_a_refusal_for_good_breaks_the_rollout_at_once() -> None:
    """Only those who refuse are named: the others may merely be slow."""
    verdict = judged(LIVE, REFUSED, GONE)
    assert verdict.state == "BROKEN"
    assert [problem.field for problem in verdict.problems] == [REFUSED.address]
    assert "refused support@8, 2 times" in verdict.problems[0].description


@pytest.mark.parametrize(
    ("reason", "cause", "loads"),
    [
        ("VERSION_REJECTED", "", 1),
        ("MODEL_NOT_LOADABLE", "it answers golden example 0 otherwise than its manifest says", 2),
        ("MODEL_NOT_LOADABLE", "memory budget", 4),
        ("ARTIFACT_CORRUPT", "", 2),
    ],
)
def test_a_refusal_counts_when_it_is_repeated(reason: str, cause: str, loads: int) -> None:
    """As often as what passes by itself would have passed."""
    refusal = Refusal(V8, reason, "why", cause, failed_loads=loads)
    assert is_for_good(refusal)
    assert not is_for_good(replace(refusal, failed_loads=loads - 1))


def test_every_other_refusal_may_pass() -> None:
    """However often it is repeated: a store that is away comes back, and what nobody knows is not for good."""
    reasons = [each.reason for each in TagsmithError.__subclasses__() if hasattr(each, "reason")]
    assert len(reasons) > 20
    for_good = {reason for reason in reasons if is_for_good(Refusal(V8, reason, "", failed_loads=1000))}
    assert for_good == {"VERSION_REJECTED", "MODEL_NOT_LOADABLE", "ARTIFACT_CORRUPT"}
    assert not is_for_good(Refusal(V8, "", "", failed_loads=1000))


def test_a_refusal_of_another_version_is_none_of_this_one() -> None:
    """A server that has not seen the move yet may be refusing what came before."""
    refused = replace(WRONG, version=V7)
    assert judged(LIVE, Snapshot("b:1", coming=V7, refusal=refused)).state == "WAITING"


def test_nobody_there_is_not_live() -> None:
    """No address at all, and a name that stands for none beside one that is live."""
    assert judged().state == "WAITING"
    verdict = judged(LIVE, unresolved=("dns:///infer:1",), waited_s=10)
    assert verdict.state == "TIMED_OUT"
    assert [problem.field for problem in verdict.problems] == ["dns:///infer:1"]


@pytest.mark.parametrize("snapshot", [LIVE, REFUSED, GONE])
def test_an_alias_that_has_moved_on_ends_the_rollout(snapshot: Snapshot) -> None:
    """Forwards or back, whatever servers say: nothing is broken any more that this job could mend."""
    for elsewhere in (V7, V9):
        assert judged(snapshot, points_to=elsewhere, waited_s=99).state == "SUPERSEDED"


def test_a_higher_number_on_a_server_says_nothing_of_the_alias() -> None:
    """An alias may have moved from a newer version to an older one: while the store cannot be read, servers are waited for."""
    for snapshot in (Snapshot("b:1", serving=V9), Snapshot("b:1", serving=V7, coming=V9)):
        for points_to in (None, V8):
            assert judged(snapshot, points_to=points_to).state == "WAITING"


VERSIONS = st.sampled_from([None, V7, V8, V9])
REFUSALS = st.builds(
    Refusal,
    st.sampled_from([V7, V8]),
    st.sampled_from(["MODEL_NOT_LOADABLE", "STORE_UNAVAILABLE", "ARTIFACT_CORRUPT", ""]),
    st.just("why"),
    st.sampled_from(["", "memory budget"]),
    st.integers(0, 5),
)
SNAPSHOTS = st.builds(
    Snapshot,
    st.sampled_from(["a:1", "b:1", "c:1"]),
    VERSIONS,
    st.integers(0, 3),
    st.booleans(),
    VERSIONS,
    st.one_of(st.none(), REFUSALS),
    st.sampled_from(["", "UNAVAILABLE", "MODEL_NOT_FOUND"]),
)
LOOKS = st.lists(SNAPSHOTS, max_size=6)


@given(LOOKS, VERSIONS, st.floats(0, 20))
def test_a_verdict_holds_whatever_the_servers_say(
    snapshots: list[Snapshot], points_to: VersionName | None, waited_s: float
) -> None:
    """LIVE means every address, of one at least; waiting ends with patience and nothing else does; the order of addresses is nothing."""
    verdict = judged(*snapshots, points_to=points_to, waited_s=waited_s)
    assert verdict.state in get_args(State)
    if verdict.state == "LIVE":
        assert snapshots
        assert all(is_live(V8, each) for each in snapshots)
        assert points_to in (V8, None)
    assert verdict.state != "WAITING" or waited_s < 10
    assert verdict.state != "TIMED_OUT" or waited_s >= 10
    if verdict.state in ("WAITING", "TIMED_OUT"):
        assert len(verdict.problems) == len(snapshots) - verdict.live
        patient = judged(*snapshots, points_to=points_to, waited_s=0)
        assert (patient.state, patient.problems) == ("WAITING", verdict.problems)
    else:
        assert judged(*snapshots, points_to=points_to, waited_s=0) == verdict
    again = judged(*reversed(snapshots), points_to=points_to, waited_s=waited_s)
    assert (again.state, again.live) == (verdict.state, verdict.live)


@given(LOOKS)
def test_one_refusal_for_good_is_enough(snapshots: list[Snapshot]) -> None:
    """However many are live or away."""
    assert judged(*snapshots, REFUSED).state == "BROKEN"
