"""A look at a job that may be: its rows, how its base reads them, and what training would cost. Nothing is trained or stored."""

from pathlib import Path

import torch

from services.train.plan import Report, Suspect
from services.train.spec import Survey
from services.train.trainer.corpus import read_corpus
from services.train.trainer.devices import training_device
from services.train.trainer.fidelity import check_mentions
from services.train.trainer.frozen_probe import FrozenRows, read_frozen
from services.train.trainer.inspecting import look
from services.train.trainer.leaks import learnt_before
from services.train.trainer.learning_curve import learning_curve
from services.train.trainer.network import reading_of
from services.train.trainer.parent import open_parent
from services.train.trainer.probing import probe
from services.train.trainer.starting import begin
from services.train.trainer.suspects import find_suspects
from shared.data.rows import SplitName
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.datasets import DatasetStore
from shared.store.opening import open_store


def survey(assignment: Survey, *, scratch: Path) -> Report:
    """Look; raises what would fail a job before it trains, with every problem."""
    torch.set_num_threads(assignment.threads)
    torch.manual_seed(assignment.spec.seed)
    store = open_store(assignment.store)
    corpus = read_corpus(DatasetStore(store), assignment.spec)
    continues = assignment.spec.continues
    parent = open_parent(store, continues, scratch) if continues else None
    if parent is not None:
        corpus, _ = parent.joined(corpus, seed=assignment.spec.seed)
    # Not the parent's weights: they have learnt labels that suspects are looked for among, and cost what others do.
    beginning = begin(assignment, corpus, scratch, parent)
    max_tokens = assignment.spec.hyperparameters.max_tokens
    reader = TextReader(
        TextTokenizer(beginning.tokenizer), corpus.task, max_tokens, stride_tokens=max_tokens // 4
    )
    told = [
        *learnt_before(store, assignment.spec, corpus),
        *(parent.abstention_lost(corpus) if parent else ()),
    ]
    seen = look(corpus, reader, beginning.tokenizer, assignment.languages, told)
    encoded = seen.encoded
    check_mentions(corpus, encoded["train"], assignment.spec.base_model or "")
    suspects: list[Suspect] = []
    curve, cost = None, None
    if assignment.finds_suspects or assignment.draws_curve:
        reading, pad_id = reading_of(corpus.task, assignment.spec), reader.tokenizer.pad_id
        beginning.encoder.to(training_device())

        def read(split: SplitName) -> FrozenRows:
            rows = corpus.splits[split]
            return read_frozen(rows, encoded[split], corpus.labels, beginning.encoder, reading, pad_id)

        train = read("train")
        if assignment.finds_suspects:
            suspects = find_suspects(corpus, encoded["train"], train)
        if assignment.draws_curve:
            curve = learning_curve(corpus, train, read("validation"), encoded["validation"])
    if assignment.probes:
        cost = probe(assignment.spec, corpus, encoded, beginning.encoder, reader.tokenizer.pad_id)
    return Report(
        findings=seen.findings, texts=seen.facts, cost=cost, suspects=tuple(suspects), learning_curve=curve
    )
