"""What the hardware could do: the fastest of the in-process loops, for each kind of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.serving.quiet import Figures, Patience
from tests.bench.serving.workers import Worker

_RUNS_AND_THREADS: Final = ((1, 2), (2, 1))  # runs at once, threads of each
_BATCHES: Final = (8, 16, 32)
_PLAIN: Final = {"arena": False, "spinning": False}
_SESSION_KINDS: Final = tuple({"arena": a, "spinning": s} for a in (False, True) for s in (False, True))
_PILOT_TEXTS: Final = 256
_MEASURED_S: Final = 1.5
_FEWEST_TEXTS: Final = 640  # fewer would not make even the largest batches of texts of one length
_SINGLES: Final = 200


class Bounds:
    """Asks the ceiling's process."""

    def __init__(self, ceiling: Worker, corpora: dict[str, Path], patience: Patience) -> None:
        self._ceiling, self._corpora, self._patience = ceiling, corpora, patience
        self._best: dict[str, tuple[dict[str, Any], int]] = {}

    def loop(self, corpus: str) -> dict[str, Any]:
        """Return the settings of the fastest loop, found once."""
        return self._fastest(corpus)[0]

    def bulk(self, corpus: str) -> Figures:
        """Run the fastest loop again: texts a second, and CPU milliseconds a text."""
        options, texts = self._fastest(corpus)
        return self._bulk(corpus, texts, options)

    def singles(self, corpus: str) -> Figures:
        """Run texts one by one, on one thread and on two, with each kind of session: the best median, and what it was run with."""
        path = str(self._corpora[corpus])

        def run(threads: int, kind: dict[str, bool]) -> Figures:
            figures = self._patience.quietest(
                lambda: self._ceiling.ask(
                    "singles", corpus=path, start=0, count=_SINGLES, threads=threads, **kind
                )
            )
            return {**figures, "threads": threads}

        found = (run(threads, kind) for threads in (1, 2) for kind in _SESSION_KINDS)
        return min(found, key=lambda figures: figures["p50_ms"])

    def labels(self, corpus: str, places: Sequence[int]) -> list[list[str]]:
        """Return the labels that the texts at `places` may be answered with."""
        found: list[list[str]] = self._ceiling.ask(
            "labels", corpus=str(self._corpora[corpus]), places=list(places)
        )["labels"]
        return found

    def _fastest(self, corpus: str) -> tuple[dict[str, Any], int]:
        if corpus not in self._best:
            shapes = [
                {"runs": runs, "threads": threads, "batch": batch, **_PLAIN}
                for runs, threads in _RUNS_AND_THREADS
                for batch in _BATCHES
            ]
            pilot = self._bulk(corpus, _PILOT_TEXTS, shapes[-1])
            texts = max(_FEWEST_TEXTS, round(pilot["texts_per_s"] * _MEASURED_S))

            def speed(options: dict[str, Any]) -> float:
                return float(self._bulk(corpus, texts, options)["texts_per_s"])

            shape = max(shapes, key=speed)
            self._best[corpus] = max(({**shape, **kind} for kind in _SESSION_KINDS), key=speed), texts
        return self._best[corpus]

    def _bulk(self, corpus: str, texts: int, options: dict[str, Any]) -> Figures:
        path = str(self._corpora[corpus])
        return self._patience.quietest(
            lambda: self._ceiling.ask("bulk", corpus=path, start=0, count=texts, **options)
        )
