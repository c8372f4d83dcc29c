"""What the look at a corpus hands on to those that learn from it."""

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from services.train.trainer.corpus import Corpus
from services.train.trainer.inspecting import look
from shared.data.rows import Row
from shared.errors import DatasetInvalidError
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from tests.integration.trainer.world import splits_of


def test_a_split_that_was_learnt_by_heart_is_refused_before_anything_is_read(tiny_base: Path) -> None:
    """The look that jobs and plans begin with raises; nothing is trained on such rows."""
    train = splits_of("classification")["train"]
    labels = tuple(sorted({row.label or "" for row in train}))
    corpus = Corpus("classification", labels, {"train": train, "validation": train[:10], "test": []})
    tokenizer = tiny_base / "tokenizer.json"
    reader = TextReader(TextTokenizer(tokenizer), "classification", 32, stride_tokens=8)
    with pytest.raises(DatasetInvalidError, match="10 of 10 rows of validation"):
        look(corpus, reader, tokenizer, ())


def test_every_text_is_read_once_and_handed_on_with_its_row(tiny_base: Path) -> None:
    """Facts are of all rows; of what is handed on, text i belongs to row i of the split, and those out of scope are none of them."""
    splits = splits_of("classification")
    odd = [replace(row, label=None, out_of_scope=True) for row in splits["train"][:7]]
    odd = [replace(row, text=f"{row.text} {row.text}") for row in odd]
    labels = tuple(sorted({row.label or "" for row in splits["train"]}))
    corpus = Corpus("classification", labels, splits, {"train": odd, "validation": odd[:2]})
    tokenizer = tiny_base / "tokenizer.json"
    reader = TextReader(TextTokenizer(tokenizer), "classification", 32, stride_tokens=8)

    def texts(rows: list[Row]) -> list[str]:
        return [row.text for row in rows]

    with mock.patch.object(TextReader, "encode", autospec=True, side_effect=TextReader.encode) as read:
        seen = look(corpus, reader, tokenizer, ())
    everything = [text for rows in corpus.all_rows.values() for text in texts(rows)]
    assert [text for call in read.call_args_list for text in call.args[1]] == everything
    assert seen.facts.row_count == len(everything)
    assert {split: [each.text for each in of_split] for split, of_split in seen.encoded.items()} == {
        split: texts(rows) for split, rows in splits.items()
    }
