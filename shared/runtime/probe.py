"""Finds out what this machine can run models on before there is a model, by running the smallest graph there is."""

from typing import Final

import onnxruntime
import structlog

from shared.runtime.providers import CPU, ProviderPolicy, check_provider, select_providers

_log = structlog.get_logger(__name__)

# y = -x over one float, as onnx.helper writes it: this package does without onnx.
_GRAPH: Final = (
    b'\x08\x08\x12\x00:2\n\x0b\n\x01x\x12\x01y"\x03Neg\x12\x01pZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)


def probe_provider(policy: ProviderPolicy) -> str:
    """Return the provider that sessions will in truth have. Raises ModelNotLoadableError if `require-gpu` cannot be met."""
    providers = select_providers(policy)
    if providers == [CPU]:
        return CPU
    try:
        actual: str = onnxruntime.InferenceSession(_GRAPH, providers=providers).get_providers()[0]
    except Exception as error:  # noqa: BLE001  # each ONNX Runtime error class derives from Exception alone
        _log.warning("gpu_broken", exc_info=error)
        actual = CPU
    check_provider(actual, policy)
    return actual
