"""Loading from a real store: what a version has been through before it answers."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.infer.residency.loading import StoreLoader
from shared.runtime.classification import Logits
from shared.runtime.model import Model
from shared.runtime.windows import Window
from shared.store.cache import FileCache
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny


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
    loader = StoreLoader(models, cache, "cpu", threads=1, text_threads=2, batch_tokens=1000)
    loader.load(version).close()
    full = {(count, tokens) for count, tokens in ran if count > 1 and count == 1000 // tokens}
    assert len(full) >= 2
    assert all((1, tokens) in ran for _, tokens in full)
    assert all(count * tokens <= 1000 for count, tokens in ran)
