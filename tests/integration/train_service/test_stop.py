"""Starting and stopping: in order, in its own words, and never half."""

import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.integration.train_service.harness import ROOT, Service, refused, state_of


def test_a_graceful_stop_puts_running_jobs_back(own_service: Service) -> None:
    """SIGTERM ends watches with UNAVAILABLE and RetryInfo, stops the trainers, exits 0, and the jobs run anew at the next start."""
    running = own_service.submit("pause-training", promote_to="production")
    waiting = own_service.submit("succeed-second")
    own_service.wait_until(running.id, "TRAINING")
    watch = own_service.watch(running.id)
    next(watch)
    assert own_service.process is not None

    own_service.process.terminate()
    with refused("UNAVAILABLE", "SERVER_DRAINING") as refusal:
        list(watch)
    assert refusal.why.retry_after_ms is not None
    assert own_service.process.wait(10) == 0
    assert not own_service.trainers()

    own_service.start()
    again = own_service.wait_until(running.id, "TRAINING")
    assert again.start_time.ToDatetime() > running.create_time.ToDatetime()
    own_service.go(running.id)
    assert state_of(own_service.end_of(running.id)) == "SUCCEEDED"
    assert state_of(own_service.end_of(waiting.id)) == "SUCCEEDED"
    assert own_service.promotions("pause-training") == [(1, running.id)]


def failed_start(service: Service, **settings: str) -> str:
    """Start the real program, which has to end with exit code 2; return what it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "services.train"],
        cwd=ROOT,
        env=service.environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """A port already taken ends the start with exit code 2 and a clear word."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = failed_start(Service(tmp_path), port=port)
    assert f"cannot listen on 127.0.0.1:{port}" in said


def test_a_second_service_over_one_folder_is_refused(service: Service) -> None:
    """A state folder that a service holds is refused to a second one, which ends with exit code 2 and a clear word."""
    assert "another training service holds the state folder" in failed_start(service)


def test_all_bad_settings_are_told_at_once(service: Service) -> None:
    """Every bad variable is named in one message, with exit code 2."""
    said = failed_start(service, port="70000", max_concurrent_jobs="0", dataset_roots="relative")
    for name in ("PORT", "MAX_CONCURRENT_JOBS", "DATASET_ROOTS"):
        assert f"TAGSMITH_TRAIN_{name}" in said


@pytest.mark.parametrize("name", ["liveness", "readiness", "startup"])
def test_health_has_a_port_of_its_own(service: Service, name: str) -> None:
    """A running service says SERVING under all three names, on the health port and not on the other."""
    request = health_pb2.HealthCheckRequest(service=name)
    with grpc.insecure_channel(f"127.0.0.1:{service.ready['health_port']}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(request)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with (
        grpc.insecure_channel(f"127.0.0.1:{service.ready['port']}") as channel,
        pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"),
    ):
        health_pb2_grpc.HealthStub(channel).Check(request)


def test_the_service_process_never_imports_torch() -> None:
    """A fresh process that imports the whole service holds neither torch nor transformers nor onnxruntime."""
    code = "import sys, services.train.app; sys.exit(bool({'torch', 'transformers', 'optimum', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_folder_of_jobs_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A service that could start no trainer does not start: it would only keep jobs from others."""
    (tmp_path / "file").touch()
    said = failed_start(Service(tmp_path), jobs_dir=str(tmp_path / "file"))
    assert f"the folder of jobs {tmp_path / 'file'} cannot be used" in said


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    """One sentence, without the password, and nothing of the program's own."""
    said = failed_start(Service(tmp_path), database="postgresql://user:secret@127.0.0.1:1/jobs")
    assert said.startswith("tagsmith training service: The job table cannot be used: ")
    assert "secret" not in said
    assert "never awaited" not in said
