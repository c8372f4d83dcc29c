"""The load generator's process: one load at a time against one server. A Worker's module."""

import gc
import random
from collections.abc import Sequence
from operator import length_hint
from typing import Any, Final

from tests.bench.serving.channel import Channel
from tests.bench.serving.ledger import Ledger
from tests.bench.serving.loops import closed_loop, open_loop
from tests.bench.serving.messages import CLASSIFY, Request, make_request
from tests.bench.serving.texts import read_texts
from tests.bench.serving.workers import answer_questions

_LOOPS: Final = {"closed": closed_loop, "open": open_loop}


def load(
    kind: str,
    address: str,
    pids: Sequence[int],
    corpus: str,
    start: int,
    count: int,
    texts_per_call: int,
    models: Sequence[str],
    versions: Sequence[Sequence[str]],
    keep_rows: bool = False,
    **fields: Any,
) -> dict[str, Any]:
    """Load a server with at most `count` texts of a corpus; return the ledger's figures, how many calls never ended, how many texts were asked.

    Each call asks one of `models` at random, which `versions` at its place may answer. `keep_rows`: also return when each call was
    meant to be sent, how many seconds it took, its status, and which of its versions has answered.
    """
    requests = _requests(read_texts(corpus, start, count), start, texts_per_call, models, versions)
    waiting = iter(requests)
    ledger = Ledger(pids, timeout_ms=fields.get("timeout_ms"), keep_rows=keep_rows)
    gc.collect()
    gc.disable()  # a pause of ours would look like one of the server's
    try:
        with Channel(address, CLASSIFY) as channel:
            lost = _LOOPS[kind](channel, waiting, ledger, **fields)
    finally:
        gc.enable()
    asked_texts = sum(each.text_count for each in requests[: len(requests) - length_hint(waiting)])
    return {**ledger.figures(), "lost": lost, "asked_texts": asked_texts}


def _requests(
    texts: Sequence[str],
    start: int,
    texts_per_call: int,
    models: Sequence[str],
    versions: Sequence[Sequence[str]],
) -> list[Request]:
    assert len(set(texts)) == len(texts)
    dice = random.Random(start)  # noqa: S311  # which model is asked, no secret
    made = []
    for at in range(0, len(texts), texts_per_call):
        which = dice.randrange(len(models))
        part = texts[at : at + texts_per_call]
        made.append(make_request(models[which], part, start + at, versions[which]))
    return made


if __name__ == "__main__":
    answer_questions({"load": load})
