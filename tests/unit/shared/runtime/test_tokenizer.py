"""The tokenizer: the file's ids, and none of its presets."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import BPE

from shared.errors import ModelNotLoadableError
from shared.runtime import tokenizer as tokenizer_module
from shared.runtime.tokenizer import TextTokenizer
from tests.tiny import tiny_tokenizer
from tests.unit.shared.runtime.noise import minilm_tokenizer
from tests.unit.shared.runtime.texts import any_text

MINILM = TextTokenizer(minilm_tokenizer())


def test_presets_of_the_file_are_ignored(tmp_path: Path) -> None:
    """Truncation and fixed padding that a file carries neither cut nor pad a text; its padding id is kept."""
    raw = Tokenizer.from_file(str(tiny_tokenizer(tmp_path)))
    raw.enable_truncation(8)
    raw.enable_padding(length=8, pad_id=3, pad_token="[SEP]")  # noqa: S106 - a token of text
    raw.save(str(tmp_path / "preset.json"))
    tokenizer = TextTokenizer(tmp_path / "preset.json")
    short, long = tokenizer.encode(["help", "help me " * 50])
    assert len(short.ids) == 1
    assert len(long.ids) > 100
    assert tokenizer.pad_id == 3


def test_presets_of_the_real_base_are_ignored() -> None:
    """MiniLM's file would cut at 128 tokens and pad every text to 128."""
    short, long = MINILM.encode(["hello", "hello " * 300])
    assert (len(short.ids), len(long.ids)) == (1, 300)


def test_special_ids_are_what_the_file_puts_around_a_text() -> None:
    """[CLS] before, [SEP] after, and [PAD] for padding."""
    assert (MINILM.prefix, MINILM.suffix, MINILM.pad_id) == ((101,), (102,), 0)


def test_a_tokenizer_may_have_no_special_tokens(tmp_path: Path) -> None:
    """Then nothing is put around a text, and padding is id 0."""
    raw = Tokenizer(BPE({"a": 0, "b": 1}, []))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = TextTokenizer(raw.to_str().encode())
    assert (tokenizer.prefix, tokenizer.suffix, tokenizer.pad_id) == ((), (), 0)
    assert tokenizer.encode(["a b"])[0].ids.tolist() == [0, 1]


def test_special_ids_of_a_roberta_style_file() -> None:
    """Byte-level vocabularies with <s> and </s> are read right too."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2} | {c: i + 3 for i, c in enumerate(sorted(alphabet))}
    raw = Tokenizer(BPE(vocabulary, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    raw.add_special_tokens(["<s>", "<pad>", "</s>"])
    tokenizer = TextTokenizer(raw.to_str().encode())
    assert (tokenizer.prefix, tokenizer.suffix, tokenizer.pad_id) == ((0,), (2,), 1)


@given(any_text)
def test_a_text_can_never_write_a_special_token(text: str) -> None:
    """Whatever a caller writes, `[SEP]` included, no content token is [CLS], [SEP], [PAD] or [MASK]."""
    for tokens in MINILM.encode([text, f"a [SEP] {text}"]):
        assert not {101, 102, 0, 103} & set(tokens.ids.tolist())


@given(st.lists(any_text, min_size=1, max_size=6))
def test_batch_mates_do_not_change_tokens(texts: list[str]) -> None:
    """A text's tokens are the same alone and in company, with offsets and without."""
    together = MINILM.encode(texts)
    without = MINILM.encode(texts, offsets=False)
    for text, tokens, bare in zip(texts, together, without, strict=True):
        (alone,) = MINILM.encode([text])
        assert alone.ids.tolist() == tokens.ids.tolist() == bare.ids.tolist()
        assert alone.offsets == tokens.offsets
        assert len(tokens.offsets) == len(tokens.ids)
        assert len(bare.offsets) == 0


def test_many_threads_at_once(tmp_path: Path) -> None:
    """Sixteen threads on one TextTokenizer get what one gets."""
    tokenizer = TextTokenizer(tiny_tokenizer(tmp_path))
    texts = [f"help me with parcel {i} in paris" for i in range(40)]
    expected = [tokens.ids.tolist() for tokens in tokenizer.encode(texts)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: [t.ids.tolist() for t in tokenizer.encode(texts)], range(64)))
    assert answers == [expected] * 64


def test_threads_find_tokenizers_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many threads at once as were told of parse nothing; one more makes its own once, and it stays for the next."""
    made = tokenizer_module._parse
    parsed: list[int] = []
    monkeypatch.setattr(tokenizer_module, "_parse", lambda source: (parsed.append(1), made(source))[1])
    tokenizer = TextTokenizer(tiny_tokenizer(tmp_path), ready=4)
    assert len(parsed) == 4
    for at_once, expected in ((4, 4), (5, 5), (5, 5)):
        taken = [tokenizer._take() for _ in range(at_once)]
        assert len({id(each) for each in taken}) == at_once
        tokenizer._idle.extend(taken)
        assert len(parsed) == expected


def test_a_broken_file_is_a_clear_error() -> None:
    """A tokenizer.json that is none names itself as the cause."""
    with pytest.raises(ModelNotLoadableError, match=r"tokenizer\.json"):
        TextTokenizer(b"{}")
