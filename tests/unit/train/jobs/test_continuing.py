"""Which versions a training may go on from, and what is told where it may not."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.train.job_wire import write_job
from services.train.jobs.continuing import rows_behind
from services.train.jobs.order import Order
from services.train.spec_wire import read_order
from shared.errors import SpecInvalidError, VersionNotFoundError
from shared.names import DatasetName
from shared.store.manifest import Manifest, StoredFile
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.test_submission import MANY, Desk

ORDER = Order(model="banking", dataset="support", adaptable=False, continues={"version": "banking@1"})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk whose model banking has a version 1, with weights, of the labels a and b, learnt from `support`."""
    desk = Desk(tmp_path)
    spec = desk.submission.resolve(replace(ORDER, continues={}))
    publish(desk, tmp_path / "1", spec=spec.model_dump(mode="json"), dataset=spec.dataset)
    return desk


def publish(
    desk: Desk,
    folder: Path,
    *,
    spec: dict[str, object],
    dataset: str,
    weights: bool = True,
    adaptable: bool = False,
    parent: str | None = None,
    replayed: int = 0,
) -> Manifest:
    """A version of banking."""
    name = desk.models.reserve("banking", "job-0000000000000000")
    manifest, paths = tiny_manifest(folder, "classification", ("a", "b"), model="banking", number=name.number)
    file = folder / "weights.safetensors"
    file.write_bytes(b"weights")
    stored = desk.models.put_file(file)
    update = {"spec": spec, "dataset": dataset, "adaptable": adaptable}
    lineage = manifest.lineage.model_copy(
        update={**update, "parent_version": parent, "replayed_row_count": replayed}
    )
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


def test_what_is_left_open_is_as_it_was_for_the_version(desk: Desk, tmp_path: Path) -> None:
    """Recipe, base, switch and what the network reads by come from there; how it learns is the recipe's own again."""
    knobs = {"pooling": "first-token", "max_tokens": 64, "dropout": 0.25}
    first = desk.submission.resolve(replace(ORDER, continues={}, seed=7, hyperparameters=knobs))
    publish(desk, tmp_path / "2", spec=first.model_dump(mode="json"), dataset=first.dataset)
    left_open = Order(model="banking", dataset="support", continues={"version": "banking@2"})
    spec = desk.submission.resolve(left_open)
    assert (spec.recipe, spec.base_model, spec.adaptable) == (first.recipe, first.base_model, False)
    assert (spec.hyperparameters.pooling, spec.hyperparameters.max_tokens) == ("first-token", 64)
    usual = desk.submission.resolve(replace(ORDER, continues={}))
    assert (spec.hyperparameters.dropout, spec.seed) == (usual.hyperparameters.dropout, usual.seed)
    shorter = desk.submission.resolve(replace(left_open, hyperparameters={"max_tokens": 32}))
    assert shorter.hyperparameters.max_tokens == 32
    assert fields(desk, replace(left_open, adaptable=True)) == {"spec.adaptable"}
    assert fields(desk, replace(left_open, hyperparameters={"pooling": "masked-mean"})) == {
        "spec.hyperparameters.pooling"
    }


def test_a_recurrent_network_keeps_the_shape_that_is_left_open(desk: Desk, tmp_path: Path) -> None:
    """One field of its shape may be said again without the others falling back to the recipe's; another value is refused."""
    shape = {"cell": "lstm", "width": 64}
    scratch = Order(
        model="banking", dataset="support", recipe="rnn-classifier", hyperparameters={"recurrent": shape}
    )
    first = desk.submission.resolve(scratch)
    publish(desk, tmp_path / "2", spec=first.model_dump(mode="json"), dataset=first.dataset, adaptable=True)
    left_open = Order(model="banking", dataset="support", continues={"version": "banking@2"})
    again = replace(left_open, hyperparameters={"recurrent": {"cell": "lstm"}})
    for order in (left_open, again):
        assert desk.submission.resolve(order).hyperparameters.recurrent == first.hyperparameters.recurrent
    other = replace(left_open, hyperparameters={"recurrent": {"cell": "gru"}})
    assert fields(desk, other) == {"spec.hyperparameters.recurrent"}
    like = replace(left_open, continues={}, like_version="banking@2", hyperparameters=again.hyperparameters)
    assert desk.submission.resolve(like).hyperparameters.recurrent == first.hyperparameters.recurrent


def test_a_spec_of_another_release_is_told(desk: Desk, tmp_path: Path) -> None:
    """By the field that names the version."""
    dataset = desk.submission.resolve(ORDER).dataset
    publish(desk, tmp_path / "2", spec={"of": "another release"}, dataset=dataset)
    assert fields(desk, continuing(version="banking@2")) == {"spec.continue_from.version"}


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
        ({"label_renames": {"a": "\x1b[31m"}, "keeps_labels": True}, "label_renames"),
        ({"replay_share": -1}, "replay_share"),
        ({"keeps_labels": True, "replay_share": 0}, "keeps_labels"),
    ],
    ids=["unknown", "merged", "lost", "no-label", "negative", "kept-by-nothing"],
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


def test_replay_needs_the_rows_of_parents_parents_too(desk: Desk, tmp_path: Path) -> None:
    """They are replayed as well, so jobs need them, and an order is refused once they are gone, before it trains; not if nothing of them was replayed before."""
    spec = desk.submission.resolve(replace(ORDER, continues={}))
    more = desk.datasets.save("more", "classification", {"train": MANY[:9], "validation": MANY[:2]}).name
    for version, replayed in (("2", 3), ("3", 0)):
        publish(
            desk,
            tmp_path / version,
            spec=spec.model_dump(mode="json"),
            dataset=more,
            parent="banking@1",
            replayed=replayed,
        )
    assert list(rows_behind(desk.models, "banking@2")) == [more, spec.dataset]
    assert list(rows_behind(desk.models, "banking@3")) == [more]
    order = replace(continuing(version="banking@2"), dataset="more")
    assert desk.submission.resolve(order).continues is not None
    desk.datasets.delete(DatasetName("support"))
    assert fields(desk, order) == {"spec.continue_from.replay_share"}
    assert desk.submission.resolve(replace(order, continues={"version": "banking@3"})).continues is not None


def test_what_is_left_open_may_be_as_it_was_for_a_version(desk: Desk, tmp_path: Path) -> None:
    """Recipe, switch, seed and every knob come from there; what the order says goes before; the spec is not another version's continuation."""
    first = replace(ORDER, continues={}, seed=7, hyperparameters={"dropout": 0.25, "patience": 3})
    spec = desk.submission.resolve(first)
    publish(desk, tmp_path / "2", spec=spec.model_dump(mode="json"), dataset=spec.dataset)
    like = Order(
        model="banking", dataset="support", like_version="banking@2", hyperparameters={"patience": 5}
    )
    again = desk.submission.resolve(like)
    assert (again.adaptable, again.seed, again.hyperparameters.dropout) == (False, 7, 0.25)
    assert again.hyperparameters.patience == 5
    assert again.continues is None
    assert fields(desk, replace(like, preset="quick")) == {"spec.preset"}
    publish(desk, tmp_path / "3", spec={"of": "another release"}, dataset=spec.dataset)
    assert fields(desk, replace(like, like_version="banking@3")) == {"spec.like_version"}


def test_knobs_that_nothing_is_left_to_are_done_without(desk: Desk, tmp_path: Path) -> None:
    """Those of the version that an order is like: nobody set them for these rows and this batch."""
    spec = desk.submission.resolve(replace(ORDER, continues={}))
    knobs = {"micro_batch_size": 32, "most_refused_share": 0.1}
    then = spec.model_copy(update={"hyperparameters": spec.hyperparameters.model_copy(update=knobs)})
    publish(desk, tmp_path / "2", spec=then.model_dump(mode="json"), dataset=spec.dataset)
    like = Order(
        model="banking", dataset="support", like_version="banking@2", hyperparameters={"batch_size": 16}
    )
    found = desk.submission.resolve(like).hyperparameters
    assert (found.micro_batch_size, found.most_refused_share) == (None, 0.02)


def test_a_search_is_checked_like_everything_else(desk: Desk) -> None:
    """Too few trials, a knob that nobody knows, and one without effect on the recipe are named by their field."""
    order = replace(ORDER, continues={})
    assert fields(desk, replace(order, search={"most_trials": 1, "knobs": ("colour",)})) == {
        "spec.search.most_trials",
        "spec.search.knobs.0",
    }
    assert fields(desk, replace(order, search={"knobs": ("layer_decay",)})) == {"spec.search.knobs"}
    searched = replace(order, search={"most_trials": 5, "knobs": ("dropout",)})
    job = desk.submission.submit(searched, request_id="")
    assert desk.submission.resolve(read_order(write_job(job).spec)) == job.spec
