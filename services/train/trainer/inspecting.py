"""The look at a corpus that every job, and every survey, begins with: hard problems raise, soft ones are told."""

from collections.abc import Iterable
from pathlib import Path

from services.train.plan import TextFacts
from services.train.trainer.corpus import Corpus
from services.train.trainer.texts import doubtful_texts, text_facts
from shared.data.inspection.findings import Finding, by_gravity, placed
from shared.data.inspection.report import inspect
from shared.runtime.reader import TextReader


def look(
    corpus: Corpus,
    reader: TextReader,
    tokenizer: Path,
    languages: tuple[str, ...],
    others: Iterable[Finding] = (),
) -> tuple[TextFacts, tuple[Finding, ...]]:
    """Return the facts and the findings of a corpus, with the `others`, the gravest first. Raises DatasetInvalidError."""
    rows = placed(corpus.all_rows)
    encoded = reader.encode([placed.row.text for placed in rows])
    facts = text_facts(rows, encoded, tokenizer)
    found = [*inspect(rows), *doubtful_texts(rows, encoded, tokenizer, facts, languages), *others]
    return facts, tuple(by_gravity(found))
