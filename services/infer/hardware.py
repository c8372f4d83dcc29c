"""What models run as: which providers and precisions in truth, how many cores, and the batches that suit them. Found out once, at the start."""

from dataclasses import dataclass
from typing import Final

from services.infer.settings import InferSettings, VariantChoice
from shared.cores import usable_cores
from shared.errors import ModelNotLoadableError
from shared.processor import multiplies_bfloat16, multiplies_bytes
from shared.runtime.execution import CUDA, OPENVINO, Execution
from shared.runtime.probe import works
from shared.telemetry.logs import get_logger

_log = get_logger()

# A core is fastest while a batch fits its caches (MiniLM, one core: 4,300 tokens/s up to 512, 2,900 at 4,096) and short batches
# keep nobody waiting; a GPU is fastest when it is full.
CPU_BATCH_TOKENS: Final = 512
GPU_BATCH_TOKENS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the service builds itself for."""

    executions: tuple[Execution, ...]  # of a version, the one to try first; the last is the last resort
    by_speed: bool  # whether to try them in the order of their measured speed instead
    runners: int  # batches at once: one for each core, or one for a GPU, where more gain nothing
    batch_tokens: int
    cores: int
    # A GPU that waits for the event loop is lost; the core of a runner that waits goes to the loop, and a batch that is begun
    # later has had time to grow.
    batches_ahead: int = 0


def probe_hardware(settings: InferSettings) -> Hardware:
    """Look at this machine. Raises ModelNotLoadableError if a GPU is required and does not work."""
    cores = settings.threads or usable_cores()
    if settings.provider != "cpu":
        gpu = Execution(provider=CUDA)
        last_resort = () if settings.provider == "require-gpu" else (Execution(),)
        if works(gpu):
            return Hardware(
                (gpu, *last_resort), False, 1, settings.batch_tokens or GPU_BATCH_TOKENS, cores, 1
            )
        if settings.provider == "require-gpu":
            raise ModelNotLoadableError(
                "require-gpu: ONNX Runtime has no working CUDA here (install the `gpu` extra, and check the driver)",
                cause="execution provider",
            )
        _log.warning("gpu_not_available")
    threads, runners = settings.threads_per_run, max(1, cores // settings.threads_per_run)
    executions = cpu_executions(settings.variant, threads=threads, runs=runners)
    by_speed = settings.variant == "auto"
    return Hardware(executions, by_speed, runners, settings.batch_tokens or CPU_BATCH_TOKENS, cores)


def cpu_executions(choice: VariantChoice, *, threads: int, runs: int) -> tuple[Execution, ...]:
    """Return the ways to run a version on a CPU: the one that was chosen, or all that this machine is made for, and fp32."""
    fp32 = Execution("fp32", threads=threads, runs=runs)
    int8 = Execution("int8", threads=threads, runs=runs)
    bf16 = Execution("bf16", OPENVINO, threads, runs)
    if choice != "auto":
        return {"fp32": (fp32,), "int8": (int8, fp32), "bf16": (bf16, fp32)}[choice]
    takes_bf16 = multiplies_bfloat16() and works(bf16)
    return (*((bf16,) if takes_bf16 else ()), *((int8,) if multiplies_bytes() else ()), fp32)
