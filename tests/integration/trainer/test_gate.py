"""The gate refuses every export that does not decide as the trained network does, and passes one that does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from services.train.trainer import pipeline
from services.train.trainer.export import ExportedGraph, Role, describe_file, export
from services.train.trainer.gate import MOST_LOGIT_DIFFERENCE, gate
from services.train.trainer.network import Network
from services.train.trainer.publishing import Candidate, complete
from services.train.trainer.trial import largest_difference
from shared.errors import VersionRejectedError
from shared.store.manifest import MultiLabelDecoding, Task, Variant
from tests.integration.trainer.conftest import Trained
from tests.integration.trainer.world import Outcome, Workplace

Edit = Callable[[onnx.ModelProto], None]


def edited(outcome: Outcome, folder: Path, role: Role, edit: Edit) -> Candidate:
    """The outcome's candidate with one of its graphs edited, and named by its new digest."""
    graph = {**outcome.candidate.manifest.variants["fp32"].graphs}[role]
    path = folder / f"{role}.onnx"
    model = onnx.load(outcome.candidate.open_file(graph.file))
    edit(model)
    onnx.save(model, path)
    return with_graph(outcome.candidate, role, ExportedGraph(path, graph.inputs, graph.outputs))


def with_graph(candidate: Candidate, role: Role, graph: ExportedGraph) -> Candidate:
    """The candidate with one graph in place of its own."""
    described = graph.described()
    graphs = {**candidate.manifest.variants["fp32"].graphs, role: described}
    manifest = candidate.manifest.model_copy(update={"variants": {"fp32": Variant(graphs=graphs)}})
    return Candidate(manifest, {**candidate.paths, described.file.digest: graph.path})


def with_tokenizer(candidate: Candidate, folder: Path, content: dict[str, Any]) -> Candidate:
    """The candidate with another tokenizer.json."""
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(content), "utf-8")
    file = describe_file(path)
    tokenization = candidate.manifest.tokenization.model_copy(update={"file": file})
    manifest = candidate.manifest.model_copy(update={"tokenization": tokenization})
    return Candidate(manifest, {**candidate.paths, file.digest: path})


def failed_checks(outcome: Outcome, candidate: Candidate) -> set[str]:
    """The names of the checks that refuse `candidate`, after making sure that its manifest says so."""
    checks = gate(outcome.reference, outcome.judgements, candidate)
    assert complete(candidate, checks).state == "rejected"
    return {check.name for check in checks if not check.passed}


def change_head(change: float) -> Edit:
    """Add `change` to one weight of the last linear layer."""

    def edit(model: onnx.ModelProto) -> None:
        last = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")][-1]
        weight = next(each for each in model.graph.initializer if each.name in last.input)
        values = numpy_helper.to_array(weight).copy()
        values.flat[0] += change
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))

    return edit


def freeze_axis(axis: int, size: int) -> Edit:
    """Fix an axis of the inputs, as an exporter does that takes its example for the rule."""

    def edit(model: onnx.ModelProto) -> None:
        for value in model.graph.input:
            value.type.tensor_type.shape.dim[axis].dim_value = size

    return edit


def ignore_mask(model: onnx.ModelProto) -> None:
    """Let padding count as text: the mask is read, and all ones."""
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == "attention_mask":
                node.input[i] = "all_ones"
    model.graph.initializer.append(numpy_helper.from_array(np.array(1, dtype=np.int64), "one"))
    model.graph.node.insert(0, helper.make_node("Max", ["attention_mask", "one"], ["all_ones"]))


def bake_batch(model: onnx.ModelProto) -> None:
    """Reshape by a constant that tracing took from its example: two windows."""
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == "input_ids":
                node.input[i] = "baked_ids"
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, -1], dtype=np.int64), "two_windows"))
    model.graph.node.insert(0, helper.make_node("Reshape", ["input_ids", "two_windows"], ["baked_ids"]))


def change_rare_words(model: onnx.ModelProto) -> None:
    """Destroy the embedding of a token that no text of the tests holds."""
    tables = [each for each in model.graph.initializer if "word_embeddings" in each.name]
    values = numpy_helper.to_array(tables[0]).copy()
    values[1] = 999
    tables[0].CopyFrom(numpy_helper.from_array(values, tables[0].name))


BAD_GRAPHS: dict[str, tuple[Edit, str]] = {
    "a perturbed weight": (change_head(0.01), "fp32.logits"),
    "a weight that is no number": (change_head(np.nan), "finite"),
    "a frozen batch axis": (freeze_axis(0, 1), "fp32.batching"),
    "a batch axis frozen at two": (freeze_axis(0, 2), "fp32.runs"),
    "a frozen token axis": (freeze_axis(1, 3), "fp32.lengths"),
    "a padding-sensitive graph": (ignore_mask, "fp32.padding"),
    "a batch axis baked by tracing": (bake_batch, "fp32.runs"),
    "a rare word's embedding": (change_rare_words, "fp32.vocabulary"),
}
TASKS: list[Task] = ["classification", "multi-label", "entities"]


@pytest.mark.parametrize("fault", BAD_GRAPHS)
@pytest.mark.parametrize("task", TASKS)
def test_a_bad_graph_is_rejected(task: Task, fault: str, trained: Trained, tmp_path: Path) -> None:
    """A graph that differs from the trained network, or runs in some shapes only, is refused by the check made for that."""
    edit, check = BAD_GRAPHS[fault]
    outcome = trained(task, True)
    assert check in failed_checks(outcome, edited(outcome, tmp_path, "model", edit))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("role", ["encoder", "head"])
def test_a_bad_part_is_rejected(task: Task, role: Role, trained: Trained, tmp_path: Path) -> None:
    """Both graphs of a frozen version are held to the trained network."""
    outcome = trained(task, False)
    assert "fp32.logits" in failed_checks(outcome, edited(outcome, tmp_path, role, change_head(0.05)))


def test_wrong_pooling_is_rejected(trained: Trained, tmp_path: Path) -> None:
    """A graph with the right weights that reads the first token where the mean was trained is refused."""
    outcome = trained("classification", True)
    network = outcome.reference.network
    other = Network(network.encoder, network.head.head, "first-token")
    graph = export(other, tmp_path, adaptable=True)["model"]
    assert "fp32.logits" in failed_checks(outcome, with_graph(outcome.candidate, "model", graph))


def test_wrong_pooling_of_a_frozen_encoder_is_rejected(trained: Trained, tmp_path: Path) -> None:
    """A frozen version's head on another reading of the encoder's outputs is refused."""
    outcome = trained("classification", False)
    network = outcome.reference.network
    other = Network(network.encoder, network.head.head, "first-token")
    graph = export(other, tmp_path, adaptable=False)["head"]
    assert "fp32.logits" in failed_checks(outcome, with_graph(outcome.candidate, "head", graph))


@pytest.mark.parametrize("change", [{"max_tokens": 64}, {"max_tokens": 16}, {"stride_tokens": 1}], ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_wrong_windows_are_rejected(task: Task, change: dict[str, int], trained: Trained) -> None:
    """A manifest that would cut long texts otherwise than training did is refused, though every validation text is short."""
    outcome = trained(task, True)
    tokenization = outcome.candidate.manifest.tokenization.model_copy(update=change)
    manifest = outcome.candidate.manifest.model_copy(update={"tokenization": tokenization})
    assert "tokenizer" in failed_checks(outcome, replace(outcome.candidate, manifest=manifest))


def test_wrong_thresholds_are_rejected(trained: Trained) -> None:
    """Labels that are given from other scores on than those that were chosen are other decisions, though no score moves."""
    outcome = trained("multi-label", True)
    decoding = outcome.candidate.manifest.decoding
    assert isinstance(decoding, MultiLabelDecoding)
    raised = decoding.model_copy(update={"thresholds": tuple(0.999 for _ in decoding.thresholds)})
    manifest = outcome.candidate.manifest.model_copy(update={"decoding": raised})
    assert failed_checks(outcome, replace(outcome.candidate, manifest=manifest)) == {"fp32.decisions"}


def test_a_wrong_temperature_is_rejected(trained: Trained) -> None:
    """Scores that are not the softmax of the trained logits are refused, though every decision stays."""
    outcome = trained("classification", True)
    decoding = outcome.candidate.manifest.decoding.model_copy(update={"temperature": 1.1})
    manifest = outcome.candidate.manifest.model_copy(update={"decoding": decoding})
    assert failed_checks(outcome, replace(outcome.candidate, manifest=manifest)) == {"fp32.scores"}


@pytest.mark.parametrize("task", TASKS)
def test_swapped_labels_are_rejected(task: Task, trained: Trained) -> None:
    """A manifest whose labels are not in the order of training's targets is refused."""
    outcome = trained(task, True)
    first, second, *others = outcome.candidate.manifest.labels
    manifest = outcome.candidate.manifest.model_copy(update={"labels": (second, first, *others)})
    assert {"fp32.label_order", "fp32.decisions"} <= failed_checks(
        outcome, replace(outcome.candidate, manifest=manifest)
    )


def test_swapped_labels_that_no_row_has_are_rejected(trained: Trained) -> None:
    """Labels that validation has no row of are held to their place too."""
    outcome = trained("classification", True)
    first, *others = outcome.candidate.manifest.labels
    manifest = outcome.candidate.manifest.model_copy(update={"labels": (first, *reversed(others))})
    shown = [each for each in outcome.judgements if each.decision == {first}]
    checks = gate(outcome.reference, shown, replace(outcome.candidate, manifest=manifest))
    assert "fp32.label_order" in {check.name for check in checks if not check.passed}
    assert "fp32.decisions" not in {check.name for check in checks if not check.passed}


@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_tokenizer_is_rejected(task: Task, trained: Trained, tmp_path: Path) -> None:
    """A tokenizer in which two words have changed places is refused."""
    outcome = trained(task, True)
    file = outcome.candidate.manifest.tokenization.file
    content = json.loads(outcome.candidate.open_file(file).read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary["my"], vocabulary["the"] = vocabulary["the"], vocabulary["my"]
    assert failed_checks(outcome, with_tokenizer(outcome.candidate, tmp_path, content)) == {"tokenizer"}


def test_a_tokenizer_that_keeps_case_is_rejected(trained: Trained, tmp_path: Path) -> None:
    """A tokenizer that differs in what no validation text holds is refused: the gate has texts of its own."""
    outcome = trained("classification", True)
    file = outcome.candidate.manifest.tokenization.file
    content = json.loads(outcome.candidate.open_file(file).read_text("utf-8"))
    content["normalizer"]["lowercase"] = False
    assert failed_checks(outcome, with_tokenizer(outcome.candidate, tmp_path, content)) == {"tokenizer"}


def test_a_damaged_file_is_rejected(trained: Trained, tmp_path: Path) -> None:
    """A file that is no graph at all is a failed check, not a crash."""
    outcome = trained("classification", True)
    graph = outcome.candidate.manifest.variants["fp32"].graphs["model"]
    path = tmp_path / "model.onnx"
    path.write_bytes(outcome.candidate.open_file(graph.file).read_bytes()[:1000])
    broken = ExportedGraph(path, graph.inputs, graph.outputs)
    assert failed_checks(outcome, with_graph(outcome.candidate, "model", broken)) == {"fp32.runs"}


@pytest.mark.parametrize("adaptable", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_a_good_export_passes(task: Task, adaptable: bool, trained: Trained) -> None:
    """What was exported passes every check, with room to spare: the limits are not what a sound export strains at."""
    outcome = trained(task, adaptable)
    checks = gate(outcome.reference, outcome.judgements, outcome.candidate)
    assert [check.name for check in checks if not check.passed] == []
    assert all(check.measured <= check.limit / 5 for check in checks)


def test_a_rejected_version_is_kept_and_never_promoted(
    workplace: Workplace, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose export went wrong ends as rejected: the version is in the store with its report, and no alias takes it."""

    def bad_export(network: Network, folder: Path, *, adaptable: bool) -> dict[Role, ExportedGraph]:
        graphs = export(network, folder, adaptable=adaptable)
        model = onnx.load(graphs["model"].path)
        change_head(0.5)(model)
        onnx.save(model, graphs["model"].path)
        return graphs

    monkeypatch.setattr(pipeline, "export", bad_export)
    outcome = workplace.train(workplace.assign(tiny_base, "classification", adaptable=True))

    version = outcome.manifest.version
    assert outcome.manifest.state == "rejected"
    assert not {check.name: check.passed for check in outcome.manifest.gate_checks}["fp32.logits"]
    with pytest.raises(VersionRejectedError):
        workplace.models.set_alias(
            version.model, "production", version.number, expected=None, actor="test", reason="test"
        )


def test_large_logits_are_held_relative_to_their_size() -> None:
    """Float32 rounds in proportion: what is a rounding of a logit of 500 is a fault of one of 5."""
    small, large = np.array([5.0], np.float32), np.array([500.0], np.float32)
    assert largest_difference([small + np.float32(4e-4)], [small]) > MOST_LOGIT_DIFFERENCE
    assert largest_difference([large + np.float32(4e-4)], [large]) < MOST_LOGIT_DIFFERENCE
    assert largest_difference([large + np.float32(0.02)], [large]) > MOST_LOGIT_DIFFERENCE
    assert largest_difference([np.array([np.nan], np.float32)], [small]) == float("inf")


def test_want_of_memory_is_no_fault_of_the_version(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that finds no memory ends the job, which may be tried again; it does not refuse the version."""
    outcome = trained("classification", False)

    def fails(*_: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")

    monkeypatch.setattr("services.train.trainer.trial.Trial.logits", fails)
    with pytest.raises(RuntimeError, match="bad_alloc"):
        gate(outcome.reference, outcome.judgements, outcome.candidate)
