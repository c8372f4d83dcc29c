"""The composition root: the only place that makes the parts and joins them, and the order of start and stop.

Exit codes: 0 stopped on request; 1 a part broke; 2 a setting, a port or the state folder cannot be used.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from services.train.catalogue import Catalogue
from services.train.comparing import Comparisons
from services.train.datasets import Datasets
from services.train.engines.local import TRAINER_COMMAND, LocalEngine
from services.train.engines.port import Engine
from services.train.jobs.attendant import Attendant
from services.train.jobs.continuing import rows_behind
from services.train.jobs.database import Database, sqlite_url
from services.train.jobs.folders import JobFolder
from services.train.jobs.forgetting import Forgetting
from services.train.jobs.going_live import GoingLive
from services.train.jobs.logs import Logs
from services.train.jobs.publication import Publication
from services.train.jobs.pulse import Pulse
from services.train.jobs.record import JobRecord
from services.train.jobs.state_folder import StateFolder, StateFolderError, check_writable
from services.train.jobs.submission import LOOPBACK, Submission
from services.train.jobs.supervisor import Supervisor
from services.train.jobs.table import JobTable
from services.train.jobs.watch import Watch
from services.train.planning import Planner
from services.train.registry import Registry
from services.train.registry_servicer import RegistryServicer
from services.train.retention import Retention
from services.train.servicer import TrainingServicer
from services.train.settings import TrainSettings
from services.train.sources import Sources
from services.train.spec import Assignment, JobSpec
from shared.errors import PortTakenError, TagsmithError
from shared.rpc.drain import drain, stop_signal
from shared.rpc.health import HealthServer
from shared.rpc.server import Server, add_reflection, bind
from shared.settings import SettingsInvalidError, read_settings
from shared.store.datasets import DatasetStore
from shared.store.models import ModelStore
from shared.store.opening import open_store
from shared.store.port import ObjectStore
from shared.store.probe import check_creates_once
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.registry.v1.registry_pb2_grpc import add_RegistryServiceServicer_to_server
from shared.stubs.training.v1 import training_pb2
from shared.stubs.training.v1.training_pb2_grpc import add_TrainingServiceServicer_to_server
from shared.telemetry.logs import configure_logs, get_logger
from shared.telemetry.metrics import start_metrics_server

_log = get_logger()

_SERVICES: Final = (
    training_pb2.DESCRIPTOR.services_by_name["TrainingService"].full_name,
    registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name,
)
_THREADS: Final = 32  # blocking calls at a time: they wait for disks and locks, they do not compute
_DRAIN_GRACE_S: Final = 5.0


def main(trainer_command: Sequence[str] = TRAINER_COMMAND) -> int:
    """Run until told to stop; return the exit code."""
    try:
        settings = read_settings(TrainSettings)
        configure_logs("train", settings.log_level)
        asyncio.run(serve(settings, trainer_command))
    except (SettingsInvalidError, PortTakenError, StateFolderError, TagsmithError) as error:
        print(f"tagsmith training service: {error}", file=sys.stderr)  # noqa: T201  # for the operator, not the log
        return 2
    return 0


async def serve(settings: TrainSettings, trainer_command: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT, then stop in order. Raises PortTakenError, StateFolderError, TagsmithError."""
    stop = stop_signal()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "blocking"))
    host = settings.host
    health = HealthServer(host, settings.health_port)
    metrics_port = start_metrics_server(host, settings.metrics_port)
    state_folder = StateFolder(settings.state_dir)
    await health.start()
    try:
        objects = await asyncio.to_thread(_open_store, settings.store)
        jobs = _Jobs(settings, objects, state_folder, LocalEngine(trainer_command, owner=state_folder.owner))
        server = Server()
        port = bind(server, host, settings.port)
    except BaseException:
        await health.stop()  # while there is a loop to stop it in
        raise
    add_TrainingServiceServicer_to_server(jobs.servicer, server)  # type: ignore[no-untyped-call]  # generated
    add_RegistryServiceServicer_to_server(  # type: ignore[no-untyped-call]  # generated
        RegistryServicer(Registry(jobs.models), Comparisons(jobs.models, DatasetStore(objects))), server
    )
    add_reflection(server, *_SERVICES)
    await jobs.supervisor.adopt()
    supervision = asyncio.create_task(jobs.supervisor.run(), name="supervise jobs")
    beside = [
        asyncio.create_task(jobs.pulse.beat_for_ever(), name="pulse"),
        asyncio.create_task(jobs.forgetting.forget_for_ever(settings.job_retention_days), name="forget jobs"),
    ]
    if settings.dataset_retention_days is not None:
        expiring = jobs.retention.expire_for_ever(settings.dataset_retention_days)
        beside.append(asyncio.create_task(expiring, name="expire datasets"))
    await server.start()
    await health.set_started()
    await health.set_ready(ready=True)
    _log.info("ready", port=port, health_port=health.port, metrics_port=metrics_port)

    stopping = asyncio.create_task(stop.wait(), name="wait for stop")
    # None of these ends by itself: one that does is broken, and with it the service.
    await asyncio.wait({stopping, supervision, *beside}, return_when=asyncio.FIRST_COMPLETED)
    jobs.watch.close()
    jobs.logs.close()
    await drain(server, health, delay_s=settings.drain_delay_s, grace_s=_DRAIN_GRACE_S)
    jobs.supervisor.stop()
    await supervision  # raises what ended it, had it not been for `stop`
    for task in beside:
        if task.done():
            task.result()  # raises what ended it
        task.cancel()  # the pulse last: until here it has kept the leases
    jobs.table.close()
    state_folder.close()
    await health.stop()
    _log.info("stopped")


def _open_store(url: str) -> ObjectStore:
    objects = open_store(url)
    check_creates_once(objects)
    return objects


def _ray(settings: TrainSettings, address: str) -> Engine:
    """The import is made here alone: Ray is an extra."""
    try:
        from services.train.engines.ray import RayEngine
    except ModuleNotFoundError as error:
        raise StateFolderError(
            f"the engine ray needs the extra `ray`, of which {error.name} is missing: pip install '.[train,cpu,ray]'"
        ) from error

    return RayEngine(address, worker_cpus=settings.ray_worker_cpus, worker_gpus=settings.ray_worker_gpus)


class _Jobs:
    """All that has to do with jobs, wired. Made in the event loop; the table's changes are brought into it."""

    def __init__(
        self, settings: TrainSettings, objects: ObjectStore, state_folder: StateFolder, local: LocalEngine
    ) -> None:
        self.models = ModelStore(objects)
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._state_folder = state_folder
        self._engine: Engine = local
        if settings.engine == "ray" and settings.ray_address:
            self._engine = _ray(settings, settings.ray_address)
        self._catalogue = Catalogue(settings.bases_dir)
        self._publication = Publication(self.models)
        self._going_live = GoingLive(
            self.models, ThreadPoolExecutor(4, "rollout"), patience_s=settings.rollout_patience_s
        )
        self._jobs_dir = settings.jobs_dir or state_folder.jobs
        check_writable(self._jobs_dir)
        url = settings.database.get_secret_value() if settings.database else ""
        self.table = JobTable(
            Database(url or sqlite_url(state_folder.table_file)),
            lambda job: self._loop.call_soon_threadsafe(self._notice, job),
            owner=state_folder.owner,
            lease_s=settings.lease_s,
        )
        self.watch = Watch(lambda job_id: asyncio.to_thread(self.table.job, job_id))
        self.supervisor = Supervisor(self.table, self._attendant, most_running=settings.max_concurrent_jobs)
        self.pulse = Pulse(self.table, self.supervisor, self.watch, self._notice)
        self.forgetting = Forgetting(self.table, self._folder)
        self.logs = Logs(self.table, self._folder, owner=state_folder.owner)
        datasets = DatasetStore(objects)
        submission = Submission(
            self.table,
            self.models,
            datasets,
            self._catalogue,
            inference_hosts=(*LOOPBACK, *settings.inference_hosts),
        )
        turn = asyncio.Lock()
        imports = Datasets(
            datasets,
            spool=state_folder.imports,
            sources=Sources(settings.dataset_roots, settings.dataset_buckets),
            most_bytes=settings.max_dataset_bytes,
            turn=turn,
        )
        self.retention = Retention(datasets, self._datasets_in_use, turn, self.table.turn)
        self.servicer = TrainingServicer(
            table=self.table,
            watch=self.watch,
            submission=submission,
            planner=Planner(submission, datasets, self._catalogue, local, state_folder.surveys, self._work),
            datasets=imports,
            retention=self.retention,
            catalogue=self._catalogue,
            logs=self.logs,
            most_running=settings.max_concurrent_jobs,
        )

    def _notice(self, job: JobRecord) -> None:
        self.watch.publish(job)
        self.supervisor.notice(job)

    def _datasets_in_use(self) -> Iterator[tuple[str, str]]:
        """What jobs need that have not ended: the rows that they learn from, and those that they replay."""
        for job_id, dataset, parent in self.table.census.needs():
            yield job_id, dataset
            if parent:
                for name in rows_behind(self.models, parent):
                    yield job_id, name

    def _attendant(self, job: JobRecord) -> Attendant:
        return Attendant(
            job,
            self._folder(job.id),
            table=self.table,
            engine=self._engine,
            publication=self._publication,
            going_live=self._going_live,
            most_silence_s=self._settings.trainer_silence_s,
            assign=self._assign,
        )

    def _assign(self, job: JobRecord) -> Assignment:
        return Assignment(
            job_id=job.id,
            version=job.version,
            attempt=job.attempt,
            kept_folder=str(self._folder(job.id).kept),
            most_memory_bytes=self._settings.trainer_memory_bytes,
            most_windows=job.most_windows,
            workers=self._settings.workers,
            trials_at_once=self._settings.trials_at_once,
            **self._work(job.spec),
        )

    def _folder(self, job_id: str) -> JobFolder:
        return JobFolder(self._jobs_dir.absolute() / job_id)

    def _work(self, spec: JobSpec) -> dict[str, Any]:
        base = None if spec.base_model is None else self._catalogue.find(spec.base_model)
        return {
            "spec": spec,
            "store": self._settings.store,
            "base_model_folder": str(base.folder) if base else None,
            "languages": base.languages if base else (),
            "threads": self._settings.trainer_threads,
        }
