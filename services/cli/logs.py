"""`tagsmith logs`: what the trainers of a job have printed, or print.

A stream that breaks, as at a restart of the service, is begun again: it brings an attempt's log from its first line on, so that as much of it as was
shown is passed over.
"""

import time
from collections.abc import Iterator
from typing import Annotated

import grpc
import typer

from services.cli.options import AsJson, session_of
from services.cli.session import Session
from services.cli.watching import FIRST_PAUSE_S, LONGEST_PAUSE_S, SILENCE_S
from shared.rpc.status import explain
from shared.stubs.training.v1 import training_pb2 as pb

# A service that stops ends what it streams; what it had no time to end itself, its machine does.
_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

_CONNECTED_S = 10.0  # a stream that lasts for longer had a service behind it, silent or not


def logs(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is printed, to the end of the job.")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, max=2**31 - 1, help="Of this attempt (default: the newest).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a job's trainer printed; with --json, one part of it a line."""
    session = session_of(context)
    shown = 0
    for part in read_log(session, job_id, attempt=attempt or 0, follow=follow):
        if session.as_json:
            session.show({"attempt": part.attempt, "text": part.text})
            continue
        if shown not in (0, part.attempt):
            session.tell(f"attempt {part.attempt}")
        shown = part.attempt
        session.stdout.out(part.text, end="", highlight=False)
        session.stdout.file.flush()


def read_log(
    session: Session, job_id: str, *, attempt: int, follow: bool, silence_s: float = SILENCE_S
) -> Iterator[pb.TrainingJobLog]:
    """Yield a log in parts, no part of it twice; `attempt` 0 is the newest. Raises grpc.RpcError."""
    if follow:  # a wrong address is told at once; a stream may be silent for long, and break before it has brought anything
        session.call(session.training.GetTrainingJob, pb.GetTrainingJobRequest(id=job_id))
    shown = _Shown()
    away_since_s: float | None = None
    pause_s = FIRST_PAUSE_S
    while True:
        requests = [pb.ReadTrainingJobLogRequest(id=job_id, attempt=attempt, follow=follow)]
        if not attempt and shown.attempt:  # its end may not have come before the stream broke
            requests.insert(0, pb.ReadTrainingJobLogRequest(id=job_id, attempt=shown.attempt))
        begun_s = time.monotonic()
        try:
            for request in requests:
                shown.begin()
                for part in session.training.ReadTrainingJobLog(request):
                    away_since_s, pause_s = None, FIRST_PAUSE_S
                    yield from shown.news(part)
        except grpc.RpcError as error:
            now_s = time.monotonic()
            if away_since_s is None or now_s - begun_s > _CONNECTED_S:
                away_since_s, pause_s = now_s, FIRST_PAUSE_S
            if not (follow and _is_broken(error)) or now_s - away_since_s > silence_s:
                raise
        else:
            return
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _is_broken(error: grpc.RpcError) -> bool:
    """Whether a new stream may bring what this one did not: the log of another machine never comes."""
    return error.code() in _BROKEN and explain(error).reason != "STORE_UNAVAILABLE"


class _Shown:
    """How much of a log was shown."""

    def __init__(self) -> None:
        self.attempt = 0
        self._characters = 0
        self._read: dict[int, int] = {}  # characters of each attempt that this stream has brought

    def begin(self) -> None:
        """Another stream begins."""
        self._read = {}

    def news(self, part: pb.TrainingJobLog) -> Iterator[pb.TrainingJobLog]:
        """Yield what of a part was not shown yet, if there is any."""
        if part.attempt < self.attempt:
            return
        if part.attempt > self.attempt:
            self.attempt, self._characters = part.attempt, 0
        before = self._read.get(part.attempt, 0)
        read = self._read[part.attempt] = before + len(part.text)
        if read > self._characters:
            yield pb.TrainingJobLog(attempt=part.attempt, text=part.text[max(0, self._characters - before) :])
            self._characters = read
