"""What the base's weights are worth: the same network, taught from random weights, answers the rows that the version answers.

It is taught alike but for what keeps a base's layers near what they have learnt: random layers would be held near nothing.
"""

from dataclasses import replace
from typing import Final

import torch

from services.train.trainer.champion import judged_split
from services.train.trainer.corpus import Corpus
from services.train.trainer.decoding import choose_decoding
from services.train.trainer.driving import Driver
from services.train.trainer.network import Network
from services.train.trainer.publishing import Candidate
from services.train.trainer.reference import Reference
from services.train.trainer.serving import answer_split
from services.train.trainer.taught import Taught
from services.train.trainer.teaching import Lesson
from services.train.trainer.trials import HERE, TrialRunner
from shared.data.rows import Row
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.reader import TextReader
from shared.scoring.evaluation import outcomes_of, wanted
from shared.scoring.intervals import difference
from shared.scoring.outcomes import Outcomes, metric_of, outcomes
from shared.store.evaluation import Gain
from shared.store.manifest import Manifest

_NOTHING_HELD: Final = {
    "layer_decay": 1.0,
    "frozen_layers": 0,
    "freeze_embeddings": False,
    "unfreezing_share": 0.0,
}


def teach_from_scratch(lesson: Lesson, driver: Driver, runner: TrialRunner = HERE) -> Taught:
    """Teach the lesson to an encoder with random weights, drawn from the spec's seed, where trials are taught."""
    torch.manual_seed(lesson.spec.seed)
    chosen = lesson.spec.hyperparameters.model_copy(update=_NOTHING_HELD)
    untaught = replace(
        lesson,
        spec=lesson.spec.model_copy(update={"hyperparameters": chosen}),
        encoder=lesson.encoder.untaught(),
        carry_head=lambda _: None,
        frozen={},
    )
    return runner.teach(untaught, driver)


def add_gain(
    manifest: Manifest,
    candidate: Candidate,
    corpus: Corpus,
    reader: TextReader,
    untaught: Network,
    *,
    threads: int,
) -> Manifest:
    """Add what the version gains over `untaught`, on test, or on validation where there is none."""
    split = judged_split(corpus)
    rows = corpus.splits[split]
    model = Model.load(manifest, Parts(candidate.open_file), Execution(threads=threads))
    version = outcomes_of(rows, answer_split(model, corpus, split).in_scope)
    scratch = _outcomes(Reference(untaught, reader, corpus.labels), corpus, rows)
    gain, low, high = difference(version, scratch)
    measured = Gain(
        split=split,
        row_count=len(rows),
        from_scratch=float(metric_of(scratch.sum(axis=0))),
        gain=gain,
        low=low,
        high=high,
    )
    return manifest.model_copy(update={"gain": measured})


def _outcomes(reference: Reference, corpus: Corpus, rows: list[Row]) -> Outcomes:
    """How a network that nobody exports decides rows, with a decoding of its own."""
    validation = reference.compute([row.text for row in corpus.splits["validation"]])
    decoding = choose_decoding(corpus, validation, (), most_refused_share=0.0)
    decisions = [
        reference.judge(each, decoding).decision for each in reference.compute([row.text for row in rows])
    ]
    return outcomes([wanted(row) for row in rows], decisions)
