"""What the processor can do that decides between ways to run a version."""

import platform
from pathlib import Path
from typing import Final

# As Linux calls them: of x86, then of ARM.
_BYTE_INSTRUCTIONS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
# Of x86 alone: what runs bf16 here does so nowhere else.
_BFLOAT16_INSTRUCTIONS: Final = frozenset({"avx512_bf16", "amx_bf16"})
_CPUINFO: Final = Path("/proc/cpuinfo")


def processor_name(cpuinfo: Path = _CPUINFO) -> str:
    """Name the processor as Linux does; where it does not say, by its architecture."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                return value.strip()
    return platform.machine()


def multiplies_bytes(cpuinfo: Path = _CPUINFO) -> bool:
    """Tell whether the processor sums products of bytes in one instruction, as Linux says; False where it does not say.

    Without it int8 gains little, and the older instructions of x86 let sums overflow 16 bits, so that answers would differ.
    """
    return not _BYTE_INSTRUCTIONS.isdisjoint(_flags(cpuinfo))


def multiplies_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Tell whether the processor multiplies floats of 16 bits; without that, bf16 is slower than what it stands for."""
    return not _BFLOAT16_INSTRUCTIONS.isdisjoint(_flags(cpuinfo))


def _flags(cpuinfo: Path) -> set[str]:
    if not cpuinfo.is_file():
        return set()
    return {flag for line in cpuinfo.read_text().splitlines() for flag in line.partition(":")[2].split()}
