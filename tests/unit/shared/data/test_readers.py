"""How files become rows, and how broken ones are described."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.data.cleaning.steps import Cleaning
from shared.data.readers import Extras, read_rows
from shared.data.rows import Row, Span
from shared.errors import Problem

BOM = "\ufeff"


def read(name, content, task="classification"):
    return read_rows(name, content if isinstance(content, bytes) else content.encode(), task)


def problems_of(name, content, task="classification"):
    return [(problem.field, problem.description) for problem in read(name, content, task)[1]]


def test_jsonl_rows_are_read():
    """Label, split, id and entities come from their fields; other fields do not matter."""
    rows, problems = read(
        "a.jsonl", '{"text": "hi", "label": "greet", "split": "test", "id": 7}\n\n{"text":"é","label":"x"}'
    )
    assert (rows, problems) == ([Row("hi", label="greet", split="test", id="7"), Row("é", label="x")], [])

    rows, problems = read(
        "a.JSONL", '{"text": "hi Bo", "entities": [{"start": 3, "end": 5, "label": "person"}]}', "entities"
    )
    assert (rows, problems) == ([Row("hi Bo", entities=(Span(3, 5, "person"),))], [])


def test_csv_rows_are_read():
    """Columns may stand in any order beside others; quoted cells hold commas, quotes and line breaks; blank lines are skipped."""
    content = 'id,label,text,split\n1,a,"x, ""y""\nz",train\n\n2,b,w,\n'
    rows, problems = read("a.csv", content)
    assert (rows, problems) == (
        [Row('x, "y"\nz', label="a", split="train", id="1"), Row("w", label="b", id="2")],
        [],
    )

    content = 'text,entities\nhi Bo,"[{""start"": 3, ""end"": 5, ""label"": ""person""}]"\nnobody,\n'
    rows, problems = read("a.csv", content, "entities")
    assert (rows, problems) == (
        [Row("hi Bo", entities=(Span(3, 5, "person"),)), Row("nobody", entities=())],
        [],
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\nx,a\ny,b\n"),
        ("a.jsonl", '{"text":"x","label":"a"}\n{"text":"y","label":"b"}\n'),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", BOM])
def test_bom_and_crlf_change_nothing(name, content, newline, mark):
    """Files from Windows tools give the same rows."""
    assert read(name, mark + content.replace("\n", newline)) == (
        [Row("x", label="a"), Row("y", label="b")],
        [],
    )


def test_streams_are_read_like_bytes():
    """A file object will do."""
    assert read_rows("a.csv", io.BytesIO(b"text,label\nx,a\n"), "classification") == (
        [Row("x", label="a")],
        [],
    )


BROKEN_QUOTES = "its quotes are broken: one is never closed, or text stands beside a quoted cell"
LONG_CELL = "a cell has more than 1000000 code points (is a quote never closed?)"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "x", [("a.txt", "is none of .jsonl, .csv, .tsv, .parquet, .conll")]),
        ("a.csv", "", [("a.csv", "is empty")]),
        ("a.csv", BOM + "\r\n \n", [("a.csv", "is empty")]),
        ("a.csv", "text,label\n", [("a.csv", "has no rows")]),
        ("a.csv", "text,label\nx,a\n".encode("utf-16"), [("a.csv", "is UTF-16; save it as UTF-8")]),
        ("a.csv", "text,intent\nx,a\n", [("a.csv:1", "the header has no column `label`")]),
        ("a.csv", "text;label\nx;a\n", [("a.csv:1", "the header has no column `text`; are the cells separated by commas?")]),
        ("a.csv", "text,label,text\nx,a,y\n", [("a.csv:1", "the header has column `text` twice")]),
        ("a.csv", 'text,"label\nx,a\n', [("a.csv:1", BROKEN_QUOTES)]),
        ("a.csv", "text,label\nx,a\ny\nz,b,c\n", [("a.csv:3", "has 1 cell, the header has 2"), ("a.csv:4", "has 3 cells, the header has 2")]),
        ("a.csv", 'text,label\nx,a\n"y,b\nz,c\n', [("a.csv:3", BROKEN_QUOTES)]),
        ("a.csv", 'text,label\n"x"y,a\n', [("a.csv:2", BROKEN_QUOTES)]),
        ("a.csv", 'text,label\n"x\n\ny",a\nz\n', [("a.csv:5", "has 1 cell, the header has 2")]),
        ("a.csv", 'text,label\n"x,a\n"y,b\n', [("a.csv:2", BROKEN_QUOTES), ("a.csv:3", BROKEN_QUOTES)]),
        ("a.csv", f"text,label\nx,a\n{'é' * 1_000_001},b\n,c\n", [("a.csv:3", LONG_CELL), ("a.csv:4", "the text is empty")]),
        ("a.csv", "text,label,split\nx,a,dev\n", [("a.csv:2", "field `split` is none of train, validation, test")]),
        ("a.csv", "text,label\n,a\nx,\n", [("a.csv:2", "the text is empty"), ("a.csv:3", "the label is empty")]),
        ("a.csv", b"text,label\nx,a\nd\xe9j\xe0,b\n", [("a.csv:3", "is not UTF-8 at byte 2 of the line")]),
        ("a.csv", b"text,label\nx\0,a\n", [("a.csv:2", "holds a NUL byte; is this a text file in UTF-8?")]),
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": \n', [("a.jsonl:2", "the line is not JSON: Expecting value at character 10")]),
        ("a.jsonl", "[1]\n7\n", [("a.jsonl:1", "is not a JSON object"), ("a.jsonl:2", "is not a JSON object")]),
        ("a.jsonl", '{"label": "a"}\n{"text": 7, "label": "a"}\n', [("a.jsonl:1", "has no field `text`"), ("a.jsonl:2", "field `text` is not a string")]),
        ("a.jsonl", '{"text": "x"}\n{"text": "x", "label": null}', [("a.jsonl:1", "has no field `label`"), ("a.jsonl:2", "field `label` is not a string")]),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n\xff\xff\n', [("a.jsonl:2", "is not UTF-8 at byte 1 of the line")]),
        ("a.jsonl", b'{"text": "x\0", "label": "a"}\n', [("a.jsonl:1", "holds a NUL byte; is this a text file in UTF-8?")]),
        ("a.jsonl", '{"text": "\\ud800", "label": "a"}\n', [("a.jsonl:1", "the text holds half of a surrogate pair, which is no character")]),
        ("a.jsonl", "[" * 100_000, [("a.jsonl:1", "the line is JSON that cannot be read: a number is too long or it is nested too deep")]),
    ],
)  # fmt: skip
def test_every_broken_line_is_named(name, content, expected):
    """Exactly the broken lines are named, by file and line."""
    assert problems_of(name, content) == expected


SHAPE = "entities[0] is neither an object with integers `start` and `end` and a string `label` nor a list of these three"


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ("7", "field `entities` is not a list"),
        ("null", "field `entities` is not a list"),
        ("[7]", SHAPE),
        ('[{"start": 0, "end": 1}]', SHAPE),
        ('[{"start": 0.0, "end": 1, "label": "x"}]', SHAPE),
        ('[{"start": false, "end": 1, "label": "x"}]', SHAPE),
        ('[{"start": 0, "end": 9, "label": "x"}]', "entities[0] [0, 9) lies outside of the text, which has 3 code points"),
    ],
)  # fmt: skip
def test_broken_entities_are_described(entities, expected):
    """The same words in both formats."""
    assert problems_of("a.jsonl", f'{{"text": "abc", "entities": {entities}}}', "entities") == [
        ("a.jsonl:1", expected)
    ]
    quoted = entities.replace('"', '""')
    assert problems_of("a.csv", f'text,entities\nabc,"{quoted}"\n', "entities") == [("a.csv:2", expected)]


def test_missing_entities_are_told_from_none():
    """A row without the field is broken; a row with an empty list says that there are none."""
    assert problems_of("a.jsonl", '{"text": "x"}', "entities") == [("a.jsonl:1", "has no field `entities`")]
    assert problems_of("a.jsonl", '{"text": "x", "entities": []}', "entities") == []
    assert problems_of("a.csv", "text\nx\n", "entities") == [
        ("a.csv:1", "the header has no column `entities`")
    ]


def test_good_rows_survive_broken_neighbours():
    """A quote that is never closed costs one row."""
    rows, problems = read("a.csv", 'text,label\nx,a\n"y,b\nz,c\n')

    assert rows == [Row("x", label="a"), Row("z", label="c")]
    assert problems == [Problem("a.csv:3", BROKEN_QUOTES)]


def test_a_cell_may_be_long():
    """A cell of exactly the limit's length is read: Python's own limit, an eighth of it, is not in force."""
    entities = "[" + " " * 999_998 + "]"
    assert read("a.csv", f"text,entities\nx,{entities}\n", "entities") == ([Row("x", entities=())], [])


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from("ab")), min_size=1, max_size=8))
def test_whatever_csv_and_json_write_is_read_back(pairs):
    """Texts of any characters survive both formats unchanged."""
    pairs = [(text.replace("\0", ""), label) for text, label in pairs]
    pairs = [(text, label) for text, label in pairs if text.strip()] or [("x", "a")]
    expected = ([Row(text, label=label) for text, label in pairs], [])
    sheet = io.StringIO()
    csv.writer(sheet).writerows([("text", "label"), *pairs])

    assert read("a.csv", sheet.getvalue()) == expected
    lines = "\n".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in pairs)
    assert read("a.jsonl", lines) == expected


@given(
    st.sampled_from(["a.csv", "a.jsonl"]),
    st.binary(max_size=80),
    st.sampled_from([b"", b"text,label\n", b'{"text": "']),
)
def test_no_bytes_make_the_reader_fail(name, noise, start):
    """Whatever a file holds, the answer is rows or problems, never an exception and never nothing."""
    rows, problems = read(name, start + noise)

    assert rows or problems


def test_reading_a_file_of_broken_quotes_ends() -> None:
    """Each new start may read the rest of the file, so there are only so many: a small file cannot keep a thread for hours."""
    rows, problems = read_rows("a.csv", b"text,label\n" + b'x","y\n' * 20_000, "classification")
    assert rows == []
    assert len(problems) == 101
    assert "were not read" in problems[-1].description


CLINC = (
    "text,label,domain,length\n"
    "hello,greet,small talk,5\n"
    "what wipers fit,oos,,15\n"
    "pay my bill,pay,banking,11\n"
)


def test_columns_and_rows_out_of_scope_are_read_where_they_are_named():
    """A column without a value is no part of its row; nothing of either is read unless it was asked for."""
    extras = Extras(("length", "domain"), "oos")
    rows, problems = read_rows("a.csv", CLINC.encode(), "classification", extras=extras)
    assert problems == []
    assert rows == [
        Row("hello", label="greet", columns=(("domain", "small talk"), ("length", "5"))),
        Row("what wipers fit", columns=(("length", "15"),), out_of_scope=True),
        Row("pay my bill", label="pay", columns=(("domain", "banking"), ("length", "11"))),
    ]
    plain, _ = read_rows("a.csv", CLINC.encode(), "classification")
    assert plain[1] == Row("what wipers fit", label="oos")


def test_a_column_that_no_row_has_is_a_problem():
    """A slip in its name would else be found when the scores are there."""
    _, problems = read_rows("a.csv", CLINC.encode(), "classification", extras=Extras(("domian",)))
    assert problems == [Problem("a.csv", "no row has a value in column `domian`")]


@pytest.mark.parametrize(
    ("value", "fault"), [("[1]", "neither a string nor a number"), (f'"{"x" * 257}"', "256 code")]
)
def test_a_value_that_is_none_is_a_problem(value, fault):
    """Of a column and of an id: with its line."""
    line = f'{{"text": "x", "label": "a", "domain": {value}}}'
    _, (problem, *_) = read_rows("a.jsonl", line.encode(), "classification", extras=Extras(("domain",)))
    assert problem.field == "a.jsonl:1"
    assert fault in problem.description


def test_rows_are_mended_before_they_are_checked():
    """What the check would refuse can be mended; what cannot is a problem of its line, and later faults say that they are those of the mended row."""
    lines = [
        {"text": "to  Bo", "entities": [[0, 3, "x"]]},
        {"text": "&am Bo &amp; x", "entities": [[8, 10, "x"]]},
        {"text": "to  Bo", "entities": [[4, 9, "x"]]},
        {"text": "a  bc", "entities": [[0, 4, "x"], [3, 5, "y"]]},
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    cleaning = Cleaning(["collapse-white-space", "unescape-html", "trim-spans"])
    rows, problems = read_rows("a.jsonl", content, "entities", mend=cleaning.mend)
    assert rows == [Row("to Bo", entities=(Span(0, 2, "x"),))]
    assert [(each.field, each.description.partition(" of ")[0]) for each in problems] == [
        ("a.jsonl:2", "entities[0] begins or ends inside"),
        ("a.jsonl:3", "entities[0] [4, 9) lies outside"),
        ("a.jsonl:4", "after cleaning, entities[1] [2, 4) overlaps entities[0] [0, 3)"),
    ]


def test_a_label_may_say_out_of_scope_after_it_was_mended():
    """White space around it does not make it a label."""
    content = b"text,label\nx, oos\ny,a\n"
    rows, _ = read_rows(
        "a.csv",
        content,
        "classification",
        extras=Extras(out_of_scope_label="oos"),
        mend=Cleaning(["trim-labels"]).mend,
    )
    assert rows == [Row("x", out_of_scope=True), Row("y", label="a")]
