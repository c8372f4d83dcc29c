"""A way to run a version: which of its graphs, on which provider of ONNX Runtime, in which precision. Pure.

A variant is a file, an execution is what becomes of it: bf16 is fp32's graph, run otherwise.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from shared.store.manifest import VariantName

Precision = Literal["fp32", "int8", "bf16"]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
OPENVINO: Final = "OpenVINOExecutionProvider"


@dataclass(frozen=True, slots=True)
class Execution:
    """How to run a version. The default is the one that every version has and every machine can do."""

    precision: Precision = "fp32"  # of its multiplications; what callers are told as the variant
    provider: str = CPU
    threads: int = 1  # CPU threads of one run
    runs: int = 1  # at once

    @property
    def variant(self) -> VariantName:
        """Whose graphs are run."""
        return "int8" if self.precision == "int8" else "fp32"

    @property
    def is_on_callers_thread(self) -> bool:
        """Whether a run is work of the thread that asks for it and of no other."""
        return self.provider == CPU and self.threads == 1

    @property
    def is_gated(self) -> bool:
        """Whether the trainer's gate has run the version in this way: it does so on the CPU provider."""
        return self.provider == CPU

    @property
    def of_head(self) -> "Execution":
        """How to run the head of a frozen encoder: it is little, and it decides, so that bf16 would gain nothing and cost something."""
        return replace(self, precision="fp32", provider=CPU) if self.precision == "bf16" else self
