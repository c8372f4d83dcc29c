"""A version that was shown rows out of scope gives no label to what is like them: from the imported file to what is served."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from services.train.spec import Continuation, Hyperparameters
from shared.data.readers import Extras, read_rows
from shared.data.rows import Row, SplitName
from shared.data.splits import assign_splits
from shared.runtime.classification import LabelScore
from shared.store.evaluation import SplitEvaluation
from shared.store.manifest import ClassificationDecoding, Manifest
from tests.integration.trainer.world import FAST, Workplace, topic_rows
from tests.tiny import FILLERS, NAMES

STRAYED = 5  # rows of test that have a label and read as if they were out of scope
CAREFUL: Hyperparameters = FAST.model_copy(update={"most_refused_share": 0.05})


def stray_texts(count: int, seed: int) -> list[str]:
    """Texts about names, which no topic's row has."""
    dice = random.Random(seed)  # noqa: S311 - test data
    return [
        " ".join([*dice.choices(FILLERS, k=dice.randint(1, 4)), *dice.choices(NAMES, k=2)])
        for _ in range(count)
    ]


def imported() -> list[Row]:
    """A file with rows of every split, some labelled `oos`, as an import reads it."""
    lines = [
        {"text": row.text, "label": row.label, "split": split}
        for split, count, seed in (("train", 144, 1), ("validation", 54, 2), ("test", 54, 3))
        for row in topic_rows(count, seed)
    ]
    lines += [
        {"text": text, "label": "oos", "split": split}
        for split, count, seed in (("train", 20, 4), ("validation", 20, 5), ("test", 30, 6))
        for text in stray_texts(count, seed)
    ]
    lines += [{"text": text, "label": "billing", "split": "test"} for text in stray_texts(STRAYED, 7)]
    content = "\n".join(map(json.dumps, lines)).encode()
    rows, problems = read_rows(
        "rows.jsonl", content, "classification", extras=Extras(out_of_scope_label="oos")
    )
    assert problems == []
    return rows


@pytest.fixture(scope="module")
def careful(workplace: Workplace, tiny_base: Path) -> Manifest:
    """A version of these rows."""
    assignment = workplace.assign(
        tiny_base,
        "classification",
        adaptable=True,
        rows=assign_splits(imported()),
        hyperparameters=CAREFUL,
    )
    return workplace.train(assignment).manifest


def test_rows_out_of_scope_set_a_threshold_and_prove_it(careful: Manifest) -> None:
    """They are no label, and nearly all of those of test are refused, with hardly any that belong to one."""
    assert "oos" not in careful.labels
    assert isinstance(careful.decoding, ClassificationDecoding)
    assert careful.decoding.unknown_below is not None
    assert 1 / len(careful.labels) < careful.decoding.unknown_below < 1
    for split, count in (("validation", 54), ("test", 54 + STRAYED)):
        evaluation = careful.evaluations["fp32"][split]
        assert evaluation.row_count == count
        assert evaluation.metrics["out_of_scope_recall"] >= 0.8
        assert evaluation.metrics["answered"] >= 0.8


def test_every_row_stands_in_the_confusion_table(careful: Manifest) -> None:
    """Those without an answer too, under no label: what lies between answered and the share of best labels is what was refused."""
    evaluation = careful.evaluations["fp32"]["test"]
    assert sum(count for *_, count in evaluation.confusion) == evaluation.row_count
    refused = Counter({true: count for true, answer, count in evaluation.confusion if answer == ""})
    assert refused["billing"] >= STRAYED - 1
    assert evaluation.metrics["answered"] == pytest.approx(1 - refused.total() / evaluation.row_count)
    right = sum(count for true, answer, count in evaluation.confusion if true == answer)
    assert evaluation.metrics["accuracy"] == pytest.approx(right / evaluation.row_count)
    assert evaluation.metrics["best_label_accuracy"] >= evaluation.metrics["accuracy"]


def test_what_is_served_abstains_as_it_was_evaluated(workplace: Workplace, careful: Manifest) -> None:
    """The stored version, loaded as a server does: its answers make up the manifest's table, and a refused text still has its scores."""
    model, corpus = workplace.load(careful), workplace.corpus(careful)
    assert isinstance(careful.decoding, ClassificationDecoding)
    for split in ("validation", "test"):
        evaluation: SplitEvaluation = careful.evaluations["fp32"][split]
        rows, others = corpus.splits[split], corpus.out_of_scope[split]
        answers = [best(answer) for answer in model.answer([row.text for row in rows])]
        told = Counter(
            (row.label, each.label if each.is_given else "") for row, each in zip(rows, answers, strict=True)
        )
        assert told == {(true, answer): count for true, answer, count in evaluation.confusion}
        strays = [best(answer) for answer in model.answer([row.text for row in others])]
        refused = [not each.is_given for each in strays]
        assert evaluation.metrics["out_of_scope_recall"] == pytest.approx(sum(refused) / len(others))
        for each in (*answers, *strays):
            assert each.is_given == (each.score >= (careful.decoding.unknown_below or 0))


@pytest.mark.parametrize("share", [0.25, 0.0])
def test_a_version_that_goes_on_from_one_that_abstains_abstains_too(
    workplace: Workplace, tiny_base: Path, careful: Manifest, share: float
) -> None:
    """Its rows have none out of scope: those of its parent set the threshold; where nothing is replayed, the findings say what is given up."""
    rows: dict[SplitName, list[Row]] = {
        split: [row for row in of_split if not row.out_of_scope]
        for split, of_split in assign_splits(imported()).items()
    }
    assignment = workplace.assign(
        tiny_base, "classification", adaptable=True, rows=rows, hyperparameters=CAREFUL
    )
    continues = Continuation(version=str(careful.version), replay_share=share)
    spec = assignment.spec.model_copy(update={"continues": continues})
    manifest = workplace.train(assignment.model_copy(update={"spec": spec})).manifest
    assert isinstance(manifest.decoding, ClassificationDecoding)
    told = [each.kind for each in manifest.findings if each.kind == "ABSTENTION_LOST"]
    if share:
        assert manifest.decoding.unknown_below is not None
        assert manifest.evaluations["fp32"]["validation"].metrics["out_of_scope_recall"] >= 0.8
        assert (manifest.lineage.replayed_row_count, told) == (40, [])
    else:
        assert (manifest.decoding.unknown_below, told) == (None, ["ABSTENTION_LOST"])


def best(answer: list[LabelScore] | list[object]) -> LabelScore:
    """The first of an answer, which alone may be given."""
    first, *others = answer
    assert isinstance(first, LabelScore)
    assert not any(each.is_given for each in others if isinstance(each, LabelScore))
    return first
