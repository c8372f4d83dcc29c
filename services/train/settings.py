"""What the training service can be told."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.train.spec import LEAST_MEMORY_BYTES
from shared.cores import usable_cores
from shared.settings import LogLevel, Port
from shared.store.bucket import SCHEMES
from shared.store.opening import StoreUrl

_BUCKET = re.compile(rf"({'|'.join(SCHEMES)})://[^/@:]+(/[^/]+)*/?")


class TrainSettings(BaseSettings):
    """The training service's settings; each is `TAGSMITH_TRAIN_<NAME>`, but for the two that are shared."""

    model_config = SettingsConfigDict(env_prefix="TAGSMITH_TRAIN_", frozen=True)

    store: Annotated[StoreUrl, Field(validation_alias="TAGSMITH_STORE")]
    bases_dir: Annotated[Path | None, Field(validation_alias="TAGSMITH_BASES_DIR")] = (
        None  # a folder per base
    )
    state_dir: Path  # the service's name, the job table and the jobs' folders; on a local disk, for this service alone
    database: SecretStr | None = (
        None  # `postgresql://user:password@host/name`, for several services; None: a SQLite file in state_dir
    )
    jobs_dir: Path | None = (
        None  # the jobs' folders; shared by all who may go on with one another's jobs; None: in state_dir
    )
    lease_s: Annotated[float, Field(ge=2)] = (
        30  # after which a service that does not answer is held for dead, and others go on with its jobs
    )
    host: str = "127.0.0.1"
    port: Port = 50061
    health_port: Port = 50062
    metrics_port: Port = 50063
    log_level: LogLevel = "INFO"

    dataset_roots: Annotated[
        tuple[Path, ...], NoDecode
    ] = ()  # `a:b`; where server_path may point, by default nowhere
    dataset_buckets: Annotated[
        tuple[str, ...], NoDecode
    ] = ()  # `s3://a/b,s3://c`; where server_path may point, by default nowhere
    max_dataset_bytes: Annotated[int, Field(ge=1)] = 256 * 1024 * 1024  # of one import
    dataset_retention_days: Annotated[float, Field(gt=0)] | None = (
        None  # after its last import, when a snapshot that no job needs is deleted; None: never
    )
    inference_hosts: Annotated[
        tuple[str, ...], NoDecode
    ] = ()  # `infer,10.0.0.7`; that inference_target may name beside this machine
    rollout_patience_s: Annotated[float, Field(gt=0)] = (
        600  # in which inference servers are to take a version up before its alias goes back
    )
    max_concurrent_jobs: Annotated[int, Field(ge=1, le=64)] = 1
    trainer_memory_bytes: Annotated[int, Field(ge=LEAST_MEMORY_BYTES)] | None = (
        None  # of each trainer process; None: as much as the machine has
    )
    trainer_silence_s: Annotated[float, Field(ge=10)] = (
        3600  # after which a trainer that says nothing is held to hang, and ended
    )
    job_retention_days: Annotated[float, Field(gt=0)] | None = (
        None  # after its end, when a job is forgotten with its logs; None: never
    )
    engine: Literal["local", "ray"] = "local"  # where trainers run
    ray_address: str | None = None  # `http://head:8265`, of the cluster's dashboard
    ray_worker_cpus: Annotated[float, Field(gt=0)] = 1  # of a node, for each process that trains
    ray_worker_gpus: Annotated[float, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=1, le=64)] = 1  # processes that train one network together; on Ray
    trials_at_once: Annotated[int, Field(ge=1, le=64)] = 1  # of a search; on Ray
    trainer_threads: Annotated[int, Field(ge=1)] = Field(default_factory=usable_cores)  # of each trainer

    drain_delay_s: Annotated[float, Field(ge=0)] = 0  # from not ready to refusing new calls

    @field_validator("dataset_roots", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("dataset_buckets", "inference_hosts", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value

    @field_validator("dataset_buckets")
    @classmethod
    def _buckets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_BUCKET.fullmatch(prefix) for prefix in value):
            raise ValueError(f"every prefix must be {'://, '.join(SCHEMES)}:// with a bucket, and maybe more")
        return value

    @field_validator("dataset_roots")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(root.is_absolute() for root in value):
            raise ValueError("every root must be an absolute path")
        return value

    @model_validator(mode="after")
    def _fits_engine(self) -> Self:
        if self.engine == "ray" and (self.ray_address is None or self.jobs_dir is None):
            raise ValueError(
                "the engine ray needs TAGSMITH_TRAIN_RAY_ADDRESS, and TAGSMITH_TRAIN_JOBS_DIR on storage that its nodes share"
            )
        if self.engine == "local" and (self.workers, self.trials_at_once) != (1, 1):
            raise ValueError(
                "several TAGSMITH_TRAIN_WORKERS or TAGSMITH_TRAIN_TRIALS_AT_ONCE need the engine ray: a local trainer takes"
                " TAGSMITH_TRAIN_TRAINER_THREADS"
            )
        return self
