"""The version that a new one would take the place of, answering the same rows through the same code."""

from collections.abc import Mapping

from services.train.spec import Continuation
from services.train.trainer.corpus import Corpus
from services.train.trainer.serving import answer_split, evaluate_answers
from shared.data.rows import SplitName
from shared.errors import AliasNotFoundError, ModelNotFoundError
from shared.names import parse_reference
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.scoring.comparison import compare
from shared.scoring.evaluation import outcomes_of
from shared.scoring.outcomes import Outcomes
from shared.store.cache import FileCache
from shared.store.evaluation import Comparison, SplitEvaluation
from shared.store.manifest import Manifest, ProvingSplit
from shared.store.models import ModelStore


def find_champion(models: ModelStore, reference: str) -> Manifest | None:
    """Return the manifest of what `reference` means; None where the alias does not exist yet.

    Raises ArtifactCorruptError, ModelNotLoadableError, VersionNotFoundError.
    """
    if not reference:
        return None
    try:
        return models.manifest(models.resolve(parse_reference(reference)))
    except (ModelNotFoundError, AliasNotFoundError):
        return None


def compare_with_champion(
    champion: Manifest,
    challenger: Model,
    corpus: Corpus,
    files: FileCache,
    *,
    asked: Continuation | None,
    threads: int,
) -> Comparison:
    """Have both answer test, or validation where there is none, as fp32. Raises what loading raises.

    What the champion answers by a label that the continuation renames counts under its new name.
    """
    split = judged_split(corpus)
    loaded = Model.load(champion, Parts(files.fetch), Execution(threads=threads))
    before = evaluation_of(loaded, corpus, split, renames=_renames(champion, asked, corpus))
    after = evaluation_of(challenger, corpus, split)
    loaded.close()
    return compare(str(champion.version), split, before=before, after=after)


def _renames(champion: Manifest, asked: Continuation | None, corpus: Corpus) -> Mapping[str, str]:
    """Return new names by old ones: of the parent all, of another version those whose old names are gone, which it shares with the parent."""
    if asked is None or asked.version == str(champion.version):
        return asked.label_renames if asked else {}
    return {old: new for old, new in asked.label_renames.items() if old not in corpus.labels}


def evaluation_of(
    model: Model, corpus: Corpus, split: SplitName, *, renames: Mapping[str, str] | None = None
) -> tuple[SplitEvaluation, Outcomes]:
    """Have a model answer a split; `renames` gives its labels the names that the corpus has."""
    answers = answer_split(model, corpus, split).renamed(renames or {})
    return evaluate_answers(answers, corpus, split), outcomes_of(corpus.splits[split], answers.in_scope)


def judged_split(corpus: Corpus) -> ProvingSplit:
    """Return the split that promotion looks at."""
    return "test" if corpus.splits["test"] else "validation"
