"""Loading from a real store: what a version has been through before it answers."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.infer.residency.loading import StoreLoader
from services.train.trainer.export import ExportedGraph
from services.train.trainer.quantising import quantise
from shared.runtime.classification import Logits
from shared.runtime.model import Model
from shared.runtime.windows import Window
from shared.store.cache import FileCache
from shared.store.manifest import Variant, VariantName
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny, tiny_manifest


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
    loader = StoreLoader(models, cache, "cpu", ("fp32",), threads=1, text_threads=2, batch_tokens=1000)
    loader.load(version).close()
    full = {(count, tokens) for count, tokens in ran if count > 1 and count == 1000 // tokens}
    assert len(full) >= 2
    assert all((1, tokens) in ran for _, tokens in full)
    assert all(count * tokens <= 1000 for count, tokens in ran)


@pytest.mark.parametrize(
    ("preferred", "of_both", "of_one"),
    [(("int8", "fp32"), "int8", "fp32"), (("fp32",), "fp32", "fp32")],
)
def test_the_first_variant_that_a_version_has_is_loaded(
    preferred: Sequence[VariantName], of_both: str, of_one: str, tmp_path: Path
) -> None:
    """Nothing else of it is fetched; a version that lacks the best one is served as fp32."""
    objects = MemoryStore()
    models = ModelStore(objects)
    one = publish_tiny(models, "topics", "classification", scratch=tmp_path / "one")
    job_id = f"job-{1:016x}"
    both = models.reserve("topics", job_id)
    manifest, paths = tiny_manifest(
        tmp_path / "both", "classification", model="topics", number=both.number, job_id=job_id
    )
    graph = ExportedGraph(
        tmp_path / "both" / "model.onnx", manifest.variants["fp32"].graphs["model"].inputs, ("logits",)
    )
    int8 = quantise({"model": graph}, tmp_path / "both")["int8"]["model"]
    variants = {**manifest.variants, "int8": Variant(graphs={"model": int8.described()})}
    for path in (*paths.values(), int8.path):
        models.put_file(path)
    models.publish(manifest.model_copy(update={"variants": variants}))

    cache = FileCache(objects, tmp_path / "cache")
    loader = StoreLoader(models, cache, "cpu", preferred, threads=1, text_threads=2, batch_tokens=1000)
    assert loader.load(one).variant == of_one
    assert loader.load(both).variant == of_both
    fetched = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert (int8.described().file.digest in fetched) == (of_both == "int8")
