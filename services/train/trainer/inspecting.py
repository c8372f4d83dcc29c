"""The look at a corpus that every job, and every survey, begins with: hard problems raise, soft ones are told."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.train.plan import TextFacts
from services.train.trainer.corpus import Corpus
from services.train.trainer.leaks import check_held_out
from services.train.trainer.texts import doubtful_texts, text_facts
from shared.data.inspection.findings import Finding, by_gravity, placed
from shared.data.inspection.report import inspect
from shared.data.rows import SplitName
from shared.runtime.reader import EncodedText, TextReader


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a corpus."""

    facts: TextFacts  # of all rows
    findings: tuple[Finding, ...]  # the gravest first
    encoded: dict[SplitName, list[EncodedText]]  # the texts of its splits' rows, which need not be read again


def look(
    corpus: Corpus,
    reader: TextReader,
    tokenizer: Path,
    languages: tuple[str, ...],
    others: Iterable[Finding] = (),
) -> Look:
    """Read all texts of a corpus and look at them; `others` are found elsewhere. Raises DatasetInvalidError."""
    check_held_out(corpus)
    encoded = {split: reader.encode([row.text for row in rows]) for split, rows in corpus.all_rows.items()}
    rows, texts = placed(corpus.all_rows), [text for of_split in encoded.values() for text in of_split]
    facts = text_facts(rows, texts, tokenizer)
    found = [*inspect(rows), *doubtful_texts(rows, texts, tokenizer, facts, languages), *others]
    in_scope = {split: encoded[split][: len(rows)] for split, rows in corpus.splits.items()}
    return Look(facts, tuple(by_gravity(found)), in_scope)
