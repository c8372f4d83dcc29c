"""What models run on."""

from pathlib import Path

import pytest

from services.infer import hardware as hardware_module
from services.infer.hardware import multiplies_bytes, preferred_variants, probe_hardware
from services.infer.settings import InferSettings, VariantChoice
from shared.store.manifest import VariantName


@pytest.mark.parametrize(
    ("settings", "runners", "batch_tokens"),
    [
        ({"threads": 8}, 8, 512),
        ({"threads": 8, "threads_per_run": 4}, 2, 512),
        ({"threads": 2, "threads_per_run": 4}, 1, 512),
        ({"threads": 2, "batch_tokens": 4096}, 2, 4096),
    ],
)
def test_a_cpu_gets_a_runner_for_each_core_and_small_batches(
    settings: dict[str, int], runners: int, batch_tokens: int
) -> None:
    """Unless the settings say otherwise."""
    given = InferSettings(TAGSMITH_STORE="s", cache_dir=Path("c"), provider="cpu", **settings)  # type: ignore[arg-type]
    hardware = probe_hardware(given)
    assert (hardware.provider, hardware.policy) == ("CPUExecutionProvider", "cpu")
    assert (hardware.runners, hardware.batch_tokens) == (runners, batch_tokens)


def test_a_gpu_gets_one_runner_and_large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """More sessions or threads on one GPU gain nothing."""
    monkeypatch.setattr(hardware_module, "probe_provider", lambda _: "CUDAExecutionProvider")
    given = InferSettings(TAGSMITH_STORE="s", cache_dir=Path("c"), provider="prefer-gpu", threads=16)
    hardware = probe_hardware(given)
    assert (hardware.policy, hardware.runners, hardware.batch_tokens) == ("prefer-gpu", 1, 16_384)
    assert hardware.variants == ("fp32",)


@pytest.mark.parametrize(
    ("choice", "able", "preferred"),
    [
        ("auto", True, ("int8", "fp32")),
        ("auto", False, ("fp32",)),
        ("int8", False, ("int8", "fp32")),
        ("fp32", True, ("fp32",)),
    ],
)
def test_int8_is_for_processors_made_for_it(
    choice: VariantChoice, able: bool, preferred: tuple[VariantName, ...]
) -> None:
    """Unless the settings say otherwise."""
    assert preferred_variants(choice, multiplies_bytes=able) == preferred


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
