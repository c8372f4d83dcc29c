"""What the inference service can be told."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import TagsmithError
from shared.names import ModelReference, parse_reference
from shared.settings import LogLevel, Port
from shared.store.opening import StoreUrl

ProviderPolicy = Literal["cpu", "prefer-gpu", "require-gpu"]
VariantChoice = Literal["auto", "fp32", "int8", "bf16"]


class InferSettings(BaseSettings):
    """The inference service's settings; each is `TAGSMITH_INFER_<NAME>`, the store is `TAGSMITH_STORE`."""

    model_config = SettingsConfigDict(env_prefix="TAGSMITH_INFER_", frozen=True)

    store: Annotated[StoreUrl, Field(validation_alias="TAGSMITH_STORE")]
    cache_dir: Path  # verified copies of model files
    host: str = "127.0.0.1"
    port: Port = 50051
    health_port: Port = 50052
    metrics_port: Port = 50053
    log_level: LogLevel = "INFO"

    required_models: Annotated[
        tuple[str, ...], NoDecode
    ] = ()  # comma-separated references; ready when all answer
    allow_empty: bool = False  # whether a server that requires no model is ready
    poll_interval_ms: Annotated[int, Field(ge=10)] = 2000  # between looks at the aliases
    idle_unload_s: Annotated[float, Field(gt=0)] = 900  # without a call, for what was loaded at a first call
    on_demand_limit: Annotated[int, Field(ge=1)] = 8  # references loaded at their first call

    memory_budget_bytes: Annotated[int | None, Field(ge=1)] = (
        None  # of models, as estimated; None: three quarters of what the container may use
    )

    provider: ProviderPolicy = "prefer-gpu"
    variant: VariantChoice = "auto"  # auto: the fastest that this machine is made for
    threads: Annotated[int | None, Field(ge=1)] = (
        None  # CPU threads of model runs; None: the cores it may use
    )
    threads_per_run: Annotated[int, Field(ge=1)] = 1  # of `threads`, on the CPU; so many batches run at once

    batch_tokens: Annotated[int | None, Field(ge=16)] = (
        None  # of a batch, padding counted; None: by the hardware
    )
    batch_padding_ratio: Annotated[float, Field(ge=1)] = 1.25  # padded tokens of a batch for each real one
    queue_limit_tokens: Annotated[int, Field(ge=1)] = 200_000  # that wait; more are refused

    texts_limit: Annotated[int, Field(ge=1)] = 256  # of a call
    code_points_limit: Annotated[int, Field(ge=1)] = 100_000  # of a text
    streams_limit: Annotated[int, Field(ge=1)] = 64  # open at once; each holds up to 5 MiB

    probe_interval_s: Annotated[float, Field(gt=0)] = 60  # of an idle server, between looks at what it knows

    drain_delay_s: Annotated[float, Field(ge=0)] = 5  # from not ready to refusing new calls
    drain_grace_s: Annotated[float, Field(ge=0)] = 30  # for calls in flight to end

    @field_validator("required_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("required_models")
    @classmethod
    def _well_formed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for reference in value:
            try:
                parse_reference(reference, field="required model")
            except TagsmithError as error:
                raise ValueError(error.message) from error
        return value

    @property
    def required(self) -> tuple[ModelReference, ...]:
        """The required references, parsed."""
        return tuple(dict.fromkeys(parse_reference(reference) for reference in self.required_models))
