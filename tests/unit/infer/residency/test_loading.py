"""Loading from a real store: what a version has been through before it answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from services.infer.cost import Cell, CostGrid
from services.infer.residency import loading
from services.infer.residency.lanes import Lanes
from services.infer.residency.loading import StoreLoader
from services.infer.residency.measuring import Measuring
from services.train.trainer.export import ExportedGraph
from services.train.trainer.quantising import quantise
from shared.errors import ModelNotLoadableError
from shared.names import VersionName
from shared.runtime.classification import Logits
from shared.runtime.execution import OPENVINO, Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.windows import Window
from shared.store.cache import FileCache
from shared.store.manifest import Graph, Manifest, Variant
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny, tiny_manifest

FP32, INT8, BF16 = Execution("fp32"), Execution("int8"), Execution("bf16", OPENVINO)
GRID = CostGrid([Cell(1, 8, 1.0)])


def _loader(
    models: ModelStore,
    cache: FileCache,
    executions: Sequence[Execution],
    *,
    by_speed: bool = False,
    measure: Callable[[Model], CostGrid] = lambda _: GRID,
) -> StoreLoader:
    measuring = cast("Measuring", SimpleNamespace(costs=measure, known=lambda manifest, execution: None))
    return StoreLoader(
        models,
        cache,
        Parts(cache.fetch),
        Lanes(measure),
        measuring,
        executions,
        by_speed,
        batch_tokens=1000,
    )


def test_a_loaded_version_has_run_single_windows_and_full_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every length that was warmed both a window alone and as many as `batch_tokens` holds have run; none was larger."""
    objects = MemoryStore()
    models = ModelStore(objects)
    version = publish_tiny(models, "topics", "classification", scratch=tmp_path / "scratch")
    ran: set[tuple[int, int]] = set()
    run = Model.run

    def watched(model: Model, windows: Sequence[Window]) -> list[Logits]:
        ran.add((len(windows), max(window.token_count for window in windows)))
        return run(model, windows)

    monkeypatch.setattr(Model, "run", watched)
    cache = FileCache(objects, tmp_path / "cache")
    _loader(models, cache, (FP32,)).load(version).model.close()
    full = {(count, tokens) for count, tokens in ran if count > 1 and count == 1000 // tokens}
    assert len(full) >= 2
    assert all((1, tokens) in ran for _, tokens in full)
    assert all(count * tokens <= 1000 for count, tokens in ran)


def publish_both(models: ModelStore, folder: Path) -> tuple[VersionName, Graph]:
    """Publish a version with an int8 variant; return its name and the variant's graph."""
    job_id = f"job-{1:016x}"
    version = models.reserve("topics", job_id)
    manifest, paths = tiny_manifest(
        folder, "classification", model="topics", number=version.number, job_id=job_id
    )
    inputs = manifest.variants["fp32"].graphs["model"].inputs
    graph = ExportedGraph(folder / "model.onnx", inputs, ("logits",))
    int8 = quantise({"model": graph}, folder)["int8"]["model"]
    variants = {**manifest.variants, "int8": Variant(graphs={"model": int8.described()})}
    for path in (*paths.values(), int8.path):
        models.put_file(path)
    models.publish(manifest.model_copy(update={"variants": variants}))
    return version, int8.described()


def test_a_variant_that_answers_otherwise_here_gives_way_to_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that another processor rounds across a golden example is told and passed over; the version is served all the same."""
    objects = MemoryStore()
    models = ModelStore(objects)
    version, _ = publish_both(models, tmp_path / "both")
    check = Model.check_golden

    def fails_as_int8(model: Model) -> None:
        if model.execution == INT8:
            raise ModelNotLoadableError("it answers otherwise", cause="golden example 0")
        check(model)

    monkeypatch.setattr(Model, "check_golden", fails_as_int8)
    cache = FileCache(objects, tmp_path / "cache")
    with capture_logs() as logs:
        assert _loader(models, cache, (INT8, FP32)).load(version).model.execution == FP32
    assert [(each["event"], each["variant"]) for each in logs] == [("variant_not_loadable", "int8")]


@pytest.mark.parametrize(
    ("preferred", "of_both", "of_one"), [((INT8, FP32), INT8, FP32), ((FP32,), FP32, FP32)]
)
def test_the_first_variant_that_a_version_has_is_loaded(
    preferred: Sequence[Execution], of_both: Execution, of_one: Execution, tmp_path: Path
) -> None:
    """Nothing else of it is fetched; a version that lacks the best one is served as fp32."""
    objects = MemoryStore()
    models = ModelStore(objects)
    one = publish_tiny(models, "topics", "classification", scratch=tmp_path / "one")
    both, int8 = publish_both(models, tmp_path / "both")
    cache = FileCache(objects, tmp_path / "cache")
    loader = _loader(models, cache, preferred)
    assert loader.load(one).model.execution == of_one
    assert loader.load(both).model.execution == of_both
    fetched = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert (int8.file.digest in fetched) == (of_both == INT8)


def test_versions_on_one_frozen_encoder_are_loaded_onto_one_lane(tmp_path: Path) -> None:
    """Its costs are told once, and its file is fetched once; another encoder has a lane of its own."""
    objects, measured = MemoryStore(), []
    models = ModelStore(objects)
    versions = [
        publish_tiny(
            models, model, "classification", labels, scratch=tmp_path / model, seed=seed, frozen=True
        )
        for model, labels, seed in (
            ("topics", ("a", "b"), 0),
            ("moods", ("x", "y", "z"), 0),
            ("other", ("a", "b"), 1),
        )
    ]
    cache = FileCache(objects, tmp_path / "cache")
    loader = _loader(models, cache, (FP32,), measure=lambda model: measured.append(model.trunk) or GRID)
    topics, moods, other = (loader.load(version) for version in versions)
    assert topics.lane is moods.lane
    assert topics.lane is not other.lane
    assert measured == [topics.model.trunk, other.model.trunk]


def test_a_version_whose_costs_cannot_be_measured_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever breaks after the graphs were loaded, they are let go."""
    objects = MemoryStore()
    models = ModelStore(objects)
    version = publish_tiny(models, "topics", "classification", scratch=tmp_path / "scratch")
    kept: list[Model] = []

    def breaks(model: Model) -> CostGrid:
        kept.append(model)
        raise ZeroDivisionError

    cache = FileCache(objects, tmp_path / "cache")
    loader = _loader(models, cache, (FP32,), measure=breaks)
    with pytest.raises(ZeroDivisionError):
        loader.load(version)
    with pytest.raises(RuntimeError, match="closed"):
        kept[0].run(kept[0].encode(["a"])[0].windows)


@pytest.mark.parametrize(
    ("ms", "answers_otherwise", "served", "told"),
    [
        ({FP32: 5, INT8: 2, BF16: 3}, None, INT8, []),
        ({FP32: 5, INT8: 2, BF16: 1}, None, BF16, []),
        ({FP32: 5, INT8: 2, BF16: 1}, BF16, INT8, ["bf16"]),
        ({FP32: 1, INT8: 2, BF16: 3}, None, FP32, []),
    ],
)
def test_the_fastest_that_answers_right_is_loaded(
    ms: dict[Execution, float],
    answers_otherwise: Execution | None,
    served: Execution,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the gate has not run is proved first. The provider is pretended: bf16 is run as fp32."""
    load = Model.load

    def pretend(manifest: Manifest, parts: Parts, execution: Execution = FP32) -> Model:
        model = load(manifest, parts, FP32 if execution == BF16 else execution)
        model.execution = execution
        return model

    proved: list[tuple[Execution, Execution]] = []

    def prove(model: Model, reference: Model) -> None:
        proved.append((model.execution, reference.execution))
        if model.execution == answers_otherwise:
            raise ModelNotLoadableError("it answers otherwise")

    monkeypatch.setattr(Model, "load", pretend)
    monkeypatch.setattr(loading, "prove", prove)
    objects = MemoryStore()
    models = ModelStore(objects)
    version, _ = publish_both(models, tmp_path / "both")
    loader = _loader(
        models,
        FileCache(objects, tmp_path / "cache"),
        (BF16, INT8, FP32),
        by_speed=True,
        measure=lambda model: CostGrid([Cell(1, 8, ms[model.execution])]),
    )
    with capture_logs() as logs:
        assert loader.load(version).model.execution == served
    assert [each["variant"] for each in logs] == told
    assert proved == ([(BF16, FP32)] if BF16 in (served, answers_otherwise) else [])
