"""Bases of every architecture and kind of tokenizer that the catalogue knows, two layers small and with random weights.

The configurations are those of the real models but for their sizes. The tokenizers are learnt here from sentences in many scripts, by
the libraries that the real ones were made with, so that normalizers, pre-tokenizers and special tokens are the real ones.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
import sentencepiece
import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DebertaV2Tokenizer,
    DistilBertConfig,
    ModernBertConfig,
    PretrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
    XLMRobertaTokenizer,
)
from transformers.convert_slow_tokenizer import convert_slow_tokenizer

from tests.tiny import FILLERS, NAMES, SURNAMES, TOPICS

SENTENCES: Final = (
    " ".join(FILLERS),
    " ".join(TOPICS),
    " ".join((*NAMES, *SURNAMES)),
    "Ada Lovelace met Linus in Berlin Mitte, didn't she?",
    "Der Straßenbahnfahrer überquerte gestern die Brücke in Köln-Ehrenfeld.",
    "São Paulo é a maior cidade do Brasil e fica perto de Campinas.",
    "زار أحمد مدينة القاهرة يوم الأحد الماضي.",
    "דויד נסע אתמול לירושלים עם שרה.",
    "小明昨天去了北京大学，买了三本书。",
    "田中さんは昨日東京タワーへ行きました。",
    "김민수는 어제 서울역에서 친구를 만났다.",
    "राम कल दिल्ली से मुंबई गया था।",
    "สมชายไปกรุงเทพฯเมื่อวานนี้",
    "Иван вчера приехал в Москву из Казани.",
)
_VOCABULARY_SIZE: Final = 700
_SMALL: Final = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture with its kind of tokenizer."""

    tokenizer: Callable[[], Tokenizer]
    config: Callable[[int, int], PretrainedConfig]  # of the vocabulary's size and the id of padding
    kind: str  # as the catalogue calls the tokenizer


def unigram_of_xlm_r() -> Tokenizer:
    """SentencePiece's Unigram with its own normalisation, <s> and </s>."""
    return _from_sentencepiece(XLMRobertaTokenizer)


def unigram_of_deberta() -> Tokenizer:
    """SentencePiece's Unigram with DeBERTa's own additions, [CLS] and [SEP]."""
    pieces = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    return _from_sentencepiece(DebertaV2Tokenizer, pad_id=0, bos_id=1, eos_id=2, unk_id=3, **pieces)


def _from_sentencepiece(slow: type, **options: int | str) -> Tokenizer:
    learnt = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 3),
        model_writer=learnt,
        vocab_size=_VOCABULARY_SIZE,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
        **options,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spm.model"
        path.write_bytes(learnt.getvalue())
        return convert_slow_tokenizer(slow(str(path)))


def byte_level_bpe() -> Tokenizer:
    """Byte-level BPE as RoBERTa and ModernBERT have it: tokens are of bytes and begin with the space before a word."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY_SIZE,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def byte_fallback_bpe() -> Tokenizer:
    """BPE of characters that falls back to bytes, as mmBERT has it: spaces are letters of their own kind."""
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY_SIZE,
        special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    learning = Tokenizer(models.BPE())
    learning.normalizer = normalizers.Replace(" ", "▁")
    learning.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[^▁]+"), "isolated")
    learning.train_from_iterator(SENTENCES * 3, trainer)
    learnt = json.loads(learning.to_str())["model"]
    merges = [tuple(merge) for merge in learnt["merges"]]
    tokenizer = Tokenizer(
        models.BPE(learnt["vocab"], merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)  # noqa: S106
    )
    tokenizer.add_special_tokens([AddedToken(token) for token in ("<pad>", "<eos>", "<bos>", "<unk>")])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    return tokenizer


def word_piece() -> Tokenizer:
    """WordPiece of characters with their case and accents, as multilingual BERT has it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=_VOCABULARY_SIZE,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=list(ids.items())
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _xlm_roberta(size: int, pad: int) -> PretrainedConfig:
    return XLMRobertaConfig(
        vocab_size=size, pad_token_id=pad, max_position_embeddings=130, type_vocab_size=1, **_SMALL
    )


def _multilingual_minilm(size: int, pad: int) -> PretrainedConfig:
    return BertConfig(vocab_size=size, pad_token_id=pad, max_position_embeddings=128, **_SMALL)


def _mdeberta(size: int, pad: int) -> PretrainedConfig:
    return DebertaV2Config(
        vocab_size=size,
        pad_token_id=pad,
        max_position_embeddings=128,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        layer_norm_eps=1e-7,
        max_relative_positions=-1,
        position_biased_input=False,
        type_vocab_size=0,
        **_SMALL,
    )


def _mmbert(size: int, pad: int) -> PretrainedConfig:
    return ModernBertConfig(
        vocab_size=size,
        pad_token_id=pad,
        bos_token_id=2,
        cls_token_id=2,
        eos_token_id=1,
        sep_token_id=1,
        max_position_embeddings=128,
        global_attn_every_n_layers=2,
        local_attention=16,
        reference_compile=False,
        **_SMALL,
    )


def _roberta(size: int, pad: int) -> PretrainedConfig:
    return RobertaConfig(vocab_size=size, pad_token_id=pad, max_position_embeddings=130, **_SMALL)


def _distilbert(size: int, pad: int) -> PretrainedConfig:
    return DistilBertConfig(
        vocab_size=size,
        pad_token_id=pad,
        max_position_embeddings=128,
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
    )


FAMILIES: Final = {
    "xlm-roberta": Family(unigram_of_xlm_r, _xlm_roberta, "Unigram"),
    "multilingual-minilm": Family(unigram_of_xlm_r, _multilingual_minilm, "Unigram"),
    "mdeberta-v3": Family(unigram_of_deberta, _mdeberta, "Unigram"),
    "mmbert": Family(byte_fallback_bpe, _mmbert, "BPE"),
    "roberta": Family(byte_level_bpe, _roberta, "BPE"),
    "distil-mbert": Family(word_piece, _distilbert, "WordPiece"),
}


def make_family_base(folder: Path, name: str) -> Path:
    """Write a base of the family into `folder / name`, in Hub layout."""
    base, family = folder / name, FAMILIES[name]
    base.mkdir(parents=True)
    tokenizer = family.tokenizer()
    tokenizer.save(str(base / "tokenizer.json"))
    pads = (tokenizer.token_to_id(token) for token in ("<pad>", "[PAD]"))
    pad = next(number for number in pads if number is not None)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModel.from_config(family.config(tokenizer.get_vocab_size(), pad))
        model.save_pretrained(base, safe_serialization=True)
    return base


@pytest.fixture(scope="session")
def family_bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base of each family."""
    folder = tmp_path_factory.mktemp("families")
    return {name: make_family_base(folder, name) for name in FAMILIES}
