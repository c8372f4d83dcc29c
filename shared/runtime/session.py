"""One ONNX graph, ready to run.

Owns: the only onnxruntime sessions that answer texts. Invariant: the graph has exactly the inputs and outputs that the
manifest promises. Concurrency: `run` may be called from any threads at once and frees the GIL; loading is from a file path,
since from bytes it would hold the GIL several times longer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from shared.errors import ModelNotLoadableError
from shared.runtime.providers import CPU, ProviderPolicy, check_provider, select_providers
from shared.store.manifest import Graph

Array = npt.NDArray[np.generic]


class GraphSession:
    """An ONNX Runtime session over a graph of a manifest.

    `kind` names all that its speed depends on but the processor: graphs of one architecture have one size.
    `runs_on_callers_thread`: a run is work of the thread that asks for it and of no other.
    """

    def __init__(self, graph: Graph, path: Path, *, policy: ProviderPolicy, threads: int) -> None:
        """Load the file at `path`. `threads`: CPU threads of one run. Raises ModelNotLoadableError."""
        providers = select_providers(policy)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _options(threads, providers == [CPU]), providers
            )
        except Exception as error:  # each ONNX Runtime error class derives from Exception alone
            raise ModelNotLoadableError(
                "ONNX Runtime cannot load a graph", cause="graph", file=graph.file.digest
            ) from error
        # Otherwise a failing CUDA call would quietly move the session to the CPU.
        self._session.disable_fallback()
        self.execution_provider: str = self._session.get_providers()[0]
        check_provider(self.execution_provider, policy)
        self.inputs = _same_names(
            "inputs", graph.inputs, [node.name for node in self._session.get_inputs()], graph
        )
        self.runs_on_callers_thread = threads == 1 and self.execution_provider == CPU
        self.kind = (
            f"{graph.file.size_bytes} bytes, {graph.inputs} to {graph.outputs}, {self.execution_provider}, "
            f"{threads} threads, ONNX Runtime {onnxruntime.__version__}"
        )
        self.outputs = _same_names(
            "outputs", graph.outputs, [node.name for node in self._session.get_outputs()], graph
        )

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Compute some outputs, in their order; only the nodes that they need are run."""
        results: list[npt.NDArray[np.float32]] = self._session.run(outputs, feeds)
        return results


def _options(threads: int, on_cpu: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would burn the cores of the pod's other sessions between runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors reach us as exceptions, and its lines are no JSON
    if on_cpu:
        # Every batch has another shape: the arena would grow to the worst of them and the patterns never match.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
    return options


def _same_names(kind: str, promised: tuple[str, ...], actual: list[str], graph: Graph) -> tuple[str, ...]:
    if set(promised) != set(actual):
        raise ModelNotLoadableError(
            f"a graph's {kind} are {', '.join(sorted(actual))}, its manifest says {', '.join(sorted(promised))}",
            cause=f"graph {kind}",
            file=graph.file.digest,
        )
    return promised
