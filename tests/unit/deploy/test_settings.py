"""The manifests, the images and the services' settings agree."""

from typing import Any

import pytest

from tests.architecture.settings_classes import settings_of, variables
from tests.unit.deploy.dockerfile import Dockerfile
from tests.unit.deploy.manifests import INFER, TRAIN, WORKLOADS, Workload

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.service)
FIXED_GRACE_S = 30  # more than a service takes that does not let it be set
UNLOADING_S = 10  # for models and processes to go, after the last call


def settings(workload: Workload) -> Any:
    """Return the settings that a pod's process reads: the image's environment, then the pod's."""
    return settings_of(workload.service, Dockerfile.read(workload.service).environment | workload.environment)


@each_workload
def test_every_variable_is_a_setting(workload: Workload) -> None:
    """A misspelt variable would be passed over in silence: each one is known to the service's settings."""
    image = [name for name in Dockerfile.read(workload.service).environment if name.startswith("TAGSMITH_")]
    assert {*image, *workload.environment} <= set(variables(workload.service))
    assert not set(image) & set(workload.environment)  # each thing is said once


@each_workload
def test_the_ports_are_those_of_the_settings(workload: Workload) -> None:
    """The container's ports are the ones that the process binds."""
    given = settings(workload)
    assert workload.ports == {"grpc": given.port, "health": given.health_port, "metrics": given.metrics_port}


@each_workload
def test_a_pod_has_time_to_stop(workload: Workload) -> None:
    """The grace period covers the preStop hook, the drain delay, the calls in flight and unloading."""
    given = settings(workload)
    before_s = workload.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    calls_s = getattr(given, "drain_grace_s", FIXED_GRACE_S)
    needed_s = before_s + given.drain_delay_s + calls_s + UNLOADING_S
    assert workload.pod["terminationGracePeriodSeconds"] >= needed_s


def test_a_stopping_pod_is_seen_before_it_refuses() -> None:
    """An inference pod serves on for longer than its readiness probe needs to notice."""
    probe = INFER.probes["readiness"]
    assert settings(INFER).drain_delay_s > probe["periodSeconds"] * probe["failureThreshold"]


def test_cores_are_those_of_the_threads() -> None:
    """CPU requests are what the threads will use, so that utilization means something."""
    assert INFER.container["resources"]["requests"]["cpu"] == str(settings(INFER).threads)
    given = settings(TRAIN)
    cores = given.trainer_threads * given.max_concurrent_jobs
    assert TRAIN.container["resources"]["requests"]["cpu"] == str(cores)


def test_inference_waits_for_models() -> None:
    """A production pod is ready only with models in it: some are required, and an empty server is not let through."""
    given = settings(INFER)
    assert given.required_models
    assert not given.allow_empty


@each_workload
def test_every_folder_setting_is_on_a_mount(workload: Workload) -> None:
    """The root file system is read-only: every path that the settings hold lies on a volume."""
    given = settings(workload)
    mounts = tuple(mount["mountPath"] for mount in workload.container["volumeMounts"])
    folders = [str(value) for value in dict(given).values() if str(value).startswith("/")]
    assert len(folders) >= 2
    assert [folder for folder in folders if not folder.startswith(mounts)] == []
