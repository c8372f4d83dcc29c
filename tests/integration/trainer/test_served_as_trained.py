"""The real small English base: what is served decides as what was trained (G13), and Adaptable does what it says."""

from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from services.train.catalogue import DEFAULT_BASE_MODEL, Catalogue
from services.train.trainer.reference import Decision
from shared.data.rows import Row, Span, SplitName
from shared.runtime.classification import LabelScore
from shared.runtime.entities import EntitySpan
from shared.store.manifest import Task
from tests.integration.trainer.world import FAST, Outcome, Workplace, among, constants, read_weights

INTENTS = {
    "refund": ("I want my money back for", "please refund", "you charged me twice for"),
    "delivery": ("where is", "the courier lost", "nobody brought me"),
    "broken": ("it does not work any more:", "the screen is cracked on", "I cannot switch on"),
}
THINGS = (
    "my phone",
    "the blue lamp",
    "this toaster",
    "order 4711",
    "the café's coffee machine",
    "my son's bike",
)
PLACES = ("Berlin", "São Paulo", "New York", "Köln-Ehrenfeld", "Kyoto", "Dún Laoghaire")
TIES = 1e-3


def intent_rows() -> list[Row]:
    """Every opening with every thing."""
    return [
        Row(f"{opening} {thing}", label=intent)
        for intent, openings in INTENTS.items()
        for opening, thing in product(openings, THINGS)
    ]


def place_rows() -> list[Row]:
    """Every place after openings that name none."""
    openings = [opening for openings in INTENTS.values() for opening in openings]
    rows = []
    for opening, place in product(openings, PLACES):
        text = f"{opening} a parcel in {place} – today"
        start = text.index(place)
        rows.append(Row(text, entities=(Span(start, start + len(place), "place"),)))
    return rows


def split(rows: list[Row]) -> dict[SplitName, list[Row]]:
    """Every third row validates."""
    train = [row for i, row in enumerate(rows) if i % 3]
    return {"train": train, "validation": rows[::3]}


KINDS: list[tuple[Task, bool]] = [
    ("classification", True),
    ("classification", False),
    ("entities", True),
    ("entities", False),
]


@pytest.fixture(scope="module")
def base() -> Path:
    """The folder of the default base."""
    folder = Catalogue(None).find(DEFAULT_BASE_MODEL).folder
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def taught(workplace: Workplace, base: Path) -> Callable[[Task, bool], Outcome]:
    """`taught(task, adaptable)`: a short job on the real base."""

    @cache
    def carry_out(task: Task, adaptable: bool) -> Outcome:
        chosen = FAST.model_copy(
            update={
                "max_epochs": 3,
                "encoder_learning_rate": 1e-4,
                "head_learning_rate": 2e-3,
                "max_tokens": 48,
            }
        )
        return workplace.train(
            workplace.assign(base, task, adaptable=adaptable, rows=rows_of(task), hyperparameters=chosen)
        )

    return carry_out


def rows_of(task: Task) -> dict[SplitName, list[Row]]:
    """The task's rows."""
    return split(intent_rows() if task == "classification" else place_rows())


@pytest.mark.parametrize("task", ["classification", "entities"])
def test_a_frozen_encoder_is_the_base_and_one_blob(
    task: Task, taught: Callable[[Task, bool], Outcome], workplace: Workplace, base: Path
) -> None:
    """Adaptable off: every weight of the base that is read stands in the encoder, bit for bit; all jobs share its blob."""
    exported = constants(workplace.graph(taught(task, False).manifest, "encoder"))
    assert [name for name, weight in read_weights(base).items() if not among(weight, exported)] == []
    blobs = {
        taught(each, False).manifest.variants["fp32"].graphs["encoder"].file
        for each in ("classification", "entities")
    }
    assert len(blobs) == 1


@pytest.mark.parametrize("task", ["classification", "entities"])
def test_an_adaptable_encoder_changes_in_every_layer(
    task: Task, taught: Callable[[Task, bool], Outcome], workplace: Workplace, base: Path
) -> None:
    """Adaptable on: no weight of the base is found unchanged."""
    exported = constants(workplace.graph(taught(task, True).manifest, "model"))
    weights = read_weights(base)
    assert [name for name, weight in weights.items() if np.ptp(weight) > 0 and among(weight, exported)] == []


@pytest.mark.parametrize(("task", "adaptable"), KINDS)
def test_g13_what_is_served_decides_as_what_was_trained(
    task: Task, adaptable: bool, taught: Callable[[Task, bool], Outcome], workplace: Workplace
) -> None:
    """A version loaded from the store answers unseen texts, long and odd ones among them, as the torch network decides them."""
    outcome, rows = taught(task, adaptable), rows_of(task)
    assert outcome.manifest.state == "published"

    texts = [
        *(f"Hello! {row.text}, and thanks" for row in rows["validation"]),
        " ".join(row.text for row in rows["train"]),  # several windows
        "😀 e\u0301\u0327 日本語 [SEP]\r\n\tStraße",
        "!",
    ]
    reference, decoding = outcome.reference, outcome.manifest.decoding
    judgements = [reference.judge(each, decoding) for each in reference.compute(texts)]
    model = workplace.load(outcome.manifest)
    assert len(judgements[-3].encoded.windows) > 3
    for judgement, answer in zip(judgements, model.answer(texts), strict=True):
        assert judgement.decision == decision(task, [*answer]) or judgement.margin < TIES


def decision(task: Task, answer: list[LabelScore | EntitySpan]) -> Decision:
    """What of an answer must not differ."""
    if task == "classification":
        return frozenset(each.label for each in answer if isinstance(each, LabelScore) and each.is_given)
    return frozenset((each.start, each.end, each.label) for each in answer if isinstance(each, EntitySpan))
