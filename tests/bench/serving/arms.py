"""The arms: what is served, on which provider, by which Python. Each is held to its own ceiling."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.store.manifest import VariantName


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to serve a version."""

    name: str
    variant: VariantName  # whose graphs are run
    provider: str  # of `providers.PROVIDERS`
    settings: Mapping[str, str] = field(default_factory=dict)  # TAGSMITH_INFER_*, to be served so
    python: str = sys.executable  # an interpreter whose ONNX Runtime has the provider


FP32: Final = Arm("fp32", "fp32", "cpu", {"provider": "cpu", "variant": "fp32"})
INT8: Final = Arm("int8", "int8", "cpu", {"provider": "cpu", "variant": "int8"})


def arms(openvino_python: str | None = None) -> dict[str, Arm]:
    """Return the arms of this machine by name; bf16 where there is an interpreter with ONNX Runtime's OpenVINO provider."""
    found = [FP32, INT8]
    if openvino_python:
        settings = {"provider": "cpu", "variant": "bf16"}
        found.append(Arm("bf16", "fp32", "openvino-bf16", settings, openvino_python))
    return {arm.name: arm for arm in found}
