"""The component that adds a Ray cluster renders over the base, and its pods see what the service sees."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.manifests import BASE, ROOT, TRAIN, Object

COMPONENT = BASE.parent / "components/kuberay"
SETTINGS = dict(
    line.split("=", maxsplit=1)
    for line in (COMPONENT / "train.env").read_text().splitlines()
    if line and not line.startswith("#")
)


def read(name: str) -> Any:
    """One of the component's files."""
    return yaml.safe_load((COMPONENT / name).read_text())


CLUSTER = read("raycluster.yaml")["spec"]
HEAD = CLUSTER["headGroupSpec"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
each_group = pytest.mark.parametrize("group", [HEAD, WORKERS], ids=["head", "workers"])


def container_of(group: Object) -> Any:
    """A group's only container."""
    (container,) = group["template"]["spec"]["containers"]
    return container


def mounts_of(container: Object) -> dict[str, str]:
    """Where a container has its volumes."""
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def test_every_file_is_used() -> None:
    """No file lies in the component without being rendered."""
    told = read("kustomization.yaml")
    (generator,) = told["configMapGenerator"]
    used = {*told["resources"], *(each["path"] for each in told["patches"]), *generator["envs"]}
    assert {path.name for path in COMPONENT.iterdir()} == {"kustomization.yaml", *used}


def test_kustomize_renders_it_over_the_base(tmp_path: Path) -> None:
    """The service keeps the base's settings beside the component's, and mounts the shared volume; all but the cluster itself is valid."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    place = {
        "resources": [os.path.relpath(BASE, tmp_path)],
        "components": [os.path.relpath(COMPONENT, tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(place))
    command = [kubectl, "kustomize", str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objects = list(yaml.safe_load_all(output))
    (train,) = (each for each in objects if each["kind"] == "StatefulSet")
    pod = train["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert mounts_of(container) == {**mounts_of(TRAIN.container), "shared": "/var/lib/tagsmith/shared"}
    (source,) = container["envFrom"]
    (config,) = (each for each in objects if each["metadata"]["name"] == source["configMapRef"]["name"])
    assert config["data"] == {**TRAIN.environment, **SETTINGS}
    assert "RayCluster" in {each["kind"] for each in objects}
    for each in objects:
        if each["kind"] != "RayCluster":
            assert kubernetes_validate.validate(each, "1.37", strict=True)


def test_the_settings_point_at_the_cluster_and_the_shared_volume() -> None:
    """The address is that of the head's service; jobs and bases lie on the volume that all mount."""
    name = read("raycluster.yaml")["metadata"]["name"]
    assert SETTINGS["TAGSMITH_TRAIN_ENGINE"] == "ray"
    assert SETTINGS["TAGSMITH_TRAIN_RAY_ADDRESS"] == f"http://{name}-head-svc:8265"
    claim = read("shared-pvc.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    (mount,) = read("train-patch.yaml")["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    for folder in ("TAGSMITH_TRAIN_JOBS_DIR", "TAGSMITH_BASES_DIR"):
        assert SETTINGS[folder].startswith(mount["mountPath"] + "/")


@each_group
def test_the_clusters_pods_see_what_the_service_sees(group: Object) -> None:
    """Store and shared volume lie at the service's paths, of the same claims; every mount is a volume; the image is the service's."""
    pod, container = group["template"]["spec"], container_of(group)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts_of(container)) == set(volumes)
    assert mounts_of(container)["store"] == TRAIN.environment["TAGSMITH_STORE"]
    assert mounts_of(container)["shared"] == "/var/lib/tagsmith/shared"
    assert volumes["store"]["persistentVolumeClaim"]["claimName"] == "tagsmith-store"
    claim = read("shared-pvc.yaml")["metadata"]["name"]
    assert volumes["shared"]["persistentVolumeClaim"]["claimName"] == claim
    assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
    assert container["image"] == TRAIN.container["image"]


@each_group
def test_the_clusters_pods_have_no_rights_and_report_nothing(group: Object) -> None:
    """They run as the service's user, without capabilities, token or a writable root; usage statistics are off."""
    pod, container = group["template"]["spec"], container_of(group)
    assert pod["securityContext"] == TRAIN.pod["securityContext"]
    assert container["securityContext"] == TRAIN.container["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


def test_the_versions_are_the_projects() -> None:
    """Ray is the pinned one; a worker pod has room for one process that trains, and the head for none."""
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert CLUSTER["rayVersion"] == pins["ray"]
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    cores = container_of(WORKERS)["resources"]["limits"]["cpu"]
    assert (
        cores
        == SETTINGS["TAGSMITH_TRAIN_RAY_WORKER_CPUS"]
        == TRAIN.environment["TAGSMITH_TRAIN_TRAINER_THREADS"]
    )
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["ray"] == ["ray[default,train]"]
