"""A folder that `tagsmith export` writes is loaded by optimum, and answers as the version does.

The code that asks it is the one that stands in its card: what the card tells people to do is what is shown to be right.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from services.cli.app import app
from shared.store.manifest import ClassificationDecoding, Manifest, Task
from tests.bases import TINY_BASE
from tests.families import FAMILIES, family_bases
from tests.integration.trainer.conftest import Trained
from tests.integration.trainer.world import Workplace, name_rows, topic_rows, topic_set_rows

__all__ = ["family_bases"]

AGREE = 1e-4  # in a probability
ODD_TEXTS = ["help [SEP] with my [CLS] card", "?", "Łódź 的 🙂 refund", "REFUND, refund; refund!", "a" * 20]
TEXTS: dict[Task, list[str]] = {
    "classification": [row.text for row in topic_rows(90, 7)] + ODD_TEXTS,
    "multi-label": [row.text for row in topic_set_rows(90, 7)] + ODD_TEXTS,
    "entities": [row.text for row in name_rows(60, 7)] + ODD_TEXTS,
}
Ask = Callable[[list[str]], Any]


def exported(workplace: Workplace, manifest: Manifest, folder: Path, *more: str) -> Path:
    """Run the command; return its folder."""
    arguments = [str(manifest.version), "--hub", str(folder), "--store", str(workplace.root / "store"), *more]
    run = CliRunner().invoke(app, ["export", *arguments])
    assert run.exit_code == 0, run.output
    return folder


def asking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the code of the folder's card within the folder; return what it defines."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(folder)
    defined: dict[str, Any] = {}
    exec(code, defined)  # noqa: S102 - what is tested is the card
    return defined


def republished(workplace: Workplace, manifest: Manifest, decoding: ClassificationDecoding) -> Manifest:
    """The same files as another version, which decodes otherwise."""
    job_id = "job-00000000000000ff"
    number = workplace.models.reserve(manifest.model, job_id).number
    lineage = manifest.lineage.model_copy(update={"job_id": job_id})
    changed = manifest.model_copy(update={"number": number, "decoding": decoding, "lineage": lineage})
    workplace.models.publish(changed)
    return changed


@pytest.mark.parametrize("adaptable", [True, False])
def test_an_exported_classifier_answers_as_its_version(
    adaptable: bool,
    workplace: Workplace,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every probability is the version's to 1e-4 and every decision its own, abstentions included; adaptable and frozen alike."""
    manifest = trained("classification", adaptable).manifest
    best = sorted(scores[0].score for scores in workplace.load(manifest).answer(TEXTS["classification"]))
    widest = max(range(len(best) // 4, len(best) // 2), key=lambda i: best[i + 1] - best[i])
    abstaining = ClassificationDecoding(
        temperature=manifest.decoding.temperature, unknown_below=(best[widest] + best[widest + 1]) / 2
    )
    manifest = republished(workplace, manifest, abstaining)
    asked = asking(exported(workplace, manifest, tmp_path / "hub"), monkeypatch)

    expected = workplace.load(manifest).answer(TEXTS["classification"])
    answers = asked["classify"](TEXTS["classification"])
    assert [label for label, _ in answers] == [
        scores[0].label if scores[0].is_given else None for scores in expected
    ]
    assert None in [label for label, _ in answers] != [None] * len(answers)
    inputs = asked["tokenizer"](TEXTS["classification"], padding=True, return_tensors="pt")
    softmax = asked["model"](**inputs).logits.softmax(dim=-1).numpy()
    by_label = [{each.label: each.score for each in scores} for scores in expected]
    assert np.allclose(softmax, [[of[x] for x in manifest.labels] for of in by_label], atol=AGREE, rtol=0)


def test_an_exported_multi_label_classifier_answers_as_its_version(
    workplace: Workplace, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every probability is the version's to 1e-4, and the thresholds in its configuration give the same labels."""
    manifest = trained("multi-label", True).manifest
    asked = asking(exported(workplace, manifest, tmp_path / "hub"), monkeypatch)
    expected = workplace.load(manifest).answer(TEXTS["multi-label"])
    for (given, scores), answer in zip(asked["classify"](TEXTS["multi-label"]), expected, strict=True):
        assert given == {each.label for each in answer if each.is_given}
        assert scores == pytest.approx({each.label: each.score for each in answer}, abs=AGREE)


@pytest.mark.parametrize("adaptable", [True, False])
def test_an_exported_extractor_has_its_versions_logits(
    adaptable: bool,
    workplace: Workplace,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At every token the logits are the version's, by its temperature, to 1e-4; the card says that spans are not in them yet."""
    manifest = trained("entities", adaptable).manifest
    asked = asking(exported(workplace, manifest, tmp_path / "hub"), monkeypatch)
    model = workplace.load(manifest)
    inputs = asked["tokenizer"](TEXTS["entities"], padding=True, return_tensors="pt")
    logits = asked["model"](**inputs).logits.numpy()
    encoded = model.encode(TEXTS["entities"])
    assert asked["model"].config.id2label == dict(enumerate(manifest.tags))
    for row, text in enumerate(encoded):
        (window,) = text.windows
        (expected,) = model.run(text.windows)
        assert inputs["input_ids"][row, : window.token_count].tolist() == window.token_ids.tolist()
        got = logits[row, : window.token_count] * manifest.decoding.temperature
        assert np.allclose(got, expected, atol=AGREE, rtol=0)
    assert "spans are not yet in them" in (tmp_path / "hub" / "README.md").read_text("utf-8")
    tags = asked["tag"](TEXTS["entities"])
    assert torch.allclose(tags.sum(dim=-1), torch.ones(tags.shape[:2]))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_bases_is_exported(
    name: str,
    workplace: Workplace,
    family_bases: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frozen version of each architecture and kind of tokenizer gives its own probabilities through optimum."""
    job = workplace.assign(family_bases[name], "classification", adaptable=False)
    manifest = workplace.train(job).manifest
    folder = exported(workplace, manifest, tmp_path / "hub")
    asked = asking(folder, monkeypatch)
    texts = [*TEXTS["classification"][::6], *ODD_TEXTS]
    assert {len(text.windows) for text in workplace.load(manifest).encode(texts)} == {1}
    expected = workplace.load(manifest).answer(texts)
    answers = asked["classify"](texts)
    assert [label for label, _ in answers] == [scores[0].label for scores in expected]
    assert [score for _, score in answers] == pytest.approx([x[0].score for x in expected], abs=AGREE)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    base = json.loads((family_bases[name] / "config.json").read_text("utf-8"))
    assert (config["model_type"], config["vocab_size"]) == (base["model_type"], base["vocab_size"])
    assert config["architectures"] == [base["architectures"][0].replace("Model", "ForSequenceClassification")]


def test_a_folder_says_what_it_holds(
    workplace: Workplace, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its card is one of the Hub, without users' texts unless asked for; what is there is written over only by --force."""
    manifest = trained("classification", True).manifest
    folder = exported(workplace, manifest, tmp_path / "hub")
    card = ModelCard.load(folder / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("optimum", "text-classification")
    assert {each.metric_name for each in card.data.eval_results} >= {"accuracy", "macro_f1"}
    texts = {example.text for example in manifest.golden_examples}
    assert len(texts) > 5
    assert not [text for text in texts if text in card.content]
    arguments = [str(manifest.version), "--hub", str(folder), "--store", str(workplace.root / "store")]
    again = CliRunner().invoke(app, ["export", *arguments, "--json"])
    assert (again.exit_code, json.loads(again.stderr)["error"]["reason"]) == (1, "FILE_EXISTS")
    exported(workplace, manifest, folder, "--force", "--with-texts")
    assert [text for text in texts if text in (folder / "README.md").read_text("utf-8")]


def test_a_version_keeps_its_bases_configuration(trained: Trained, tiny_base: Path) -> None:
    """The manifest has what the base's config.json says, which is what a folder for the Hub is described by."""
    base = trained("classification", True).manifest.lineage.base_model
    assert base is not None
    assert base.id == TINY_BASE
    assert base.config == json.loads((tiny_base / "config.json").read_text("utf-8"))
