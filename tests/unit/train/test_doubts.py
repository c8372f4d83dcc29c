"""Which labels a probe doubts: on vectors that leave no doubt of what is right, through the whole of it and within its bounds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from services.train.plan import Suspect
from services.train.trainer import suspects
from services.train.trainer.corpus import Corpus
from services.train.trainer.frozen_probe import read_frozen
from services.train.trainer.network import Encoder
from services.train.trainer.suspects import find_doubts, find_suspects, learnt
from shared.data.rows import Row, Span
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.manifest import Task
from tests.tiny import FILLERS, TOPICS, tiny_tokenizer


class Bag(Encoder):
    """Each token is a dimension: what a text is about can be read off it."""

    def __init__(self) -> None:
        super().__init__()
        self._table = nn.Embedding(200, 200)
        self._table.weight = nn.Parameter(torch.eye(200))

    width = 200
    layers: Sequence[nn.Module] = ()

    @property
    def token_embeddings(self) -> Tensor:
        """See Encoder."""
        return self._table.weight

    def untaught(self) -> "Bag":
        """See Encoder."""
        return Bag()

    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        """See Encoder."""
        return self._table(input_ids)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    """One token a word."""
    return TextTokenizer(tiny_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def suspects_of(
    rows: Sequence[Row], task: Task, tokenizer: TextTokenizer, *, max_tokens: int = 32
) -> list[Suspect]:
    """Look for suspects among train rows."""
    labels = tuple(sorted({label for row in rows for label in row.labels}))
    corpus = Corpus(task, labels, {"train": list(rows), "validation": [], "test": []})
    reader = TextReader(tokenizer, task, max_tokens, max_tokens // 4)
    encoded = reader.encode([row.text for row in rows])
    reading = "each-token" if task == "entities" else "pooled"
    train = read_frozen(rows, encoded, labels, Bag(), reading, tokenizer.pad_id)
    return find_suspects(corpus, encoded, train)


def about(count: int, topics: int = 3) -> list[Row]:
    """Up to 121 short texts, no two the same, labelled with the one topic that they name; no other word tells it."""
    return [
        Row(f"{FILLERS[i % 11]} {TOPICS[i % topics]} {FILLERS[i // 11]}", label=TOPICS[i % topics])
        for i in range(count)
    ]


def test_the_wrong_row_comes_first_and_no_more_than_a_tenth_are_named(tokenizer: TextTokenizer) -> None:
    """With its place, its label, the right one, and how improbable its label is."""
    rows = about(100)
    rows[41] = replace(rows[41], label=TOPICS[(41 + 1) % 3])
    found = suspects_of(rows, "classification", tokenizer)
    assert len(found) <= 10
    first = found[0]
    assert (first.place, first.labels, first.suggested_labels) == (
        "train:42",
        (TOPICS[(41 + 1) % 3],),
        (TOPICS[41 % 3],),
    )
    assert 0 <= first.confidence < 0.5
    assert (first.start, first.end) == (0, 0)
    assert all(each.labels != each.suggested_labels for each in found)


def test_of_many_wrong_rows_the_most_suspect_tenth_is_named(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or as many as may be named at all; under ten rows, one. By their owner's names, where they have some."""
    rows = [replace(row, id=f"row {i}") for i, row in enumerate(about(100))]
    wrong = {i: replace(rows[i], label=TOPICS[(i + 1) % 3]) for i in range(0, 100, 5)}
    found = suspects_of([wrong.get(i, row) for i, row in enumerate(rows)], "classification", tokenizer)
    assert len(found) == 10
    assert {each.place for each in found} <= {f"row {i}" for i in wrong}
    monkeypatch.setattr(suspects, "MOST_NAMED", 3)
    fewer = suspects_of([wrong.get(i, row) for i, row in enumerate(rows)], "classification", tokenizer)
    assert fewer == found[:3]


def test_copies_of_a_wrong_row_do_not_vouch_for_it(tokenizer: TextTokenizer) -> None:
    """Written in other case and punctuation, five times: all are named first, as a lone one would be."""
    rows = about(100)
    right, wrong = TOPICS[41 % 3], TOPICS[42 % 3]
    text = f"please {right} please"
    rows += [Row(each, label=wrong) for each in (text, text.upper(), text.title(), f"{text}!", f"{text}.")]
    found = suspects_of(rows, "classification", tokenizer)
    assert {each.place for each in found[:5]} == {f"train:{number}" for number in range(101, 106)}
    assert {each.suggested_labels for each in found[:5]} == {(right,)}


def test_without_two_texts_nobody_is_suspected(tokenizer: TextTokenizer) -> None:
    """A probe that never saw a row must have seen another."""
    rows = [Row("the card", label="a"), Row("The card!", label="b")]
    assert suspects_of(rows, "classification", tokenizer) == []


def test_a_label_of_one_row_is_left_alone(tokenizer: TextTokenizer) -> None:
    """Whoever is asked about it has seen one label only; and rows of the other are not suspected for it."""
    rows = [*about(20, topics=1), Row("my login", label="rare")]
    assert suspects_of(rows, "classification", tokenizer) == []
    vectors = np.random.default_rng(0).normal(0, 1, (21, 4)).astype(np.float32)
    doubts = find_doubts(vectors, np.array([0] * 20 + [1]), np.arange(21))
    assert (doubts.confidence[:20] > 0.5).all()
    assert doubts.confidence[20] == 0


def test_of_several_labels_one_too_many_and_one_too_few_are_told(tokenizer: TextTokenizer) -> None:
    """The suggestion is the row's labels with the doubted one turned round."""
    rows = [
        Row(
            " ".join([FILLERS[i % 12], *(TOPICS[k] for k in range(3) if i >> k & 1), FILLERS[i // 12 % 12]]),
            label_set=tuple(sorted(TOPICS[k] for k in range(3) if i >> k & 1)),
        )
        for i in range(144)
    ]
    both = tuple(sorted(TOPICS[:2]))
    rows[19] = replace(rows[19], label_set=(TOPICS[0],))  # 19 = 0b10011: the first two
    rows[25] = replace(rows[25], label_set=both)  # 25 = 0b11001: the first alone
    found = {each.place: each for each in suspects_of(rows, "multi-label", tokenizer)[:2]}
    assert (found["train:20"].labels, found["train:20"].suggested_labels) == ((TOPICS[0],), both)
    assert (found["train:26"].labels, found["train:26"].suggested_labels) == (both, (TOPICS[0],))


@pytest.mark.parametrize("max_tokens", [32, 6])
def test_a_wrong_mention_is_named_with_its_place_in_the_text(
    tokenizer: TextTokenizer, max_tokens: int
) -> None:
    """Also where a text has several windows: start and end are those of the word."""
    rows = []
    for i in range(120):
        word = ("card", "login")[i % 2]
        before = " ".join(FILLERS[(i + k) % 12] for k in range(2 + i % 5))
        span = Span(len(before) + 1, len(before) + 1 + len(word), ("thing", "act")[i % 2])
        rows.append(Row(f"{before} {word} {FILLERS[i % 7]}", entities=(span,)))
    (span,) = rows[33].entities or ()
    rows[33] = replace(rows[33], entities=(replace(span, label="thing"),))
    first = suspects_of(rows, "entities", tokenizer, max_tokens=max_tokens)[0]
    assert (first.place, first.start, first.end) == ("train:34", span.start, span.end)
    assert (first.labels, first.suggested_labels) == (("thing",), ("act",))


def test_of_less_than_five_rows_one_may_be_named(tokenizer: TextTokenizer) -> None:
    """A tenth of four is none, and the most suspect is named all the same: here one whose last mention lacks its second word."""
    text = "card login the card login of card login to card login"
    spans = tuple(Span(start, start + 10, "thing") for start in (0, 15, 29, 43))
    cut = (*spans[:3], Span(43, 47, "thing"))
    rows = [
        Row(f"{text} {word}", entities=cut if word == "is" else spans) for word in ("please", "in", "is", "a")
    ]
    (named,) = suspects_of(rows, "entities", tokenizer)
    assert (named.place, named.start, named.end) == ("train:3", 48, 53)
    assert (named.labels, named.suggested_labels) == ((), ("thing",))


def test_of_several_labels_each_is_held_to_what_is_usual_for_it() -> None:
    """One that hardly any row has, and one that hardly any lacks, are as hard for the probe as can be, and no reason for suspicion."""
    random = np.random.default_rng(0)
    first, number = random.integers(0, 2, 400), np.arange(400)
    vectors = np.stack([2 * first - 1 + random.normal(0, 0.7, 400), random.normal(0, 1, 400)], axis=1)
    targets = np.stack([first, number % 50 == 0, number % 10 != 0], axis=1).astype(np.int64)
    vectors[50], targets[50, 0] = (1, 0), 0
    doubts = find_doubts(vectors.astype(np.float32), targets, number)
    assert doubts.other[50] == 0
    assert doubts.score[50] < -0.5
    lacking = (number % 10 == 0) & (number != 50)
    assert doubts.score[lacking].mean() > -0.3


def test_a_label_that_is_hard_for_the_probe_is_no_reason_to_suspect_it() -> None:
    """Rows of two labels that nobody can tell apart are less suspect than a row of a clear label that has another's."""
    random = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2, 3], 100)
    vectors = np.eye(3, dtype=np.float32)[np.minimum(targets, 2)] * 4  # 2 and 3 look the same
    vectors += random.normal(0, 0.3, vectors.shape).astype(np.float32)
    targets[5] = 1
    doubts = find_doubts(vectors, targets, np.arange(400))
    assert doubts.score.argmin() == 5
    assert doubts.confidence[targets >= 2].mean() == pytest.approx(0.5, abs=0.05)
    assert doubts.score[targets >= 2].mean() == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("count", "doubted"), [(4, False), (5, True)])
def test_of_few_rows_nothing_is_known(count: int, doubted: bool) -> None:
    """From five rows on a label's rows may be doubted."""
    random = np.random.default_rng(0)
    targets = np.array([0] * 50 + [1] * 50 + [2] * count)
    vectors = np.eye(3, dtype=np.float32)[targets] + random.normal(0, 0.1, (len(targets), 3)).astype("f4")
    doubts = find_doubts(vectors, targets, np.arange(len(targets)))
    assert np.isfinite(doubts.score[100:]).all() == doubted


@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), st.integers(7, 700))
def test_what_a_probe_learns_from_is_bounded_and_rare_labels_keep_their_rows(
    drawn: list[int], most_learnt: int
) -> None:
    """As many as fit, at most one more than another label has, unless that one has no more."""
    targets, most = np.array(drawn), most_learnt // 7
    places = learnt(targets, 7, most_learnt)
    assert sorted(set(places.tolist())) == places.tolist()
    had, kept = np.bincount(targets, minlength=7), np.bincount(targets[places], minlength=7)
    if len(targets) <= most:
        assert len(places) == len(targets)
        return
    cap = kept.max()
    assert (kept == np.minimum(had, cap)).all()
    assert cap == 1 or kept.sum() <= most
    assert np.minimum(had, cap + 1).sum() > most


def test_of_several_labels_rows_are_drawn() -> None:
    """As many as fit, each once."""
    targets = np.zeros((100, 5), dtype=np.int64)
    places = learnt(targets, 5, 200)
    assert len(set(places.tolist())) == len(places) == 40
    assert (places == learnt(targets, 5, 200)).all()


def test_a_probe_that_was_shown_less_still_finds_what_is_wrong() -> None:
    """Of 2000 targets of four labels it learns from 100, and is asked about all."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 4, 2000)
    vectors = (4 * np.eye(4)[targets] + random.normal(0, 1, (2000, 4))).astype(np.float32)
    wrong = targets.copy()
    wrong[::100] = (targets[::100] + 1) % 4
    doubts = find_doubts(vectors, wrong, np.arange(2000), most_learnt=400)
    worst = set(np.argsort(doubts.score)[:40].tolist())
    assert len(worst & set(range(0, 2000, 100))) >= 18
    assert not np.allclose(doubts.confidence, find_doubts(vectors, wrong, np.arange(2000)).confidence)
