"""What models run on: which provider in truth, how many cores, and the batches that suit them. Found out once, at the start."""

from dataclasses import dataclass
from typing import Final

from services.infer.settings import InferSettings, VariantChoice
from shared.cores import usable_cores
from shared.processor import multiplies_bytes
from shared.runtime.probe import probe_provider
from shared.runtime.providers import CPU, ProviderPolicy
from shared.store.manifest import VariantName

# A core is fastest while a batch fits its caches (MiniLM, one core: 4,300 tokens/s up to 512, 2,900 at 4,096) and short batches
# keep nobody waiting; a GPU is fastest when it is full.
CPU_BATCH_TOKENS: Final = 512
GPU_BATCH_TOKENS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the service builds itself for."""

    provider: str  # of ONNX Runtime, probed
    policy: ProviderPolicy  # what to load models with
    variants: tuple[VariantName, ...]  # of a version, the one to load first
    runners: int  # batches at once: one for each core, or one for a GPU, where more gain nothing
    threads_per_run: int
    batch_tokens: int
    cores: int


def preferred_variants(choice: VariantChoice, *, multiplies_bytes: bool) -> tuple[VariantName, ...]:
    """Return which variant of a version to load, the best first; a version that lacks it is served as fp32."""
    takes_int8 = choice == "int8" or (choice == "auto" and multiplies_bytes)
    return ("int8", "fp32") if takes_int8 else ("fp32",)


def probe_hardware(settings: InferSettings) -> Hardware:
    """Look at this machine. Raises ModelNotLoadableError if a GPU is required and does not work."""
    provider = probe_provider(settings.provider)
    cores = settings.threads or usable_cores()
    if provider == CPU:
        return Hardware(
            provider,
            policy="cpu",
            variants=preferred_variants(settings.variant, multiplies_bytes=multiplies_bytes()),
            runners=max(1, cores // settings.threads_per_run),
            threads_per_run=settings.threads_per_run,
            batch_tokens=settings.batch_tokens or CPU_BATCH_TOKENS,
            cores=cores,
        )
    return Hardware(
        provider,
        policy=settings.provider,
        variants=("fp32",),
        runners=1,
        threads_per_run=1,
        batch_tokens=settings.batch_tokens or GPU_BATCH_TOKENS,
        cores=cores,
    )
