"""Which versions a training may go on from, and what is told where it may not."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.train.jobs.order import Order
from services.train.wire import read_order, write_job
from shared.errors import SpecInvalidError, VersionNotFoundError
from shared.store.manifest import Manifest, StoredFile
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.test_submission import Desk

ORDER = Order(model="banking", dataset="support", adaptable=False, continues={"version": "banking@1"})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk whose model banking has a version 1, with weights, of the labels a and b, learnt from `support`."""
    desk = Desk(tmp_path)
    spec = desk.submission.resolve(replace(ORDER, continues={}))
    publish(desk, tmp_path / "1", spec=spec.model_dump(mode="json"), dataset=spec.dataset)
    return desk


def publish(
    desk: Desk, folder: Path, *, spec: dict[str, object], dataset: str, weights: bool = True
) -> Manifest:
    """A version of banking."""
    name = desk.models.reserve("banking", "job-0000000000000000")
    manifest, paths = tiny_manifest(folder, "classification", ("a", "b"), model="banking", number=name.number)
    file = folder / "weights.safetensors"
    file.write_bytes(b"weights")
    stored = desk.models.put_file(file)
    lineage = manifest.lineage.model_copy(update={"spec": spec, "dataset": dataset, "adaptable": False})
    manifest = manifest.model_copy(
        update={"lineage": lineage, "weights": StoredFile.model_validate(stored) if weights else None}
    )
    for path in paths.values():
        desk.models.put_file(path)
    desk.models.publish(manifest)
    return manifest


def fields(desk: Desk, order: Order) -> set[str]:
    """The fields that an order is refused for."""
    with pytest.raises(SpecInvalidError) as caught:
        desk.submission.resolve(order)
    return {problem.field for problem in caught.value.problems}


def continuing(**asked: object) -> Order:
    """The order, asked for otherwise."""
    return replace(ORDER, continues={"version": "banking@1", **asked})


def test_the_version_is_fixed_and_the_spec_goes_there_and_back(desk: Desk) -> None:
    """An alias becomes the version that it points to; what a job says of its spec is an order for the same job."""
    desk.models.set_alias("banking", "production", 1, expected=None, actor="", reason="")
    order = continuing(version="banking@production", label_renames={"a": "b", "b": "a"}, replay_share=0.5)
    spec = desk.submission.resolve(order)
    assert spec.continues is not None
    assert (spec.continues.version, spec.continues.replay_share) == ("banking@1", 0.5)
    job = desk.submission.submit(order, request_id="")
    assert desk.submission.resolve(read_order(write_job(job).spec)) == job.spec


def test_a_version_that_is_not_there_is_told(desk: Desk) -> None:
    """As for every other reference."""
    with pytest.raises(VersionNotFoundError):
        desk.submission.resolve(continuing(version="banking@9"))


def test_weights_must_fit(desk: Desk, tmp_path: Path) -> None:
    """What differs in shape is named, all of it at once; a version without weights is no beginning."""
    assert fields(desk, replace(ORDER, adaptable=True)) == {"spec.adaptable"}
    knobs = {"pooling": "first-token"}
    assert fields(desk, replace(ORDER, hyperparameters=knobs, adaptable=True)) == {
        "spec.adaptable",
        "spec.hyperparameters.pooling",
    }
    scratch = replace(ORDER, recipe="rnn-classifier", adaptable=None)
    assert {"spec.recipe", "spec.base_model"} <= fields(desk, scratch)
    spec = desk.submission.resolve(ORDER)
    publish(desk, tmp_path / "2", spec=spec.model_dump(mode="json"), dataset=spec.dataset, weights=False)
    assert fields(desk, continuing(version="banking@2")) == {"spec.continue_from.version"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"label_renames": {"nobody": "a"}}, "label_renames"),
        ({"label_renames": {"a": "b"}}, "label_renames"),
        ({"label_renames": {"a": "z"}}, "label_renames"),
        ({"replay_share": -1}, "replay_share"),
    ],
    ids=["unknown", "merged", "lost", "negative"],
)
def test_what_cannot_be_asked_is_named(desk: Desk, asked: dict[str, object], field: str) -> None:
    """A label that the version does not have, two that would become one, one that the dataset lacks, a share below nought."""
    assert fields(desk, continuing(**asked)) == {f"spec.continue_from.{field}"}


def test_rows_that_are_gone_cannot_be_replayed(desk: Desk, tmp_path: Path) -> None:
    """The remedy is in the problem: without replay the training goes on."""
    spec = desk.submission.resolve(ORDER)
    gone = f"support@sha256:{'0' * 64}"
    publish(desk, tmp_path / "2", spec=spec.model_dump(mode="json"), dataset=gone)
    assert fields(desk, continuing(version="banking@2")) == {"spec.continue_from.replay_share"}
    assert desk.submission.resolve(continuing(version="banking@2", replay_share=0)).continues is not None
