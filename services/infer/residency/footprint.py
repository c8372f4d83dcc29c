"""How much memory versions take, estimated before they are loaded. Pure.

Parts are counted by digest: what versions share counts once.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from shared.errors import ModelNotLoadableError
from shared.names import VersionName
from shared.store.manifest import Manifest, VariantName

# Measured with MiniLM in ONNX Runtime: a graph's file grows by what is packed for its multiplications and by what runs hold;
# a tokenizer.json by its tables.
_BYTES_PER_GRAPH_BYTE: Final = 1.5
_BYTES_PER_TOKENIZER_BYTE: Final = 22

Footprint = Mapping[str, int]  # bytes of each part, by its file's digest


def footprint(manifest: Manifest, variant: VariantName) -> Footprint:
    """Estimate the parts of a version."""
    tokenizer = manifest.tokenization.file
    graphs = [graph.file for graph in manifest.variants[variant].graphs.values()]
    return {
        tokenizer.digest: int(_BYTES_PER_TOKENIZER_BYTE * tokenizer.size_bytes),
        **{file.digest: int(_BYTES_PER_GRAPH_BYTE * file.size_bytes) for file in graphs},
    }


def total_bytes(footprints: Iterable[Footprint]) -> int:
    """Add up the different parts."""
    parts: dict[str, int] = {}
    for each in footprints:
        parts |= each
    return sum(parts.values())


def does_not_fit(version: VersionName, *, needed_bytes: int, budget_bytes: int) -> ModelNotLoadableError:
    """Say that a version cannot be loaded beside what must stay."""
    return ModelNotLoadableError(
        f"{version} does not fit: with what is in use it would take about {needed_bytes} bytes, the budget is {budget_bytes}. "
        "Raise TAGSMITH_INFER_MEMORY_BUDGET_BYTES, or require fewer models.",
        model_version=str(version),
        cause="memory budget",
        needed_bytes=needed_bytes,
        budget_bytes=budget_bytes,
    )
