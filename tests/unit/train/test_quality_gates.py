"""What size and latency gates look at: the variant that servers choose by default, and no other."""

import math
from pathlib import Path

import pytest

from services.train.spec import QualityGates
from services.train.trainer import fastest
from services.train.trainer.fastest import TIMED_TEXTS, find_fastest, median_ms
from services.train.trainer.quality import Served, quality_checks
from shared.runtime.execution import Execution
from shared.runtime.parts import Parts
from shared.store.evaluation import Comparison, SplitEvaluation
from shared.store.manifest import Manifest, Variant
from tests.tiny import tiny_manifest

SCORES = SplitEvaluation(row_count=1, metrics={"accuracy": 1.0}, per_label={})


class Clock:
    """A clock that answers move on: each takes the next of some times."""

    def __init__(self, *taken_s: float) -> None:
        self._taken_s = iter(taken_s)
        self.now_s = 100.0
        self.texts: list[list[str]] = []

    def __call__(self) -> float:
        return self.now_s

    def answer(self, texts: list[str]) -> None:
        """Take a while."""
        self.texts.append(texts)
        self.now_s += next(self._taken_s)


def test_the_latency_is_the_median_of_texts_alone_in_milliseconds() -> None:
    """The first run, which costs more than the others, is not counted; each text goes by itself."""
    clock = Clock(9.0, 0.004, 0.002, 0.030)
    assert median_ms(clock.answer, ["a", "b", "c"], clock) == pytest.approx(4)
    assert clock.texts == [["a"], ["a"], ["b"], ["c"]]


def test_no_more_than_a_hundred_texts_are_timed() -> None:
    """A gate takes seconds, however large the split."""
    clock = Clock(*[1.0] * (TIMED_TEXTS + 1))
    assert median_ms(clock.answer, [str(i) for i in range(500)], clock) == pytest.approx(1000)
    assert clock.texts[-1] == [str(TIMED_TEXTS - 1)]


def with_two_variants(folder: Path) -> tuple[Manifest, Parts]:
    """A version whose int8 files are other files, and larger ones."""
    manifest, paths = tiny_manifest(folder / "one", "classification")
    frozen, more = tiny_manifest(folder / "other", "classification", frozen=True)
    variants: dict[str, Variant] = {
        "fp32": manifest.variants["fp32"],
        "int8": frozen.variants["fp32"],
    }
    files = {**paths, **more}
    return manifest.model_copy(update={"variants": variants}), Parts(lambda file: files[file.digest])


@pytest.mark.parametrize(("quicker", "slower"), [("fp32", "int8"), ("int8", "fp32")])
def test_the_fastest_variant_is_found_with_its_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quicker: str, slower: str
) -> None:
    """Whatever the other one's size is; each runs its own graphs, on one thread."""
    manifest, parts = with_two_variants(tmp_path)
    times_ms = {Execution(quicker): 2.0, Execution(slower): 3.0}  # type: ignore[arg-type]
    monkeypatch.setattr(fastest, "median_ms", lambda answer, texts: times_ms[answer.__self__.execution])
    found = find_fastest(manifest, parts, ["a text"])
    size = sum(graph.file.size_bytes for graph in manifest.variants[quicker].graphs.values())  # type: ignore[index]
    assert found == Served(quicker, size, 2.0)  # type: ignore[arg-type]


def test_every_variant_is_timed_on_its_own_graphs(tmp_path: Path) -> None:
    """Both answer; the time of one that runs is more than nothing."""
    manifest, parts = with_two_variants(tmp_path)
    assert find_fastest(manifest, parts, ["a text", "another"]).latency_ms > 0


def test_nothing_lost_to_the_champion_is_nought() -> None:
    """Neither the figure nor the interval of its detail has a sign; JSON knows a nought below nought, too."""
    alike = Comparison(
        champion="m@1", split="test", row_count=9, gain=0.0, low=0.0, high=1e-9, labels=(), slices=()
    )
    (check,) = quality_checks(
        QualityGates(champion="m@1", most_points_lost=0),
        "classification",
        "test",
        {"fp32": SCORES},
        {"fp32": alike},
        champion_failure="",
        served=None,
    )
    assert check.measured is not None
    assert math.copysign(1.0, check.measured) == 1.0
    assert check.detail.endswith("(95 % interval 0.00 to 0.00)")


def test_the_checks_say_which_variant_they_looked_at() -> None:
    """With what was measured of it, and only where a gate asks."""
    gates = QualityGates(most_size_bytes=100, most_latency_ms=5)
    checks = quality_checks(
        gates,
        "classification",
        "test",
        {"fp32": SCORES},
        {},
        champion_failure="",
        served=Served("int8", 101, 4.5),
    )
    assert [(check.name, check.measured, check.passed) for check in checks] == [
        ("size", 101, False),
        ("latency", 4.5, True),
    ]
    assert all("int8, the fastest variant here" in check.detail for check in checks)
