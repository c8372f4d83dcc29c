"""Admission: who may wait, who is told to come back and when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.infer.batching.admission import CAUTION, Backlog
from shared.errors import DeadlineExpiredError, QueueFullError

TOKEN_MS = 0.5


def _backlog(limit_tokens: int = 1000, runners: int = 1, **waiting_tokens: int) -> Backlog:
    backlog = Backlog(limit_tokens=limit_tokens, runners=runners)
    for model, tokens in waiting_tokens.items():
        backlog.change(model, tokens, TOKEN_MS)
    return backlog


def _refusal(
    backlog: Backlog, model: str = "banking", *, own_ms: float = 5.0, deadline_s: float = math.inf
) -> QueueFullError | None:
    try:
        backlog.check(model, own_ms=own_ms, now_s=100.0, deadline_s=deadline_s)
    except QueueFullError as refusal:
        return refusal
    return None


def test_up_to_the_limit_every_call_enters_whatever_its_size() -> None:
    """So that every legal call can be answered; from the limit on the next one is told how much waits and when to come back."""
    assert _refusal(_backlog(banking=999), own_ms=1e9) is None
    refusal = _refusal(_backlog(banking=1000))
    assert refusal is not None
    assert refusal.metadata == {"queued_tokens": "1000", "limit_tokens": "1000"}
    assert refusal.retry_after_ms == 250  # half of what waits is done by then
    assert "1000 tokens wait" in refusal.message


def test_each_refusal_has_its_own_delay() -> None:
    """What one caller is told never changes what another was, nor what the class says."""
    first, second = _refusal(_backlog(banking=1000)), _refusal(_backlog(banking=2000))
    assert first is not None
    assert second is not None
    assert (first.retry_after_ms, second.retry_after_ms) == (250, 500)
    assert QueueFullError("none", queued_tokens=0, limit_tokens=0).retry_after_ms == 500


def test_the_delay_is_bounded() -> None:
    """Never shorter than what spares the server, never longer than a minute."""
    short, long = _refusal(_backlog(limit_tokens=2, banking=2)), _refusal(_backlog(banking=10**9))
    assert short is not None
    assert long is not None
    assert (short.retry_after_ms, long.retry_after_ms) == (10, 60_000)


def test_a_model_under_its_share_enters_a_full_queue() -> None:
    """One model's flood closes the door for itself and for nobody else."""
    backlog = _backlog(banking=1000)
    assert _refusal(backlog, "banking") is not None
    assert _refusal(backlog, "support") is None
    backlog.change("support", 499, TOKEN_MS)
    assert _refusal(backlog, "support") is None
    backlog.change("support", 1, TOKEN_MS)
    assert _refusal(backlog, "support") is not None
    assert _refusal(backlog, "legal") is None


@given(
    calls=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 300)), max_size=400),
    limit_tokens=st.integers(1, 2000),
)
def test_what_waits_is_bounded(calls: list[tuple[int, int]], limit_tokens: int) -> None:
    """However many models flood the queue: k of them hold no more than the limit's 1 + 1/2 + ... + 1/k fold, and a call each."""
    backlog = _backlog(limit_tokens)
    for model, tokens in calls:
        if _refusal(backlog, f"model{model}") is None:
            backlog.change(f"model{model}", tokens, TOKEN_MS)
    shares = sum(1 / (number + 1) for number in range(10))
    assert backlog.tokens <= limit_tokens * shares + 10 * 300


@pytest.mark.parametrize(("runners", "wait_ms"), [(1, 100), (2, 50)])
def test_the_wait_is_the_work_before_it(runners: int, wait_ms: float) -> None:
    """Of all runners together."""
    assert _backlog(runners=runners, banking=200).wait_ms("banking") == wait_ms


def test_a_model_waits_behind_others_no_longer_than_its_share_asks_for() -> None:
    """Of two models that wait each runs at half the speed, however much waits of the other; one of which nothing waits runs next."""
    backlog = _backlog(10**6, banking=100_000, support=200)
    assert backlog.wait_ms("support") == 2 * 100
    assert backlog.wait_ms("legal") == 0
    assert backlog.wait_ms("banking") == 50_100


def test_a_call_that_would_be_answered_too_late_is_refused_at_once() -> None:
    """150 ms, by caution, wait before it and 5 ms are its own: a deadline in 154 ms is told when there would be room, one in 156 ms
    enters.
    """
    backlog = _backlog(banking=round(300 / CAUTION))
    refusal = _refusal(backlog, deadline_s=100.154)
    assert refusal is not None
    assert refusal.metadata == {"queued_tokens": "200", "limit_tokens": "1000"}
    assert refusal.retry_after_ms == 10
    assert "deadline is in 15" in refusal.message
    assert _refusal(backlog, deadline_s=100.156) is None
    late = _refusal(backlog, deadline_s=100.075)
    assert late is not None
    assert late.retry_after_ms == pytest.approx(80, abs=1)


def test_nothing_is_predicted_where_nothing_waits() -> None:
    """An idle service tries, unless it would have to be more than twice as fast as was measured."""
    assert _refusal(_backlog(), own_ms=100, deadline_s=100.051) is None
    with pytest.raises(DeadlineExpiredError, match="the call alone would take 50 ms or more"):
        _backlog().check("banking", own_ms=100, now_s=100.0, deadline_s=100.049)


@pytest.mark.parametrize("deadline_s", [100.0, 99.0, -math.inf])
@pytest.mark.parametrize("waiting_tokens", [0, 5000])
def test_a_deadline_that_has_passed_is_no_reason_to_retry(deadline_s: float, waiting_tokens: int) -> None:
    """It is told as such, also where the queue is full."""
    with pytest.raises(DeadlineExpiredError):
        _backlog(banking=waiting_tokens).check("banking", own_ms=5, now_s=100.0, deadline_s=deadline_s)


@pytest.mark.parametrize(("took_ms", "slowdown"), [(30.0, 3.0), (5.0, 0.5), (1.0, 0.5), (9e9, 10.0)])
def test_predictions_learn_how_long_runs_take_today(took_ms: float, slowdown: float) -> None:
    """Within a few dozen runs, and within bounds: one hiccup moves them by a tenth of the way."""
    backlog = _backlog(10**6, banking=200)
    backlog.note_run(expected_ms=10.0, took_ms=took_ms, others_wait=True)
    assert backlog.slowdown == pytest.approx(1 + (slowdown - 1) / 10)
    for _ in range(100):
        backlog.note_run(expected_ms=10.0, took_ms=took_ms, others_wait=True)
    assert backlog.slowdown == pytest.approx(slowdown, rel=0.01)
    assert backlog.wait_ms("banking") == pytest.approx(100 * slowdown, rel=0.01)


@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(("banking", "support")),
            st.integers(1, 5000),
            st.floats(0.001, 10),
        ),
        max_size=50,
    ),
    order=st.randoms(use_true_random=False),
)
def test_counts_return_to_zero(changes: list[tuple[str, int, float]], order: object) -> None:
    """When all that came has left, in whatever order and at whatever cost, nothing waits: no tokens, no time, no model."""
    backlog = _backlog()
    for model, tokens, token_ms in changes:
        backlog.change(model, tokens, token_ms)
    order.shuffle(changes)  # type: ignore[attr-defined]
    for model, tokens, token_ms in changes:
        backlog.change(model, -tokens, token_ms)
        assert backlog.wait_ms(model) >= -1e-6
    assert backlog.tokens == 0
    assert [backlog.wait_ms(model) for model in ("banking", "support", "legal")] == [0, 0, 0]
    assert _refusal(backlog, own_ms=1, deadline_s=100.001) is None


def test_a_hiccup_is_forgotten_though_nothing_waits_any_more() -> None:
    """What it keeps out cannot teach otherwise: batches that leave nobody waiting teach too, where they take less; where they take more
    they were small.
    """
    backlog = _backlog(10**6, banking=200)
    for _ in range(20):
        backlog.note_run(expected_ms=10.0, took_ms=80.0, others_wait=True)
    assert backlog.slowdown > 6
    for _ in range(50):
        backlog.note_run(expected_ms=10.0, took_ms=10.0, others_wait=False)
    assert backlog.slowdown == pytest.approx(1.0, rel=0.05)
    backlog.note_run(expected_ms=10.0, took_ms=80.0, others_wait=False)
    assert backlog.slowdown == pytest.approx(1.0, rel=0.05)
