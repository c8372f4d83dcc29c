"""PlanTrainingJob over a real socket, with real surveys in processes of their own."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import psutil
import pytest

from shared.rpc.status import explain
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bases import TINY_BASE, make_tiny_base
from tests.integration.train_service.harness import Service, refused, wait_for
from tests.tiny import FILLERS, TOPICS, topic_label

FAST = pb.Hyperparameters(max_epochs=3, batch_size=8)


def csv(rows: list[tuple[str, str, str]]) -> bytes:
    """Rows of (text, label, split)."""
    return "\n".join(("text,label,split", *(",".join(row) for row in rows), "")).encode()


def rows(count: int) -> list[tuple[str, str, str]]:
    """Rows that the tiny base reads; a tenth validates."""
    return [
        (
            f"{TOPICS[i % len(TOPICS)]} {' '.join(FILLERS[(i * k) % len(FILLERS)] for k in (1, 3, 7))}",
            topic_label(TOPICS[i % len(TOPICS)]),
            "validation" if i % 10 == 9 else "train",
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as it is installed, with the tiny base."""
    bases = tmp_path_factory.mktemp("bases")
    make_tiny_base(bases)
    service = Service(tmp_path_factory.mktemp("plans"), module="services.train", bases=bases)
    try:
        service.start(trainer_threads="1")
        service.import_csv(csv(rows(90)), dataset="topics")
        yield service
    finally:
        service.close()


def plan(
    service: Service,
    *,
    skip_probe: bool = False,
    find_suspects: bool = False,
    learning_curve: bool = False,
    promote_to: str = "",
    **spec: object,
) -> pb.TrainingPlan:
    """Ask for a plan of a model on the topics, on the tiny base."""
    usual = {"model": "topics", "dataset": "topics", "base_model": TINY_BASE, "hyperparameters": FAST}
    request = pb.PlanTrainingJobRequest(
        spec=pb.TrainingSpec(**(usual | spec)),
        skip_probe=skip_probe,
        find_suspects=find_suspects,
        learning_curve=learning_curve,
        promote_to=promote_to,
    )
    return service.training.PlanTrainingJob(request, timeout=60)


@pytest.mark.parametrize("adaptable", [True, False])
def test_a_plan_tells_spec_texts_and_cost(service: Service, *, adaptable: bool) -> None:
    """The spec is the one that a job would have, the steps are those that it would take, and nothing is left behind."""
    told = plan(service, adaptable=adaptable)
    spec = pb.TrainingSpec(
        model="topics", dataset="topics", base_model=TINY_BASE, hyperparameters=FAST, adaptable=adaptable
    )
    job = service.training.CreateTrainingJob(pb.CreateTrainingJobRequest(spec=spec, validate_only=True))
    assert told.spec == job.spec
    assert told.texts.row_count == 90
    assert 0 < told.texts.median_tokens <= told.texts.p95_tokens <= told.texts.most_tokens
    assert told.texts.long_row_count == 0
    assert (told.cost.training_count, told.cost.total_steps) == (1, 3 * -(-81 // 8))
    assert (
        told.cost.duration.ToMilliseconds()
        >= told.cost.total_steps * told.cost.step_duration.ToMilliseconds()
    )
    assert told.cost.peak_memory_bytes > 2**26
    assert not list((service.state_dir / "surveys").iterdir())
    assert service.models.models() == []


def test_a_plan_costs_every_training_of_a_search_and_that_of_the_gain(service: Service) -> None:
    """Five trainings of so many steps each, and the time of all of them."""
    told = plan(service, search=pb.Search(most_trials=4), measures_gain=True).cost
    assert (told.training_count, told.total_steps) == (5, 3 * -(-81 // 8))
    steps_ms = told.training_count * told.total_steps * told.step_duration.ToMicroseconds() / 1000
    assert told.duration.ToMilliseconds() >= int(steps_ms)


def test_without_a_probe_there_is_no_cost(service: Service) -> None:
    """Nothing is tried."""
    told = plan(service, skip_probe=True)
    assert not told.HasField("cost")
    assert told.texts.row_count == 90


def test_a_learning_curve_is_told_where_it_is_asked_for(service: Service) -> None:
    """Rising shares of the train rows, each with its score; beside suspects it is the same curve."""
    alone = plan(service, skip_probe=True, learning_curve=True)
    curve = alone.learning_curve
    assert [each.row_count for each in curve.points][-2:] == [40, 81]
    assert all(0 <= each.score <= 1 for each in curve.points)
    assert curve.metric_name == "accuracy"
    assert curve.gain_low <= curve.gain <= curve.gain_high
    # Nine validation rows can never be sure that more would not help.
    assert curve.verdict in {pb.LearningCurve.RISING, pb.LearningCurve.UNCLEAR}
    assert not alone.suspects
    both = plan(service, skip_probe=True, learning_curve=True, find_suspects=True)
    assert both.learning_curve == curve
    assert not plan(service, skip_probe=True).HasField("learning_curve")


@pytest.mark.parametrize("asked", ["find_suspects", "learning_curve"])
def test_what_asks_a_base_is_refused_of_a_network_from_scratch(service: Service, asked: str) -> None:
    """The field that cannot be is named."""
    with pytest.raises(grpc.RpcError) as caught:
        plan(service, recipe=pb.RNN_CLASSIFIER, base_model="", **{asked: True})
    why = explain(caught.value)
    assert (why.code, why.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert why.metadata["field"] == asked


def test_a_network_from_scratch_is_planned_too(service: Service) -> None:
    """Its tokenizer is learnt for the survey; with few rows a label the advice is another recipe."""
    told = plan(
        service, recipe=pb.RNN_CLASSIFIER, base_model="", hyperparameters=pb.Hyperparameters(max_epochs=1)
    )
    assert told.cost.total_steps > 0
    assert [(each.field, each.value) for each in told.advice] == [("recipe", "transformer-classifier")]


def test_planted_faults_are_found(service: Service) -> None:
    """A leaked row, HTML, a label spelt two ways and words that the base does not know; each with its place."""
    good = rows(90)
    planted = [
        *good,
        (good[0][0].upper(), good[0][1], "validation"),
        ("<b>" + good[1][0] + "</b>", good[1][1], "train"),
        (good[2][0] + " again", good[2][1].upper(), "train"),
        ("ⴰⵣⵓⵍ ⴼⵍⵍⴰⵡⵏ ⵎⴰⵏⵣⴰ ⵜⵍⵍⵉⴷ", good[3][1], "train"),
    ]
    service.import_csv(csv(planted), dataset="planted")
    found = {
        pb.Finding.Kind.Name(each.kind): list(each.places)
        for each in plan(service, dataset="planted", skip_probe=True).findings
    }
    assert found["LEAK"] == ["validation:10"]
    assert found["DIRTY_TEXT"] == ["train:82"]
    assert found["SIMILAR_LABELS"] == ["train:83"]
    assert found["UNKNOWN_TOKENS"] == ["train:84"]


def test_what_would_fail_a_job_fails_its_plan(service: Service) -> None:
    """A script that the base does not know refuses both, with the same reason and the rows; and so does a spec that cannot be."""
    service.import_csv(
        csv([(f"ⴰⵣⵓⵍ ⴼⵍⵍⴰⵡⵏ {i}", "ab"[i % 2], "validation" if i > 15 else "train") for i in range(20)]),
        dataset="unread",
    )
    with pytest.raises(grpc.RpcError) as caught:
        plan(service, dataset="unread")
    why = explain(caught.value)
    assert (why.code, why.reason) == ("INVALID_ARGUMENT", "DATASET_INVALID")
    assert why.problems[0].field == "train:1"
    job = service.submit("unread", dataset="unread", base_model=TINY_BASE)
    assert service.end_of(job.id).error.message == why.message
    with pytest.raises(grpc.RpcError) as caught:
        plan(service, dataset="nobody")
    assert explain(caught.value).reason == "DATASET_NOT_FOUND"


def test_whoever_hangs_up_stops_the_survey(service: Service) -> None:
    """A call that is cancelled leaves no process and no folder, and the next one has its turn."""
    spec = pb.TrainingSpec(model="topics", dataset="topics", base_model=TINY_BASE, hyperparameters=FAST)
    call = service.training.PlanTrainingJob.future(pb.PlanTrainingJobRequest(spec=spec))
    surveys = service.state_dir / "surveys"
    wait_for(lambda: list(surveys.glob("*/events.jsonl")), what="the survey to begin")
    call.cancel()
    wait_for(lambda: not list(surveys.iterdir()), what="the survey to be gone")
    assert surveyors(service) == []
    assert plan(service, skip_probe=True).texts.row_count == 90


def surveyors(service: Service) -> list[psutil.Process]:
    """The processes that look."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(service.state_dir / "surveys") in " ".join(process.info["cmdline"] or ())
    ]


def test_a_survey_that_is_lost_leaves_its_log(service: Service) -> None:
    """Its end is told with the signal and with where its last words are; a restart clears them, as the README says."""
    surveys = service.state_dir / "surveys"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(plan, service)
        wait_for(lambda: list(surveys.glob("*/events.jsonl")), what="the survey to begin")
        for process in surveyors(service):
            process.kill()
        with pytest.raises(grpc.RpcError) as caught:
            asked.result()
    why = explain(caught.value)
    assert (why.code, why.reason) == ("ABORTED", "TRAINER_LOST")
    assert why.metadata["signal"] == "SIGKILL"
    assert (surveys / why.metadata["survey"] / "trainer.log").exists()
    service.stop()
    service.start(trainer_threads="1")
    assert not list(surveys.glob("*"))


def test_a_plan_knows_the_alias_that_the_job_would_move(service: Service) -> None:
    """A gate that compares finds its champion by it, as the job's would; without it, or with no alias, both are refused alike."""
    gates = pb.QualityGates(most_points_lost=1)
    told = plan(service, skip_probe=True, promote_to="production", gates=gates)
    assert told.spec.gates.champion == "topics@production"
    for promote_to, reason in (("", "SPEC_INVALID"), ("7", "NAME_MALFORMED")):
        with refused("INVALID_ARGUMENT", reason):
            plan(service, skip_probe=True, promote_to=promote_to, gates=gates)
        with refused("INVALID_ARGUMENT", reason):
            service.submit("topics", dataset="topics", gates=gates, promote_to=promote_to)


def test_surveys_take_turns(service: Service) -> None:
    """Two at once are both answered, one after the other: a probe measures the machine."""
    surveys, most = service.state_dir / "surveys", 0
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(plan, service, skip_probe=True) for _ in range(2)]
        while not all(each.done() for each in asked):
            most = max(most, len(list(surveys.iterdir())))
            time.sleep(0.02)
    assert [each.result().texts.row_count for each in asked] == [90, 90]
    assert most == 1
