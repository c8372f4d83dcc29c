"""Which hardware a session runs on: asked for by policy, and checked.

ONNX Runtime runs on the CPU without an error when CUDA's libraries are missing, so what a session got is read from it.
"""

from typing import Final, Literal

import onnxruntime
import structlog

from shared.errors import ModelNotLoadableError

ProviderPolicy = Literal["cpu", "prefer-gpu", "require-gpu"]
Providers = list[str | tuple[str, dict[str, str]]]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

# TF32 keeps 10 bits of a float32's fraction; logits then differ from the trained model's by more than the gate allows.
_CUDA_OPTIONS = {"use_tf32": "0"}

_log = structlog.get_logger(__name__)


def select_providers(policy: ProviderPolicy) -> Providers:
    """Return what to ask ONNX Runtime for. Raises ModelNotLoadableError if `require-gpu` cannot be met by this installation."""
    if policy == "cpu":
        return [CPU]
    if CUDA not in onnxruntime.get_available_providers():
        check_provider(CPU, policy)
        return [CPU]
    # The `gpu` extra brings CUDA and cuDNN as wheels, which the loader does not find by itself.
    onnxruntime.preload_dlls()
    return [(CUDA, _CUDA_OPTIONS), CPU]


def check_provider(actual: str, policy: ProviderPolicy) -> None:
    """Compare the provider that a session has with the policy: raise under `require-gpu`, warn under `prefer-gpu`."""
    if policy == "cpu" or actual == CUDA:
        return
    if policy == "require-gpu":
        raise ModelNotLoadableError(
            "require-gpu: ONNX Runtime has no working CUDA here (install the `gpu` extra, and check the driver)",
            cause="execution provider",
            execution_provider=actual,
        )
    _log.warning("gpu_not_available", execution_provider=actual)
