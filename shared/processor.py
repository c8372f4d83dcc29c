"""What the processor can do that decides between variants."""

import platform
from pathlib import Path
from typing import Final

# As Linux calls them: of x86, then of ARM.
_BYTE_INSTRUCTIONS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor as Linux does; where it does not say, by its architecture."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                return value.strip()
    return platform.machine()


def multiplies_bytes(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether the processor sums products of bytes in one instruction, as Linux says; False where it does not say.

    Without it int8 gains little, and the older instructions of x86 let sums overflow 16 bits, so that answers would differ.
    """
    if not cpuinfo.is_file():
        return False
    flags = {flag for line in cpuinfo.read_text().splitlines() for flag in line.partition(":")[2].split()}
    return not _BYTE_INSTRUCTIONS.isdisjoint(flags)
