"""What `tagsmith models MODEL@VERSION` tells of a version's training: what its base was worth, and the trials of its search. Pure."""

import json
from collections.abc import Iterator

from rich.table import Table

from services.cli.records import Record
from shared.store.evaluation import signed_points
from shared.stubs.registry.v1 import registry_pb2 as pb

_MOST_TRIALS = 5


def training_record(version: pb.ModelVersion) -> Record:
    """Describe it by the version's manifest: `gain` is null where it was not measured, `trials` are in their order, none where nothing was searched."""
    manifest = json.loads(version.manifest_json or "{}")
    return {"gain": manifest.get("gain"), "trials": manifest.get("trials", [])}


def how_it_was_trained(record: Record) -> Iterator[str | Table]:
    """Show what there is of a record: a line on the gain, the best trials."""
    if gain := record["gain"]:
        yield (
            f"gain over random weights: {signed_points(gain['gain'])} points on {gain['row_count']} rows of {gain['split']}"
            f" (95 % interval {signed_points(gain['low'])} to {signed_points(gain['high'])}), from {gain['from_scratch']:.4f}"
        )
    if trials := record["trials"]:
        best = sorted(trials, key=lambda trial: (-trial["metric"], trial["number"]))[:_MOST_TRIALS]
        yield f"search: {len(trials)} trials, {f'the best {len(best)}' if len(best) < len(trials) else 'the best first'}"
        table = Table("trial", "validation", "ended", "hyperparameters", box=None)
        for trial in best:
            knobs = ", ".join(f"{name} {value:.4g}" for name, value in trial["knobs"].items())
            table.add_row(str(trial["number"]), f"{trial['metric']:.4f}", trial["state"], knobs)
        yield table
