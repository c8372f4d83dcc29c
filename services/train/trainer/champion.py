"""The version that a new one would take the place of, answering the same rows through the same code."""

from services.train.trainer.corpus import Corpus
from services.train.trainer.serving import answer_split, evaluate_answers
from shared.errors import (
    AliasNotFoundError,
    ModelNotFoundError,
    VersionNotFoundError,
)
from shared.names import parse_reference
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.scoring.comparison import compare
from shared.scoring.evaluation import outcomes_of
from shared.store.cache import FileCache
from shared.store.evaluation import Comparison
from shared.store.manifest import Manifest, ProvingSplit
from shared.store.models import ModelStore

_NONE_YET = (ModelNotFoundError, AliasNotFoundError, VersionNotFoundError)


def find_champion(models: ModelStore, reference: str) -> Manifest | None:
    """Return the manifest of what `reference` means; None where there is nothing yet. Raises ArtifactCorruptError, ModelNotLoadableError."""
    if not reference:
        return None
    try:
        return models.manifest(models.resolve(parse_reference(reference)))
    except _NONE_YET:
        return None


def compare_with_champion(
    champion: Manifest, challenger: Model, corpus: Corpus, files: FileCache, *, threads: int
) -> Comparison:
    """Have both answer test, or validation where there is none, as fp32. Raises what loading raises."""
    split = judged_split(corpus)
    rows = corpus.splits[split]
    loaded = Model.load(champion, Parts(files.fetch), Execution(threads=threads))
    before, after = (answer_split(model, corpus, split) for model in (loaded, challenger))
    loaded.close()
    return compare(
        str(champion.version),
        split,
        before=(evaluate_answers(before, corpus, split), outcomes_of(rows, before.in_scope)),
        after=(evaluate_answers(after, corpus, split), outcomes_of(rows, after.in_scope)),
    )


def judged_split(corpus: Corpus) -> ProvingSplit:
    """Return the split that promotion looks at."""
    return "test" if corpus.splits["test"] else "validation"
