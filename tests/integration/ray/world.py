"""What the tests on Ray share: clusters, attempts, and waiting."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from services.train.engines.port import Engine, Exit, Handle, Trainer
from services.train.spec import Assignment
from tests.integration.trainer.world import Workplace

COMMAND = (sys.executable, "-m", "services.train.trainer.on_ray")
PATIENCE_S = 240.0


@dataclass
class MiniCluster:
    """A head and two nodes of one logical processor each; the head takes drivers only."""

    cluster: Any
    nodes: list[Any]

    @classmethod
    @contextmanager
    def started(cls, *, cpus: int = 2) -> Iterator["MiniCluster"]:
        """Start one, and end it with all of its processes."""
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": True, "dashboard_port": 0, **_small()},
        )
        try:
            yield cls(cluster, [cluster.add_node(num_cpus=cpus, **_small()) for _ in range(2)])
        finally:
            cluster.shutdown()

    @property
    def address(self) -> str:
        """What the service is told."""
        return f"http://{self.cluster.webui_url}"

    def engine(self, **change: Any) -> Engine:
        """An engine of this cluster, which knows nothing of what others have started."""
        from services.train.engines.ray import RayEngine

        engine: Engine = RayEngine(self.address, **{"command": COMMAND, **change})
        return engine

    def replace_node(self) -> None:
        """Lose a node with all that runs on it, and get another."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)
        self.nodes.append(self.cluster.add_node(num_cpus=1, **_small()))

    def lose(self, node_id: str) -> None:
        """Lose one of the nodes."""
        (lost,) = (node for node in self.nodes if node.node_id == node_id)
        self.nodes.remove(lost)
        self.cluster.remove_node(lost, allow_graceful=False)

    def trial_nodes(self) -> set[str]:
        """The nodes on which trials run, but for that of the driver which they belong to."""
        from ray.util.state import list_actors

        actors = list_actors(address=self.address, filters=[("state", "=", "ALIVE")], limit=1000)
        nodes = {
            kind: {each["node_id"] for each in actors if each["class_name"] == kind}
            for kind in ("_Trial", "JobSupervisor")
        }
        return nodes["_Trial"] - nodes["JobSupervisor"]

    def processes(self, *kinds: str) -> list[psutil.Process]:
        """Living processes of this machine that do a trainer's work on any cluster: its driver, or Ray's actors of these kinds."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if any(kind in line for kind in (*kinds, "services.train.trainer.on_ray")):
                found.append(process)
        return found


def _small() -> dict[str, Any]:
    """What each node is told: its objects are few, and its agent's port is no other cluster's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"object_store_memory": 80 * 2**20, "dashboard_agent_listen_port": free.getsockname()[1]}


@dataclass(frozen=True)
class Attempt:
    """One attempt of a job: its folder."""

    folder: Path

    @classmethod
    def of(cls, workplace: Workplace, order: Assignment, **change: Any) -> "Attempt":
        """Make the folder of an attempt; `change` is of the assignment."""
        told = order.model_copy(update=change)
        folder = workplace.folder(order) / "attempts" / f"{told.attempt:04}"
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(told.model_dump_json())
        return cls(folder)

    def start(self, engine: Engine, on_record: Callable[[Handle], object] = lambda _: None) -> Trainer:
        """Start its trainer."""
        return engine.start(self.folder, on_record)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the trainer has said in whole lines."""
        file = self.folder / "events.jsonl"
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def said(self, kind: str) -> list[dict[str, Any]]:
        """Its events of one kind."""
        return [event for event in self.events if event["kind"] == kind]

    @property
    def step(self) -> int:
        """That it told of last."""
        told = self.said("progress")
        return int(told[-1]["step"]) if told else 0

    def wait(self, condition: Callable[[], object], trainer: Trainer) -> None:
        """Wait until something is so; fail where the trainer ends before, or it takes too long."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert trainer.poll() is None, self.log
            assert time.monotonic() < deadline_s, self.log
            time.sleep(0.1)

    def end(self, trainer: Trainer) -> Exit:
        """Wait for the trainer's end and return it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (exit_ := trainer.poll()) is None:
            assert time.monotonic() < deadline_s, self.log
            time.sleep(0.1)
        return exit_

    @property
    def log(self) -> str:
        """What the trainer and its workers have printed."""
        file = self.folder / "trainer.log"
        return file.read_text() if file.exists() else ""
