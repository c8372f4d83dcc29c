"""What the processor says of itself."""

import platform
from pathlib import Path

import pytest

from shared.processor import multiplies_bfloat16, multiplies_bytes, processor_name


@pytest.mark.parametrize(
    ("cpuinfo", "able"),
    [
        ("processor : 0\nflags : fpu sse2 avx2 avx512f avx512_vnni\n", True),
        ("processor : 0\nflags : fpu sse2 avx2 avx_vnni\n", True),
        ("processor : 0\nflags : fpu sse2 avx2 avx512f avx512bw\n", False),
        ("processor : 0\nFeatures : fp asimd asimddp\n", True),
        ("processor : 0\nFeatures : fp asimd\n", False),
    ],
)
def test_the_processors_own_word_is_read(cpuinfo: str, able: bool, tmp_path: Path) -> None:
    """As Linux writes it, on x86 and on ARM; where there is nothing to read, fp32 is safe."""
    file = tmp_path / "cpuinfo"
    assert not multiplies_bytes(file)
    file.write_text(cpuinfo)
    assert multiplies_bytes(file) == able


@pytest.mark.parametrize(
    ("cpuinfo", "able"),
    [
        ("processor : 0\nflags : fpu avx512f avx512_vnni avx512_bf16\n", True),
        ("processor : 0\nflags : fpu avx512f amx_tile amx_bf16\n", True),
        ("processor : 0\nflags : fpu avx512f avx512_vnni\n", False),
        ("processor : 0\nFeatures : fp asimd bf16\n", False),
    ],
)
def test_floats_of_16_bits_are_those_of_x86(cpuinfo: str, able: bool, tmp_path: Path) -> None:
    """What would run them here does not do so on ARM."""
    file = tmp_path / "cpuinfo"
    assert not multiplies_bfloat16(file)
    file.write_text(cpuinfo)
    assert multiplies_bfloat16(file) == able


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (
            "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9B14: 96 cores\n\nprocessor\t: 1\nmodel name\t: other\n",
            "AMD EPYC 9B14: 96 cores",
        ),
        ("processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd40\n", platform.machine()),
    ],
)
def test_the_processor_has_a_name(cpuinfo: str, name: str, tmp_path: Path) -> None:
    """As Linux writes it; where that has none, as on ARM, or says nothing, by its architecture: never nothing."""
    file = tmp_path / "cpuinfo"
    assert processor_name(file) == platform.machine() != ""
    file.write_text(cpuinfo)
    assert processor_name(file) == name
    assert processor_name()
