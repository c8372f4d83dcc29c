"""The two kinds of load, against a server whose speed is known."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from itertools import pairwise, repeat
from os import getpid
from typing import Any

import grpc
import pytest

from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.bench.serving.channel import Channel
from tests.bench.serving.ledger import Ledger
from tests.bench.serving.loops import closed_loop, open_loop
from tests.bench.serving.messages import CLASSIFY, Request, best_labels, is_whole, make_request

_SERVICE, _METHOD = CLASSIFY.strip("/").split("/")


def an_answer(texts: int, version: str = "bench@1", labels: int = 1) -> bytes:
    """A response as servers send it."""
    scores = [pb.LabelScore(label=f"label {place}" * 20, score=0.5) for place in range(labels)]
    result = pb.ClassifyResult(classification=pb.Classification(labels=scores, window_count=1))
    response = pb.ClassifyResponse(model_version=version, results=[result] * texts)
    response.timing.token_count = 7
    return response.SerializeToString()


class Slow:
    """Answers one call after the other, each in the same time; can be made to pause."""

    def __init__(self, call_s: float) -> None:
        self.call_s = call_s
        self.pause = threading.Event()
        self.pause.set()

    def answer(self, request: bytes, context: Any) -> bytes:
        self.pause.wait()
        time.sleep(self.call_s)
        return an_answer(1)


@contextmanager
def serving(slow: Slow, threads: int) -> Iterator[Channel]:
    """A channel to it."""
    server = grpc.server(futures.ThreadPoolExecutor(threads))
    handlers = {_METHOD: grpc.unary_unary_rpc_method_handler(slow.answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Channel(f"127.0.0.1:{port}", CLASSIFY) as channel:
            yield channel
    finally:
        slow.pause.set()
        server.stop(None)


def requests() -> Iterator[Request]:
    """As many as are wanted."""
    return repeat(make_request("bench", ["a text"], 0, ["bench@1"]))


def test_waiting_callers_are_counted_by_their_share_of_the_window() -> None:
    """4 callers of a server that answers 4 at a time, each in 0.3 s: 13.3 calls a second, though a window of 0.5 s fits no whole number of them."""
    ledger = Ledger([getpid()])
    with serving(Slow(0.3), threads=4) as channel:
        lost = closed_loop(channel, requests(), ledger, callers=4, warm_up_s=0.2, measured_s=0.5)
    figures = ledger.figures()
    assert lost == figures["malformed"] == 0
    assert figures["texts_per_s"] == pytest.approx(4 / 0.3, rel=0.1)
    assert figures["latency_ms"]["OK"]["p50"] == pytest.approx(300, rel=0.1)


def test_arrivals_wait_for_nobody() -> None:
    """While a server pauses calls go on to be sent, and each waits from the moment at which it was meant to be sent."""
    slow = Slow(0.0)
    ledger = Ledger([getpid()], keep_rows=True)
    paused_s: list[float] = []

    def pause() -> None:
        slow.pause.clear()
        paused_s.append(time.monotonic())

    def go_on() -> None:
        paused_s.append(time.monotonic())
        slow.pause.set()

    pausing = [threading.Timer(0.4, pause), threading.Timer(0.8, go_on)]
    with serving(slow, threads=2) as channel:
        for each in pausing:
            each.start()
        lost = open_loop(channel, requests(), ledger, calls_per_s=200, warm_up_s=0.1, measured_s=1.0, seed=7)
    assert lost == 0
    began_s, ended_s = paused_s
    # A call that is on its way when the pause begins may pass.
    meant = [
        (sent_s, took_s)
        for sent_s, took_s, *_ in ledger.figures()["rows"]
        if began_s + 0.05 < sent_s < ended_s
    ]
    assert len(meant) > 100 * (ended_s - began_s - 0.05)  # 200 a second, give or take
    assert all(sent_s + took_s >= ended_s for sent_s, took_s in meant)


def test_arrivals_are_those_of_the_seed() -> None:
    """The moments are a Poisson process: gaps of the mean that the rate says, as spread as they should be."""
    ledger = Ledger([getpid()], keep_rows=True)
    with serving(Slow(0.0), threads=2) as channel:
        open_loop(channel, requests(), ledger, calls_per_s=300, warm_up_s=0.0, measured_s=1.0, seed=3)
    sent_s = [row[0] for row in sorted(ledger.figures()["rows"])]
    dice = random.Random(3)  # noqa: S311  # as the loop throws it
    gaps_s = [later - sooner for sooner, later in pairwise(sent_s)]
    dice.expovariate(300)
    assert gaps_s == pytest.approx([dice.expovariate(300) for _ in gaps_s], abs=1e-6)


def test_answers_in_time_are_counted_against_the_deadline() -> None:
    """An answer that comes late is answered, and not in time."""
    ledger = Ledger([getpid()], timeout_ms=50)
    with serving(Slow(0.1), threads=8) as channel:
        open_loop(channel, requests(), ledger, calls_per_s=20, warm_up_s=0.0, measured_s=0.5, seed=3)
    figures = ledger.figures()
    assert figures["answered_per_s"] > 0
    assert figures["in_time_share"] == 0


@pytest.mark.parametrize("texts", [1, 2, 33])
def test_a_whole_answer_names_a_version_and_answers_every_text(texts: int) -> None:
    """Answers of any length are read over; a missing result, an error or another version is seen."""
    request = make_request("bench@production", ["a text"] * texts, 0, ["bench@1", "bench@2"])
    assert is_whole(request, an_answer(texts, "bench@2", labels=9))
    assert not is_whole(request, an_answer(texts + 1))
    assert not is_whole(request, an_answer(texts, "other@1"))
    response = pb.ClassifyResponse.FromString(an_answer(texts))
    response.results[0].error.code = 3
    assert not is_whole(request, response.SerializeToString())
    assert len(best_labels(an_answer(texts))) == texts
