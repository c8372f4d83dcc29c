"""The arms: what is served, on which provider, by which Python. Each is held to its own ceiling."""

import sys
from dataclasses import dataclass
from typing import Final, Literal

from shared.store.manifest import VariantName

ProviderName = Literal["cpu"]
ONNX_PROVIDERS: Final[dict[ProviderName, str]] = {"cpu": "CPUExecutionProvider"}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to serve a version."""

    name: str
    variant: VariantName
    provider: ProviderName
    python: str = sys.executable  # an interpreter whose ONNX Runtime has the provider

    @property
    def onnx_provider(self) -> str:
        """As ONNX Runtime calls the provider."""
        return ONNX_PROVIDERS[self.provider]


ARMS: Final = {
    arm.name: arm
    for arm in (
        Arm("fp32", "fp32", "cpu"),
        Arm("int8", "int8", "cpu"),
    )
}
