"""The version that a new one would take the place of, answering the same rows through the same code."""

from collections.abc import Mapping
from contextlib import closing

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
from shared.store.evaluation import Comparison, SplitEvaluation
from shared.store.manifest import Manifest, ProvingSplit, VariantName
from shared.store.models import ModelStore

Answered = tuple[SplitEvaluation, Outcomes]


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
    challenger: Manifest,
    corpus: Corpus,
    *,
    opened: tuple[Parts, Parts],
    asked: Continuation | None,
    threads: int,
) -> dict[VariantName, Comparison]:
    """Have both answer test, or validation where there is none, as every variant that the challenger has. Raises what loading raises.

    The champion answers as the same variant, or as fp32 where it lacks it. What it answers by a label that the continuation renames counts under its
    new name. `opened` are the files of both, the champion's first.
    """
    split, renames = judged_split(corpus), _renames(champion, asked, corpus)

    def answered(manifest: Manifest, parts: Parts, variant: VariantName, now: Mapping[str, str]) -> Answered:
        with closing(Model.load(manifest, parts, Execution(variant, threads=threads))) as model:
            return evaluation_of(model, corpus, split, renames=now)

    olds, news = opened
    before = {
        variant: answered(champion, olds, variant, renames)
        for variant in {_like(variant, champion) for variant in challenger.variants}
    }
    return {
        variant: compare(
            str(champion.version),
            split,
            before=before[_like(variant, champion)],
            after=answered(challenger, news, variant, {}),
            variant=variant,
        )
        for variant in challenger.variants
    }


def _like(variant: VariantName, champion: Manifest) -> VariantName:
    """Return what the champion answers as beside a challenger that answers as `variant`."""
    return variant if variant in champion.variants else "fp32"


def _renames(champion: Manifest, asked: Continuation | None, corpus: Corpus) -> Mapping[str, str]:
    """Return new names by old ones: of the parent all, of another version those whose old names are gone, which it shares with the parent."""
    if asked is None or asked.version == str(champion.version):
        return asked.label_renames if asked else {}
    return {old: new for old, new in asked.label_renames.items() if old not in corpus.labels}


def evaluation_of(
    model: Model, corpus: Corpus, split: SplitName, *, renames: Mapping[str, str] | None = None
) -> Answered:
    """Have a model answer a split; `renames` gives its labels the names that the corpus has."""
    answers = answer_split(model, corpus, split).renamed(renames or {})
    return evaluate_answers(answers, corpus, split), outcomes_of(corpus.splits[split], answers.in_scope)


def judged_split(corpus: Corpus) -> ProvingSplit:
    """Return the split that promotion looks at."""
    return "test" if corpus.splits["test"] else "validation"
