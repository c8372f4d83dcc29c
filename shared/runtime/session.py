"""One ONNX graph, ready to run.

Owns: the only onnxruntime sessions that answer texts. Invariants: the graph has exactly the inputs and outputs that the manifest
promises; it runs on the provider that it was asked for. Concurrency: `run` may be called from any threads at once and frees the
GIL; loading is from a file path, since from bytes it would hold the GIL several times longer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from shared.errors import ModelNotLoadableError
from shared.runtime.execution import CPU, OPENVINO, Execution
from shared.runtime.providers import providers
from shared.store.manifest import Graph

Array = npt.NDArray[np.generic]

_LEAST_BYTES_FOR_ARENA: Final = 8 << 20  # a head gains nothing from an arena of its own, and there are many


class GraphSession:
    """An ONNX Runtime session over a graph of a manifest."""

    def __init__(self, graph: Graph, path: Path, execution: Execution) -> None:
        """Load the file at `path`. Raises ModelNotLoadableError."""
        try:
            has_arena = graph.file.size_bytes >= _LEAST_BYTES_FOR_ARENA
            self._session = open_session(str(path), execution, has_arena=has_arena)
        except ModelNotLoadableError:
            raise
        except Exception as error:  # each ONNX Runtime error class derives from Exception alone
            raise ModelNotLoadableError(
                f"ONNX Runtime cannot load a graph on {execution.provider}",
                cause="graph",
                file=graph.file.digest,
            ) from error
        self.inputs = _same_names(
            "inputs", graph.inputs, [node.name for node in self._session.get_inputs()], graph
        )
        self.outputs = _same_names(
            "outputs", graph.outputs, [node.name for node in self._session.get_outputs()], graph
        )

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Compute some outputs, in their order; only the nodes that they need are run."""
        results: list[npt.NDArray[np.float32]] = self._session.run(outputs, feeds)
        return results


def speed_kind(graph: Graph, execution: Execution) -> str:
    """Name all that a session's speed depends on but the processor: graphs of one architecture have one size, labels apart."""
    size_bytes, runtime = f"{graph.file.size_bytes:.1e}", onnxruntime.__version__
    return f"{size_bytes} bytes, {graph.inputs} to {graph.outputs}, {execution}, ONNX Runtime {runtime}"


def open_session(
    graph: str | bytes, execution: Execution, *, has_arena: bool = False
) -> onnxruntime.InferenceSession:
    """Make a session of a file, or of a graph's bytes. Raises ModelNotLoadableError if it got another provider, and ONNX Runtime's errors.

    ONNX Runtime runs on the CPU provider, without an error, when CUDA's libraries are missing or OpenVINO cannot read its settings:
    what a session got is read from it.
    """
    session = onnxruntime.InferenceSession(
        graph, _options(execution, has_arena=has_arena), providers(execution)
    )
    # Otherwise a failing CUDA call would quietly move the session to the CPU.
    session.disable_fallback()
    actual = session.get_providers()[0]
    if actual != execution.provider:
        raise ModelNotLoadableError(
            f"ONNX Runtime gave {actual} for {execution.provider}",
            cause="execution provider",
            execution_provider=actual,
        )
    return session


def _options(execution: Execution, *, has_arena: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = execution.threads
    options.inter_op_num_threads = 1
    # Spinning threads would burn the cores of the pod's other sessions between runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors reach us as exceptions, and its lines are no JSON
    if execution.provider == CPU:
        # Every batch has another shape, so that patterns never match. The arena is bounded by the largest batch, and saves time.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = has_arena
    if execution.provider == OPENVINO:
        # The whole graph or nothing: the session would list OpenVINO even if all its nodes ran elsewhere.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _same_names(kind: str, promised: tuple[str, ...], actual: list[str], graph: Graph) -> tuple[str, ...]:
    if set(promised) != set(actual):
        raise ModelNotLoadableError(
            f"a graph's {kind} are {', '.join(sorted(actual))}, its manifest says {', '.join(sorted(promised))}",
            cause=f"graph {kind}",
            file=graph.file.digest,
        )
    return promised
