"""Model cards: what the Hub reads, what people read, and what must never stand in one."""

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.cards.card import write_card
from shared.cards.markup import one_line
from shared.cards.report import write_report
from shared.store.manifest import BaseModelLineage, ClassificationDecoding, DataFinding, Manifest, Task
from tests.tiny import tiny_manifest
from tests.unit.shared.cards.versions import METRICS, SECRET, version

TASKS: tuple[Task, ...] = ("classification", "multi-label", "entities")
HOSTILE = (
    "<script>alert(1)</script>",
    "a | b",
    "line\n---\nlicense: mit",
    "[click](https://example.com)",
    "https://example.com",
    "`code` and *stars* and __lines__",
    "![x](y)",
    "{{ 7 * 7 }} {% raw %}",
    "back\\slash &amp; ~~gone~~ $x$",
    "\u202eright to left",
)


def parsed(card: str) -> list[Token]:
    """What a reader of Markdown sees of a card's body."""
    body = card.split("\n---\n", 1)[1]
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body)
    return [each for block in blocks for each in (block, *(block.children or ()))]


def cells(card: str) -> list[str]:
    """The text of every table cell."""
    tokens = [block for block in parsed(card) if block.type == "inline"]
    return ["".join(child.content for child in token.children or ()) for token in tokens]


def with_base(manifest: Manifest, **changes: str) -> Manifest:
    """The version with another base."""
    base = manifest.lineage.base_model
    assert base is not None
    changed = BaseModelLineage.model_validate({**base.model_dump(), **changes})
    return manifest.model_copy(
        update={"lineage": manifest.lineage.model_copy(update={"base_model": changed})}
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_hub_reads_every_metric_with_its_split_and_dataset(task: Task, tmp_path: Path) -> None:
    """The model-index has each metric of each split, its row count and the dataset's digest; the task's carries its interval."""
    manifest = version(tmp_path, task)
    data = ModelCard(write_card(manifest)).data
    found = {(each.dataset_split, each.metric_name): each for each in data.eval_results}
    assert {key: each.metric_value for key, each in found.items()} == {
        (split, name): value for split in ("validation", "test") for name, value in METRICS[task].items()
    }
    assert {each.dataset_revision for each in found.values()} == {f"sha256:{'0' * 64}"}
    assert {each.metric_args["row_count"] for each in found.values()} == {120}
    headline = next(iter(METRICS[task]))
    assert found["test", headline].metric_args["interval_95"] == [0.8125, 0.9375]
    assert data.model_name == "tiny@1"
    assert data.pipeline_tag == ("token-classification" if task == "entities" else "text-classification")


def test_every_variant_s_scores_stand_beside_each_other_and_say_whose_they_are(tmp_path: Path) -> None:
    """In the headline, in the intervals, in the model-index and in the comparison: fp32 first, then int8, as each is served."""
    manifest = version(tmp_path)
    scores = manifest.evaluations["fp32"]["test"]
    worse = scores.model_copy(
        update={"metrics": {**scores.metrics, "accuracy": 0.75}, "interval": (0.625, 0.8125)}
    )
    assert manifest.comparison is not None
    two = {
        "variants": {"int8": manifest.variants["fp32"], **manifest.variants},
        "evaluations": {"int8": {"test": worse}, **manifest.evaluations},
        "comparison": manifest.comparison.model_copy(update={"variant": "int8"}),
    }
    both = manifest.model_copy(update=two)
    card = write_card(both)
    for told in (
        "On 120 test rows: **accuracy 0.8750** as fp32 (95 % interval 0.8125 to 0.9375), **0.7500** as int8 (95 % interval 0.6250 to 0.8125).",
        "95 % interval of accuracy on test, as fp32: 0.8125 to 0.9375.",
        "95 % interval of accuracy on test, as int8: 0.6250 to 0.8125.",
        "to m@3 on 120 rows of test, as int8, 95 % interval",
    ):
        assert told in card
    found = [
        (each.metric_args["variant"], each.metric_value)
        for each in ModelCard(card).data.eval_results
        if (each.dataset_split, each.metric_name) == ("test", "accuracy")
    ]
    assert found == [("fp32", 0.875), ("int8", 0.75)]
    texts = "".join(re.findall(r'<p class="headline">.*</p>', write_report(both)))
    assert "<strong>0.8750</strong> as fp32" in texts
    assert "<strong>0.7500</strong> as int8" in texts


def test_the_hub_is_told_a_base_only_by_its_name_on_the_hub(tmp_path: Path) -> None:
    """A base that came from a folder links to nothing; one of the Hub is named, with its licence as the Hub spells it."""
    manifest = version(tmp_path)
    local = ModelCard(write_card(with_base(manifest, source="my-folder", licence="LicenseRef-Own"))).data
    assert (local.base_model, local.license) == (None, "other")
    known = ModelCard(write_card(with_base(manifest, source="acme/Tiny-Base", licence="MIT"))).data
    assert (known.base_model, known.license) == ("acme/Tiny-Base", "mit")


@pytest.mark.parametrize("task", TASKS)
def test_users_texts_stand_in_a_card_only_if_asked_for(task: Task, tmp_path: Path) -> None:
    """Golden examples are left out, unless the caller wants them."""
    manifest = version(tmp_path, task)
    assert SECRET not in write_card(manifest)
    assert SECRET in write_card(manifest, with_texts=True)


def test_what_users_wrote_is_text_whatever_it_holds(tmp_path: Path) -> None:
    """Hostile label names make no HTML, link, code, emphasis, column or metadata: each is one cell that reads as it was written."""
    card = write_card(version(tmp_path, labels=HOSTILE))
    assert {each.type for each in parsed(card)}.isdisjoint({"html_block", "html_inline", "image", "fence"})
    assert {token.attrs["href"] for token in parsed(card) if token.type == "link_open"} == {"#labels"}
    assert {one_line(label) for label in HOSTILE} <= set(cells(card))
    assert "mit" not in str(ModelCard(card).data.license)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(one_line))
def test_any_label_reads_as_it_was_written(label: str, tmp_path: Path) -> None:
    """Whatever a label is, its cell of the table reads as it, on one line."""
    manifest = version(tmp_path)
    labels = (label, "another label")
    changed = manifest.model_copy(update={"labels": labels, "evaluations": {}})
    assert one_line(label) in cells(write_card(changed))


def test_a_card_tells_of_groups_calibration_lineage_gate_and_findings(tmp_path: Path) -> None:
    """The worst group with its gap, temperature and threshold, digests, seed, checks and findings are all there."""
    card = write_card(version(tmp_path))
    for told in (
        "worst for de (0.7000, 95 % interval 0.6000 to 0.8000), 0.2500 below the best, en. The two intervals do not meet.",
        "worst for chat (0.8500, 95 % interval 0.7000 to 0.9500), 0.0500 below the best, mail. The two intervals meet",
        "divided by a temperature of 1.5000",
        "A best score below 0.3750 is no answer",
        f"| Base digest | sha256:{'0' * 64} |",
        "| Seed | 0 |",
        "| fp32.logits | fp32 | yes | 0 | 0.0001 | tiny |",
        "| LEAK | 2 | the same text is in another split | x:1 |",
        "| a | no answer | 1 | 2.5 % |",
        "-3.12 points of accuracy to m@3 on 120 rows of test",
        "| slices | **no** | 5.5 points | 2 points | lost on",
        "| labels | **no** | not measured | 2 points | there are no labels",
        "The best of 2 trials is this version.",
        "| 1 | 0.7500 | complete | dropout 0.1 |\n| 2 | 0.5000 | pruned | dropout 0.3125 |",
        "has accuracy 0.5000 on the 120 rows of test: the version gains +25.00 points, 95 % interval +12.50 to +37.50.",
        "| size | yes | 12,345,678 bytes | 23,456,789 bytes | files of",
    ):
        assert told in card


def test_a_card_says_where_a_version_ends(tmp_path: Path) -> None:
    """A rejected version, one without test rows, one that cannot abstain and a label without rows are each said to be so."""
    manifest = version(tmp_path)
    assert "gives them one of them too" not in write_card(manifest)
    always = manifest.model_copy(update={"decoding": ClassificationDecoding()})
    assert "gives them one of them too" in write_card(always)
    unproved = manifest.model_copy(update={"labels": ("a", "b", "c", "d")})
    assert "No test row has d: nothing is known" in write_card(unproved)
    (scores, *_) = manifest.evaluations["fp32"].values()
    untested = manifest.model_copy(update={"evaluations": {"fp32": {"validation": scores}}})
    assert "There were no test rows" in write_card(untested)
    assert "There were no test rows" not in write_card(manifest)
    rejected, _ = tiny_manifest(tmp_path / "rejected", "entities", state="rejected")
    nothing = rejected.model_copy(update={"evaluations": {}})
    assert "The export gate refused it" in write_card(nothing)
    assert "The manifest has no metrics of it." in write_card(nothing)


def test_a_card_says_whether_its_probabilities_are_calibrated(tmp_path: Path) -> None:
    """Not where validation had too few rows to fit a temperature on."""
    manifest = version(tmp_path)
    (scores, *_) = manifest.evaluations["fp32"].values()

    def card(rows: int, temperature: float) -> str:
        measured = {"fp32": {"validation": scores.model_copy(update={"row_count": rows}), "test": scores}}
        decoding = ClassificationDecoding(temperature=temperature)
        return write_card(manifest.model_copy(update={"evaluations": measured, "decoding": decoding}))

    assert "no temperature is fitted on fewer than 50 validation rows, and there were 49." in card(49, 1.0)
    assert "not calibrated" not in card(50, 1.0) + card(49, 1.5)


def test_a_card_says_how_many_rows_prove_nothing(tmp_path: Path) -> None:
    """Rows that stand in another split, or that an older version had learnt; findings without a count are no such rows."""
    manifest = version(tmp_path)
    learnt = DataFinding(kind="LEARNT_BEFORE", message="m@1 has learnt the same text", count=5, places=())
    card = write_card(manifest.model_copy(update={"findings": (*manifest.findings, learnt)}))
    assert "text stands in another split too: 2." in card
    assert (
        "an older version had learnt, from which this one goes on or with which it was compared: 5." in card
    )
    unknown = learnt.model_copy(update={"count": 0})
    clean = write_card(manifest.model_copy(update={"findings": (unknown,)}))
    assert "prove nothing" not in clean


def test_what_is_measured_on_rows_out_of_scope_has_their_count(tmp_path: Path) -> None:
    """In the table of metrics and in the model-index; nobody knows it of a manifest from before it was kept."""
    manifest = version(tmp_path)
    scores = manifest.evaluations["fp32"]["test"]
    told = scores.model_copy(
        update={"metrics": {**scores.metrics, "out_of_scope_recall": 0.5}, "out_of_scope_count": 8}
    )
    older = told.model_copy(update={"out_of_scope_count": 0})
    evaluations = {"fp32": {"test": told, "validation": older}}
    card = write_card(manifest.model_copy(update={"evaluations": evaluations}))
    assert "| test | 8 | out-of-scope recall | 0.5000 |" in card
    assert "| validation | – | out-of-scope recall | 0.5000 |" in card
    assert "| test | 120 | accuracy | 0.8750 |" in card
    counts = {
        each.metric_name: each.metric_args["row_count"]
        for each in ModelCard(card).data.eval_results
        if each.dataset_split == "test"
    }
    assert (counts["out_of_scope_recall"], counts["accuracy"]) == (8, 120)


def test_a_version_from_scratch_claims_no_base_and_no_licence(tmp_path: Path) -> None:
    """What was learnt from nothing has neither in its metadata, and says so in its lineage."""
    manifest = version(tmp_path)
    lineage = manifest.lineage.model_copy(update={"base_model": None})
    card = write_card(manifest.model_copy(update={"lineage": lineage}))
    data = ModelCard(card).data
    assert (data.base_model, data.license, "from-scratch" in data.tags) == (None, None, True)
    assert "| Base model | none: trained from scratch |" in card


def test_a_card_depends_on_its_manifest_alone(tmp_path: Path) -> None:
    """Written twice it is the same, byte for byte."""
    manifest = version(tmp_path)
    assert write_card(manifest) == write_card(Manifest.model_validate_json(manifest.model_dump_json()))
