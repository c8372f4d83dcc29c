"""The trained network as ONNX files.

`optimum` knows each architecture's inputs and what must be patched while it is traced; the graph that is traced is our own, so
that pooling and head are part of it. (Its whole-model export would give stock task heads only.) The TorchScript exporter is
used: the newer one freezes axes of some architectures. Files carry nothing that varies between runs, so that equal weights give
equal digests: two frozen jobs on one base share one encoder.
"""

import copy
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import onnx
import optimum.exporters.onnx.model_configs  # noqa: F401 - fills the table that TasksManager reads
import torch
from optimum.exporters.tasks import TasksManager
from torch import Tensor, nn

from services.train.trainer.network import Encoder, Network, ReadingHead
from services.train.trainer.transformer import TransformerEncoder
from shared.errors import Problem, SpecInvalidError
from shared.store.manifest import Graph, StoredFile

Role = Literal["model", "encoder", "head"]

_LARGEST_GRAPH_BYTES: Final = 2**31 - 2**24  # protobuf ends at 2 GiB; the head and the graph need some of it
_OPSET: Final = 18  # of graphs that are all our own
_TRACED: Final = (2, 8)  # windows and tokens of the traced batch; both axes are dynamic
_TOKENS: Final = {0: "windows", 1: "tokens"}


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """An ONNX file and its interface."""

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def described(self) -> Graph:
        """Describe the file as it is now."""
        return Graph(file=describe_file(self.path), inputs=self.inputs, outputs=self.outputs)


def describe_file(path: Path) -> StoredFile:
    """Name a local file by its digest."""
    with path.open("rb") as file:
        return StoredFile(digest=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=file.tell())


def check_exportable(encoder: TransformerEncoder, base_model: str) -> None:
    """Raise SpecInvalidError, before anything is trained, if the base cannot be exported."""
    size_bytes = 4 * sum(parameter.numel() for parameter in encoder.parameters())
    if size_bytes > _LARGEST_GRAPH_BYTES:
        problem = Problem(
            "spec.base_model", f"its {size_bytes} bytes of weights do not fit one ONNX file of 2 GiB"
        )
        raise SpecInvalidError(f"{base_model} cannot be used.", [problem], base_model=base_model)
    try:
        _export_config(encoder)
    except (
        KeyError,
        ValueError,
    ) as error:  # what optimum raises for families and tasks that it does not know
        family = encoder.transformer.config.model_type
        problem = Problem("spec.base_model", f"encoders of the family {family!r} cannot be exported to ONNX")
        raise SpecInvalidError(f"{base_model} cannot be used.", [problem], base_model=base_model) from error


def _export_config(encoder: TransformerEncoder) -> Any:  # an optimum OnnxConfig, which has no types
    return TasksManager.get_exporter_config_constructor(
        exporter="onnx",
        model=encoder.transformer,
        task="feature-extraction",
        library_name="transformers",
    )(encoder.transformer.config)


def export(network: Network, folder: Path, *, adaptable: bool) -> dict[Role, ExportedGraph]:
    """Write `model.onnx`, or `encoder.onnx` and `head.onnx` for an encoder that was frozen, into `folder`."""
    network = copy.deepcopy(network).eval()  # patching and tracing touch what they trace
    if adaptable:
        per_token = network.reading == "each-token"
        return {
            "model": _trace_tokens(network, network.encoder, folder / "model.onnx", {"logits": per_token})
        }
    outputs = {"hidden_states": True, "pooled": False}
    return {
        "encoder": _trace_tokens(network.encoder, network.encoder, folder / "encoder.onnx", outputs),
        "head": _trace_head(network.head, network.encoder.width, folder / "head.onnx"),
    }


def _trace_tokens(
    module: nn.Module, encoder: Encoder, path: Path, outputs: Mapping[str, bool]
) -> ExportedGraph:
    """Trace a module that reads token ids; `outputs` tells of each whether it has a tokens axis."""
    ids = torch.ones(_TRACED, dtype=torch.long)
    feeds = {"input_ids": ids, "attention_mask": ids.clone(), "token_type_ids": torch.zeros_like(ids)}
    with _ready_to_trace(encoder) as (inputs, opset):
        axes = dict.fromkeys(inputs, _TOKENS) | {
            name: _TOKENS if per_token else {0: "windows"} for name, per_token in outputs.items()
        }
        _trace(module, tuple(feeds[name] for name in inputs), path, inputs, tuple(outputs), axes, opset)
    return ExportedGraph(path, inputs, tuple(outputs))


@contextmanager
def _ready_to_trace(encoder: Encoder) -> Iterator[tuple[tuple[str, ...], int]]:
    """Give the inputs that the encoder reads and the opset for it; a transformer is patched as its architecture needs meanwhile."""
    if not isinstance(encoder, TransformerEncoder):
        yield ("input_ids", "attention_mask"), _OPSET
        return
    config = _export_config(encoder)
    with config.patch_model_for_export(encoder.transformer):
        yield tuple(config.ordered_inputs(encoder.transformer)), config.DEFAULT_ONNX_OPSET


def _trace_head(head: ReadingHead, width: int, path: Path) -> ExportedGraph:
    name = "pooled" if head.reading == "pooled" else "hidden_states"
    features = torch.zeros(_TRACED[0], width) if name == "pooled" else torch.zeros(*_TRACED, width)
    axes = {name: {0: "windows"} if name == "pooled" else _TOKENS}
    axes["logits"] = _TOKENS if head.reading == "each-token" else {0: "windows"}
    _trace(head, (features,), path, (name,), ("logits",), axes, _OPSET)
    return ExportedGraph(path, (name,), ("logits",))


def _trace(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    opset: int,
) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # shapes that tracing takes for constants: the gate sweeps batch sizes and lengths
        torch.onnx.export(
            module,
            arguments,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axis) for name, axis in axes.items()},
            opset_version=opset,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    for node in graph.graph.node:
        node.ClearField("doc_string")
    path.write_bytes(graph.SerializeToString(deterministic=True))
