"""A training job from its rows to its version, phase by phase.

Phases only move forward; each says so before it begins (the process itself says PREPARING). Everything random is drawn from the
spec's seed, before the head is made: the same spec, seed and machine give the same files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from services.train.events import PhaseStarted
from services.train.spec import STOP, Assignment, JobSpec
from services.train.trainer import serving
from services.train.trainer.corpus import Corpus, read_corpus
from services.train.trainer.decoding import choose_decoding
from services.train.trainer.devices import be_deterministic
from services.train.trainer.examples import make_examples
from services.train.trainer.export import ExportedGraph, Role, export
from services.train.trainer.fidelity import check_mentions
from services.train.trainer.gain import add_gain
from services.train.trainer.gate import gate, gate_variants
from services.train.trainer.inspecting import look
from services.train.trainer.judging import add_forgetting, judge
from services.train.trainer.kept import Kept
from services.train.trainer.leaks import learnt_before
from services.train.trainer.network import Encoder
from services.train.trainer.parent import open_parent
from services.train.trainer.publishing import Findings, complete, draft, publish
from services.train.trainer.quantising import quantise
from services.train.trainer.reference import Reference
from services.train.trainer.schooling import Emit, teach_all
from services.train.trainer.starting import start
from services.train.trainer.stopping import StopRequest
from services.train.trainer.teaching import Lesson
from services.train.trainer.trials import HERE, TrialRunner
from services.train.trainer.validation import Validation
from services.train.trainer.weights import save_weights
from services.train.trainer.workers import ALONE, Workers
from shared.data.rows import SplitName
from shared.processor import multiplies_bytes
from shared.runtime.reader import EncodedText, TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.datasets import DatasetStore
from shared.store.manifest import VariantName
from shared.store.models import ModelStore
from shared.store.opening import open_store


def train(
    assignment: Assignment,
    *,
    emit: Emit,
    scratch: Path,
    workers: Workers = ALONE,
    trials: TrialRunner = HERE,
) -> None:
    """Carry out one job; `scratch` is an empty folder of the attempt's, for files on their way to the store.

    It goes on from what earlier attempts kept, and ends training early once the file `stop` lies beside `scratch`. Of several
    `workers` all learn and the one that leads publishes; `trials` is where those of a search are taught. Raises TagsmithError where nothing could be published.
    """
    torch.set_num_threads(assignment.threads)
    be_deterministic()
    torch.manual_seed(assignment.spec.seed)
    store = open_store(assignment.store)
    corpus = read_corpus(DatasetStore(store), assignment.spec)
    continues = assignment.spec.continues
    parent = open_parent(store, continues, scratch) if continues else None
    replayed = 0
    if parent is not None:
        corpus, replayed = parent.joined(corpus, seed=assignment.spec.seed)
    beginning = start(assignment, corpus, scratch, parent)
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
    mentions = check_mentions(corpus, encoded["train"], assignment.spec.base_model or "")
    lesson = prepare(assignment.spec, corpus, encoded, beginning.encoder, reader.tokenizer.pad_id)
    if parent is not None:
        lesson = replace(lesson, carry_head=partial(parent.carry_head, labels=corpus.labels))

    emit(PhaseStarted(phase="TRAINING"))
    kept = Kept(assignment)
    trained = teach_all(assignment, lesson, kept, emit, StopRequest(scratch.parent / STOP), workers, trials)
    workers.part()
    if not workers.leads:
        return
    assignment, network, untaught = trained.assignment, trained.taught.network, trained.untaught

    emit(PhaseStarted(phase="EVALUATING"))
    reference = Reference(network, reader, corpus.labels)
    computed = reference.compute([row.text for row in corpus.splits["validation"]])
    refusable = [*corpus.out_of_scope.get("train", ()), *corpus.out_of_scope.get("validation", ())]
    decoding = choose_decoding(
        corpus,
        computed,
        reference.compute([row.text for row in refusable]),
        most_refused_share=assignment.spec.hyperparameters.most_refused_share,
    )
    judgements = [reference.judge(each, decoding) for each in computed]

    emit(PhaseStarted(phase="EXPORTING"))
    graphs = export(network, scratch, adaptable=assignment.spec.adaptable)
    variants: dict[VariantName, dict[Role, ExportedGraph]] = {"fp32": graphs}
    if multiplies_bytes():  # elsewhere the gate would measure another arithmetic than int8 is served with
        variants |= quantise(graphs, scratch)
    weights = scratch / "weights.safetensors"
    save_weights(network, weights, adaptable=assignment.spec.adaptable)
    candidate = draft(
        assignment,
        corpus,
        Findings(
            seen.findings,
            trained.taught.course.curve,
            trained.trials,
            replayed,
            trained.stopped_step,
        ),
        reader,
        decoding,
        variants,
        tokenizer=beginning.tokenizer,
        weights=weights,
    )
    checks = (*mentions, *gate(reference, judgements, candidate, threads=assignment.threads))
    if all(check.passed for check in checks):
        checks += tuple(gate_variants(reference, judgements, candidate, corpus, threads=assignment.threads))
    manifest = complete(candidate, checks)
    if manifest.state == "published":
        manifest = serving.add_answers(
            manifest,
            candidate,
            corpus,
            judgements,
            threads=assignment.threads,
            without_golden=assignment.spec.without_golden_examples,
        )
        manifest = judge(manifest, candidate, corpus, assignment, store, scratch)
        if untaught is not None:
            manifest = add_gain(manifest, candidate, corpus, reader, untaught, threads=assignment.threads)
        if parent is not None:
            manifest = add_forgetting(manifest, candidate, corpus, parent, threads=assignment.threads)

    emit(PhaseStarted(phase="PUBLISHING"))
    publish(ModelStore(store), manifest, candidate)
    kept.clear()


def prepare(
    spec: JobSpec,
    corpus: Corpus,
    encoded: Mapping[SplitName, Sequence[EncodedText]],
    encoder: Encoder,
    pad_id: int,
) -> Lesson:
    """Turn the rows into examples; `encoded` are their texts, of train and validation."""
    train_examples = make_examples(corpus.splits["train"], encoded["train"], corpus.labels)
    validation_examples = make_examples(corpus.splits["validation"], encoded["validation"], corpus.labels)
    return Lesson(
        spec=spec,
        task=corpus.task,
        output_count=2 * len(corpus.labels) + 1 if corpus.task == "entities" else len(corpus.labels),
        encoder=encoder,
        train=[example for of_row in train_examples for example in of_row if len(example.targets)],
        validation=Validation(corpus, encoded["validation"], validation_examples),
        pad_id=pad_id,
    )
