"""A version beside others: the champion that it would take the place of, and the version that its training went on from."""

from dataclasses import dataclass
from typing import Final

from shared.store.evaluation import Change, Comparison
from shared.store.manifest import Manifest

_MOST_SHOWN: Final = 20  # labels and slices, the greatest losses


@dataclass(frozen=True, slots=True)
class Beside:
    """A comparison, as it is shown."""

    heading: str
    comparison: Comparison

    @property
    def is_clear(self) -> bool:
        """Tell whether chance alone hardly explains the difference: its 95 % interval leaves nought out."""
        return self.comparison.low > 0 or self.comparison.high < 0

    @property
    def changes(self) -> tuple[Change, ...]:
        """Labels, then slices, the greatest losses of each first."""
        return (*self.comparison.labels[:_MOST_SHOWN], *self.comparison.slices[:_MOST_SHOWN])


def comparisons(manifest: Manifest) -> list[Beside]:
    """Return what a manifest compares."""
    headed = [("Beside the champion", manifest.comparison), ("What it forgot", manifest.forgetting)]
    return [Beside(heading, each) for heading, each in headed if each is not None]
