"""A training job from its rows to its version, phase by phase.

Phases only move forward; each says so before it begins (the process itself says PREPARING). Everything random is drawn from the
spec's seed, before the head is made: the same spec, seed and machine give the same files.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from services.train.events import Finished, PhaseStarted, Progress
from services.train.spec import Assignment
from services.train.trainer import serving
from services.train.trainer.corpus import Corpus, read_corpus
from services.train.trainer.examples import TextReader, make_examples
from services.train.trainer.export import check_exportable, export
from services.train.trainer.gate import gate
from services.train.trainer.journal import failure_of
from services.train.trainer.network import load_encoder
from services.train.trainer.publishing import complete, draft, publish
from services.train.trainer.reference import Reference
from services.train.trainer.teaching import Lesson
from services.train.trainer.validation import Validation
from shared.errors import GateRejectedError
from shared.runtime.tokenizer import TextTokenizer
from shared.store.datasets import DatasetStore
from shared.store.manifest import Manifest
from shared.store.models import ModelStore
from shared.store.opening import open_store

Emit = Callable[[PhaseStarted | Progress], None]


def train(assignment: Assignment, *, emit: Emit, scratch: Path) -> Finished:
    """Carry out one job; `scratch` is an empty folder for files on their way to the store.

    Raises TagsmithError where nothing could be published.
    """
    torch.set_num_threads(assignment.threads)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(assignment.spec.seed)
    store = open_store(assignment.store)
    corpus = read_corpus(DatasetStore(store), assignment.spec)
    tokenizer = Path(assignment.base_model_folder) / "tokenizer.json"
    max_tokens = assignment.spec.hyperparameters.max_tokens
    reader = TextReader(TextTokenizer(tokenizer), corpus.task, max_tokens, stride_tokens=max_tokens // 4)
    lesson = prepare(assignment, corpus, reader)

    emit(PhaseStarted(phase="TRAINING"))
    network = lesson.teach(emit)

    emit(PhaseStarted(phase="EVALUATING"))
    reference = Reference(network, reader, corpus.labels)
    judgements = reference.judge([row.text for row in corpus.splits["validation"]])

    emit(PhaseStarted(phase="EXPORTING"))
    graphs = export(network, scratch, adaptable=assignment.spec.adaptable)
    candidate = draft(assignment, corpus, reader, graphs, tokenizer)
    checks = gate(reference, judgements, candidate, threads=assignment.threads)
    manifest = complete(candidate, checks)
    if manifest.state == "published":
        manifest = serving.add_answers(manifest, candidate, corpus, judgements, threads=assignment.threads)

    emit(PhaseStarted(phase="PUBLISHING"))
    publish(ModelStore(store), manifest, candidate)
    return finished(manifest)


def prepare(assignment: Assignment, corpus: Corpus, reader: TextReader) -> Lesson:
    """Load the base and turn the rows into examples."""
    spec = assignment.spec
    encoder = load_encoder(Path(assignment.base_model_folder))
    check_exportable(encoder, spec.base_model)
    encoded = {
        split: reader.encode([row.text for row in corpus.splits[split]]) for split in ("train", "validation")
    }
    train_examples = make_examples(corpus.splits["train"], encoded["train"], corpus.labels)
    validation_examples = make_examples(corpus.splits["validation"], encoded["validation"], corpus.labels)
    return Lesson(
        spec=spec,
        task=corpus.task,
        output_count=len(corpus.labels) if corpus.task == "classification" else 2 * len(corpus.labels) + 1,
        encoder=encoder,
        train=[example for of_row in train_examples for example in of_row if len(example.targets)],
        validation=Validation(corpus, encoded["validation"], validation_examples),
        pad_id=reader.tokenizer.pad_id,
    )


def finished(manifest: Manifest) -> Finished:
    """Tell how the job ended; a refused version names the checks that refused it."""
    metrics = {
        f"{split}.{name}": value
        for split, evaluation in manifest.evaluations.items()
        for name, value in evaluation.metrics.items()
    }
    failed = [check.name for check in manifest.gate_checks if not check.passed]
    if not failed:
        return Finished(outcome="succeeded", metrics=metrics)
    version, names = str(manifest.version), ", ".join(failed)
    error = GateRejectedError(
        f"The export gate refused {version} ({names}): the exported files do not decide as the trained model does."
        " The version is kept with its report and is never served; train again, or report the base model.",
        model_version=version,
        checks=names,
    )
    return Finished(outcome="rejected", metrics=metrics, failure=failure_of(error))
