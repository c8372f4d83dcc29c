"""What a training starts from: a base's weights and tokenizer, or, for a recipe from scratch, random weights and a tokenizer learnt
from the train split."""

from dataclasses import dataclass
from pathlib import Path

from services.train.catalogue import base_digest, is_base_folder
from services.train.spec import Work
from services.train.trainer.corpus import Corpus
from services.train.trainer.export import check_exportable
from services.train.trainer.network import Encoder
from services.train.trainer.parent import Parent
from services.train.trainer.recurrent import RecurrentEncoder
from services.train.trainer.transformer import load_encoder
from services.train.trainer.vocabulary import learn_tokenizer
from services.train.trainer.weights import encoder_weights
from shared.errors import BaseModelNotFoundError


@dataclass(frozen=True, slots=True)
class Start:
    """An encoder and the file of the tokenizer whose ids it reads."""

    encoder: Encoder
    tokenizer: Path


def start(assignment: Work, corpus: Corpus, scratch: Path, parent: Parent | None = None) -> Start:
    """Load or make what the spec asks for, with the weights of `parent`; what is learnt is written into `scratch`.

    Raises BaseModelNotFoundError, SpecInvalidError.
    """
    beginning = begin(assignment, corpus, scratch, parent)
    if parent is not None:
        parent.carry_encoder(beginning.encoder)
    return beginning


def begin(assignment: Work, corpus: Corpus, scratch: Path, parent: Parent | None) -> Start:
    """Load or make what the spec asks for, with the base's own weights, which no label of the corpus has touched. Raises as `start` does."""
    chosen = assignment.spec.hyperparameters
    if chosen.recurrent is None:
        folder = check_base(assignment)
        encoder = load_encoder(folder)
        check_exportable(encoder, assignment.spec.base_model or "")
        return Start(encoder, folder / "tokenizer.json")
    if parent is not None:
        size = len(encoder_weights(parent.weights)["embeddings.weight"])
        return Start(
            RecurrentEncoder(chosen.recurrent, vocabulary_size=size, dropout=chosen.dropout), parent.tokenizer
        )
    tokenizer = scratch / "tokenizer.json"
    texts = [row.text for row in corpus.splits["train"]]
    size = learn_tokenizer(texts, tokenizer, vocabulary_size=chosen.recurrent.vocabulary_size)
    return Start(RecurrentEncoder(chosen.recurrent, vocabulary_size=size, dropout=chosen.dropout), tokenizer)


def check_base(assignment: Work) -> Path:
    """Return the base's folder. Raises BaseModelNotFoundError if it is not the one that the job was accepted with."""
    spec, folder = assignment.spec, Path(assignment.base_model_folder or "")
    if not is_base_folder(folder) or base_digest(folder) != spec.base_digest:
        raise BaseModelNotFoundError(
            f"The files of base model {spec.base_model!r} are not those that the job was accepted with:"
            " put them back, or submit again.",
            base_model=spec.base_model or "",
        )
    return folder
