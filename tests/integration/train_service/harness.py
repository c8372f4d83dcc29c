"""Starts, kills and asks training services over one folder. Each service is a process of its own, with its own ports."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc
import psutil

from shared.rpc.status import Explained, explain
from shared.store.folder import FolderStore
from shared.store.models import ModelStore
from shared.stubs.registry.v1.registry_pb2_grpc import RegistryServiceStub
from shared.stubs.training.v1 import training_pb2 as pb
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceStub
from tests.integration.train_service.failpoints import VARIABLE

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 20.0
CSV = b"text,label,split\n" + b"".join(
    f"my {word} number {n},{label},{split}\n".encode()
    for word, label in (("card", "billing"), ("parcel", "delivery"))
    for n, split in enumerate(("train", "train", "validation", "test"))
)
StateName = str
ValueT = TypeVar("ValueT")


class Service:
    """One folder with a store and a state folder, and the service process over it, which may come and go."""

    def __init__(
        self,
        folder: Path,
        *,
        module: str = "tests.integration.train_service.service",
        bases: Path | None = None,
        state: str = "state",
    ) -> None:
        """`module` is the program; by default the service with a stand-in for the trainer. `state` names its state folder."""
        self.folder = folder
        self._module = module
        self._bases = bases
        self.state_dir = folder / state
        self.jobs_dir = self.state_dir / "jobs"
        self.models = ModelStore(FolderStore(folder / "store"))
        self._starts = 0
        self._channel: grpc.Channel | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, failpoint: str = "", **settings: str) -> None:
        """Start the process and wait until it is ready; it may kill itself at a failpoint (see failpoints.py)."""
        self._starts += 1
        self.jobs_dir = Path(settings.get("jobs_dir", self.jobs_dir))
        log = self.folder / f"{self.state_dir.name}-{self._starts}.log"
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=ROOT,
                env=self.environment(**settings) | {VARIABLE: failpoint},
                stderr=stderr,
            )
        self.ready = wait_for(
            lambda: self._ready_event(log), what="the service to be ready", timeout_s=3 * TIMEOUT_S
        )
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.ready['port']}")
        self.training = TrainingServiceStub(self._channel)
        self.registry = RegistryServiceStub(self._channel)

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of a service over this folder, on free ports, changed by `settings` (without their prefix)."""
        ours = {
            "TAGSMITH_STORE": str(self.folder / "store"),
            "TAGSMITH_TRAIN_STATE_DIR": str(self.state_dir),
            "TAGSMITH_TRAIN_PORT": "0",
            "TAGSMITH_TRAIN_HEALTH_PORT": "0",
            "TAGSMITH_TRAIN_METRICS_PORT": "0",
            "OMP_NUM_THREADS": "1",
        } | ({} if self._bases is None else {"TAGSMITH_BASES_DIR": str(self._bases)})
        return (
            os.environ | ours | {f"TAGSMITH_TRAIN_{name.upper()}": value for name, value in settings.items()}
        )

    def kill(self) -> None:
        """End the process as a crash would: SIGKILL."""
        self._end(signal.SIGKILL)

    def end_gracefully(self) -> None:
        """End the process as an operator would, if it still runs."""
        assert self.process is not None
        if self.process.poll() is None:
            self._end(signal.SIGTERM)

    def stop(self) -> int:
        """End the process as an operator would, and return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self._channel is not None:
            self._channel.close()
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    def close(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self._end(signal.SIGKILL)
        for process in self.trainers():
            process.kill()

    def trainers(self, job_id: str = "") -> list[psutil.Process]:
        """Every living process that this service has started for a job, or for `job_id`."""
        return [process for process in psutil.process_iter() if self._works_for(job_id, process)]

    def _works_for(self, job_id: str, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
            folder = environment.get("TAGSMITH_TRAINER_FOLDER", "")
            ours = environment.get("TAGSMITH_TRAIN_STATE_DIR") == str(self.state_dir)
            return ours and folder.startswith(str(self.job_folder(job_id)))
        except (psutil.Error, OSError):
            return False

    def _ready_event(self, log: Path) -> dict[str, int] | None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended: {log.read_text()}")
        events = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
        return next((event for event in events if event["event"] == "ready"), None)

    # What callers do.

    def import_csv(self, data: bytes = CSV, *, dataset: str = "support", **header: object) -> pb.Dataset:
        """Import one CSV file."""
        fields = {"file_name": "rows.csv", "task": pb.CLASSIFICATION} | header
        opening = pb.ImportDatasetRequest(header=pb.ImportFileHeader(dataset=dataset, **fields))
        return self.training.ImportDataset(iter([opening, pb.ImportDatasetRequest(chunk=data)]))

    def submit(
        self,
        model: str,
        *,
        request_id: str = "",
        promote_to: str = "",
        override_reason: str = "",
        **spec: object,
    ) -> pb.TrainingJob:
        """Submit a job on the dataset `support`."""
        return self.training.CreateTrainingJob(
            pb.CreateTrainingJobRequest(
                spec=pb.TrainingSpec(model=model, **({"dataset": "support"} | spec)),
                request_id=request_id,
                promote_to=promote_to,
                override_reason=override_reason,
            )
        )

    def job(self, job_id: str) -> pb.TrainingJob:
        """Read a job."""
        return self.training.GetTrainingJob(pb.GetTrainingJobRequest(id=job_id))

    def cancel(self, job_id: str) -> pb.TrainingJob:
        """Cancel a job."""
        return self.training.CancelTrainingJob(pb.CancelTrainingJobRequest(id=job_id))

    def watch(self, job_id: str) -> Iterator[pb.TrainingJob]:
        """Watch a job."""
        return self.training.WatchTrainingJob(pb.WatchTrainingJobRequest(id=job_id), timeout=TIMEOUT_S)

    def wait_until(self, job_id: str, *states: StateName) -> pb.TrainingJob:
        """Watch a job until it is in one of `states`."""
        for job in self.watch(job_id):
            if state_of(job) in states:
                return job
        raise AssertionError(f"{job_id} ended as {state_of(job)}")

    def end_of(self, job_id: str) -> pb.TrainingJob:
        """Watch a job to its end."""
        return list(self.watch(job_id))[-1]

    def go(self, job_id: str) -> None:
        """Let a pausing stand-in go on."""
        (self.attempt_folder(job_id) / "go").touch()

    def job_folder(self, job_id: str) -> Path:
        """The job's folder."""
        return self.jobs_dir / job_id

    @property
    def owner(self) -> str:
        """The name by which the service holds jobs."""
        return (self.state_dir / "owner").read_text()

    def attempt_folder(self, job_id: str) -> Path:
        """The folder of the job's newest attempt, which there has to be."""
        return max((self.job_folder(job_id) / "attempts").iterdir())

    def promotions(self, model: str, alias: str = "production") -> list[tuple[int, str]]:
        """Every move of an alias as (version, actor), newest first."""
        return [(record.version, record.actor) for record in self.models.alias_history(model, alias)]


def state_of(job: pb.TrainingJob) -> StateName:
    """The name of a job's state."""
    return pb.TrainingJob.State.Name(job.state)


def wait_for(probe: Callable[[], ValueT | None], *, what: str, timeout_s: float = TIMEOUT_S) -> ValueT:
    """Return the first true answer of `probe`."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := probe()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        time.sleep(0.02)
    return found


class Refusal:
    """The explained error of a call that is expected to fail."""

    why: Explained


@contextmanager
def refused(code: str, reason: str) -> Iterator[Refusal]:
    """The call inside fails with this code and reason."""
    refusal = Refusal()
    try:
        yield refusal
    except grpc.RpcError as error:
        refusal.why = explain(error)
        assert (refusal.why.code, refusal.why.reason) == (code, reason), refusal.why
    else:
        raise AssertionError(f"not refused; expected {code} {reason}")
