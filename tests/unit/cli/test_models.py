"""What `tagsmith models MODEL@VERSION` says of a version's gates."""

from pathlib import Path

from rich.console import Console

from services.cli.models import _gate_table, metrics_table
from services.cli.records import version_record
from services.cli.trainings import how_it_was_trained, training_record
from services.train.registry_wire import write_version
from shared.store.evaluation import Trial
from shared.stubs.registry.v1 import registry_pb2 as pb
from tests.unit.shared.cards.versions import version


def told(folder: Path) -> pb.ModelVersion:
    """A version with one gate that failed, one that could not be measured and one that held, as the registry tells it."""
    return pb.ModelVersion.FromString(
        write_version(version(folder), (), with_manifest=False).SerializeToString()
    )


def test_a_gate_that_was_not_measured_has_no_figure(tmp_path: Path) -> None:
    """Neither on the wire, where it is not set, nor in JSON, where it is null."""
    slices, labels, size = told(tmp_path).quality_checks
    assert (slices.measured, slices.unit) == (5.5, "points")
    assert (labels.HasField("measured"), labels.unit) == (False, "points")
    assert (size.measured, size.limit, size.unit) == (12345678, 23456789, "bytes")
    records = version_record(told(tmp_path))["quality_checks"]
    assert [(each["measured"], each["unit"]) for each in records] == [
        (5.5, "points"),
        (None, "points"),
        (12345678, "bytes"),
    ]


def test_what_a_version_s_training_found_is_told(tmp_path: Path) -> None:
    """The gain and the trials, in JSON as the manifest has them, for people the best trials first and how many there were."""
    manifest = version(tmp_path)
    trials = [Trial(number=n, knobs={"dropout": n / 16}, metric=n / 8, state="complete") for n in range(1, 8)]
    searched = manifest.model_copy(update={"trials": tuple(trials)})
    record = training_record(write_version(searched, (), with_manifest=True))
    assert record["gain"]["from_scratch"] == 0.5
    assert [each["number"] for each in record["trials"]] == list(range(1, 8))
    console = Console(width=200)
    with console.capture() as shown:
        console.print(*how_it_was_trained(record), sep="\n")
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert (
        "gain over random weights: +25.00 points on 120 rows of test (95 % interval +12.50 to +37.50), from 0.5000"
        in lines
    )
    assert "search: 7 trials, the best 5" in lines
    told = [line for line in lines if "complete" in line]
    assert told[0] == "7 0.8750 complete dropout 0.4375"
    assert len(told) == 5

    plain = manifest.model_copy(update={"trials": (), "gain": None})
    nothing = training_record(write_version(plain, (), with_manifest=True))
    assert nothing == {"gain": None, "trials": []}
    assert list(how_it_was_trained(nothing)) == []


def test_the_table_of_gates_has_units(tmp_path: Path) -> None:
    """Measured and limit, or that nothing was."""
    console = Console(width=200)
    with console.capture() as shown:
        console.print(_gate_table(told(tmp_path)))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert "slices FAILED 5.5 points 2 points lost on 'language=de'" in lines
    assert "labels FAILED not measured 2 points there are no labels with rows enough to compare" in lines
    assert "size passed 12,345,678 bytes 23,456,789 bytes files of the smallest variant" in lines


def test_the_table_of_metrics_counts_rows_out_of_scope_by_themselves(tmp_path: Path) -> None:
    """What is measured on them alone has their count, as the record has; all else has that of the split's other rows."""
    manifest = version(tmp_path)
    scores = manifest.evaluations["fp32"]["test"]
    strays = scores.model_copy(
        update={"metrics": {**scores.metrics, "out_of_scope_recall": 0.5}, "out_of_scope_count": 8}
    )
    evaluations = {"fp32": {"test": strays}}
    wire = write_version(manifest.model_copy(update={"evaluations": evaluations}), (), with_manifest=False)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(metrics_table(wire))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert "test 8 out_of_scope_recall 0.5000" in lines
    assert "test 120 accuracy 0.8750" in lines
    assert version_record(wire)["out_of_scope_counts"] == {"test": 8}
