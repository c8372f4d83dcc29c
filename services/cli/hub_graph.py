"""The one ONNX graph of a folder for the Hub: token ids in, logits out whose softmax or sigmoid is the version's own.

A frozen encoder and its head become one graph, and the temperature its last node, because nobody who loads the folder knows of
either.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper, version_converter

from shared.store.manifest import Variant

Role = Literal["model", "encoder", "head"]

_HEAD: Final = "tagsmith.head."  # before the names of the head's parts
_UNDIVIDED: Final = "tagsmith.undivided_logits"
_TEMPERATURE: Final = "tagsmith.temperature"


def hub_graph(variant: Variant, paths: Mapping[Role, Path], temperature: float) -> bytes:
    """Return the file; `paths` are the variant's graphs by their role."""
    graphs = {role: onnx.load(str(path)) for role, path in paths.items()}
    if "model" in graphs:
        network = graphs["model"]
    else:
        (feature,) = variant.graphs["head"].inputs
        network = _joined(graphs["encoder"], graphs["head"], feature)
    _divide(network.graph, temperature)
    onnx.checker.check_model(network)
    content: bytes = network.SerializeToString(deterministic=True)
    return content


def _joined(encoder: Any, head: Any, feature: str) -> Any:
    """Feed `feature` of the encoder to the head. Nodes that nobody reads stay, and are not run: onnx's own pruning loses what subgraphs read."""
    opset = _opset(encoder)
    if _opset(head) != opset:
        head = version_converter.convert_version(head, opset)
    head = compose.add_prefix(head, _HEAD)
    head.ir_version = encoder.ir_version
    joined = compose.merge_models(encoder, head, io_map=[(feature, _HEAD + feature)])
    _rename(joined.graph, f"{_HEAD}logits", "logits")
    (logits,) = [output for output in joined.graph.output if output.name == f"{_HEAD}logits"]
    logits.name = "logits"
    del joined.graph.output[:]
    joined.graph.output.append(logits)
    return joined


def _divide(graph: Any, temperature: float) -> None:
    """Make `logits` what they were, by the temperature."""
    _rename(graph, "logits", _UNDIVIDED)
    graph.initializer.append(
        numpy_helper.from_array(np.array(temperature, dtype=np.float32), name=_TEMPERATURE)
    )
    graph.node.append(helper.make_node("Div", [_UNDIVIDED, _TEMPERATURE], ["logits"], name="tagsmith.divide"))


def _rename(graph: Any, old: str, new: str) -> None:
    """Call a tensor otherwise in every node of the graph; its outputs keep their names."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def _opset(model: Any) -> int:
    return next(int(each.version) for each in model.opset_import if each.domain == "")
