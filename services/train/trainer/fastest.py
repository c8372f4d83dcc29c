"""The variant that servers choose unless they are told otherwise: of those that a version has, the fastest on this machine."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from statistics import median
from typing import Final

from services.train.trainer.quality import Served
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.manifest import Manifest, Variant, VariantName

TIMED_TEXTS: Final = 100


def find_fastest(manifest: Manifest, parts: Parts, texts: Sequence[str]) -> Served:
    """Have every variant answer `texts`, of which there is one at least, on one thread."""
    latencies_ms = {variant: _latency_ms(manifest, parts, variant, texts) for variant in manifest.variants}
    fastest = min(latencies_ms, key=lambda variant: latencies_ms[variant])
    return Served(fastest, _size_bytes(manifest.variants[fastest]), latencies_ms[fastest])


def median_ms(
    answer: Callable[[list[str]], object],
    texts: Sequence[str],
    clock_s: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time that a text takes alone, from text to answer, over the first TIMED_TEXTS; one more goes before, uncounted."""
    answer([texts[0]])
    taken = []
    for text in texts[:TIMED_TEXTS]:
        started_s = clock_s()
        answer([text])
        taken.append(1000 * (clock_s() - started_s))
    return median(taken)


def _latency_ms(manifest: Manifest, parts: Parts, variant: VariantName, texts: Sequence[str]) -> float:
    with closing(Model.load(manifest, parts, Execution(variant, threads=1))) as model:
        return median_ms(model.answer, texts)


def _size_bytes(variant: Variant) -> int:
    return sum(graph.file.size_bytes for graph in variant.graphs.values())
