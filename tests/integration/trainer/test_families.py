"""Every architecture and kind of tokenizer of the catalogue goes through training, export, gate and serving."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from services.train.catalogue import read_base_folder
from shared.runtime.entities import EntitySpan
from shared.runtime.words import words
from shared.store.manifest import Task
from tests.families import FAMILIES, SENTENCES, family_bases
from tests.integration.trainer.test_served_as_trained import decision
from tests.integration.trainer.world import FAST, Outcome, Workplace

__all__ = ["family_bases"]

KINDS: list[tuple[Task, bool]] = [("entities", True), ("classification", False)]
ODD = (
    "e\u0301te\u0301 in Ko\u0308ln",
    "\u1109\u1165\u110b\u116e\u11af 서울",
    "👩‍🚀 of 🏳️‍🌈",
    "!",
    "[SEP] </s>",
)


@pytest.fixture(scope="module")
def taught(workplace: Workplace, family_bases: dict[str, Path]) -> Callable[[str, Task, bool], Outcome]:
    """`taught(family, task, adaptable)`: a short job."""

    @cache
    def carry_out(family: str, task: Task, adaptable: bool) -> Outcome:
        chosen = FAST.model_copy(update={"max_epochs": 4, "max_tokens": 64})
        return workplace.train(
            workplace.assign(family_bases[family], task, adaptable=adaptable, hyperparameters=chosen)
        )

    return carry_out


@pytest.mark.parametrize("family", FAMILIES)
def test_the_catalogue_knows_the_kind_of_tokenizer(family: str, family_bases: dict[str, Path]) -> None:
    """And how long a window may be, which some architectures count from the padding id."""
    entry = read_base_folder(family_bases[family])
    assert (entry.tokenizer_family, entry.max_tokens) == (FAMILIES[family].kind, 128)


@pytest.mark.parametrize(("task", "adaptable"), KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_decides_when_served_as_when_trained(
    family: str, task: Task, adaptable: bool, taught: Callable[..., Outcome], workplace: Workplace
) -> None:
    """Gate passed; every variant loads and repeats its golden examples; texts of every script are decided as torch decides them."""
    outcome = taught(family, task, adaptable)
    assert outcome.manifest.state == "published"
    for variant in outcome.manifest.variants:
        workplace.load(outcome.manifest, variant).check_golden()

    texts = [*SENTENCES, " ".join(SENTENCES), *ODD]
    reference, decoding = outcome.reference, outcome.manifest.decoding
    judgements = [reference.judge(each, decoding) for each in reference.compute(texts)]
    answers = workplace.load(outcome.manifest).answer(texts)
    for text, judgement, answer in zip(texts, judgements, answers, strict=True):
        assert judgement.decision == decision(task, [*answer]) or judgement.margin < 1e-3
        spans = [each for each in answer if isinstance(each, EntitySpan)]
        starts, ends = {start for start, _ in words(text)}, {end for _, end in words(text)}
        assert all(span.start in starts and span.end in ends for span in spans)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_an_int8_form(family: str, taught: Callable[..., Outcome]) -> None:
    """Whether it passes is its gate's word on random weights; that it was made and measured, at every length, is asked here."""
    checks = {check.name: check for check in taught(family, "entities", True).manifest.gate_checks}
    assert checks["int8.lengths"].passed
    assert checks["int8.batching"].passed
