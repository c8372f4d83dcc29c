"""What can be set from the environment; every bad value is told in one error. Nothing reads the environment at import."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_PREFIX = "TAGSMITH_TRAIN_"

Port = Annotated[int, Field(ge=0, le=65535)]  # 0: any free one; the bound one stands in the log event `ready`


class SettingsInvalidError(Exception):
    """The environment cannot be used; the message names every bad variable. For operators at start, never for callers."""


class TrainSettings(BaseSettings):
    """The training service's settings; each is `TAGSMITH_TRAIN_<NAME>`, but for the two that are shared."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    store: Annotated[str, Field(min_length=1, validation_alias="TAGSMITH_STORE")]  # a folder or file:// URL
    bases_dir: Annotated[Path | None, Field(validation_alias="TAGSMITH_BASES_DIR")] = (
        None  # a folder per base
    )
    state_dir: Path  # the job table and the jobs' folders; on a local disk, for this service alone
    host: str = "127.0.0.1"
    port: Port = 50061
    health_port: Port = 50062
    metrics_port: Port = 50063
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    dataset_roots: Annotated[
        tuple[Path, ...], NoDecode
    ] = ()  # `a:b`; where server_path may point, by default nowhere
    max_dataset_bytes: Annotated[int, Field(ge=1)] = 512 * 1024 * 1024  # of one import
    max_concurrent_jobs: Annotated[int, Field(ge=1, le=64)] = 1
    trainer_threads: Annotated[int, Field(ge=1)] = Field(
        default_factory=lambda: _usable_cores()
    )  # of each trainer

    drain_delay_s: Annotated[float, Field(ge=0)] = 0  # from not ready to refusing new calls

    @field_validator("dataset_roots", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("dataset_roots")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(root.is_absolute() for root in value):
            raise ValueError("every root must be an absolute path")
        return value


def read_settings() -> TrainSettings:
    """Read the environment. Raises SettingsInvalidError with every bad value."""
    try:
        return TrainSettings()
    except ValidationError as error:
        problems = (f"{_variable(each['loc'])}: {each['msg']}" for each in error.errors(include_input=False))
        raise SettingsInvalidError("\n".join(("settings cannot be used:", *problems))) from error


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return name if name.isupper() else f"{_PREFIX}{name.upper()}"


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
