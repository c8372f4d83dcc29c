"""An exported graph in 8-bit integers: a quarter of the size, and faster where the processor multiplies bytes.

Weights: one scale for each column of a matrix, and for each row of the embedding table. Activations: one scale for each row of a
multiplication, which is one token, computed as it runs. Integer sums are exact on the processors that int8 is for
(`shared.processor`) and no scale spans two tokens, so that batch-mates and padding do not enter a token's numbers: ONNX Runtime's
own dynamic quantisation takes one scale over the whole batch, and answers move with batch-mates. Symmetric; activations as unsigned
bytes about 128, which is the pairing that x86 multiplies fastest. What a head computes stays fp32: it is little, and it decides.

MatMulIntegerToFloat is an operator of ONNX Runtime (domain com.microsoft); all others are ONNX's.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

from services.train.trainer.export import ExportedGraph, Role
from shared.store.manifest import VariantName

_LARGEST: Final = 127.0
_AXES_ARE_INPUTS: Final = 18  # from this opset on, of ReduceMax
_LEAST_SCALE: Final = 1e-12  # of a row of noughts, which no scale can spoil
_OURS: Final = "int8"  # begins the name of everything that is added
_ONE, _ZERO_POINT, _LAST_AXIS, _EPSILON, _RANGE = (
    f"{_OURS}/{name}" for name in ("one", "zero-point", "last-axis", "epsilon", "range")
)
_HEAD_SCOPE: Final = "/head/"  # in the names that tracing gives to a network's nodes

Floats = npt.NDArray[np.float32]


def quantise(
    graphs: Mapping[Role, ExportedGraph], folder: Path
) -> dict[VariantName, dict[Role, ExportedGraph]]:
    """Write the int8 form of fp32 graphs into `folder`; nothing for a network without matrices to quantise, as recurrent ones are."""
    quantised: dict[Role, ExportedGraph] = {}
    for role, graph in graphs.items():
        written = None if role == "head" else _quantise(graph, folder / f"{role}.int8.onnx")
        quantised[role] = written or graph
    return {} if quantised == graphs else {"int8": quantised}


def _quantise(graph: ExportedGraph, path: Path) -> ExportedGraph | None:
    """Write `graph` with 8-bit multiplications to `path`; None if there is none."""
    model = onnx.load(str(graph.path))
    opset = next(each.version for each in model.opset_import if each.domain == "")
    rewriting = _Rewriting(model.graph, opset)
    nodes = [new for node in model.graph.node for new in rewriting.of(node)]
    if not rewriting.multiplications:
        return None
    read = {name for node in nodes for name in node.input}
    weights = [each for each in (*model.graph.initializer, *rewriting.weights.values()) if each.name in read]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    path.write_bytes(model.SerializeToString(deterministic=True))
    return ExportedGraph(path, graph.inputs, graph.outputs)


class _Rewriting:
    """One walk over a graph's nodes, in their order."""

    def __init__(self, graph: onnx.GraphProto, opset: int) -> None:
        self._opset = opset
        self._known = {each.name: each for each in graph.initializer}
        self._quantised: dict[str, tuple[str, str]] = {}  # by activation: its bytes, its rows' scales
        self.multiplications = 0
        self.weights = {
            name: numpy_helper.from_array(value, name)
            for name, value in (
                (_ONE, np.array(1, np.float32)),
                (_ZERO_POINT, np.array(128, np.uint8)),
                (_LAST_AXIS, np.array([-1], np.int64)),
                (_EPSILON, np.array(_LEAST_SCALE, np.float32)),
                (_RANGE, np.array(_LARGEST, np.float32)),
            )
        }

    def of(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield what stands in place of `node`."""
        matrix = self._matrix(node, at=1) if node.op_type == "MatMul" else None
        table = self._matrix(node, at=0) if node.op_type == "Gather" and not node.attribute else None
        if matrix is not None and not node.name.startswith(_HEAD_SCOPE):
            yield from self._multiplication(node, matrix)
        elif table is not None:
            yield from self._lookup(node, table)
        else:
            yield node

    def _matrix(self, node: NodeProto, *, at: int) -> Floats | None:
        """Return the node's operand if it is a constant matrix of numbers."""
        weight = self._known.get(node.input[at])
        if weight is None or len(weight.dims) != 2 or weight.data_type != onnx.TensorProto.FLOAT:
            return None
        return np.asarray(numpy_helper.to_array(weight), np.float32)

    def _multiplication(self, node: NodeProto, matrix: Floats) -> Iterator[NodeProto]:
        """(rows, width) @ (width, columns), as bytes; then each row is scaled back."""
        self.multiplications += 1
        activation, weight, result = node.input[0], node.input[1], node.output[0]
        if activation not in self._quantised:
            yield from self._activation(activation)
        in_bytes, row_scales = self._quantised[activation]
        scales = np.maximum(np.abs(matrix).max(axis=0) / _LARGEST, _LEAST_SCALE)
        yield helper.make_node(
            "MatMulIntegerToFloat",
            [
                in_bytes,
                self._weight(f"{weight}/bytes", np.rint(matrix / scales).astype(np.int8)),
                _ONE,
                self._weight(f"{weight}/scales", scales.astype(np.float32)),
                _ZERO_POINT,
                "",
            ],
            [f"{_OURS}/{result}/unscaled"],
            domain="com.microsoft",
        )
        yield helper.make_node("Mul", [f"{_OURS}/{result}/unscaled", row_scales], [result])

    def _activation(self, name: str) -> Iterator[NodeProto]:
        """x -> round(127 x / m) + 128 with m the largest magnitude of its row; several matrices may read it."""
        sizes, most, spread, factors, scales, spanned, in_bytes = (
            f"{_OURS}/{name}/{part}"
            for part in ("sizes", "most", "spread", "factors", "scales", "spanned", "bytes")
        )
        yield helper.make_node("Abs", [name], [sizes])
        if self._opset >= _AXES_ARE_INPUTS:
            yield helper.make_node("ReduceMax", [sizes, _LAST_AXIS], [most], keepdims=1)
        else:
            yield helper.make_node("ReduceMax", [sizes], [most], keepdims=1, axes=[-1])
        yield helper.make_node("Max", [most, _EPSILON], [spread])
        yield helper.make_node("Div", [_RANGE, spread], [factors])
        yield helper.make_node("Div", [spread, _RANGE], [scales])
        yield helper.make_node("Mul", [name, factors], [spanned])
        yield helper.make_node("QuantizeLinear", [spanned, _ONE, _ZERO_POINT], [in_bytes])
        self._quantised[name] = in_bytes, scales

    def _lookup(self, node: NodeProto, table: Floats) -> Iterator[NodeProto]:
        """Rows of a table of bytes, scaled back."""
        name, ids, result = node.input[0], node.input[1], node.output[0]
        scales = np.maximum(np.abs(table).max(axis=1, keepdims=True) / _LARGEST, _LEAST_SCALE)
        in_bytes = self._weight(f"{name}/bytes", np.rint(table / scales).astype(np.int8))
        of_rows = self._weight(f"{name}/scales", scales.astype(np.float32))
        looked_up, numbers, factors = (
            f"{_OURS}/{result}/looked-up/{part}" for part in ("bytes", "numbers", "scales")
        )
        yield helper.make_node("Gather", [in_bytes, ids], [looked_up])
        yield helper.make_node("Cast", [looked_up], [numbers], to=onnx.TensorProto.FLOAT)
        yield helper.make_node("Gather", [of_rows, ids], [factors])
        yield helper.make_node("Mul", [numbers, factors], [result])

    def _weight(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.weights[f"{_OURS}/{name}"] = numpy_helper.from_array(value, f"{_OURS}/{name}")
        return f"{_OURS}/{name}"
