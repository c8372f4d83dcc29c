"""Finds out what this machine can run models as before there is a model, by running the smallest graph that tells."""

from typing import Final

import numpy as np
import structlog

from shared.runtime.execution import Execution
from shared.runtime.providers import is_installed
from shared.runtime.session import open_session

_log = structlog.get_logger(__name__)

# y = x @ x over (32, 32) floats, as onnx.helper writes it: this package does without onnx.
_GRAPH: Final = (
    b'\x08\x08:@\n\x11\n\x01x\n\x01x\x12\x01y"\x06MatMul\x12\x01pZ\x13\n\x01x\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08 \n\x02\x08 '
    b"b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08 \n\x02\x08 B\x04\n\x00\x10\r"
)
# Its distance from 1 is lost in the 8 bits of bf16, and in the 10 of CUDA's TF32, which fp32 must not be.
_FINE: Final = 1 + 2**-12


def works(execution: Execution) -> bool:
    """Tell whether sessions will in truth run on the provider, and multiply in the precision, of an execution in floats."""
    if not is_installed(execution.provider):
        return False
    try:
        session = open_session(_GRAPH, execution)
        square = session.run(None, {"x": np.eye(32, dtype=np.float32) * np.float32(_FINE)})[0]
    except Exception as error:  # noqa: BLE001  # each ONNX Runtime error class derives from Exception alone
        _log.warning("execution_broken", execution_provider=execution.provider, exc_info=error)
        return False
    is_rounded = bool(square[0, 0] == 1)
    if is_rounded != (execution.precision == "bf16"):
        _log.warning(
            "execution_imprecise", execution_provider=execution.provider, precision=execution.precision
        )
        return False
    return True
