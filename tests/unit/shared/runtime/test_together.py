"""Several versions on one trunk in one pass: each gives what it gives alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.runtime.classification import Logits
from shared.runtime.model import Model, run_together
from shared.runtime.parts import Parts
from shared.runtime.session import GraphSession
from shared.runtime.windows import Window
from shared.store.manifest import Manifest, Task, Variant
from tests.tiny import TOPICS, tiny_encoder, tiny_head, tiny_manifest

WORDS = (*TOPICS, "ada", "lovelace", "paris", "help", "é")
HEADS: tuple[tuple[Task, tuple[str, ...], int], ...] = (
    ("classification", ("a", "b"), 0),
    ("classification", ("x", "y", "z"), 1),
    ("entities", ("person", "place"), 0),
    ("entities", ("person",), 1),
)
Works = list[tuple[Window, Sequence[Model]]]


def _load(folder: Path, *, frozen: bool = True) -> list[Model]:
    """Four heads, two of them extractors, on one encoder."""
    paths: dict[str, Path] = {}
    parts = Parts(lambda file: paths[file.digest])
    encoder = tiny_encoder(folder / "encoder.onnx", "entities")
    models = []
    for number, (task, labels, seed) in enumerate(HEADS):
        manifest, of_version = tiny_manifest(folder / str(number), task, labels, seed=seed, frozen=frozen)
        head = tiny_head(folder / str(number) / "own_head.onnx", task, labels, seed=seed)
        own = {
            encoder.file.digest: folder / "encoder.onnx",
            head.file.digest: folder / str(number) / "own_head.onnx",
        }
        paths |= of_version | own
        models.append(Model.load(_with_graphs(manifest, {"encoder": encoder, "head": head}), parts))
    return models


def _with_graphs(manifest: Manifest, graphs: dict[str, object]) -> Manifest:
    return manifest.model_copy(update={"variants": {"fp32": Variant(graphs=graphs)}})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """The four versions, loaded."""
    return _load(tmp_path_factory.mktemp("heads"))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[GraphSession, tuple[str, ...]]]:
    """Every run of a graph since, and the outputs that were asked for."""
    ran: list[tuple[GraphSession, tuple[str, ...]]] = []
    run = GraphSession.run

    def watched(session: GraphSession, feeds: dict[str, Logits], outputs: Sequence[str]) -> list[Logits]:
        ran.append((session, tuple(outputs)))
        return run(session, feeds, outputs)

    monkeypatch.setattr(GraphSession, "run", watched)
    return ran


def _window(model: Model, text: str) -> Window:
    return model.encode([text])[0].windows[0]


def _check(works: Works) -> None:
    for (window, readers), of_window in zip(works, run_together(works), strict=True):
        assert len(of_window) == len(readers)
        for model, logits in zip(readers, of_window, strict=True):
            (alone,) = model.run([window])
            assert logits.shape == alone.shape
            np.testing.assert_allclose(logits, alone, atol=1e-4, rtol=0)
            assert not logits.flags.writeable


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join),
            st.lists(st.integers(0, len(HEADS) - 1), min_size=1, max_size=5),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_g11_heads_in_one_batch_give_what_each_gives_alone(
    models: list[Model], wanted: list[tuple[str, list[int]]]
) -> None:
    """Whatever windows are in the batch, of classifiers and extractors, and whichever heads each is for, one asked for twice too."""
    _check([(_window(models[0], text), [models[head] for head in heads]) for text, heads in wanted])


def test_the_trunk_is_run_once_for_all_heads(
    models: list[Model], passes: list[tuple[GraphSession, tuple[str, ...]]]
) -> None:
    """For pooled and token features together, and each head once for all its windows."""
    windows = [_window(models[0], text) for text in ("my card", "ada in paris", "the refund of my parcel")]
    passes.clear()
    run_together([(window, models) for window in windows])
    trunk = models[0].trunk
    assert [set(outputs) for session, outputs in passes if session is trunk] == [{"pooled", "hidden_states"}]
    assert len(passes) == 1 + len(models)


def test_only_what_is_wanted_is_computed(
    models: list[Model], passes: list[tuple[GraphSession, tuple[str, ...]]]
) -> None:
    """Classifiers alone need no token features, and a head that nobody asked for does not run."""
    windows = [_window(models[0], "my card"), _window(models[0], "my refund")]
    passes.clear()
    run_together([(windows[0], [models[0]]), (windows[1], [models[1], models[0]])])
    assert [outputs for session, outputs in passes if session is models[0].trunk] == [("pooled",)]
    assert len(passes) == 3


def test_versions_with_the_same_whole_graph_share_a_pass(tmp_path: Path) -> None:
    """Without heads of their own their logits are the trunk's; nothing is computed twice, and none can change the other's."""
    manifest, paths = tiny_manifest(tmp_path, "classification")
    parts = Parts(lambda file: paths[file.digest])
    one, two = (Model.load(manifest, parts) for _ in range(2))
    assert one.trunk is two.trunk
    windows = [_window(one, text) for text in ("my card", "my refund", "where is my parcel")]
    _check([(windows[0], [one, two]), (windows[1], [two]), (windows[2], [two, one])])
    _check([(window, [one, two]) for window in windows])


def test_nothing_to_run_runs_nothing(
    models: list[Model], passes: list[tuple[GraphSession, tuple[str, ...]]]
) -> None:
    """An empty batch has no results."""
    assert run_together([]) == []
    assert passes == []


def test_a_closed_version_fails_the_pass(tmp_path: Path) -> None:
    """It says which one, and the others still run without it."""
    models = _load(tmp_path)
    window = _window(models[0], "my card")
    models[1].close()
    with pytest.raises(RuntimeError, match="closed"):
        run_together([(window, models[:2])])
    assert len(run_together([(window, [models[0], models[2]])])[0]) == 2
