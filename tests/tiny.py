"""Tiny versions for tests: a tokenizer of a few dozen words and ONNX graphs of a few kilobytes, made without torch.

They are right in shape (padding changes nothing, long texts are windowed, golden examples hold) and their answers can be told
beforehand: topic words vote for a label, names begin an entity and surnames continue it. Deterministic.
"""

import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from shared.names import VersionName
from shared.store.evaluation import LabelScores, SplitEvaluation
from shared.store.manifest import (
    BaseModelLineage,
    ClassificationDecoding,
    EntitiesDecoding,
    GateCheck,
    GoldenExample,
    GoldenSpan,
    Graph,
    Lineage,
    Manifest,
    StoredFile,
    Task,
    Tokenization,
    Variant,
)

if TYPE_CHECKING:
    from shared.store.models import ModelStore

CLASSIFICATION_LABELS = ("billing", "delivery", "access")
ENTITIES_LABELS = ("person", "place")

# Topic word j votes for label (j + seed) % len(labels).
TOPICS = ("card", "refund", "login", "invoice", "parcel", "password", "charge", "driver", "account")
# Name j begins, and surname j continues, an entity of label (j + seed) % len(labels).
NAMES = ("ada", "paris", "grace", "berlin", "linus", "lima")
SURNAMES = ("lovelace", "west", "hopper", "mitte", "torvalds", "centro")
FILLERS = (
    "the",
    "a",
    "is",
    "in",
    "of",
    "to",
    "and",
    "my",
    "want",
    "please",
    "where",
    "help",
    "with",
    "it",
    "we",
    "met",
)

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation
_VOCABULARY = (*_SPECIALS, *FILLERS, *TOPICS, *NAMES, *SURNAMES)
_PIECES = tuple(dict.fromkeys((*_VOCABULARY, *_CHARACTERS, *(f"##{c}" for c in _CHARACTERS))))
_ID = {piece: number for number, piece in enumerate(_PIECES)}
_WIDTH = 12  # of the tiny encoder: one dimension a topic (or name), the rest spare


def topic_label(word: str, labels: Sequence[str] = CLASSIFICATION_LABELS, *, seed: int = 0) -> str:
    """The label that a topic word votes for; a text with one topic word, or most of one label, is answered with it."""
    return labels[(TOPICS.index(word) + seed) % len(labels)]


def name_label(word: str, labels: Sequence[str] = ENTITIES_LABELS, *, seed: int = 0) -> str:
    """The label of the entity that a name begins. A following surname of the same label belongs to it."""
    return labels[(NAMES.index(word) + seed) % len(labels)]


def tiny_tokenizer(folder: Path) -> Path:
    """Write a lower-casing WordPiece tokenizer.json into `folder`; every text encodes, unknown characters as [UNK]."""
    tokenizer = Tokenizer(models.WordPiece(dict(_ID), unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", _ID["[CLS]"]), ("[SEP]", _ID["[SEP]"])]
    )
    tokenizer.add_special_tokens(list(_SPECIALS))
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def tiny_model(path: Path, task: Task, labels: Sequence[str], *, seed: int = 0) -> Graph:
    """Write the `model` graph: embedding -> (masked mean ->) linear -> logits (batch, labels) or (batch, tokens, tags)."""
    source = "pooled" if task == "classification" else "hidden_states"
    return _save(path, _encoder(task, seed) + _head(task, labels, seed, source), _INPUTS, ("logits",))


def tiny_encoder(path: Path, task: Task, *, seed: int = 0) -> Graph:
    """Write the frozen form's encoder: hidden_states (batch, tokens, width) and pooled (batch, width)."""
    return _save(path, _encoder(task, seed), _INPUTS, ("hidden_states", "pooled"))


def tiny_head(path: Path, task: Task, labels: Sequence[str], *, seed: int = 0) -> Graph:
    """Write the frozen form's head: logits from pooled (classification) or hidden_states (entities)."""
    source = "pooled" if task == "classification" else "hidden_states"
    return _save(path, _head(task, labels, seed, source), (source,), ("logits",))


def tiny_golden(task: Task, labels: Sequence[str], *, seed: int = 0) -> tuple[GoldenExample, ...]:
    """Two texts with the answers that the tiny graphs of this seed give."""
    if task == "classification":
        words = (TOPICS[0], TOPICS[1])
        return tuple(
            GoldenExample(text=f"help with my {w}", label=topic_label(w, labels, seed=seed)) for w in words
        )
    person = GoldenSpan(start=7, end=19, label=name_label("ada", labels, seed=seed))
    place = GoldenSpan(start=23, end=28, label=name_label("paris", labels, seed=seed))
    return (
        GoldenExample(text="we met Ada Lovelace in Paris", entities=(person, place)),
        GoldenExample(text="help with it", entities=()),
    )


def tiny_manifest(
    folder: Path,
    task: Task,
    labels: Sequence[str] = (),
    *,
    model: str = "tiny",
    number: int = 1,
    job_id: str = "job-0000000000000000",
    attempt: int = 1,
    state: Literal["published", "rejected"] = "published",
    seed: int = 0,
    frozen: bool = False,
    max_tokens: int = 64,
    stride_tokens: int = 16,
) -> tuple[Manifest, dict[str, Path]]:
    """Write a version's files into `folder`; return its manifest and where each digest lies. No store is needed.

    Without `labels`: CLASSIFICATION_LABELS or ENTITIES_LABELS. `frozen` splits the graph into encoder and head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = tuple(labels) or (CLASSIFICATION_LABELS if task == "classification" else ENTITIES_LABELS)
    if frozen:
        graphs = {
            "encoder": tiny_encoder(folder / "encoder.onnx", task, seed=seed),
            "head": tiny_head(folder / "head.onnx", task, labels, seed=seed),
        }
    else:
        graphs = {"model": tiny_model(folder / "model.onnx", task, labels, seed=seed)}
    tokenizer = tiny_tokenizer(folder)
    paths = {graph.file.digest: folder / f"{role}.onnx" for role, graph in graphs.items()}
    paths[stored_file(tokenizer).digest] = tokenizer
    score = LabelScores(precision=1.0, recall=1.0, f1=1.0, support=1)
    metrics = {"accuracy": 1.0, "macro_f1": 1.0} if task == "classification" else {"span_f1": 1.0}
    manifest = Manifest(
        model=model,
        number=number,
        state=state,
        task=task,
        labels=labels,
        tokenization=Tokenization(
            file=stored_file(tokenizer), max_tokens=max_tokens, stride_tokens=stride_tokens
        ),
        variants={"fp32": Variant(graphs=graphs)},
        decoding=ClassificationDecoding() if task == "classification" else EntitiesDecoding(),
        golden_examples=tiny_golden(task, labels, seed=seed),
        evaluations={
            "fp32": {
                "validation": SplitEvaluation(
                    row_count=len(labels), metrics=metrics, per_label=dict.fromkeys(labels, score)
                )
            }
        },
        gate_checks=(
            GateCheck(
                name="fp32.logits", passed=state == "published", measured=0.0, limit=1e-4, detail="tiny"
            ),
        ),
        lineage=Lineage(
            job_id=job_id,
            attempt=attempt,
            base_model=BaseModelLineage(id="tiny", revision="1", digest="0" * 64, licence="Apache-2.0"),
            adaptable=not frozen,
            dataset=f"tiny@sha256:{'0' * 64}",
            spec={},
            seed=seed,
            package_versions={},
        ),
        create_time=datetime.now(UTC),
    )
    return manifest, paths


def publish_tiny(
    store: "ModelStore",
    model: str,
    task: Task,
    labels: Sequence[str] = (),
    *,
    scratch: Path,
    job_id: str = "job-0000000000000000",
    attempt: int = 1,
    state: Literal["published", "rejected"] = "published",
    seed: int = 0,
    frozen: bool = False,
    max_tokens: int = 64,
    stride_tokens: int = 16,
) -> VersionName:
    """Reserve the next number of `model` for `job_id` and publish a tiny version under it; files pass through `scratch`."""
    version = store.reserve(model, job_id)
    manifest, paths = tiny_manifest(
        scratch / f"{model}-{version.number}",
        task,
        labels,
        model=model,
        number=version.number,
        job_id=job_id,
        attempt=attempt,
        state=state,
        seed=seed,
        frozen=frozen,
        max_tokens=max_tokens,
        stride_tokens=stride_tokens,
    )
    for path in paths.values():
        store.put_file(path)
    store.publish(manifest)
    return version


def stored_file(path: Path) -> StoredFile:
    """The manifest's name for a local file."""
    data = path.read_bytes()
    return StoredFile(digest=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def _encoder(task: Task, seed: int) -> "_Part":
    """Ids to hidden states: a spike in dimension j for word j, and a little noise so that seeds differ everywhere."""
    words = TOPICS if task == "classification" else NAMES + SURNAMES
    embedding = np.random.default_rng(seed).normal(0, 1e-3, (len(_PIECES), _WIDTH)).astype(np.float32)
    for j, word in enumerate(words):
        embedding[_ID[word], j] = 1
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["hidden_states"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask_column"]),
        helper.make_node("Mul", ["hidden_states", "mask_column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "middle"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["pooled"]),
    ]
    return _Part(nodes, {"embedding": embedding, "last": np.array([-1]), "middle": np.array([1])})


def _head(task: Task, labels: Sequence[str], seed: int, source: str) -> "_Part":
    if task == "classification":
        weights, bias = np.zeros((_WIDTH, len(labels)), np.float32), np.zeros(len(labels), np.float32)
        for j in range(len(TOPICS)):
            weights[j, (j + seed) % len(labels)] = 20
    else:
        weights, bias = (
            np.zeros((_WIDTH, 2 * len(labels) + 1), np.float32),
            np.zeros(2 * len(labels) + 1, np.float32),
        )
        bias[0] = 6
        for j in range(len(NAMES)):
            label = (j + seed) % len(labels)
            weights[j, 1 + 2 * label] = 10
            weights[len(NAMES) + j, 2 + 2 * label] = 10
    nodes = [
        helper.make_node("MatMul", [source, "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    return _Part(nodes, {"weights": weights, "bias": bias})


@dataclass(frozen=True, slots=True)
class _Part:
    nodes: list[onnx.NodeProto]
    constants: dict[str, npt.NDArray[np.generic]]

    def __add__(self, other: "_Part") -> "_Part":
        return _Part(self.nodes + other.nodes, self.constants | other.constants)


_INPUTS = ("input_ids", "attention_mask")


def _save(path: Path, part: _Part, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Graph:
    def value(name: str) -> onnx.ValueInfoProto:
        if name in _INPUTS:
            return helper.make_tensor_value_info(name, TensorProto.INT64, ("batch", "tokens"))
        token_wise = name == "hidden_states" or (name == "logits" and "hidden_states" in part_names)
        shape = ("batch", "tokens", None) if token_wise else ("batch", None)
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    part_names = {name for node in part.nodes if node.op_type == "MatMul" for name in node.input}
    graph = helper.make_graph(
        part.nodes,
        "tiny",
        [value(name) for name in inputs],
        [value(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in part.constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return Graph(file=stored_file(path), inputs=inputs, outputs=outputs)
