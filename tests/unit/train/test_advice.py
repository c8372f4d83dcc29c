"""What an expert would say: each rule on both sides of its threshold, and what it names."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.train.advice import advise
from services.train.catalogue import BaseModelEntry
from services.train.plan import Advice, Cost, Report, TextFacts
from services.train.presets import STANDARD
from services.train.spec import Continuation, JobSpec
from tests.bench.rows import RESULTS
from tests.unit.train.jobs.records import SPEC

MINUTE_MS = 60_000
RNN = {
    "recipe": "rnn-classifier",
    "base_model": None,
    "base_digest": None,
    "hyperparameters": SPEC.hyperparameters.model_copy(
        update={"recurrent": STANDARD["rnn-classifier", True].recurrent}
    ),
}


def base(name: str = "base", **changes: Any) -> BaseModelEntry:
    """A base that is here, for English, and makes no sentence vectors."""
    usual: dict[str, Any] = {
        "id": name,
        "description": "",
        "languages": ("en",),
        "licence": "",
        "parameter_count": 1,
        "max_tokens": 512,
        "layer_count": 1,
        "size_bytes": 1,
        "tokenizer_family": "WordPiece",
        "source": f"somebody/{name}",
        "limits": "",
        "folder": Path("somewhere"),
        "digest": "",
        "revision": "",
        "pooling": "masked-mean",
        "is_default": False,
    }
    return BaseModelEntry(**(usual | changes))


def report(*, duration_ms: int | None = None, training_count: int = 1, **texts: Any) -> Report:
    """A survey of a hundred short texts that the base knows."""
    usual: dict[str, Any] = {
        "row_count": 100,
        "window_count": 100,
        "long_row_count": 0,
        "median_tokens": 10,
        "p95_tokens": 20,
        "most_tokens": 30,
        "unknown_token_share": 0.0,
        "language_shares": {},
    }
    cost = None
    if duration_ms is not None:
        cost = Cost(
            total_steps=1,
            training_count=training_count,
            step_ms=1,
            evaluation_ms=1,
            encoding_ms=0,
            duration_ms=duration_ms,
            peak_memory_bytes=1,
        )
    return Report(
        findings=(), texts=TextFacts(**(usual | texts)), cost=cost, suspects=(), learning_curve=None
    )


def given(
    found: Report | None = None,
    *,
    rows_per_label: float = 500,
    of: BaseModelEntry | None = None,
    bases: tuple[BaseModelEntry, ...] = (),
    **spec: Any,
) -> list[Advice]:
    """The advice on a spec; with the usual report and rows there is none."""
    made = JobSpec.model_validate(dict(SPEC) | spec)
    start = None if made.base_model is None else of or base()
    return advise(made, found or report(), rows_per_label=rows_per_label, base=start, bases=bases)


def changes(advice: list[Advice]) -> list[tuple[str, str]]:
    """What would be set to what."""
    return [(each.field, each.value) for each in advice]


def test_a_sound_spec_needs_no_advice() -> None:
    """Nor does a short training of all weights, on rows of which nothing was measured."""
    assert given(report(duration_ms=MINUTE_MS)) == []


@pytest.mark.parametrize(("rows", "expected"), [(299.9, [("recipe", "transformer-classifier")]), (300, [])])
def test_a_network_from_scratch_wants_rows(rows: float, expected: list[tuple[str, str]]) -> None:
    """Up to 300 a label a base is better; a base needs no more for that reason."""
    assert changes(given(rows_per_label=rows, **RNN)) == expected
    assert given(rows_per_label=rows) == []


@pytest.mark.parametrize(("share", "expected"), [(0.05, [("base_model", "many")]), (0.049, [])])
def test_rows_in_languages_that_the_base_does_not_read_want_another(
    share: float, expected: list[tuple[str, str]]
) -> None:
    """From a twentieth of the rows on, all such languages together; the reason names them."""
    shares = {"en": 1 - share, "de": share / 2, "fr": share / 2}
    advice = given(report(language_shares=shares), bases=(base("many", languages=("mul",)),))
    assert changes(advice) == expected
    assert all("5% of the rows are in de, fr" in each.reason for each in advice)


@pytest.mark.parametrize("languages", [(), ("mul",), ("de", "en", "fr")])
def test_a_base_of_unknown_languages_or_enough_of_them_is_kept(languages: tuple[str, ...]) -> None:
    """Where nobody said what a base reads, nothing speaks against it."""
    found = report(language_shares={"en": 0.5, "de": 0.5})
    many = base("many", languages=("mul",))
    assert given(found, of=base(languages=languages), bases=(many,)) == []


def test_the_base_that_is_named_reads_every_language_of_the_rows() -> None:
    """Also the one that the spec's base reads, and not the most frequent foreign one alone; where there is none, none is named."""
    found = report(language_shares={"en": 0.6, "de": 0.3, "fr": 0.1})
    partial = (
        base("a-de", languages=("de",)),
        base("b-de-fr", languages=("de", "fr")),
        base("c-en-de", languages=("en", "de")),
    )
    whole = base("d-en-de-fr", languages=("en", "de", "fr"))
    assert changes(given(found, bases=(*partial, whole))) == [("base_model", "d-en-de-fr")]
    assert given(found, bases=partial) == []


def test_a_base_that_is_here_goes_before_one_that_is_not() -> None:
    """What must be fetched first is told with the command that does so."""
    found = report(language_shares={"de": 1.0})
    absent, here = base("a", languages=("mul",), folder=None), base("b", languages=("de",))
    assert changes(given(found, bases=(absent, here))) == [("base_model", "b")]
    (advice,) = given(found, bases=(absent,))
    assert advice.value == "a"
    assert "`tagsmith base add somebody/a`" in advice.reason


@pytest.mark.parametrize(("share", "count"), [(0.051, 1), (0.05, 0)])
def test_unknown_tokens_want_another_tokenizer(share: float, count: int) -> None:
    """Of a twentieth and more; a tokenizer that falls back to pieces or bytes has none to speak of."""
    found = report(unknown_token_share=share)
    assert [each.field for each in given(found)] == ["base_model"] * count
    assert given(found, of=base(tokenizer_family="BPE")) == []


@pytest.mark.parametrize(("long", "count"), [(11, 1), (10, 0)])
def test_long_texts_want_longer_windows(long: int, count: int) -> None:
    """Where more than a tenth are read in pieces, and no longer than the base reads or than nearly all of them are."""
    found = report(long_row_count=long, p95_tokens=400)
    assert changes(given(found)) == [("hyperparameters.max_tokens", "400")] * count
    short = base(max_tokens=300)
    assert changes(given(found, of=short)) == [("hyperparameters.max_tokens", "300")] * count
    assert given(found, of=base(max_tokens=256)) == []


@pytest.mark.parametrize(
    ("longest", "told"), [(400, "windows of 400 read nearly all of them whole"), (399, "in fewer pieces")]
)
def test_longer_windows_are_not_said_to_do_more_than_they_can(longest: int, told: str) -> None:
    """They read texts whole only where the base's limit holds nineteen of twenty."""
    (advice,) = given(report(long_row_count=50, p95_tokens=400), of=base(max_tokens=longest))
    assert told in advice.reason


@pytest.mark.parametrize(("rows", "expected"), [(2000, [("adaptable", "true")]), (1999, [])])
def test_with_many_rows_a_label_all_weights_gain(rows: float, expected: list[tuple[str, str]]) -> None:
    """The reason tells the rows and what was measured."""
    advice = given(rows_per_label=rows, adaptable=False)
    assert changes(advice) == expected
    assert all(f"{rows} train rows a label" in each.reason and "xSID" in each.reason for each in advice)
    for task in ("multi-label", "entities"):
        assert given(rows_per_label=rows, task=task, adaptable=False) == []


def test_what_is_said_of_the_switch_was_measured() -> None:
    """The figures of the reason are those of the result files."""

    def percent(file: str, *keys: str) -> str:
        value = json.loads((RESULTS / f"{file}.json").read_text("utf-8"))
        for key in keys:
            value = value[key]
        return f"{100 * value:.1f}"

    (many,) = given(rows_per_label=5000, adaptable=False)
    whole, head = (
        percent(f"transfer/{name}", "scores", "en") for name in ("xsid-intents", "xsid-intents-frozen")
    )
    assert f"reached {whole} % where a head alone reached {head}" in many.reason


@pytest.mark.parametrize(("minutes", "expected"), [(30.1, [("adaptable", "false")]), (30, [])])
def test_a_long_training_wants_a_head_first(minutes: float, expected: list[tuple[str, str]]) -> None:
    """Over half an hour, whatever its rows; what has no frozen form, or is one, needs no such advice."""
    found = report(duration_ms=round(minutes * MINUTE_MS))
    assert changes(given(found)) == expected
    assert changes(given(found, task="multi-label")) == expected
    assert given(found, task="entities") == []
    assert given(found, adaptable=False) == []
    assert given(found, **RNN) == []


def test_long_durations_are_told_in_hours() -> None:
    """From two hours on."""
    told = {
        minutes: given(report(duration_ms=minutes * MINUTE_MS))[0].reason.split(" on ")[0]
        for minutes in (119, 240)
    }
    assert told == {
        119: "training all weights takes up to 119 minutes",
        240: "training all weights takes up to 4 hours",
    }


def test_a_search_is_not_a_long_training() -> None:
    """Twenty trainings that take an hour together are short ones."""
    found = report(duration_ms=60 * MINUTE_MS, training_count=20)
    assert given(found) == []


def test_a_training_that_goes_on_is_not_told_to_be_another() -> None:
    """Recipe, base and switch are its parent's; its windows may be longer."""
    long = {"duration_ms": 60 * MINUTE_MS, "long_row_count": 50, "p95_tokens": 400}
    parts = {"found": report(language_shares={"de": 1.0}, **long)}
    many = (base("many", languages=("mul",)),)
    fields = ["base_model", "hyperparameters.max_tokens", "adaptable"]
    assert [each.field for each in given(**parts, bases=many)] == fields  # type: ignore[arg-type]
    on = given(**parts, bases=many, continues=Continuation(version="banking@1"))  # type: ignore[arg-type]
    assert [each.field for each in on] == ["hyperparameters.max_tokens"]
