"""What to ask ONNX Runtime for, so that a session runs as its execution says."""

import json
from typing import Final

import onnxruntime

from shared.runtime.execution import CPU, CUDA, OPENVINO, Execution

Providers = list[str | tuple[str, dict[str, str]]]

# TF32 keeps 10 bits of a float32's fraction; logits then differ from the trained model's by more than the gate allows.
_CUDA_OPTIONS: Final = {"use_tf32": "0"}


def is_installed(provider: str) -> bool:
    """Tell whether this build of ONNX Runtime has a provider; whether it works here, `shared.runtime.probe` finds out."""
    return provider in onnxruntime.get_available_providers()


def providers(execution: Execution) -> Providers:
    """Return the providers to make a session with."""
    if execution.provider == CUDA:
        # The `gpu` extra brings CUDA and cuDNN as wheels, which the loader does not find by itself.
        onnxruntime.preload_dlls()
        return [(CUDA, _CUDA_OPTIONS), CPU]
    if execution.provider == OPENVINO:
        return [(OPENVINO, {"device_type": "CPU", "load_config": json.dumps({"CPU": _openvino(execution)})})]
    return [CPU]


def _openvino(execution: Execution) -> dict[str, str]:
    """OpenVINO's own settings. It is silent about a precision that it does not know, or cannot do."""
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if execution.precision == "bf16" else "f32",
        # A stream serves one run at a time; a run that finds none idle waits.
        "NUM_STREAMS": str(execution.runs),
        "INFERENCE_NUM_THREADS": str(execution.runs * execution.threads),
        # Pinned threads of several processes would meet on the same cores of a machine.
        "ENABLE_CPU_PINNING": "NO",
    }
