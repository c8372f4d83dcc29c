"""The ceiling: the best that a loop over the same ONNX file can do in a process of its own, with nothing to serve. A Worker's module.

Texts are tokenised, sorted by length, and run in batches of neighbours; batches are handed to as many runners as there are runs at once.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from tests.bench.serving.processes import machine_cpu_s
from tests.bench.serving.providers import open_session
from tests.bench.serving.texts import read_texts
from tests.bench.serving.workers import answer_questions

_PLACES: Final = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
_MARGIN: Final = 1e-2  # logits this close to the best one may as well be the best in another batch

Logits = npt.NDArray[np.float32]


class Loop:
    """A graph and its tokenizer."""

    def __init__(self) -> None:
        self._graph = self._provider = ""
        self._labels: Sequence[str] = ()
        self._session: Any = None
        self._options: dict[str, Any] = {}

    def open(self, graph: str, tokenizer: str, labels: Sequence[str], provider: str) -> dict[str, Any]:
        """Choose what is run."""
        self._graph, self._labels, self._provider = graph, labels, provider
        self._tokenizer = Tokenizer.from_file(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._session = None
        return {}

    def bulk(
        self, corpus: str, start: int, count: int, *, batch: int, runs: int, **options: Any
    ) -> dict[str, float]:
        """Run texts through in sorted batches; tell texts a second and CPU milliseconds a text."""
        session = self._warm_session(runs=runs, **options)
        texts = read_texts(corpus, start, count)
        with ThreadPoolExecutor(runs) as pool:
            pool.submit(time.sleep, 0).result()
            started_s, started_cpu_s, machine_s = time.perf_counter(), time.process_time(), machine_cpu_s()
            encodings = self._tokenizer.encode_batch_fast(texts)
            order = sorted(range(len(texts)), key=lambda i: -len(encodings[i].ids))
            parts = [order[at : at + batch] for at in range(0, len(order), batch)]

            def best(part: Sequence[int]) -> npt.NDArray[np.intp]:
                return self._logits(session, [encodings[i] for i in part]).argmax(axis=1)

            answered = sum(len(each) for each in pool.map(best, parts))
            cpu_s, passed_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
            others_s = machine_cpu_s() - machine_s - cpu_s
        assert answered == len(texts)
        return {
            "texts_per_s": len(texts) / passed_s,
            "cpu_ms_per_text": 1000 * cpu_s / len(texts),
            "others_cores": others_s / passed_s,
        }

    def singles(self, corpus: str, start: int, count: int, **options: Any) -> dict[str, float]:
        """Run texts through one by one; tell the median time of one."""
        session = self._warm_session(runs=1, **options)
        passed_s: list[float] = []
        began_s, began_cpu_s, machine_s = time.perf_counter(), time.process_time(), machine_cpu_s()
        for text in read_texts(corpus, start, count):
            started_s = time.perf_counter()
            self._logits(session, [self._tokenizer.encode(text)]).argmax(axis=1)
            passed_s.append(time.perf_counter() - started_s)
        others_s = machine_cpu_s() - machine_s - (time.process_time() - began_cpu_s)
        return {
            "p50_ms": 1000 * median(passed_s),
            "others_cores": others_s / (time.perf_counter() - began_s),
        }

    def step_back(self, niceness: int) -> dict[str, Any]:
        """Let every other process have a core before this one."""
        os.nice(niceness)
        return {}

    def labels(self, corpus: str, places: Sequence[int]) -> dict[str, Any]:
        """Return the labels that each of some texts may be answered with: the best one, and those that all but equal it."""
        session = self._session or self._warm_session(runs=1, threads=1, arena=False, spinning=False)
        texts = read_texts(corpus, 0, 1 + max(places, default=0))
        found = []
        for place in places:
            (logits,) = self._logits(session, [self._tokenizer.encode(texts[place])])
            found.append([self._labels[i] for i in np.flatnonzero(logits >= logits.max() - _MARGIN)])
        return {"labels": found}

    def _warm_session(self, *, runs: int, threads: int, arena: bool, spinning: bool) -> Any:
        options: dict[str, Any] = {"runs": runs, "threads": threads, "arena": arena, "spinning": spinning}
        if self._session is None or options != self._options:
            self._session = None  # two at once would take twice the memory
            self._session = open_session(self._graph, self._provider, **options)
            self._options = options
            self._inputs = [each.name for each in self._session.get_inputs()]
            for _ in range(3):
                self._logits(self._session, [self._tokenizer.encode("a text that nobody has asked")])
        return self._session

    def _logits(self, session: Any, encodings: Sequence[Encoding]) -> Logits:
        longest = max(len(each.ids) for each in encodings)
        feeds = {}
        for name in self._inputs:
            feeds[name] = rows = np.zeros((len(encodings), longest), dtype=np.int64)
            for row, encoding in zip(rows, encodings, strict=True):
                ids = getattr(encoding, _PLACES[name])
                row[: len(ids)] = ids
        logits: Logits = session.run(["logits"], feeds)[0]
        return logits


if __name__ == "__main__":
    loop = Loop()
    handlers = (loop.open, loop.bulk, loop.singles, loop.labels, loop.step_back)
    answer_questions({handler.__name__: handler for handler in handlers})
