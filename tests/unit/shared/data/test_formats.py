"""Formats beside CSV and JSON Lines, and records as other tools write them."""

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from shared.data.readers import FieldNames, read_rows
from shared.data.rows import Row, Span
from shared.errors import Problem

NAMES = st.sampled_from(["Ada", "Bo", "Grace Hopper", "ü", "京"])


def read(name, content, task="entities", names=FieldNames()):  # noqa: B008  # frozen
    return read_rows(name, content if isinstance(content, bytes) else content.encode(), task, names)


def parquet_bytes(**columns):
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


ADA = [Row("hi Ada and Bo", entities=(Span(3, 6, "person"), Span(11, 13, "dog")))]


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "hi Ada and Bo", "entities": [{"start": 3, "end": 6, "label": "person"}, {"start": 11, "end": 13, "label": "dog"}]}',
        '{"text": "hi Ada and Bo", "entities": [[3, 6, "person"], [11, 13, "dog"]]}',  # spaCy
        '["hi Ada and Bo", {"entities": [[3, 6, "person"], [11, 13, "dog"]]}]',  # spaCy, for training
        '{"id": 7, "text": "hi Ada and Bo", "label": [[3, 6, "person"], [11, 13, "dog"]]}',  # doccano
        '{"text": "hi Ada and Bo", "entities": [{"id": 1, "label": "person", "start_offset": 3, "end_offset": 6},'
        ' {"id": 2, "label": "dog", "start_offset": 11, "end_offset": 13}], "relations": []}',  # doccano, with relations
    ],
)
def test_spans_as_other_tools_write_them(line):
    """The same two spans, however they are written."""
    rows, problems = read("a.jsonl", line)
    assert ([replace(row, id="") for row in rows], problems) == (ADA, [])


def test_a_label_in_a_list_of_one():
    """As doccano exports classes; more than one is refused with their number."""
    content = (
        '{"text": "x", "label": ["a"]}\n{"text": "y", "label": ["a", "b"]}\n{"text": "z", "label": []}\n'
    )
    rows, problems = read("a.jsonl", content, "classification")
    assert rows == [Row("x", label="a")]
    assert problems == [
        Problem("a.jsonl:2", "field `label` has 2 labels; one is needed"),
        Problem("a.jsonl:3", "field `label` has 0 labels; one is needed"),
    ]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_fields_have_the_names_that_a_file_gives_them(suffix):
    """Label columns by name, in every format that has names; what is missing is told by the file's own name of it."""
    names = FieldNames(text="utterance", label="intent", split="part")
    content = {
        "csv": "utterance,label,intent,part\nhi,no,greet,test\n",
        "tsv": "utterance\tlabel\tintent\tpart\nhi\tno\tgreet\ttest\n",
        "jsonl": '{"utterance": "hi", "label": "no", "intent": "greet", "part": "test"}',
        "parquet": parquet_bytes(utterance=["hi"], label=["no"], intent=["greet"], part=["test"]),
    }[suffix]
    assert read(f"a.{suffix}", content, "classification", names) == (
        [Row("hi", label="greet", split="test")],
        [],
    )
    _, [problem, *_] = read(f"a.{suffix}", content, "classification", FieldNames(text="phrase"))
    assert "`phrase`" in problem.description


def test_tabs_are_asked_for():
    """A .tsv file with commas is told what it lacks."""
    assert read("a.tsv", "text,label\nx,a\n", "classification")[1] == [
        Problem("a.tsv:1", "the header has no column `text`; are the cells separated by tabs?")
    ]


def test_parquet_rows_are_read():
    """Strings, lists of structs and missing values, as columnar tools write them."""
    spans = [[{"start": 3, "end": 6, "label": "person"}, {"start": 11, "end": 13, "label": "dog"}], []]
    content = parquet_bytes(text=["hi Ada and Bo", "nobody"], entities=spans, id=[1, 2], split=["test", None])
    assert read("a.parquet", content) == (
        [
            Row(ADA[0].text, entities=ADA[0].entities, split="test", id="1"),
            Row("nobody", entities=(), id="2"),
        ],
        [],
    )


def test_broken_parquet_is_described():
    """A damaged file, a row without its label and a label that is a number are told by file and row."""
    good = parquet_bytes(text=["x", "y", None], label=["a", None, "b"])
    assert read("a.parquet", good, "classification") == (
        [Row("x", label="a")],
        [
            Problem("a.parquet:2", "field `label` is not a string"),
            Problem("a.parquet:3", "field `text` is not a string"),
        ],
    )
    assert read("a.parquet", b"PAR1 nonsense PAR1", "classification")[1] == [
        Problem("a.parquet:1", "is not a Parquet file, or a damaged one")
    ]
    numbers = parquet_bytes(text=["x"], label=[7])
    assert read("a.parquet", numbers, "classification")[1] == [
        Problem("a.parquet:1", "field `label` is not a string")
    ]


IOB2 = "hi O\nAda B-person\nand O\nBo B-dog\n"


@pytest.mark.parametrize(
    "content",
    [
        IOB2,
        "hi O\nAda I-person\nand O\nBo I-dog\n",  # IOB1
        "hi O\nAda S-person\nand O\nBo S-dog\n",  # BIOES
        "hi O\nAda U-person\nand O\nBo U-dog\n",  # BILOU
        "-DOCSTART- -X- O\n\n# sent_id = 7\n# text = hi Ada and Bo\nhi UH O\nAda NN B-person\nand CC O\nBo NN B-dog\n\n\n",
        IOB2.replace(" ", "\t").replace("\n", "\r\n"),
    ],
)
def test_conll_sentences_are_read(content):
    """The tags of every scheme give the same spans over tokens with spaces between."""
    assert read("a.conll", content) == (ADA, [])


def test_neighbouring_entities_of_one_label_stay_two():
    """A new B- begins another mention; so does what follows an E-, L-, S- or U-."""
    two = (Span(0, 3, "p"), Span(4, 9, "p"))
    for tags in ("B-p B-p", "S-p S-p", "U-p I-p", "E-p I-p", "I-p B-p"):
        first, second = tags.split()
        assert read("a.conll", f"Ada {first}\nGrace {second}\n")[0] == [Row("Ada Grace", entities=two)]
    assert read("a.conll", "Ada B-p\nGrace I-p\n")[0] == [Row("Ada Grace", entities=(Span(0, 9, "p"),))]


def test_broken_sentences_are_named_by_their_lines():
    """A line without a tag, or with none of the schemes', spoils its sentence and no other."""
    rows, problems = read("a.conll", "x O\ny\n\nz person\n\nw O\n")
    assert rows == [Row("w", entities=())]
    assert problems == [
        Problem("a.conll:1", "line 2 of the file has no tag"),
        Problem("a.conll:4", "the last column of line 4 is no tag such as O, B-x or I-x"),
    ]
    assert "not for classification" in read("a.conll", IOB2, "classification")[1][0].description


@given(st.lists(st.tuples(NAMES, st.sampled_from(["O", "person", "dog"])), min_size=1, max_size=8))
def test_conll_spans_are_over_their_tokens(tokens):
    """Whatever tokens are tagged, each span's text is theirs."""
    lines = [f"{token}\t{'O' if tag == 'O' else 'B-' + tag}" for token, tag in tokens]
    ([row], problems) = read("a.conll", "\n".join(lines))
    assert problems == []
    assert [(row.text[s.start : s.end], s.label) for s in row.entities] == [
        (token, tag) for token, tag in tokens if tag != "O"
    ]


@given(st.sampled_from(["a.conll", "a.parquet", "a.tsv"]), st.binary(max_size=80))
def test_no_bytes_make_the_reader_fail(name, noise):
    """Whatever a file holds, the answer is rows or problems, never an exception and never nothing."""
    for start in (b"", b"x O\n", parquet_bytes(text=["x"])[:-9]):
        rows, problems = read(name, start + noise)
        assert rows or problems


def test_the_readme_tells_every_format():
    """Each suffix stands there."""
    from shared.data.readers import SUFFIXES

    readme = (Path(__file__).parents[4] / "README.md").read_text("utf-8")
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in readme] == []
