"""int8: exact where it can be, batch-mates change nothing, and a variant that fails its gate costs the version nothing else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from services.train.trainer.export import ExportedGraph
from services.train.trainer.gate import gate_variants
from services.train.trainer.publishing import Candidate, complete, publish
from services.train.trainer.quantising import quantise
from services.train.trainer.serving import add_answers
from shared.names import VersionName
from shared.processor import multiplies_bytes
from shared.store.manifest import Manifest, Variant
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.integration.trainer.conftest import Trained
from tests.integration.trainer.test_gate import Edit
from tests.integration.trainer.world import Outcome, Workplace

WIDTH, COLUMNS, VOCABULARY = 24, 10, 40


def fp32_graph(folder: Path, table: np.ndarray, matrix: np.ndarray) -> ExportedGraph:
    """Embeddings times a matrix, as an exported graph has them."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("MatMul", ["vectors", "matrix"], ["logits"]),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["windows", "tokens"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(matrix, "matrix")]
    graph = helper.make_graph(nodes, "g", [ids], [logits], weights)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return ExportedGraph(path, ("input_ids",), ("logits",))


def in_bytes(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric bytes of `values` and their scales along `axis`, as the paper on paper would have them."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True) / 127, 1e-12)
    return np.rint(values / scales), scales


def run(graph: ExportedGraph, ids: np.ndarray) -> np.ndarray:
    """The graph's logits."""
    session = onnxruntime.InferenceSession(str(graph.path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids})[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportedGraph, np.ndarray, np.ndarray]:
    """A quantised graph, and the table and matrix that it was made of; one row and one column are nought."""
    random = np.random.default_rng(0)
    table = (random.normal(size=(VOCABULARY, WIDTH)) * random.gamma(1.0, size=(VOCABULARY, 1))).astype("f4")
    matrix = random.normal(size=(WIDTH, COLUMNS)).astype("f4")
    table[3], matrix[:, 4] = 0, 0
    folder = tmp_path_factory.mktemp("pair")
    return quantise({"model": fp32_graph(folder, table, matrix)}, folder)["int8"]["model"], table, matrix


@pytest.mark.skipif(not multiplies_bytes(), reason="the processor has no instruction for products of bytes")
def test_the_numbers_are_those_of_the_formula(
    pair: tuple[ExportedGraph, np.ndarray, np.ndarray],
) -> None:
    """Rows of the table, rows of the activation and columns of the matrix are rounded to bytes; nothing else is lost."""
    graph, table, matrix = pair
    ids = np.arange(VOCABULARY).reshape(4, 10)
    table_bytes, table_scales = in_bytes(table, axis=1)
    vectors = (table_bytes * table_scales)[ids]
    (left, left_scales), (right, right_scales) = in_bytes(vectors, axis=-1), in_bytes(matrix, axis=0)
    computed = run(graph, ids)
    np.testing.assert_allclose(computed, left @ right * left_scales * right_scales, atol=1e-5)
    exact = table[ids] @ matrix
    assert np.abs(computed - exact).max() < 0.02 * np.abs(exact).max()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_row_never_depends_on_its_batch_mates(
    pair: tuple[ExportedGraph, np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    """Bit for bit: alone, among others, and beside padding (G11)."""
    graph, *_ = pair
    rows = data.draw(st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9), min_size=2))
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    together = run(graph, ids)
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(run(graph, np.array([row]))[0], together[i, : len(row)])


def test_equal_graphs_give_equal_files(trained: Trained) -> None:
    """Two frozen versions of one base share the int8 encoder too, and their heads are those of fp32."""
    first, second = (trained(task, False).candidate.manifest for task in ("classification", "entities"))
    assert first.variants["int8"].graphs["encoder"].file == second.variants["int8"].graphs["encoder"].file
    for manifest in (first, second):
        assert manifest.variants["int8"].graphs["head"] == manifest.variants["fp32"].graphs["head"]


def test_what_a_head_computes_stays_fp32(trained: Trained) -> None:
    """Every multiplication of the encoder by weights is in bytes, the head's alone is not."""
    candidate = trained("entities", True).candidate
    model = onnx.load(candidate.open_file(candidate.manifest.variants["int8"].graphs["model"].file))
    weights = {each.name for each in model.graph.initializer}
    by_weights = [n for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    assert [node.name.split("/")[1] for node in by_weights] == ["head"]
    assert any(node.op_type == "MatMulIntegerToFloat" for node in model.graph.node)


def altered(outcome: Outcome, folder: Path, edit: Edit) -> Candidate:
    """The outcome's candidate with its int8 graph edited."""
    candidate = outcome.candidate
    graph = {**candidate.manifest.variants["int8"].graphs}["model"]
    model = onnx.load(candidate.open_file(graph.file))
    edit(model)
    path = folder / "edited.onnx"
    onnx.save(model, path)
    described = ExportedGraph(path, graph.inputs, graph.outputs).described()
    variants = {**candidate.manifest.variants, "int8": Variant(graphs={"model": described})}
    manifest = candidate.manifest.model_copy(update={"variants": variants})
    return Candidate(manifest, {**candidate.paths, described.file.digest: path})


def after_logits(nodes: Sequence[onnx.NodeProto], model: onnx.ModelProto) -> None:
    """Rename the logits to `before` and append nodes that make `logits` of it."""
    for node in model.graph.node:
        node.output[:] = ["before" if name == "logits" else name for name in node.output]
    model.graph.node.extend(nodes)


def favour_the_first(model: onnx.ModelProto) -> None:
    """Whatever the text, the first label wins."""
    count = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    push = numpy_helper.from_array(np.eye(1, count, dtype=np.float32) * 100, "push")
    model.graph.initializer.append(push)
    after_logits([helper.make_node("Add", ["before", "push"], ["logits"])], model)


def look_at_batch_mates(model: onnx.ModelProto) -> None:
    """The mean of the batch is taken off, as a scale over the whole batch would do in small."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "windows-axis"))
    after_logits(
        [
            helper.make_node("ReduceMean", ["before", "windows-axis"], ["mean"], keepdims=1),
            helper.make_node("Mul", ["mean", "mean"], ["weight"]),
            helper.make_node("Sub", ["before", "weight"], ["logits"]),
        ],
        model,
    )


def lose_numbers(model: onnx.ModelProto) -> None:
    """Long windows give no numbers."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "tokens-axis"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(30, np.int64), "many"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(np.nan, np.float32), "nan"))
    after_logits(
        [
            helper.make_node("ReduceSum", ["attention_mask", "tokens-axis"], ["count"], keepdims=1),
            helper.make_node("Greater", ["count", "many"], ["is-long"]),
            helper.make_node("Where", ["is-long", "nan", "before"], ["logits"]),
        ],
        model,
    )


def break_it(model: onnx.ModelProto) -> None:
    """Nobody can load it."""
    model.graph.node[0].op_type = "Nothing"


@pytest.mark.parametrize(
    ("edit", "caught"),
    [
        (favour_the_first, {"int8.metric", "int8.decisions"}),
        (look_at_batch_mates, {"int8.batching"}),
        (lose_numbers, {"int8.lengths"}),
        (break_it, {"int8.runs"}),
    ],
)
def test_a_variant_that_fails_is_left_out(
    edit: Edit, caught: set[str], trained: Trained, workplace: Workplace, tmp_path: Path
) -> None:
    """The report names what failed; the version is published as fp32, and the store never sees the file."""
    outcome = trained("classification", True)
    candidate = altered(outcome, tmp_path, edit)
    corpus = workplace.corpus(outcome.manifest)
    checks = [*gate_variants(outcome.reference, outcome.judgements, candidate, corpus)]
    assert caught <= {check.name for check in checks if not check.passed}
    manifest = complete(candidate, checks)
    assert (manifest.state, set(manifest.variants)) == ("published", {"fp32"})

    manifest = add_answers(manifest, candidate, corpus, outcome.judgements, threads=1)
    assert set(manifest.evaluations) == {"fp32"}
    store = MemoryStore()
    published(store, manifest, candidate)
    assert manifest.weights is not None
    kept = {file.digest for file in (*manifest.files, manifest.weights)}
    stored = ModelStore(store).manifest(VersionName(manifest.model, 1))
    kept.add(hashlib.sha256(stored.model_dump_json().encode()).hexdigest())  # what the attempt published
    assert {key.rpartition("/")[2] for key in store.list_keys("blobs")} == kept


def published(store: MemoryStore, manifest: Manifest, candidate: Candidate) -> None:
    """Publish into an empty store, where the version's number must be reserved first."""
    models = ModelStore(store)
    name = models.reserve(manifest.model, manifest.lineage.job_id)
    publish(models, manifest.model_copy(update={"number": name.number}), candidate)


def test_the_true_int8_passes_and_is_served(trained: Trained, workplace: Workplace) -> None:
    """It has metrics of its own, answers its golden examples, and is smaller."""
    outcome = trained("classification", True)
    manifest = outcome.manifest
    assert {check.name for check in manifest.gate_checks if check.variant == "int8"} == {
        "int8.metric",
        "int8.decisions",
        "int8.batching",
        "int8.lengths",
    }
    model = workplace.load(manifest, "int8")
    model.check_golden()
    assert model.execution.variant == "int8"
    assert len(manifest.golden_examples) > 10
    sizes = {name: variant.graphs["model"].file.size_bytes for name, variant in manifest.variants.items()}
    assert sizes["int8"] < 0.7 * sizes["fp32"]  # of a tiny network the graph itself is a good part


def test_golden_examples_are_those_that_all_variants_answer_alike(
    trained: Trained, workplace: Workplace, tmp_path: Path
) -> None:
    """A variant that decides one label otherwise, by its gate's leave, would else fail its own golden examples when it loads."""
    outcome = trained("classification", True)
    candidate = altered(outcome, tmp_path, favour_the_first)
    corpus = workplace.corpus(outcome.manifest)
    manifest = add_answers(candidate.manifest, candidate, corpus, outcome.judgements, threads=1)
    answered = {example.label for example in manifest.golden_examples}
    assert answered == {manifest.labels[0]}
    assert {example.label for example in outcome.manifest.golden_examples} == set(manifest.labels)
