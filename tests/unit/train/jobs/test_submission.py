"""From an order to a job, on real stores and the real catalogue."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from services.train.catalogue import Catalogue
from services.train.job_wire import write_job
from services.train.jobs.database import Database, sqlite_url
from services.train.jobs.order import Order
from services.train.jobs.submission import Submission
from services.train.jobs.table import JobTable
from services.train.presets import STANDARD
from services.train.registry import Registry
from services.train.spec_wire import read_order
from shared.data.rows import Row, Span
from shared.errors import AliasNotFoundError, DatasetNotFoundError, FieldInvalidError, SpecInvalidError
from shared.names import DatasetName, VersionName
from shared.store import layout
from shared.store.datasets import DatasetStore
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny

ORDER = Order(model="banking", dataset="support")
MANY = [Row(f"text {n}", label="ab"[n % 2]) for n in range(320)]


class SlowModels(ModelStore):
    """Takes as long for a reservation as a store at the other end of a network."""

    def reserve(self, model: str, job_id: str) -> VersionName:
        time.sleep(0.02)
        return super().reserve(model, job_id)


class Desk:
    """A submission with its stores."""

    def __init__(self, folder: Path) -> None:
        self.objects = objects = MemoryStore()
        self.models = SlowModels(objects)
        self.datasets = DatasetStore(objects)
        self.table = JobTable(Database(sqlite_url(folder / "jobs.sqlite")), lambda job: None)
        self.submission = Submission(self.table, self.models, self.datasets, Catalogue(None))
        self.datasets.save("support", "classification", {"train": MANY, "validation": MANY[:2]})
        entities = [Row("Ada", entities=(Span(0, 3, "person"),))]
        self.datasets.save("people", "entities", {"train": entities, "validation": entities})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with a classification dataset `support` and an entities dataset `people`."""
    return Desk(tmp_path)


def test_what_is_left_open_is_filled_in(desk: Desk) -> None:
    """Recipe by the dataset's task, base, Adaptable on, seed, knobs and the snapshot: a spec has nothing open."""
    spec = desk.submission.resolve(ORDER)
    assert (spec.recipe, spec.base_model, spec.adaptable, spec.seed) == (
        "transformer-classifier",
        "all-minilm-l6-v2",
        True,
        13,
    )
    assert spec.dataset.startswith("support@sha256:")
    assert desk.submission.resolve(replace(ORDER, dataset="people")).recipe == "entity-extractor"
    assert desk.submission.resolve(replace(ORDER, adaptable=False)).adaptable is False


def test_the_snapshot_is_fixed_at_submission(desk: Desk) -> None:
    """A job keeps the rows that were newest when it was accepted; a repetition of the order gets the same job."""
    job = desk.submission.submit(ORDER, request_id="once")
    desk.datasets.save("support", "classification", {"train": MANY[:8], "validation": MANY[:2]})
    assert desk.submission.submit(ORDER, request_id="once") == job
    assert desk.submission.resolve(ORDER).dataset != job.spec.dataset
    assert desk.submission.resolve(replace(ORDER, dataset=job.spec.dataset)).dataset == job.spec.dataset


def test_the_base_is_fixed_at_submission(desk: Desk) -> None:
    """A spec names its base by what its files are, not by its id alone."""
    assert desk.submission.resolve(ORDER).base_digest == Catalogue(None).find("all-minilm-l6-v2").digest


def test_passes_follow_the_batch_size(desk: Desk) -> None:
    """A batch size that the caller sets changes the number of passes so that there are as many steps; set passes stay."""
    by_default = desk.submission.resolve(ORDER).hyperparameters
    larger = desk.submission.resolve(replace(ORDER, hyperparameters={"batch_size": 320})).hyperparameters
    assert larger.max_epochs >= by_default.max_epochs
    both = {"batch_size": 4, "max_epochs": 3}
    assert desk.submission.resolve(replace(ORDER, hyperparameters=both)).hyperparameters.max_epochs == 3


@pytest.mark.parametrize(
    ("knobs", "field"),
    [
        ({"max_epochs": 0}, "max_epochs"),
        ({"batch_size": 1025}, "batch_size"),
        ({"encoder_learning_rate": float("nan")}, "encoder_learning_rate"),
        ({"head_learning_rate": float("inf")}, "head_learning_rate"),
        ({"warmup_share": 1.0}, "warmup_share"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"patience": 0}, "patience"),
        ({"max_tokens": 513}, "max_tokens"),
        ({"max_tokens": 7}, "max_tokens"),
    ],
)
def test_a_knob_out_of_its_range_is_named(desk: Desk, knobs: dict[str, float], field: str) -> None:
    """Each knob has its range, NaN and infinity are outside of all, and max_tokens ends where the base's window does."""
    with pytest.raises(SpecInvalidError) as raised:
        desk.submission.submit(replace(ORDER, hyperparameters=knobs), request_id="")
    assert [problem.field for problem in raised.value.problems] == [f"spec.hyperparameters.{field}"]
    assert desk.models.models() == []


@pytest.mark.parametrize(
    ("dataset", "adaptable", "knob", "value"),
    [
        ("support", False, "encoder_learning_rate", 1e-4),
        ("people", True, "pooling", "first-token"),
        ("people", False, "encoder_learning_rate", 1e-4),
    ],
)
def test_a_knob_without_an_effect_is_refused(
    desk: Desk, dataset: str, adaptable: bool, knob: str, value: float | str
) -> None:
    """Nobody waits for a training to find out that what they changed was never looked at."""
    order = replace(ORDER, model="other", dataset=dataset, adaptable=adaptable, hyperparameters={knob: value})
    with pytest.raises(SpecInvalidError) as raised:
        desk.submission.resolve(order)
    assert [problem.field for problem in raised.value.problems] == [f"spec.hyperparameters.{knob}"]
    assert "has no effect" in raised.value.problems[0].description


@pytest.mark.parametrize(
    ("knobs", "idle", "why"),
    [
        ({"frozen_layers": 6, "unfreezing_share": 0.1}, "unfreezing_share", "all 6 layers"),
        ({"batch_size": 16, "micro_batch_size": 17}, "micro_batch_size", "over batch_size, 16"),
        ({"most_refused_share": 0.1}, "most_refused_share", "without out-of-scope rows"),
    ],
)
def test_a_knob_that_others_or_the_rows_leave_idle_is_refused(
    desk: Desk, knobs: dict[str, float], idle: str, why: str
) -> None:
    """By its name, where the caller sets it; one that the preset or an earlier spec has is done without."""
    with pytest.raises(SpecInvalidError) as raised:
        desk.submission.resolve(replace(ORDER, hyperparameters=knobs))
    (problem,) = raised.value.problems
    assert problem.field == f"spec.hyperparameters.{idle}"
    assert problem.description.startswith("has no effect")
    assert why in problem.description
    assert problem.description.endswith(": leave it out")

    others = {knob: value for knob, value in knobs.items() if knob != idle}
    job = desk.submission.submit(replace(ORDER, hyperparameters=others), request_id="")
    assert desk.submission.resolve(read_order(write_job(job).spec)) == job.spec


def test_a_knob_that_something_is_left_to_is_taken(desk: Desk) -> None:
    """Layers that may yet learn, a part of the batch, a batch that a search makes larger, and rows out of scope."""
    strays = [Row("what?", out_of_scope=True)]
    desk.datasets.save("strays", "classification", {"train": MANY, "validation": [*MANY[:2], *strays]})
    searched = {"most_trials": 2, "knobs": ("batch_size",)}
    for order in (
        replace(ORDER, hyperparameters={"frozen_layers": 5, "unfreezing_share": 0.1}),
        replace(ORDER, hyperparameters={"batch_size": 16, "micro_batch_size": 16}),
        replace(ORDER, hyperparameters={"batch_size": 16, "micro_batch_size": 32}, search=searched),
        replace(ORDER, dataset="strays", hyperparameters={"most_refused_share": 0.1}),
    ):
        chosen = desk.submission.resolve(order).hyperparameters.model_dump()
        assert chosen == chosen | dict(order.hyperparameters)


@pytest.mark.parametrize("adaptable", [True, False])
@pytest.mark.parametrize("dataset", ["support", "people"])
def test_the_spec_of_a_job_can_be_submitted_again(desk: Desk, dataset: str, adaptable: bool) -> None:
    """What a job says of its spec is an order for the same job, of every recipe."""
    order = replace(ORDER, dataset=dataset, adaptable=adaptable)
    job = desk.submission.submit(order, request_id="")
    again = read_order(write_job(job).spec)
    assert desk.submission.resolve(again) == job.spec


def test_the_spec_of_a_models_first_promotion_can_be_submitted_again(desk: Desk) -> None:
    """Its champion is an alias that is not there yet: that is no fault of the order that would make it; of another it is."""
    order = replace(ORDER, promote_to="production", gates={"most_points_lost": 1.0})
    job = desk.submission.submit(order, request_id="")
    assert job.spec.gates.champion == "banking@production"
    again = read_order(write_job(job).spec, promote_to="production")
    assert desk.submission.resolve(again) == job.spec
    with pytest.raises(AliasNotFoundError):
        desk.submission.resolve(replace(again, promote_to="canary"))


RNN = replace(ORDER, recipe="rnn-classifier")


def test_a_recipe_from_scratch_has_no_base(desk: Desk) -> None:
    """Nothing of the catalogue is part of the job; what is set of its network is set beside the recipe's own."""
    spec = desk.submission.resolve(replace(RNN, hyperparameters={"recurrent": {"cell": "lstm"}}))
    assert (spec.recipe, spec.base_model, spec.base_digest, spec.adaptable) == (
        "rnn-classifier",
        None,
        None,
        True,
    )
    usual = STANDARD["rnn-classifier", True].recurrent
    assert usual is not None
    assert spec.hyperparameters.recurrent == usual.model_copy(update={"cell": "lstm"})
    job = desk.submission.submit(RNN, request_id="")
    again = read_order(write_job(job).spec)
    assert desk.submission.resolve(again) == job.spec


@pytest.mark.parametrize(
    ("order", "fields"),
    [
        (replace(RNN, base_model="all-minilm-l6-v2"), ["spec.base_model"]),
        (replace(RNN, adaptable=False), ["spec.adaptable"]),
        (replace(RNN, dataset="people", model="other"), ["spec.recipe"]),
        (replace(RNN, hyperparameters={"pooling": "first-token"}), ["spec.hyperparameters.pooling"]),
        (
            replace(RNN, hyperparameters={"recurrent": {"layers": 0, "width": 4}}),
            ["spec.hyperparameters.recurrent.layers", "spec.hyperparameters.recurrent.width"],
        ),
        (
            replace(ORDER, hyperparameters={"recurrent": {"cell": "gru"}}),
            ["spec.hyperparameters.recurrent"],
        ),
    ],
)
def test_what_a_recipe_from_scratch_cannot_have_is_refused(
    desk: Desk, order: Order, fields: list[str]
) -> None:
    """A base, a frozen encoder, another task, a knob of the other recipes; and theirs are not given its own."""
    assert refused_fields(desk, order) == fields


def test_a_preset_fills_in_what_is_left_open(desk: Desk) -> None:
    """What is set is as it was set; the job's spec, which names no preset, is the same again."""
    order = replace(ORDER, preset="quick", hyperparameters={"patience": 9})
    job = desk.submission.submit(order, request_id="")
    chosen = job.spec.hyperparameters
    usual = desk.submission.resolve(ORDER).hyperparameters
    assert (chosen.max_epochs < usual.max_epochs, chosen.patience, chosen.freeze_embeddings) == (
        True,
        9,
        True,
    )
    assert desk.submission.resolve(read_order(write_job(job).spec)) == job.spec


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, preset="cross-lingual", adaptable=False),
        replace(RNN, preset="cross-lingual"),
    ],
)
def test_a_preset_that_would_change_nothing_is_refused(desk: Desk, order: Order) -> None:
    """Where no encoder of a base learns."""
    assert refused_fields(desk, order) == ["spec.preset"]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_32_bits(desk: Desk, seed: int) -> None:
    """Seeds that some random generator would not take are refused before a trainer runs."""
    with pytest.raises(SpecInvalidError):
        desk.submission.resolve(replace(ORDER, seed=seed))


def test_jobs_of_one_model_have_versions_of_their_own(desk: Desk) -> None:
    """Submissions at the same moment get one number each, without a gap."""
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: desk.submission.submit(ORDER, request_id=""), range(8)))
    assert sorted(job.version for job in jobs) == [f"banking@{number}" for number in range(1, 9)]


def test_losers_of_a_race_reserve_nothing(desk: Desk) -> None:
    """Of many submissions with one request_id only the one that makes the job reserves a number."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: desk.submission.submit(ORDER, request_id="same"), range(8)))
    assert desk.submission.submit(ORDER, request_id="").version == "banking@2"


def test_order_digests_tell_orders_apart() -> None:
    """Every field of an order counts in its digest; the order in which knobs were set does not."""
    others = [
        replace(ORDER, **{name: value})
        for name, value in {
            "model": "b",
            "dataset": "b",
            "recipe": "entity-extractor",
            "base_model": "b",
            "adaptable": True,
            "preset": "quick",
            "hyperparameters": {"dropout": 0.0},
            "seed": 13,
            "gates": {"least_metric": 0.5},
            "continues": {"version": "b@1"},
            "search": {"most_trials": 3},
            "like_version": "b@1",
            "without_golden_examples": True,
            "measures_gain": True,
            "promote_to": "b",
            "override_reason": "b",
            "priority": 1,
            "most_minutes": 1.0,
            "inference_target": "localhost:1",
            "asked_as": "e" * 64,
        }.items()
    ]
    assert len({order.digest for order in (ORDER, *others)}) == len(others) + 1
    assert len(others) == len(Order.__dataclass_fields__)
    one, other = {"dropout": 0.1, "patience": 2}, {"patience": 2, "dropout": 0.1}
    assert replace(ORDER, hyperparameters=one).digest == replace(ORDER, hyperparameters=other).digest


@pytest.mark.parametrize(("reason", "fields"), [(" \t\u00a0\u200b", ["override_reason"]), (" a bug", [])])
def test_a_reason_says_something(desk: Desk, reason: str, fields: list[str]) -> None:
    """White space and characters that nobody sees override no gate."""
    assert refused_fields(desk, replace(ORDER, promote_to="production", override_reason=reason)) == fields


def test_a_move_by_hand_wants_a_reason_that_says_something(desk: Desk, tmp_path: Path) -> None:
    """The same of SetAlias; the alias stays."""
    publish_tiny(desk.models, "banking", "classification", scratch=tmp_path)
    with pytest.raises(FieldInvalidError, match="override_reason: has no visible characters"):
        Registry(desk.models).set_alias(
            "banking", "production", 1, expected=None, actor="", reason="", override_reason=" \u200b"
        )
    assert desk.models.aliases("banking").records == []


def test_a_model_keeps_its_task(desk: Desk, tmp_path: Path) -> None:
    """A name whose versions classify takes no extractor: moving an alias to it would fail every caller."""
    publish_tiny(desk.models, "banking", "classification", scratch=tmp_path)
    assert desk.submission.resolve(ORDER).model == "banking"
    assert refused_fields(desk, replace(ORDER, dataset="people")) == ["spec.model"]


def refused_fields(desk: Desk, order: Order) -> list[str]:
    """The fields for which an order is refused, none if it is taken."""
    try:
        desk.submission.submit(order, request_id="")
    except SpecInvalidError as error:
        return [problem.field for problem in error.problems]
    return []


def test_a_model_that_is_yet_to_be_keeps_its_task(desk: Desk) -> None:
    """While a job for a new name waits, no job of another task is taken for that name; once it has ended without a version, one is."""
    desk.submission.submit(ORDER, request_id="")
    assert refused_fields(desk, ORDER) == []
    assert refused_fields(desk, replace(ORDER, dataset="people")) == ["spec.model"]
    assert refused_fields(desk, replace(ORDER, dataset="people", model="other")) == []

    for waiting in desk.table.unfinished():
        desk.table.change(waiting.id, lambda job: job.cancelled(now=job.create_time))
    assert refused_fields(desk, replace(ORDER, dataset="people")) == []


def test_whoever_deletes_rows_waits_for_a_submission(desk: Desk) -> None:
    """The turn that deletions take is taken from when the snapshot is fixed until the job is in the table; no order passes while they hold it."""
    seen: list[bool] = []
    reserve = desk.models.reserve

    def watched(model: str, job_id: str) -> VersionName:
        seen.append(desk.table._database._turn.locked())
        return reserve(model, job_id)

    desk.models.reserve = watched  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        with desk.table.turn():
            waiting = pool.submit(desk.submission.submit, ORDER, request_id="")
            time.sleep(0.1)
            assert not seen
            desk.datasets.delete(DatasetName("support"))
        with pytest.raises(DatasetNotFoundError):
            waiting.result()
    desk.datasets.save("support", "classification", {"train": MANY, "validation": MANY[:2]})
    desk.submission.submit(ORDER, request_id="")
    assert seen == [True]


def test_racing_first_jobs_of_a_model_agree_on_its_task(desk: Desk) -> None:
    """Of orders for both tasks that come at the same moment for a new name, those of one task are taken."""
    orders = [ORDER, replace(ORDER, dataset="people")] * 4
    with ThreadPoolExecutor(8) as pool:
        refusals = list(pool.map(lambda order: refused_fields(desk, order), orders))
    assert refusals.count(["spec.model"]) == refusals.count([]) == 4
    assert len({job.spec.recipe for job in desk.table.unfinished()}) == 1


@pytest.mark.parametrize("damage", [b"{}", b'{"schema_version": 9}'], ids=["damaged", "of a newer release"])
def test_a_version_that_cannot_be_read_blocks_no_retraining(
    desk: Desk, tmp_path: Path, damage: bytes
) -> None:
    """Where the newest version cannot be read the one before tells the task; where none can be, nothing is refused."""
    publish_tiny(desk.models, "banking", "classification", scratch=tmp_path)
    for number in (2, 3):
        desk.models.reserve("banking", f"job-{number}")
        desk.objects.create(layout.manifest(VersionName("banking", number)), damage)
    assert refused_fields(desk, replace(ORDER, dataset="people")) == ["spec.model"]
    assert refused_fields(desk, ORDER) == []

    desk.objects.create(layout.manifest(VersionName("lost", 1)), damage)
    assert refused_fields(desk, replace(ORDER, model="lost")) == []
