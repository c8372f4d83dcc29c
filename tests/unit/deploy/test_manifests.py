"""The Kubernetes base renders, is valid, and means what it should."""

import re
import shutil
import subprocess
import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.manifests import (
    BASE,
    INFER,
    ROOT,
    TRAIN,
    WORKLOADS,
    Object,
    Workload,
    load,
    of_kind,
)

# The oldest release whose features the base uses, and the newest that the schemas know.
RELEASES = ("1.30", "1.37")

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.service)


def titled(each: Object) -> str:
    """Name an object for people."""
    return f"{each['kind']}/{each['metadata']['name']}"


def test_kustomize_renders_what_the_tests_read() -> None:
    """`kubectl kustomize` gives the very objects that the other tests look at, config maps named by their content."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    command = [kubectl, "kustomize", str(BASE)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    hashed = re.sub(r"\b(name: tagsmith-(?:infer|train))-[0-9a-z]{10}\b", r"\1", output)
    assert hashed.count("name: tagsmith-infer\n") > output.count("name: tagsmith-infer\n")
    rendered = {titled(each): each for each in yaml.safe_load_all(hashed)}
    assert rendered == {titled(each): each for each in load()}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("each", load(), ids=titled)
def test_every_object_is_valid(each: Object, release: str) -> None:
    """Every object follows the strict schema of its kind: no unknown field, no wrong type."""
    assert kubernetes_validate.validate(each, release, strict=True) == release


def test_the_validator_refuses_a_wrong_object() -> None:
    """A misspelt field and a wrong type do not pass, so that passing means something."""
    for wrong in ({"replica": 2}, {"minReadySeconds": "5s"}):
        broken = {**INFER.object, "spec": {**INFER.object["spec"], **wrong}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, RELEASES[-1], strict=True)


def test_every_file_is_used() -> None:
    """No file lies in the base without being rendered."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    used = {
        *kustomization["resources"],
        *(name for each in kustomization["configMapGenerator"] for name in each["envs"]),
    }
    assert {path.name for path in BASE.iterdir()} == {"kustomization.yaml", *used}


def selectors() -> list[tuple[str, dict[str, str]]]:
    """Return every label selector of the base with the object that it stands in."""
    found = [(titled(each), each["spec"]["selector"]) for each in of_kind("Service")]
    others = [each for each in load() if each["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget")]
    found += [(titled(each), each["spec"]["selector"]["matchLabels"]) for each in others]
    spreads = INFER.pod["topologySpreadConstraints"]
    return found + [("topology spread", each["labelSelector"]["matchLabels"]) for each in spreads]


@pytest.mark.parametrize(
    ("owner", "selector"), selectors(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_selector_finds_the_pods_of_one_service(owner: str, selector: dict[str, str]) -> None:
    """A selector matches the labels of exactly one workload's pods: that of its own name."""
    matched = [
        workload.service
        for workload in WORKLOADS
        if selector and selector.items() <= workload.template["metadata"]["labels"].items()
    ]
    assert len(matched) == 1
    assert matched[0] in owner or owner == "topology spread"


@pytest.mark.parametrize("service", of_kind("Service"), ids=titled)
def test_services_lead_to_named_ports(service: Object) -> None:
    """A service is headless, and its ports are the container's, by name and with the same number."""
    (workload,) = (
        each for each in WORKLOADS if each.object["metadata"]["name"] == service["metadata"]["name"]
    )
    assert service["spec"]["clusterIP"] == "None"
    for port in service["spec"]["ports"]:
        assert port["port"] == workload.ports[port["targetPort"]]


def test_the_stateful_set_names_a_service() -> None:
    """The service that gives the training pod its name exists and selects it."""
    assert TRAIN.object["spec"]["serviceName"] in [each["metadata"]["name"] for each in of_kind("Service")]


@each_workload
def test_probes_ask_the_health_port_by_name(workload: Workload) -> None:
    """Each probe asks the health port for its own name, and allows start-up at least a minute."""
    for kind, probe in workload.probes.items():
        assert probe["grpc"] == {"port": workload.ports["health"], "service": kind}
    startup = workload.probes["startup"]
    budget_s = startup["periodSeconds"] * startup["failureThreshold"]
    assert budget_s >= 60
    assert workload.object["spec"].get("progressDeadlineSeconds", budget_s) >= budget_s


@each_workload
def test_pods_have_no_rights(workload: Workload) -> None:
    """Pods run as one plain user, without capabilities, API token or a writable root."""
    pod, container = workload.pod, workload.container
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & set(pod)


@each_workload
def test_service_links_cannot_shadow_settings(workload: Workload) -> None:
    """Kubernetes would set TAGSMITH_INFER_PORT to an address for a service of our name; it is told not to."""
    assert workload.pod["enableServiceLinks"] is False


@each_workload
def test_every_volume_is_mounted_once_and_every_mount_is_a_volume(workload: Workload) -> None:
    """No mount without its volume, no volume without its mount; every claim exists; every scratch folder has a limit."""
    templates = workload.object["spec"].get("volumeClaimTemplates", [])
    volumes = {volume["name"]: volume for volume in workload.pod["volumes"]}
    names = [*volumes, *(template["metadata"]["name"] for template in templates)]
    mounts = workload.container["volumeMounts"]
    assert sorted(mount["name"] for mount in mounts) == sorted(names)
    claims = {each["metadata"]["name"] for each in of_kind("PersistentVolumeClaim")}
    for volume in volumes.values():
        if "persistentVolumeClaim" in volume:
            assert volume["persistentVolumeClaim"]["claimName"] in claims
        else:
            assert volume["emptyDir"]["sizeLimit"]
    assert "/tmp" in [mount["mountPath"] for mount in mounts]


def store_mount(workload: Workload) -> tuple[Any, Any]:
    """Return the store's mount and volume of a workload."""
    (mount,) = (each for each in workload.container["volumeMounts"] if each["name"] == "store")
    (volume,) = (each for each in workload.pod["volumes"] if each["name"] == "store")
    return mount, volume["persistentVolumeClaim"]


def test_inference_cannot_write_the_store() -> None:
    """Both services mount one claim, which many nodes can mount; inference reads it only."""
    infer_mount, infer_claim = store_mount(INFER)
    train_mount, train_claim = store_mount(TRAIN)
    assert infer_mount["readOnly"] is True
    assert infer_claim["readOnly"] is True
    assert not train_mount.get("readOnly", False)
    assert infer_claim["claimName"] == train_claim["claimName"]
    (claim,) = of_kind("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@each_workload
def test_the_store_setting_is_the_mount(workload: Workload) -> None:
    """TAGSMITH_STORE is where the store is mounted."""
    mount, _ = store_mount(workload)
    assert workload.environment["TAGSMITH_STORE"] == mount["mountPath"]


def test_the_job_table_has_one_writer_on_one_node() -> None:
    """Training has one replica and a state volume that one node at a time mounts."""
    assert TRAIN.object["spec"]["replicas"] == 1
    (state,) = TRAIN.object["spec"]["volumeClaimTemplates"]
    assert state["spec"]["accessModes"] == ["ReadWriteOnce"]


@each_workload
def test_resources_are_set(workload: Workload) -> None:
    """Cores and memory are asked for, memory is limited."""
    resources = workload.container["resources"]
    assert {"cpu", "memory"} <= set(resources["requests"])
    assert "memory" in resources["limits"]


def test_the_autoscaler_alone_sets_replicas() -> None:
    """The autoscaler's target exists and leaves `replicas` to it; there are never fewer than two pods."""
    (autoscaler,) = of_kind("HorizontalPodAutoscaler")
    target = autoscaler["spec"]["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"], target["name"]) == (
        INFER.object["apiVersion"],
        INFER.object["kind"],
        INFER.object["metadata"]["name"],
    )
    assert "replicas" not in INFER.object["spec"]
    assert 2 <= autoscaler["spec"]["minReplicas"] < autoscaler["spec"]["maxReplicas"]
    assert "cpu" in INFER.container["resources"]["requests"]  # a utilization is a share of it


def test_disruption_leaves_pods() -> None:
    """A node's drain never takes all pods, and never waits for ever: one at a time, of two or more."""
    (budget,) = of_kind("PodDisruptionBudget")
    (autoscaler,) = of_kind("HorizontalPodAutoscaler")
    assert 1 <= budget["spec"]["maxUnavailable"] < autoscaler["spec"]["minReplicas"]
    assert "minAvailable" not in budget["spec"]


def test_a_rollout_serves_on() -> None:
    """A new inference pod is ready before an old one goes."""
    assert INFER.object["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@each_workload
def test_images_carry_the_version(workload: Workload) -> None:
    """The image's name is the service's, its tag the project's version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert workload.container["image"] == f"tagsmith-{workload.service}:{version}"


def test_the_instructions_are_of_this_version() -> None:
    """The README beside the manifests names the images and the Kubernetes releases that the tests check."""
    told = (BASE.parent / "README.md").read_text()
    assert f"Kubernetes {RELEASES[0]} to {RELEASES[1]}" in told
    for workload in WORKLOADS:
        command = f"docker build --file deploy/docker/{workload.service}.Dockerfile --tag {workload.container['image']} ."
        assert command in told
