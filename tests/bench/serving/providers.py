"""Plain ONNX Runtime sessions, for what Tagsmith is measured against."""

import json
from typing import Any, Final

import onnxruntime


def _cpu(streams: int, threads: int) -> Any:
    return "CPUExecutionProvider"


def _openvino_bf16(streams: int, threads: int) -> Any:
    config = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(streams * threads),
        "ENABLE_CPU_PINNING": "NO",  # others run on the same cores
    }
    return "OpenVINOExecutionProvider", {"device_type": "CPU", "load_config": json.dumps({"CPU": config})}


PROVIDERS: Final = {"cpu": _cpu, "openvino-bf16": _openvino_bf16}


def open_session(
    graph: str,
    provider: str,
    *,
    runs: int,
    threads: int,
    arena: bool = True,
    spinning: bool = True,
) -> onnxruntime.InferenceSession:
    """Load a graph for so many runs at once. Raises RuntimeError if another provider than the one that was asked for has taken it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = arena
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    chosen = PROVIDERS[provider](runs, threads)
    session = onnxruntime.InferenceSession(graph, options, [chosen])
    name = chosen if isinstance(chosen, str) else chosen[0]
    if session.get_providers()[0] != name:
        raise RuntimeError(f"{name} did not take the graph: {session.get_providers()}")
    return session
