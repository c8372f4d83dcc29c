"""What one look at the inference servers has found. Pure."""

from dataclasses import dataclass

from shared.names import VersionName


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server could not load a version, or the version answered its golden examples wrong there."""

    version: VersionName
    reason: str  # of errors.proto; empty of what no Tagsmith says
    message: str
    cause: str = ""
    failed_loads: int = 1  # in a row


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one address says of an alias."""

    address: str
    serving: VersionName | None = None  # what calls are answered with
    golden_examples: int = 0  # that `serving` was asked before it answered calls
    is_failing_probes: bool = False  # `serving` has answered them wrong since
    coming: VersionName | None = None  # what is to take over: being loaded, or refused
    refusal: Refusal | None = None  # of `coming`
    silence: str = ""  # why it says nothing of the alias: a reason of errors.proto, or a gRPC code


@dataclass(frozen=True, slots=True)
class Look:
    """All addresses at about one moment."""

    snapshots: tuple[Snapshot, ...]
    unresolved: tuple[str, ...] = ()  # endpoints that stand for no address now
