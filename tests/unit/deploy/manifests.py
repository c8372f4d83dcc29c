"""The Kubernetes objects of deploy/k8s/base as plain dictionaries, and the views that the tests ask for.

`load` reads the files as kustomize does, as far as the base makes use of it (resources and configMapGenerator); a test
compares it with `kubectl kustomize`, so that all other tests need no kubectl.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
BASE = ROOT / "deploy/k8s/base"

Object = dict[str, Any]
_READ_KEYS = {"apiVersion", "kind", "resources", "configMapGenerator"}


@cache
def load() -> tuple[Object, ...]:
    """Return every object of the base. Raises ValueError if the kustomization does more than is read here."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    if unread := set(kustomization) - _READ_KEYS:
        raise ValueError(f"teach this loader about {sorted(unread)}")
    files = [yaml.safe_load((BASE / name).read_text()) for name in kustomization["resources"]]
    return (*files, *map(_config_map, kustomization["configMapGenerator"]))


def _config_map(generator: Object) -> Object:
    lines = [line for name in generator["envs"] for line in (BASE / name).read_text().splitlines()]
    data = dict(line.split("=", maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def of_kind(kind: str) -> list[Object]:
    """Return the objects of a kind."""
    return [each for each in load() if each["kind"] == kind]


def named(kind: str, name: str) -> Object:
    """Return one object. Raises ValueError if there is not exactly one."""
    (found,) = (each for each in of_kind(kind) if each["metadata"]["name"] == name)
    return found


@dataclass(frozen=True, slots=True)
class Workload:
    """A service's pods: what makes them, their template and their only container."""

    service: str  # infer or train
    object: Object

    @property
    def template(self) -> Object:
        """The pod template."""
        return self.object["spec"]["template"]  # type: ignore[no-any-return]

    @property
    def pod(self) -> Object:
        """The pod's spec."""
        return self.template["spec"]  # type: ignore[no-any-return]

    @property
    def container(self) -> Object:
        """The pod's only container."""
        (container,) = self.pod["containers"]
        return container  # type: ignore[no-any-return]

    @property
    def ports(self) -> dict[str, int]:
        """The container's ports by name."""
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}

    @property
    def probes(self) -> dict[str, Object]:
        """The container's gRPC probes by kind: startup, readiness, liveness."""
        return {kind: self.container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}

    @property
    def environment(self) -> dict[str, str]:
        """The settings that the pod's config map carries."""
        (source,) = self.container["envFrom"]
        return dict(named("ConfigMap", source["configMapRef"]["name"])["data"])


INFER = Workload("infer", named("Deployment", "tagsmith-infer"))
TRAIN = Workload("train", named("StatefulSet", "tagsmith-train"))
WORKLOADS = (INFER, TRAIN)
