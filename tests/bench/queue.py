"""What a queue of ten thousand jobs costs: submitting and listing over gRPC, claiming, on either database.

`python -m tests.bench.queue` measures both (PostgreSQL: its programs have to be installed) and writes `tests/bench/results/queue.json`. The service is
the real one, with a stand-in for the trainer that holds the only place, so that every other job waits; claims are those of another service over the same database,
each put back at once. Exits 1 if a 95th percentile is over 20 ms.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from services.train.jobs.database import Database, sqlite_url
from services.train.jobs.record import JobRecord
from services.train.jobs.rows import time_of
from services.train.jobs.table import JobTable
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.hardware import hardware
from tests.bench.rows import RESULTS
from tests.integration.train_service.harness import Service
from tests.postgres import Server

JOBS: Final = 10_000
MODELS: Final = 50
CALLS: Final = 500  # of each kind, with the whole queue there
MOST_P95_MS: Final = 20.0
FILE: Final = RESULTS / "queue.json"


def measure(folder: Path, database: str) -> dict[str, dict[str, float]]:
    """Fill a queue, and measure each kind of call with it."""
    service = Service(folder)
    service.start(database=database) if database else service.start()
    try:
        service.import_csv()
        holder = service.submit("pause-training")
        service.wait_until(holder.id, "TRAINING")
        for number in range(JOBS):
            service.submit(f"model-{number % MODELS}", request_id=f"{number}")
        calls: dict[str, Callable[[int], object]] = {
            "submit": lambda number: service.submit(f"model-{number % MODELS}", request_id=f"more {number}"),
            "submit again": lambda number: service.submit(f"model-{number % MODELS}", request_id=f"{number}"),
            "get": lambda number: service.job(holder.id),
            "list": lambda number: service.training.ListTrainingJobs(
                pb.ListTrainingJobsRequest(model=f"model-{number % MODELS}")
            ),
        }
        told = {name: _timed(call) for name, call in calls.items()}
        with _table(database or sqlite_url(service.state_dir / "jobs.sqlite")) as table:
            told["claim"] = _timed(lambda _: _claim(table))
        return told
    finally:
        service.close()


@contextmanager
def _table(url: str) -> Any:
    table = JobTable(Database(url), lambda _: None, owner="another")
    yield table
    table.close()


def _claim(table: JobTable) -> float:
    """Claim a job and put it back; return the seconds of the claim alone."""
    started_s = time.perf_counter()
    job = table.claim()
    claimed_s = time.perf_counter() - started_s
    if job is None:
        raise RuntimeError("the queue is empty")
    back: Callable[[JobRecord], JobRecord] = lambda job: job.requeued(now=time_of(time.time()))  # noqa: E731
    table.change(job.id, back, epoch=job.lease.epoch)
    return claimed_s


def _timed(call: Callable[[int], object]) -> dict[str, float]:
    times_ms = []
    for number in range(CALLS):
        started_s = time.perf_counter()
        took_s = call(number)
        took_s = took_s if isinstance(took_s, float) else time.perf_counter() - started_s
        times_ms.append(1000 * took_s)
    return {"p50_ms": round(median(times_ms), 2), "p95_ms": round(quantiles(times_ms, n=20)[-1], 2)}


def lines(record: dict[str, Any]) -> list[str]:
    """Return the lines of the README's table."""
    return [
        "| Database | Call | p50 ms | p95 ms |",
        "|---|---|---|---|",
    ] + [
        f"| {database} | {call} | {times['p50_ms']:.1f} | {times['p95_ms']:.1f} |"
        for database, calls in record["databases"].items()
        for call, times in calls.items()
    ]


def main() -> int:
    """Measure both databases."""
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            found = {
                "SQLite": measure(Path(one), ""),
                "PostgreSQL": measure(Path(other), server.new_database()),
            }
    finally:
        server.close()
    record = {"jobs": JOBS, "hardware": hardware(), "databases": found}
    FILE.write_text(json.dumps(record, indent=2) + "\n")
    print("\n".join(lines(record)))
    held = all(times["p95_ms"] < MOST_P95_MS for calls in found.values() for times in calls.values())
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
