"""Loading: a version that cannot answer right is refused with its cause, before anybody calls it."""

import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
from structlog.testing import capture_logs

from shared.errors import ModelNotLoadableError
from shared.runtime.execution import CPU, CUDA, Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.probe import works
from shared.store.manifest import GoldenExample, Graph, Manifest, Variant
from tests.tiny import stored_file, tiny_encoder, tiny_head, tiny_manifest, tiny_model

Files = dict[str, Path]


@pytest.fixture
def version(tmp_path: Path) -> tuple[Manifest, Files]:
    """A sound classifier."""
    return tiny_manifest(tmp_path, "classification")


def load(manifest: Manifest, files: Files, execution: Execution = Execution()) -> Model:  # noqa: B008  # frozen
    return Model.load(manifest, Parts(lambda file: files[file.digest]), execution)


def with_graphs(
    version: tuple[Manifest, Files], folder: Path, graphs: dict[str, Graph]
) -> tuple[Manifest, Files]:
    """Put other graphs, written as `<role>.onnx` into `folder`, into a version."""
    manifest, files = version
    variant = Variant.model_construct(graphs=graphs)
    files = files | {graph.file.digest: folder / f"{role}.onnx" for role, graph in graphs.items()}
    return manifest.model_copy(update={"variants": {"fp32": variant}}), files


def test_another_number_of_labels_is_refused(version: tuple[Manifest, Files], tmp_path: Path) -> None:
    """A graph of four labels does not answer for a manifest of three."""
    graph = tiny_model(tmp_path / "model.onnx", "classification", ("a", "b", "c", "d"))
    with pytest.raises(ModelNotLoadableError, match="do not fit its 3 outputs"):
        load(*with_graphs(version, tmp_path, {"model": graph}))


def test_a_graph_of_the_other_task_is_refused(version: tuple[Manifest, Files], tmp_path: Path) -> None:
    """Token logits are no label logits."""
    graph = tiny_model(tmp_path / "model.onnx", "entities", ("a",))
    with pytest.raises(ModelNotLoadableError, match="do not fit"):
        load(*with_graphs(version, tmp_path, {"model": graph}))


def test_bytes_that_are_no_graph_are_refused(version: tuple[Manifest, Files], tmp_path: Path) -> None:
    """ONNX Runtime's own error becomes ours, as its cause."""
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    graph = Graph(
        file=stored_file(tmp_path / "model.onnx"), inputs=("input_ids", "attention_mask"), outputs=("logits",)
    )
    with pytest.raises(ModelNotLoadableError, match="cannot load a graph") as caught:
        load(*with_graphs(version, tmp_path, {"model": graph}))
    assert caught.value.__cause__ is not None


def test_inputs_that_are_not_the_manifests_are_refused(
    version: tuple[Manifest, Files], tmp_path: Path
) -> None:
    """The manifest's promise and the graph must agree, name by name."""
    graph = tiny_model(tmp_path / "model.onnx", "classification", ("a", "b", "c"))
    promised = graph.model_copy(update={"inputs": ("input_ids", "attention_mask", "token_type_ids")})
    with pytest.raises(ModelNotLoadableError, match="its manifest says"):
        load(*with_graphs(version, tmp_path, {"model": promised}))


def test_an_input_that_nobody_can_feed_is_refused(version: tuple[Manifest, Files], tmp_path: Path) -> None:
    """A graph that asks for pixels reads no text, and its manifest's saying so does not help."""
    graph = tiny_model(tmp_path / "model.onnx", "classification", ("a", "b", "c"))
    model = onnx.load(tmp_path / "model.onnx")
    model.graph.input[0].name = model.graph.node[0].input[1] = "pixel_values"
    onnx.save(model, tmp_path / "model.onnx")
    asking = graph.model_copy(
        update={"inputs": ("pixel_values", "attention_mask"), "file": stored_file(tmp_path / "model.onnx")}
    )
    with pytest.raises(ModelNotLoadableError, match="asks for pixel_values, which this server cannot feed"):
        load(*with_graphs(version, tmp_path, {"model": asking}))


def test_a_graph_that_cannot_run_is_refused(version: tuple[Manifest, Files], tmp_path: Path) -> None:
    """A graph with fewer embeddings than the tokenizer has ids loads well; it is run once to find out."""
    graph = tiny_model(tmp_path / "model.onnx", "classification", ("a", "b", "c"))
    model = onnx.load(tmp_path / "model.onnx")
    (embedding,) = [tensor for tensor in model.graph.initializer if tensor.name == "embedding"]
    embedding.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(embedding)[:2], "embedding"))
    onnx.save(model, tmp_path / "model.onnx")
    graph = graph.model_copy(update={"file": stored_file(tmp_path / "model.onnx")})
    with pytest.raises(ModelNotLoadableError, match="cannot read a short text"):
        load(*with_graphs(version, tmp_path, {"model": graph}))


def test_an_encoder_without_a_head_is_refused(version: tuple[Manifest, Files], tmp_path: Path) -> None:
    """A variant is one graph, or an encoder and a head; nothing else."""
    encoder = tiny_encoder(tmp_path / "encoder.onnx", "classification")
    with pytest.raises(ModelNotLoadableError, match="a variant of encoder"):
        load(*with_graphs(version, tmp_path, {"encoder": encoder}))
    head = tiny_head(tmp_path / "head.onnx", "classification", ("a", "b", "c"))
    load(*with_graphs(version, tmp_path, {"encoder": encoder, "head": head})).close()


def test_windows_that_never_end_are_refused(version: tuple[Manifest, Files]) -> None:
    """A stride as long as a window's content."""
    manifest, files = version
    tokenization = manifest.tokenization.model_copy(update={"max_tokens": 10, "stride_tokens": 8})
    with pytest.raises(ModelNotLoadableError, match="stride"):
        load(manifest.model_copy(update={"tokenization": tokenization}), files)


@pytest.mark.parametrize(
    ("task", "example"),
    [
        ("classification", GoldenExample(text="help with my card", label="delivery")),
        ("entities", GoldenExample(text="we met Ada Lovelace", entities=())),
    ],
)
def test_a_golden_example_answered_otherwise_is_refused(
    tmp_path: Path, task: str, example: GoldenExample
) -> None:
    """The error says which example, and none of its text."""
    manifest, files = tiny_manifest(tmp_path, "entities" if task == "entities" else "classification")
    sound = manifest.golden_examples[0]
    model = load(manifest.model_copy(update={"golden_examples": (sound, example)}), files)
    with pytest.raises(ModelNotLoadableError, match="golden example 1") as caught:
        model.check_golden()
    assert "card" not in str(caught.value)
    assert "Lovelace" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_silent_fallback_of_the_library_is_caught(
    version: tuple[Manifest, Files], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the library says it has CUDA but its session runs on the CPU, as with missing libraries, there is no session."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with pytest.raises(ModelNotLoadableError, match=f"gave {CPU} for {CUDA}"):
        load(*version, Execution(provider=CUDA))
    assert not works(Execution(provider=CUDA))


def test_what_is_not_installed_does_not_work() -> None:
    """It is not even tried."""
    assert works(Execution())
    assert not works(Execution(provider="NobodysExecutionProvider"))


def test_a_precision_that_is_not_the_one_asked_for_is_caught() -> None:
    """The CPU provider rounds nothing to bf16, whatever it is called."""
    with capture_logs() as logs:
        assert not works(Execution("bf16", CPU))
    assert [each["event"] for each in logs] == ["execution_imprecise"]


def test_the_runtime_needs_no_training_library() -> None:
    """Importing the runtime brings neither torch nor transformers."""
    code = "import sys, shared.runtime.model, shared.runtime.probe; print(sorted({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_memory_is_flat_over_twenty_models(tmp_path: Path) -> None:
    """Twenty versions loaded, asked and closed one after another: the last fifteen leave nothing behind.

    In a process of its own, so that other tests' memory does not count.
    """
    code = """
import sys, psutil
from pathlib import Path
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from tests.tiny import tiny_manifest
manifest, files = tiny_manifest(Path(sys.argv[1]), "entities", frozen=True)
sizes = []
for _ in range(20):
    model = Model.load(manifest, Parts(lambda file: files[file.digest]))
    model.answer(["we met ada lovelace in paris " * 40] * 20)
    model.close()
    sizes.append(psutil.Process().memory_info().rss)
print(sizes[-1] - sizes[4])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 2 * 2**20
