"""What models run on."""

from pathlib import Path

import pytest

from services.infer import hardware as hardware_module
from services.infer.hardware import preferred_variants, probe_hardware
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
