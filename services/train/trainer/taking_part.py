"""One worker's part in a training of several: the one that leads is the trainer of the folder, all others learn beside it and leave.

Every end is told: a failure to all workers, of whom the one that leads writes it down. The loss of a worker is no end; it is left to whoever
started the group, and a group that is started again once its last word was said does nothing.
"""

import tempfile
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from services.train.events import EVENT, Failed, Finished
from services.train.spec import Assignment
from services.train.trainer.__main__ import WORK, main
from services.train.trainer.failures import GroupLostError, PeerFailedError
from services.train.trainer.journal import Journal
from services.train.trainer.log import say
from services.train.trainer.memory import limit_memory
from services.train.trainer.worker_group import Group
from shared.telemetry.logs import describe_error


def take_part(folder: Path, group: Group) -> None:
    """Do what falls to this process of the job in an attempt's folder. Raises GroupLostError."""
    if group.of_leader(lambda: last_word(folder) is not None):
        return
    if group.leads:
        if main(folder, partial(_lead, group=group)):
            group.fail(RuntimeError("the worker that leads has failed"))
        return
    try:
        _follow(folder, group)
    except PeerFailedError:
        pass  # the one that leads tells of it
    except GroupLostError:
        raise
    except Exception as error:  # noqa: BLE001 - the others would wait for this process
        say(describe_error(error))
        group.fail(error)


def last_word(folder: Path) -> Finished | Failed | None:
    """Return the trainer's last word in its events, if it has had it."""
    try:
        lines = (folder / "events.jsonl").read_bytes().splitlines()
        word = EVENT.validate_json(lines[-1]) if lines else None
    except (FileNotFoundError, ValidationError):
        return None
    return word if isinstance(word, Finished | Failed) else None


def _lead(assignment: Assignment, journal: Journal, scratch: Path, *, group: Group) -> None:
    from services.train.trainer.pipeline import train

    train(assignment, emit=journal.write, scratch=scratch, workers=group)


def _follow(folder: Path, group: Group) -> None:
    work = WORK.validate_json((folder / "spec.json").read_bytes())
    assert isinstance(work, Assignment)  # noqa: S101 - for the type checker
    if work.most_memory_bytes is not None:
        limit_memory(work.most_memory_bytes)
    from services.train.trainer.pipeline import train

    with tempfile.TemporaryDirectory() as scratch:
        train(work, emit=lambda _: None, scratch=Path(scratch), workers=group)
