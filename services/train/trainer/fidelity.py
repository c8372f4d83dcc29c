"""Whether a dataset's entities can be told by whole units: what is learnt is tags of units, and answers are made of them.

A mention that does not begin and end with units is learnt, and would be answered, as the units that it touches; one that no token of the
tokenizer reaches cannot be learnt. Neither happens in silence: they are counted, and too many of them refuse the job. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.train.trainer.corpus import Corpus
from services.train.trainer.examples import unit_tags
from shared.data.rows import Row, Span
from shared.errors import DatasetInvalidError, Problem
from shared.runtime.bio import entity_ranges
from shared.runtime.reader import EncodedText
from shared.store.manifest import GateCheck

MOST_INEXACT: Final = 0.1  # share of mentions


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What becomes of mentions."""

    mentions: int
    altered: tuple[str, ...]  # where: `row 17 of the train split, city [3, 9)`
    lost: tuple[str, ...]

    @property
    def inexact(self) -> float:
        """Share of mentions that are not told as they are, [0, 1]."""
        return (len(self.altered) + len(self.lost)) / self.mentions if self.mentions else 0.0

    def check(self) -> GateCheck:
        """Put it into a gate's report."""
        return GateCheck(
            name="mentions",
            passed=self.inexact <= MOST_INEXACT,
            measured=self.inexact,
            limit=MOST_INEXACT,
            detail=f"share of {self.mentions} mentions that whole words do not tell: {self._counts()}",
        )

    def require(self, base_model: str) -> None:
        """Raise DatasetInvalidError if too many mentions would be learnt as something else."""
        if self.inexact <= MOST_INEXACT:
            return
        first = [
            Problem(where, "does not begin and end with whole words, or shares a token with a neighbour")
            for where in self.altered
        ]
        first += [Problem(where, "has no token of its own") for where in self.lost]
        raise DatasetInvalidError(
            f"Of {self.mentions} entities of the train split, {self._counts()} by the words of their texts and the tokens of {base_model};"
            f" at most {MOST_INEXACT:.0%} may be. Let entities begin and end with whole words. Where they do, choose a base whose"
            " tokenizer knows their script.",
            first,
            base_model=base_model,
        )

    def _counts(self) -> str:
        return f"{len(self.altered)} altered, {len(self.lost)} lost"


def check_mentions(corpus: Corpus, encoded: Sequence[EncodedText], base_model: str) -> tuple[GateCheck, ...]:
    """Return what the gate's report says of the train split's mentions, whose texts are `encoded`; nothing for other tasks.

    Raises DatasetInvalidError.
    """
    if corpus.task != "entities":
        return ()
    fidelity = measure_fidelity(corpus.splits["train"], encoded, corpus.labels)
    fidelity.require(base_model)
    return (fidelity.check(),)


def measure_fidelity(rows: Sequence[Row], encoded: Sequence[EncodedText], labels: Sequence[str]) -> Fidelity:
    """Send every mention of `rows` to tags and back; element i of `encoded` is the text of row i."""
    number = {label: i for i, label in enumerate(labels)}
    altered, lost, mentions = list[str](), list[str](), 0
    for index, (row, text) in enumerate(zip(rows, encoded, strict=True), start=1):
        told = _told(row.entities or (), text, labels, number)
        for span in row.entities or ():
            mentions += 1
            if span not in told:
                touched = any(each.start < span.end and span.start < each.end for each in told)
                where = f"row {index} of the train split, {span.label} [{span.start}, {span.end})"
                (altered if touched else lost).append(where)
    return Fidelity(mentions, tuple(altered), tuple(lost))


def _told(
    spans: Sequence[Span], text: EncodedText, labels: Sequence[str], number: dict[str, int]
) -> frozenset[Span]:
    """The spans that perfect answers would have."""
    assert text.units is not None  # noqa: S101 - a reader of the entities task always finds units
    units = text.units.spans
    tags = unit_tags(text.units, spans, number).tolist()
    return frozenset(
        Span(units[first][0], units[end - 1][1], labels[label]) for first, end, label in entity_ranges(tags)
    )
