"""Bases that Tagsmith knows by name, whether their files are here or not: what their authors say of them.

A table and nothing else. Numbers are those of the model cards on the Hugging Face Hub; what a folder says of itself is read by
the catalogue. `limits` is what a user should know before choosing.
"""

from dataclasses import dataclass
from typing import Final

from services.train.spec import Pooling


@dataclass(frozen=True, slots=True)
class KnownBase:
    """A base of the Hub."""

    id: str  # its name on the Hub without the owner
    source: str  # its name on the Hub
    description: str
    languages: tuple[str, ...]  # ISO 639-1, or `mul`
    licence: str  # SPDX
    parameter_count: int  # embeddings counted; as the card rounds it
    max_tokens: int
    tokenizer_family: str  # the tokenizers library's name of the model: WordPiece, BPE, Unigram
    pooling: Pooling
    limits: str


KNOWN_BASES: Final[dict[str, KnownBase]] = {
    base.id: base
    for base in (
        KnownBase(
            id="all-minilm-l6-v2",
            source="sentence-transformers/all-MiniLM-L6-v2",
            description="Small English sentence encoder: MiniLM, 6 layers, width 384",
            languages=("en",),
            licence="Apache-2.0",
            parameter_count=22_713_216,
            max_tokens=512,
            tokenizer_family="WordPiece",
            pooling="masked-mean",
            limits="Uncased: what only capitals tell, such as many names, it does not see.",
        ),
        KnownBase(
            id="xlm-roberta-base",
            source="FacebookAI/xlm-roberta-base",
            description="Multilingual encoder of 100 languages: XLM-R, 12 layers, width 768",
            languages=("mul",),
            licence="MIT",
            parameter_count=278_000_000,
            max_tokens=512,
            tokenizer_family="Unigram",
            pooling="masked-mean",
            limits="Not trained for sentence vectors: let all weights learn.",
        ),
        KnownBase(
            id="paraphrase-multilingual-minilm-l12-v2",
            source="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
            description="Small multilingual sentence encoder of 50 languages: MiniLM, 12 layers, width 384",
            languages=("mul",),
            licence="Apache-2.0",
            parameter_count=118_000_000,
            max_tokens=512,
            tokenizer_family="Unigram",
            pooling="masked-mean",
            limits="Trained on sentences of at most 128 tokens.",
        ),
        KnownBase(
            id="mdeberta-v3-base",
            source="microsoft/mdeberta-v3-base",
            description="Multilingual encoder of 100 languages: DeBERTa-v3, 12 layers, width 768",
            languages=("mul",),
            licence="MIT",
            parameter_count=279_000_000,
            max_tokens=512,
            tokenizer_family="Unigram",
            pooling="masked-mean",
            limits="Not for fp16, in which it overflows. Not trained for sentence vectors: let all weights learn.",
        ),
        KnownBase(
            id="mmbert-base",
            source="jhu-clsp/mmBERT-base",
            description="Multilingual encoder of 1,800 languages: ModernBERT, 22 layers, width 768",
            languages=("mul",),
            licence="MIT",
            parameter_count=307_000_000,
            max_tokens=8192,
            tokenizer_family="BPE",
            pooling="masked-mean",
            limits="Not trained for sentence vectors: let all weights learn.",
        ),
        KnownBase(
            id="distilbert-base-multilingual-cased",
            source="distilbert/distilbert-base-multilingual-cased",
            description="Multilingual encoder of 104 languages: DistilBERT, 6 layers, width 768",
            languages=("mul",),
            licence="Apache-2.0",
            parameter_count=135_000_000,
            max_tokens=512,
            tokenizer_family="WordPiece",
            pooling="masked-mean",
            limits="Not trained for sentence vectors: let all weights learn.",
        ),
    )
}
