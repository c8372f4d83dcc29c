"""A trainer without torch: speaks `events.jsonl` and publishes a tiny version. What it does is told by the first word of its model's name.

succeed             goes through all phases and publishes
reject              publishes a version that the gate refused
worse               publishes one that fails a quality gate
pause-<phase>       waits in that phase for a file `go` in its attempt's folder, then succeeds
talk                prints that its attempt begins, waits in TRAINING for `go`, prints that it ends, without a line end, then succeeds
mumble              prints a hundred lines, then fails with a reason
keep                waits in TRAINING until it is to stop, says so, then succeeds
silent              publishes, then is killed before it can say so
torn                says every line in two halves, and one line that is no event
diverge             fails with a reason
crash               is killed
leave               ends with exit code 3 and no word
lie                 says that it finished, and published nothing
stubborn            has a file in its scratch, ignores SIGTERM, and so does a child of it; writes both process ids into `pids`
linger              publishes and says so, and never ends
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.train.engines.lifeline import hold_lifeline
from services.train.events import Failed, Failure, Finished, PhaseStarted, Progress, Stopped, TrainerEvent
from services.train.jobs.lifecycle import PHASES
from services.train.spec import SCRATCH, STOP, Assignment
from shared.names import VersionName
from shared.store.evaluation import QualityCheck
from shared.store.models import ModelStore
from shared.store.opening import open_store
from tests.tiny import tiny_manifest

WORSE = QualityCheck(
    name="slices", passed=False, measured=5.0, limit=2.0, unit="points", detail="lost on 'domain=loan'"
)
Say = Callable[[TrainerEvent], None]


def main(folder: Path) -> int:
    """Do what the model's name says."""
    hold_lifeline()
    assignment = Assignment.model_validate_json((folder / "spec.json").read_text())
    behaviour, _, where = assignment.spec.model.partition("-")
    torn = behaviour == "torn"
    with (folder / "events.jsonl").open("a", buffering=1) as events:

        def say(event: TrainerEvent) -> None:
            line = event.model_dump_json() + "\n"
            if torn:
                events.write("this is no event\n" + line[:7])
                events.flush()
                time.sleep(0.15)
                line = line[7:]
            events.write(line)
            events.flush()

        return _run(behaviour, where, assignment, folder, say)


def _run(behaviour: str, where: str, assignment: Assignment, folder: Path, say: Say) -> int:
    for phase in PHASES:
        say(PhaseStarted(phase=phase))
        if phase == "TRAINING":
            _act(behaviour, folder, say)
            say(_progress(1))
            if behaviour == "keep":
                _wait_for(folder / STOP)
                say(Stopped(step=1))
        if behaviour == "pause" and where == phase.lower():
            _wait_for(folder / "go")
    if behaviour == "lie":
        say(Finished())
        return 0
    _publish(assignment, folder, rejected=behaviour == "reject", worse=behaviour == "worse")
    if behaviour == "silent":
        os.kill(os.getpid(), signal.SIGKILL)
    say(Finished())
    if behaviour == "linger":
        time.sleep(60)
    return 0


def _act(behaviour: str, folder: Path, say: Say) -> None:
    if behaviour == "diverge":
        failure = Failure(
            reason="TRAINING_DIVERGED", message="The loss is not finite.", metadata={"step": "1"}
        )
        say(Failed(failure=failure))
        sys.exit(1)
    if behaviour == "mumble":
        print(*(f"line {number}" for number in range(1, 101)), sep="\n", flush=True)  # noqa: T201  # its log
        say(Failed(failure=Failure(reason="TRAINING_DIVERGED", message="The loss is not finite.")))
        sys.exit(1)
    if behaviour == "talk":
        print(f"attempt {int(folder.name)} begins", flush=True)  # noqa: T201  # its log
        _wait_for(folder / "go")
        print(f"attempt {int(folder.name)} ends", end="", flush=True)  # noqa: T201  # its log
    if behaviour == "leave":
        sys.exit(3)
    if behaviour == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / SCRATCH).mkdir()
        (folder / SCRATCH / "model.onnx").touch()
        child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        (folder / "pids.part").write_text(f"{os.getpid()} {child.pid}")
        (folder / "pids.part").rename(folder / "pids")
        time.sleep(60)


def _publish(assignment: Assignment, folder: Path, *, rejected: bool, worse: bool) -> None:
    store = ModelStore(open_store(assignment.store))
    manifest, paths = tiny_manifest(
        folder / "version",
        "classification",
        model=assignment.spec.model,
        number=VersionName.parse(assignment.version).number,
        job_id=assignment.job_id,
        attempt=assignment.attempt,
        state="rejected" if rejected else "published",
    )
    told = {"spec": assignment.spec.model_dump(mode="json"), "dataset": assignment.spec.dataset}
    manifest = manifest.model_copy(update={"lineage": manifest.lineage.model_copy(update=told)})
    for path in paths.values():
        store.put_file(path)
    store.publish(manifest.model_copy(update={"quality_checks": (WORSE,)}) if worse else manifest)


def _progress(step: int) -> Progress:
    return Progress(
        step=step,
        total_steps=10,
        epoch=1,
        loss=0.5,
        metric_name="accuracy",
        metric=0.25,
        best_metric=0.25,
        remaining_ms=1500,
        rows_per_second=100.0,
    )


def _wait_for(file: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not file.exists():
        if time.monotonic() > deadline_s:
            sys.exit("nobody said go")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
