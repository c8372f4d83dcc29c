"""How a command says that something went wrong: one clear line, every listed problem, and what to do about it.

Owns the remedies. Services say what is wrong in their own words (`google.rpc.Status`); what a person at a terminal can do about
it is said here, by reason. Pure.
"""

from collections.abc import Iterator
from typing import Any

from shared.rpc.status import Explained

_MOST_PROBLEMS_SHOWN = 20

_REMEDIES = {  # by reason: those of tagsmith.errors.v1, and those of commands themselves
    "TEXT_EMPTY": "give a text that is not blank",
    "TEXT_TOO_LONG": "split the text",
    "NAME_MALFORMED": "names look like support, support@production or support@7, jobs like job-0123456789abcdef",
    "DATASET_INVALID": "mend the rows that are named and try again",
    "SPEC_INVALID": "change the options that are named; `tagsmith train --help` has their ranges",
    "MODEL_NOT_FOUND": "`tagsmith models` lists the models",
    "VERSION_NOT_FOUND": "`tagsmith models MODEL` lists its versions",
    "ALIAS_NOT_FOUND": "`tagsmith promote MODEL@VERSION --alias ALIAS` makes it",
    "JOB_NOT_FOUND": "`tagsmith jobs` lists the jobs",
    "DATASET_NOT_FOUND": "`tagsmith data list` lists the datasets",
    "BASE_MODEL_NOT_FOUND": "`tagsmith bases` lists the base models",
    "TASK_MISMATCH": "`tagsmith classify` is for classifiers, `tagsmith extract` for extractors",
    "VERSION_REJECTED": "`tagsmith models MODEL@VERSION` shows what its gate measured",
    "JOB_ALREADY_FINISHED": "there is nothing left to stop or to cancel",
    "REQUEST_ID_REUSED": "use a new --request-id, or the first spec",
    "ALIAS_CONFLICT": "somebody moved it meanwhile; look at `tagsmith models MODEL` and decide anew",
    "QUEUE_FULL": "the server is overloaded; try again later",
    "MODEL_LOADING": "try again in a moment",
    "SERVER_DRAINING": "try again in a moment",
    "ARTIFACT_CORRUPT": (
        "that file was damaged or changed; one of the store: restore it, or promote another version; an alias's newest record"
        " may be removed, the one before it holds then"
    ),
    "STORE_UNAVAILABLE": "check the store's disk, rights and network, then try again",
    "MODEL_NOT_LOADABLE": "serve it where it can be loaded, or promote another version",
    "TRAINING_DIVERGED": "train again with a lower learning rate",
    "VERSIONS_NOT_COMPARABLE": "`tagsmith eval` scores both on one file",
    "DATASET_IN_USE": "wait for these jobs, or cancel them",
    "QUALITY_GATES_FAILED": (
        "`tagsmith models MODEL@VERSION` shows what was measured; `tagsmith promote --override-reason WHY` moves the alias nevertheless"
    ),
    "ROLLOUT_FAILED": (
        "mend what the addresses say, then `tagsmith promote MODEL@VERSION` moves the alias anew; the version is kept"
    ),
    "TRAINING_OUT_OF_MEMORY": "train again with a lower --max-tokens or a smaller base",
    "TRAINER_LOST": "`tagsmith logs JOB`, or the plan's log, says more; train again, with less memory if it was killed for that",
    "GATE_REJECTED": "`tagsmith models MODEL@VERSION` shows what the gate measured",
    "SERVICE_ENDED": "its log says more; if a port is taken, --train-port and --infer-port choose others",
    "BASE_MODEL_EXISTS": "--id gives it another name",
    "MANIFEST_UNKNOWN": "use the command of the release that the service has",
    "FILE_EXISTS": "--force writes over it",
    "FILE_UNWRITABLE": "name another file",
    "FOLDER_UNUSABLE": "--folder names another one",
    "INTERNAL": "look for the incident in the service's log",
}
_REMEDIES_BY_CODE = {
    "UNAVAILABLE": "is it running? `tagsmith up` starts both services; --train-address and --infer-address say where they are",
    "DEADLINE_EXCEEDED": "it took too long to answer; try again",
    "UNIMPLEMENTED": "this address answers, but not with this service; check --train-address and --infer-address",
}


class CommandError(Exception):
    """A command cannot go on. `explained` is what a service said, or what a service would say."""

    def __init__(self, explained: Explained) -> None:
        """Carry `explained` to the terminal."""
        super().__init__(explained.message)
        self.explained = explained


def local_error(reason: str, message: str, **metadata: str) -> CommandError:
    """Make an error of something found before any service was asked."""
    return CommandError(Explained("INVALID_ARGUMENT", reason, message, metadata, (), None))


def remedy(explained: Explained) -> str:
    """Say what to do; empty if there is nothing better than the message."""
    return _REMEDIES.get(explained.reason) or _REMEDIES_BY_CODE.get(explained.code, "")


def error_lines(explained: Explained) -> Iterator[str]:
    """Say it to people."""
    advice = f" ({remedy(explained)})" if remedy(explained) else ""
    message = explained.message.rpartition("last error: ")[2]  # gRPC tells of a failed connection at length
    summary = (
        message.partition(" First: ")[0] if explained.problems else message
    )  # they follow, the first one too
    problems = [each for each in explained.problems if f"{each.field}: {each.description}" != summary]
    yield f"error: {explained.reason or explained.code}: {_one_line(summary)}{advice}"
    shown = problems[:_MOST_PROBLEMS_SHOWN]
    for problem in shown:
        yield f"  {problem.field}: {_one_line(problem.description)}"
    more = int(explained.metadata.get("problem_count", len(problems))) - len(shown)
    if more > 0:  # an error carries only so many
        yield f"  ... and {more} more"


def error_record(explained: Explained) -> dict[str, Any]:
    """Say it to programs."""
    return {
        "error": {
            "code": explained.code,
            "reason": explained.reason,
            "message": explained.message,
            "metadata": explained.metadata,
            "problems": [
                {"field": each.field, "description": each.description} for each in explained.problems
            ],
            "retry_after_ms": explained.retry_after_ms,
            "remedy": remedy(explained),
        }
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())
