"""What the dispatcher hands back for windows. Frozen data."""

from dataclasses import dataclass

from shared.runtime.classification import Logits


@dataclass(frozen=True, slots=True)
class Incident:
    """Stands in the place of logits that could not be computed: the id under which the fault was logged."""

    id: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of some windows; outcome i belongs to window i. Times are on the loop's clock."""

    outcomes: tuple[tuple[Logits, ...] | Incident, ...]  # logits for each reader
    queued_s: float  # when they arrived
    first_start_s: float  # when their first batch began
    last_start_s: float  # when their last batch began
    end_s: float  # when their last batch ended
    largest_batch: int  # windows of the largest batch with one of them
    padded_tokens: int  # their own, padding counted
