"""Real S3 servers on this machine, each a process with an HTTP port of its own."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tagsmith",
    "AWS_SECRET_ACCESS_KEY": "tagsmith-secret",
    "AWS_REGION": "us-east-1",
}
BUCKET = "models"


@contextlib.contextmanager
def moto() -> Iterator[dict[str, str]]:
    """An S3 that honours conditions; yield the environment by which clients reach it. It has no bucket yet."""
    port = _free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[dict[str, str]]:
    """An S3 that ignores conditions, over a folder whose folders are its buckets."""
    port = _free_port()
    keys = f"{CREDENTIALS['AWS_ACCESS_KEY_ID']},{CREDENTIALS['AWS_SECRET_ACCESS_KEY']}"
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    with _running([*command, "--auth-key", keys, "--vfs-cache-mode", "off", str(folder)], port):
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


def make_bucket(environment: dict[str, str], name: str) -> None:
    """Make a bucket on a server."""
    import boto3  # slow, and only moto needs it

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=name)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert server.poll() is None, f"{command[0]} ended with {server.poll()}"
            assert time.monotonic() < give_up, f"{command[0]} does not listen"
            time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait()
