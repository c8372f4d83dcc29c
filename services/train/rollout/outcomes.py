"""How a rollout ends. Pure."""

from dataclasses import dataclass
from typing import Final

from services.train.reasons import MOST_REASON_CHARACTERS
from shared.errors import Problem, RolloutFailedError
from shared.names import AliasName, VersionName

ROLLBACK_REASON: Final = "rolled back by training job"


@dataclass(frozen=True, slots=True)
class Live:
    """Every address answers with the version."""

    version: VersionName
    addresses: tuple[str, ...]
    golden_examples: int  # of the version, answered right at every address; 0: it keeps none
    seconds: float  # from the alias's move to the look that found it so


@dataclass(frozen=True, slots=True)
class Superseded:
    """Somebody has moved the alias since: where it points now is theirs."""

    version: VersionName
    by: VersionName | None  # None: servers say so, and the store cannot be read


@dataclass(frozen=True, slots=True)
class Failed:
    """The version did not go live, and the alias points back to the one before; or it could not be moved back."""

    version: VersionName
    alias: AliasName
    why: str
    problems: tuple[Problem, ...]  # by address; empty of a rollback that an earlier call has made
    back_to: VersionName | None
    obstacle: str = ""  # where `back_to` is None: why not

    def error(self) -> RolloutFailedError:
        """What callers are told."""
        if self.back_to is not None:
            where = f"{self.alias} points back to {self.back_to}."
        else:
            where = f"{self.alias} still points to {self.version}: {self.obstacle}."
        return RolloutFailedError(
            f"{self.version} did not go live: {self.why} {where}",
            self.problems,
            model_version=str(self.version),
            alias=self.alias.alias,
            back_to=str(self.back_to or ""),
            addresses=",".join(problem.field for problem in self.problems[: RolloutFailedError.MOST_CARRIED]),
        )


Outcome = Live | Superseded | Failed


def rollback_reason(why: str, problems: tuple[Problem, ...]) -> str:
    """What the alias's history is to say; read back by `why_rolled_back`."""
    told = "; ".join(f"{problem.field} {problem.description.rstrip('.')}" for problem in problems)
    reason = f"{ROLLBACK_REASON}: {why} {told}."
    return reason if len(reason) <= MOST_REASON_CHARACTERS else f"{reason[: MOST_REASON_CHARACTERS - 1]}…"


def why_rolled_back(reason: str) -> str:
    """Read what `rollback_reason` wrote."""
    return reason.removeprefix(f"{ROLLBACK_REASON}: ")
