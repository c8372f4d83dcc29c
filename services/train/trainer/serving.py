"""What the exported version answers, through the code that will serve it: split scores and golden examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.train.trainer.corpus import Corpus
from services.train.trainer.publishing import Candidate
from services.train.trainer.reference import Judgement
from shared.data.rows import SplitName
from shared.runtime.classification import LabelScore
from shared.runtime.entities import EntitySpan
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.scoring.evaluation import (
    Split,
    evaluate_classification,
    evaluate_entities,
    evaluate_multi_label,
)
from shared.scoring.spans import surfaces
from shared.store.evaluation import SplitEvaluation
from shared.store.manifest import GoldenExample, GoldenSpan, Manifest, Task

SPREAD_GOLDEN_EXAMPLES: Final = 16  # where the labels need no more
MOST_GOLDEN_EXAMPLES: Final = 128  # they are users' texts, and each load answers them all
GOLDEN_MARGIN: Final = 0.5  # in logits: far enough from a tie for any hardware that serves fp32
_LONGEST_GOLDEN_CODE_POINTS: Final = 1000

_JUDGED: Final[tuple[SplitName, ...]] = ("validation", "test")

Answer = list[LabelScore] | list[EntitySpan]


def add_answers(
    manifest: Manifest,
    candidate: Candidate,
    corpus: Corpus,
    judgements: Sequence[Judgement],
    *,
    threads: int,
    without_golden: bool = False,
) -> Manifest:
    """Add each variant's scores of validation and test, and the golden examples, to the manifest of a version that the gate passed."""
    parts = Parts(candidate.open_file)
    models = {
        variant: Model.load(manifest, parts, Execution(variant, threads=threads))
        for variant in manifest.variants
    }
    evaluations = {
        variant: {split: evaluate_split(model, corpus, split) for split in _JUDGED if corpus.splits[split]}
        for variant, model in models.items()
    }
    golden = () if without_golden else _golden_examples(list(models.values()), judgements)
    return manifest.model_copy(update={"evaluations": evaluations, "golden_examples": golden})


@dataclass(frozen=True, slots=True)
class SplitAnswers:
    """What a model says of a split: of its rows, and of its texts that belong to no label."""

    in_scope: Sequence[Answer]
    out_of_scope: Sequence[Answer]
    temperature: float  # that the scores were made with

    def renamed(self, renames: Mapping[str, str]) -> "SplitAnswers":
        """Give labels other names."""
        if not renames:
            return self
        return SplitAnswers(
            [_renamed(answer, renames) for answer in self.in_scope],
            [_renamed(answer, renames) for answer in self.out_of_scope],
            self.temperature,
        )


def evaluate_split(model: Model, corpus: Corpus, split: SplitName) -> SplitEvaluation:
    """Evaluate a loaded variant on a split that has rows."""
    return evaluate_answers(answer_split(model, corpus, split), corpus, split)


def answer_split(model: Model, corpus: Corpus, split: SplitName) -> SplitAnswers:
    """Ask a loaded variant about a split."""
    in_scope, out_of_scope = corpus.splits[split], corpus.out_of_scope.get(split, ())
    return SplitAnswers(
        model.answer([row.text for row in in_scope]),
        model.answer([row.text for row in out_of_scope]),
        model.manifest.decoding.temperature,
    )


def evaluate_answers(answers: SplitAnswers, corpus: Corpus, split: SplitName) -> SplitEvaluation:
    """Evaluate the answers to a split that has rows."""
    part = Split(split, corpus.splits[split], corpus.labels)
    if corpus.task == "entities":
        train = corpus.splits["train"]
        seen = surfaces([row.text for row in train], [row.entities or () for row in train])
        return evaluate_entities(part, [_spans(answer) for answer in answers.in_scope], seen)
    labels = [_labels(answer) for answer in answers.in_scope]
    if corpus.task == "multi-label":
        return evaluate_multi_label(part, labels, temperature=answers.temperature)
    others = [_labels(answer) for answer in answers.out_of_scope]
    return evaluate_classification(part, labels, others, temperature=answers.temperature)


def _golden_examples(models: Sequence[Model], judgements: Sequence[Judgement]) -> tuple[GoldenExample, ...]:
    """Choose decisive validation texts, and keep the answers that all variants give for them."""
    decisive = [
        each
        for each in judgements
        if each.margin > GOLDEN_MARGIN and len(each.encoded.text) <= _LONGEST_GOLDEN_CODE_POINTS
    ]
    texts = [decisive[i].encoded.text for i in choose_golden([each.labels for each in decisive])]
    task = models[0].manifest.task
    first, *others = (
        [_golden(task, text, answer) for text, answer in zip(texts, _answers(model, texts), strict=True)]
        for model in models
    )
    return tuple(
        example
        for example, *same in zip(first, *others, strict=True)
        if all(example == each for each in same)
    )


def choose_golden(labels: Sequence[frozenset[str]]) -> list[int]:
    """Return which of the texts to keep, by what each was answered: one of every label, then more, spread over them all, MOST in all."""
    known: set[str] = set()
    chosen = []
    for i, mine in enumerate(labels):
        if not mine <= known:
            known |= mine
            chosen.append(i)
    others = sorted(set(range(len(labels))) - set(chosen))
    wanted = max(0, SPREAD_GOLDEN_EXAMPLES - len(chosen))
    step = max(1, len(others) // max(1, wanted))
    return sorted(chosen[:MOST_GOLDEN_EXAMPLES] + others[::step][:wanted])


def _answers(model: Model, texts: Sequence[str]) -> list[Answer]:
    return [*model.answer(texts)]


def _golden(task: Task, text: str, answer: Answer) -> GoldenExample:
    if task == "classification":
        return GoldenExample(text=text, label="".join(_given(answer)))
    if task == "multi-label":
        return GoldenExample(text=text, labels=tuple(sorted(_given(answer))))
    spans = (GoldenSpan(start=span.start, end=span.end, label=span.label) for span in _spans(answer))
    return GoldenExample(text=text, entities=tuple(spans))


def _given(answer: Answer) -> list[str]:
    return [each.label for each in _labels(answer) if each.is_given]


def _renamed(answer: Answer, renames: Mapping[str, str]) -> Answer:
    spans = [replace(each, label=renames.get(each.label, each.label)) for each in _spans(answer)]
    return spans or [each._replace(label=renames.get(each.label, each.label)) for each in _labels(answer)]


def _labels(answer: Answer) -> list[LabelScore]:
    return [each for each in answer if isinstance(each, LabelScore)]


def _spans(answer: Answer) -> list[EntitySpan]:
    return [span for span in answer if isinstance(span, EntitySpan)]
