"""What models run as."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.infer import hardware as hardware_module
from services.infer.hardware import probe_hardware
from services.infer.settings import InferSettings, VariantChoice
from shared.errors import ModelNotLoadableError
from shared.runtime.execution import CPU, CUDA, OPENVINO, Execution

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """`machine(provider, ..., in_bytes=, in_bf16=)`: what works besides the CPU provider, and what the processor multiplies."""

    def make(*providers: str, in_bytes: bool = False, in_bf16: bool = False) -> None:
        monkeypatch.setattr(hardware_module, "works", lambda execution: execution.provider in providers)
        monkeypatch.setattr(hardware_module, "multiplies_bytes", lambda: in_bytes)
        monkeypatch.setattr(hardware_module, "multiplies_bfloat16", lambda: in_bf16)

    make()
    return make


def settings(**given: object) -> InferSettings:
    return InferSettings(TAGSMITH_STORE="s", cache_dir=Path("c"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "runners", "threads", "batch_tokens"),
    [
        ({"threads": 8}, 8, 1, 512),
        ({"threads": 8, "threads_per_run": 4}, 2, 4, 512),
        ({"threads": 2, "threads_per_run": 4}, 1, 4, 512),
        ({"threads": 2, "batch_tokens": 4096}, 2, 1, 4096),
    ],
)
def test_a_cpu_gets_a_runner_for_each_core_and_small_batches(
    given: dict[str, int], runners: int, threads: int, batch_tokens: int, machine: Machine
) -> None:
    """Unless the settings say otherwise; OpenVINO gets as many streams."""
    machine(OPENVINO, in_bf16=True)
    hardware = probe_hardware(settings(provider="cpu", **given))
    assert {(each.runs, each.threads) for each in hardware.executions} == {(runners, threads)}
    assert (hardware.runners, hardware.batch_tokens, hardware.batches_ahead) == (runners, batch_tokens, 0)


def test_a_gpu_gets_one_runner_and_large_batches(machine: Machine) -> None:
    """More sessions or threads on one GPU gain nothing. What cannot run there is served from the CPU, unless the GPU is required."""
    machine(CUDA)
    hardware = probe_hardware(settings(provider="prefer-gpu", threads=16))
    assert (hardware.runners, hardware.batch_tokens, hardware.by_speed) == (1, 16_384, False)
    assert hardware.batches_ahead == 1
    assert hardware.executions == (Execution(provider=CUDA), Execution())
    assert probe_hardware(settings(provider="require-gpu")).executions == (Execution(provider=CUDA),)


def test_a_required_gpu_that_does_not_work_is_an_error(machine: Machine) -> None:
    """The word names the policy and the remedy."""
    with pytest.raises(ModelNotLoadableError, match="require-gpu: ONNX Runtime has no working CUDA"):
        probe_hardware(settings(provider="require-gpu"))


def test_a_preferred_gpu_that_does_not_work_is_told(machine: Machine) -> None:
    """The models run on the CPU and do not claim otherwise."""
    with capture_logs() as logs:
        hardware = probe_hardware(settings(provider="prefer-gpu"))
    assert [each["event"] for each in logs] == ["gpu_not_available"]
    assert {each.provider for each in hardware.executions} == {CPU}


@pytest.mark.parametrize(
    ("choice", "in_bytes", "in_bf16", "installed", "names"),
    [
        ("auto", True, True, True, ["bf16", "int8", "fp32"]),
        ("auto", True, True, False, ["int8", "fp32"]),
        ("auto", False, False, True, ["fp32"]),
        ("int8", False, False, False, ["int8", "fp32"]),
        ("bf16", False, False, False, ["bf16", "fp32"]),
        ("fp32", True, True, True, ["fp32"]),
    ],
)
def test_a_machine_runs_what_it_is_made_for(
    choice: VariantChoice, in_bytes: bool, in_bf16: bool, installed: bool, names: list[str], machine: Machine
) -> None:
    """Unless the settings say otherwise; of several that nobody chose the fastest serves."""
    machine(*([OPENVINO] if installed else []), in_bytes=in_bytes, in_bf16=in_bf16)
    hardware = probe_hardware(settings(provider="cpu", variant=choice))
    assert [each.precision for each in hardware.executions] == names
    assert hardware.by_speed == (choice == "auto")
