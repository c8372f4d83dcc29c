"""Processes that race for, or die in, a folder store: `python -m tests.contract.store.forked race|crash|limit|publish`.

A process of its own that forks its children, because forking the test process would copy the threads' locks of whatever else
the tests have loaded. Each child prints one line of JSON: [its number, what became of it].
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from shared.errors import TagsmithError
from shared.names import VersionName
from shared.store.cache import FileCache
from shared.store.folder import FolderStore
from shared.store.manifest import StoredFile
from shared.store.models import ModelStore
from tests.contract.store.failpoints import failing
from tests.contract.store.publishing import manifest_of, publish_small, put_files

RACERS = 16


def run(*arguments: str | Path) -> list[tuple[int, str]]:
    """Run this module; return its children's lines, by their numbers."""
    command = [sys.executable, "-m", "tests.contract.store.forked", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=100)
    return sorted((number, outcome) for number, outcome in map(json.loads, done.stdout.splitlines()))


def race(action: str, root: Path) -> None:
    """Let 16 processes do `action` at the same moment."""
    start, gate = os.pipe()
    children = [
        _fork(number, lambda number=number: _race_one(action, root, number, start, gate))
        for number in range(RACERS)
    ]
    os.close(gate)
    for child in children:
        os.waitpid(child, 0)


def crash(root: Path) -> None:
    """Kill a publisher at its first system call, another at its second, and so on until one gets through."""
    for at in count():
        child = _fork(at, lambda at=at: _publish_killed(root / str(at), at))
        if os.waitpid(child, 0)[1] == 0:
            return


def limit(root: Path) -> None:
    """Publish under a limit on the size of files that the kernel keeps, below that of a graph."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    store = ModelStore(FolderStore(root))
    os.waitpid(_fork(0, lambda: str(store.put_file(root.parent / "graph"))), 0)


def publish(root: Path) -> None:
    """Publish versions until killed."""
    store = ModelStore(FolderStore(root))
    for number in count():
        publish_small(store, root.parent / "scratch", job_id=f"job-{number}")
        _say(number, "published")


def _race_one(action: str, root: Path, number: int, start: int, gate: int) -> str:
    os.close(gate)
    os.read(start, 1)  # returns when the parent closes its end
    store = ModelStore(FolderStore(root))
    match action:
        case "move":
            return str(
                store.set_alias("banking", "production", number + 2, expected=1, actor=str(number), reason="")
            )
        case "publish":
            files = put_files(store, root.parent / f"scratch-{number}", str(number))
            store.publish(manifest_of(VersionName("banking", 1), f"job-{number % 2}", files))
            return "published"
        case "reserve":
            return str(store.reserve("banking", f"job-{number}"))
        case "fetch":
            file = StoredFile.model_validate_json((root.parent / "file.json").read_bytes())
            return str(FileCache(FolderStore(root), root.parent / "cache").fetch(file))
    raise ValueError(action)


def _publish_killed(root: Path, at: int) -> str:
    store = ModelStore(FolderStore(root))
    with failing(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        publish_small(store, root.parent.parent / "scratch")
    return "published"


def _fork(number: int, work: Callable[[], str]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _say(number, work())
    except TagsmithError as error:
        _say(number, f"{error.reason} {error.metadata.get('os_error', '')}".strip())
    except BaseException:  # noqa: BLE001  a forked child must end here, whatever happened
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _say(number: int, outcome: str) -> None:
    os.write(
        1, f"{json.dumps([number, outcome])}\n".encode()
    )  # one write: lines of racing children stay whole


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    match verb:
        case "race":
            race(rest[0], Path(rest[1]))
        case "crash":
            crash(Path(rest[0]))
        case "limit":
            limit(Path(rest[0]))
        case "publish":
            publish(Path(rest[0]))
