"""Trainers on a Ray cluster, one Ray job for each: the job's driver runs the trainer program on the attempt's folder, which lies where all nodes see it.

A Ray job carries a name of ours, made of the job's id and the attempt. Ray knows each name once, so starting twice starts once, and the name alone finds
a trainer again. It is on record before Ray hears of it. A trainer that was stopped while it waited for room finds a file in its folder and never begins.

Ray neither repeats a job nor keeps one beyond the cluster: a job that the cluster has forgotten, or a cluster that was not heard of for `lost_after_s`, reads as a
trainer that ended unwatched. One that runs on unheard publishes nothing: the store's fence has gone to the attempt after it.
"""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from ray.job_submission import JobStatus, JobSubmissionClient
from ray.util.state import StateApiClient
from ray.util.state.common import ListApiOptions, StateResource

from services.train.engines.port import UNWATCHED, Exit, Handle
from services.train.spec import WORKERS_LOST_CODE, Assignment, Survey

TRAINER_COMMAND: Final = ("python", "-m", "services.train.trainer.on_ray")  # as the image of the nodes has it
LOST_AFTER_S: Final = 120.0  # a head that is started anew is back sooner

_CANCELLED: Final = "cancelled"  # file of an attempt's folder: its trainer is not to begin any more
_STOPPED_CODE: Final = 143  # as of a process that SIGTERM ended
_REQUEST_TIMEOUT_S: Final = 10.0
_CHANGE_TIMEOUT_S: Final = 60.0  # a head that has just started takes its first job slowly
_POLL_INTERVAL_S: Final = 1.0  # the service asks ten times as often
_STOP_POLL_INTERVAL_S: Final = 0.2
_MOST_ACTORS: Final = 1000  # that are looked at
_KILL_WAIT_S: Final = 10.0  # for Ray's word that all processes of a job are gone
_ENVIRONMENT: Final = {
    "OMP_WAIT_POLICY": "PASSIVE",  # as of the local engine
    "RAY_COLOR_PREFIX": "0",  # what workers print goes to a file
    "RAY_JOB_STOP_WAIT_TIME_S": "2",  # between SIGTERM and SIGKILL
    "RAY_TRAIN_V2_ENABLED": "1",
}
_WORK: TypeAdapter[Assignment | Survey] = TypeAdapter(Assignment | Survey)


class RayEngine:
    """Starts trainers as jobs of one cluster."""

    is_shared = True

    def __init__(
        self,
        address: str,
        *,
        worker_cpus: float = 1.0,
        worker_gpus: float = 0.0,
        command: Sequence[str] = TRAINER_COMMAND,
        lost_after_s: float = LOST_AFTER_S,
    ) -> None:
        """`address` is the dashboard's, such as `http://head:8265`; each process that trains takes `worker_cpus` and `worker_gpus` of a node."""
        self._cluster = _Cluster(address)
        self._cpus, self._gpus = worker_cpus, worker_gpus
        self._command = (*command, "--cpus", str(worker_cpus), "--gpus", str(worker_gpus))
        self._lost_after_s = lost_after_s

    def start(self, folder: Path, on_record: Callable[[Handle], object]) -> "RayTrainer":
        """See Engine.start. What the trainer and its workers print goes to `trainer.log` in its folder."""
        work = _WORK.validate_json((folder / "spec.json").read_bytes())
        name = _name(work, folder)
        on_record({"submission_id": name})
        resources = _driver_resources(work, self._cpus, self._gpus)
        try:
            self._cluster.submit(name, _entrypoint(self._command, folder), **resources)
        except OSError:
            (folder / _CANCELLED).touch()  # Ray may have heard all the same
            raise
        return RayTrainer(self._cluster, name, folder, lost_after_s=self._lost_after_s)

    def adopt(self, handle: Handle, folder: Path) -> "RayTrainer":
        """See Engine.adopt."""
        name = str(handle["submission_id"])
        return RayTrainer(self._cluster, name, folder, lost_after_s=self._lost_after_s)


class RayTrainer:
    """One Ray job: the driver, and the actors that it started."""

    def __init__(self, cluster: "_Cluster", name: str, folder: Path, *, lost_after_s: float) -> None:
        """`name` is the job's submission id."""
        self._cluster, self._name, self._folder = cluster, name, folder
        self._lost_after_s = lost_after_s
        self._heard_s = time.monotonic()  # when the cluster last answered
        self._asked_s = -_POLL_INTERVAL_S
        self._exit: Exit | None = None

    def poll(self) -> Exit | None:
        """See Trainer.poll. Asks the cluster once a second at most."""
        if self._exit is None and time.monotonic() - self._asked_s >= _POLL_INTERVAL_S:
            self._look()
        return self._exit

    def stop(self, *, grace_s: float) -> bool:
        """See Trainer.stop. Ray sends SIGTERM to the driver, and SIGKILL two seconds later; its actors end with it."""
        with suppress(OSError):
            (self._folder / _CANCELLED).touch()
        deadline_s = time.monotonic() + grace_s + _KILL_WAIT_S
        asked = False
        while time.monotonic() < deadline_s:
            asked = asked or self._cluster.stop(self._name)
            if self._is_gone():
                return True
            time.sleep(_STOP_POLL_INTERVAL_S)
        return False

    def _is_gone(self) -> bool:
        details = self._look()
        if details is None:  # unheard of, for now or for good
            return self._exit is not None
        if details.status == JobStatus.PENDING:
            # It has no process, and finds that it is cancelled should it get one.
            if (self._folder / _CANCELLED).exists():
                self._exit = self._exit or Exit(
                    signal="SIGTERM"
                )  # Ray says nothing of it before there is room
                return True
            return False
        return self._exit is not None and not self._cluster.has_actors(details.job_id)

    def _look(self) -> Any:
        """Ask the cluster. Returns what it knows of the job; None where that is nothing, or nothing was heard."""
        self._asked_s = time.monotonic()
        try:
            details = self._cluster.find(self._name)
        except OSError:
            if time.monotonic() - self._heard_s > self._lost_after_s:
                self._exit = self._exit or UNWATCHED
            return None
        self._heard_s = time.monotonic()
        if details is None:
            self._exit = self._exit or UNWATCHED
        elif self._exit is None and details.status.is_terminal():
            self._exit = _exit_of(details)
            if self._exit == UNWATCHED:
                self._log(f"Ray ended the job: {details.message}")
        return details

    def _log(self, line: str) -> None:
        with (self._folder / "trainer.log").open("a", encoding="utf-8") as log:
            log.write(line + "\n")


class _Client(JobSubmissionClient):  # type: ignore[misc]  # Ray is not there where types are checked
    """Ray's own would wait for ever for a head that does not answer."""

    def _do_request(self, method: str, *arguments: Any, **options: Any) -> Any:
        timeout_s = _REQUEST_TIMEOUT_S if method == "GET" else _CHANGE_TIMEOUT_S
        return super()._do_request(method, *arguments, timeout=timeout_s, **options)


class _Cluster:
    """What is asked of a cluster. All calls raise OSError where it is not heard of; used from several threads."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None

    def submit(self, name: str, entrypoint: str, **resources: float) -> None:
        """Start a job, unless one of its name is there. A head that has just started is waited for."""
        deadline_s = time.monotonic() + _CHANGE_TIMEOUT_S
        while True:
            try:
                self._jobs().submit_job(
                    submission_id=name,
                    entrypoint=entrypoint,
                    runtime_env={"env_vars": dict(_ENVIRONMENT)},
                    **resources,
                )
            except (RuntimeError, OSError) as error:
                if self.find(name) is not None:
                    return
                is_waking = "status code 500" in str(error)
                if not is_waking or time.monotonic() > deadline_s:
                    raise ConnectionError(f"the Ray cluster did not take the job: {error}") from error
                time.sleep(_POLL_INTERVAL_S)
            else:
                return

    def find(self, name: str) -> Any:
        """Return what Ray knows of a job; None where it does not know it."""
        try:
            return self._jobs().get_job_info(name)
        except RuntimeError as error:
            if "status code 404" in str(error):  # Ray's client has no error class for it
                return None
            raise ConnectionError(str(error)) from error

    def stop(self, name: str) -> bool:
        """Ask a job to end. Returns whether that was heard."""
        try:
            self._jobs().stop_job(name)
        except (RuntimeError, OSError) as error:
            return "status code 404" in str(error)
        return True

    def has_actors(self, ray_job_id: str | None) -> bool:
        """Tell whether any actor of a job lives, but for detached ones, which are Ray's own; True as well while Ray does not say."""
        if ray_job_id is None:  # its driver has never joined the cluster
            return False
        options = ListApiOptions(
            limit=_MOST_ACTORS,
            detail=True,
            filters=[("job_id", "=", ray_job_id), ("state", "!=", "DEAD")],
            timeout=_REQUEST_TIMEOUT_S,
        )
        try:
            actors = StateApiClient(self._address).list(StateResource.ACTORS, options, False)
        except (RuntimeError, OSError):
            return True
        return not all(each["is_detached"] for each in actors)

    def _jobs(self) -> Any:
        if self._client is None:  # its making asks the cluster
            self._client = _Client(self._address)
        return self._client


def _name(work: Assignment | Survey, folder: Path) -> str:
    if isinstance(work, Assignment):
        return f"tagsmith-{work.job_id}-{work.attempt:04}"
    return f"tagsmith-survey-{folder.name}"


def _entrypoint(command: Sequence[str], folder: Path) -> str:
    """Return the shell's line. Whatever node the driver comes to runs it, so that all is written in the folder itself."""
    path = folder.absolute()
    unless_cancelled = f"test ! -e {shlex.quote(str(path / _CANCELLED))} || exit {_STOPPED_CODE}"
    log = shlex.quote(str(path / "trainer.log"))
    return f"{unless_cancelled}; exec {shlex.join([*command, str(path)])} >>{log} 2>&1 </dev/null"


def _driver_resources(work: Assignment | Survey, cpus: float, gpus: float) -> Mapping[str, float]:
    """Return what the driver takes of a node: what a process that trains takes, unless others train for it."""
    if isinstance(work, Assignment) and work.spec.search is not None and work.trials_at_once > 1:
        return {"entrypoint_num_cpus": cpus}  # it waits for the trials, then evaluates and exports
    if isinstance(work, Assignment) and work.spec.search is None and work.workers > 1:
        return {}  # it only watches: room on the head is enough
    return {"entrypoint_num_cpus": cpus, "entrypoint_num_gpus": gpus}


def _exit_of(details: Any) -> Exit:
    if details.status == JobStatus.SUCCEEDED:
        return Exit(code=0)
    if details.status == JobStatus.STOPPED:
        return Exit(signal="SIGTERM")
    code = details.driver_exit_code
    if code == WORKERS_LOST_CODE:
        return Exit(
            signal="SIGKILL"
        )  # as of a process that its machine had no memory for: it may have been that
    return UNWATCHED if code is None else Exit.of_returncode(int(code))
