"""More versions of the same shape: copies of a published one whose weights differ by a hair, so that no two share a file.

Versions are written as publishers write them: files, then the manifest.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from shared.errors import ModelNotFoundError
from shared.names import VersionName
from shared.store.manifest import Graph, Manifest, Variant
from tests.bench.serving.preparing import ADAPTABLE, FROZEN, Prepared

HEADS: Final = 50
_HAIR: Final = 1e-5  # of a weight's own size


def heads(prepared: Prepared) -> list[VersionName]:
    """Return versions with heads of their own on the frozen base's encoder, published once."""
    origin = prepared.manifest(FROZEN)
    return [
        _copy(prepared, origin, f"head-{place:02}", 1, "head", seed=place) for place in range(1, HEADS + 1)
    ]


def adaptable_versions(prepared: Prepared) -> Sequence[VersionName]:
    """Return two versions of one model, published once: what a promotion moves between."""
    origin = prepared.manifest(ADAPTABLE)
    return origin.version, _copy(prepared, origin, ADAPTABLE, 2, "model", seed=2)


def _copy(
    prepared: Prepared, origin: Manifest, model: str, number: int, role: str, *, seed: int
) -> VersionName:
    version = VersionName(model, number)
    if _is_published(prepared, version):
        return version
    job_id = f"job-{seed:016x}"
    reserved = prepared.models.reserve(model, job_id)
    assert reserved == version
    variants = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, variant in origin.variants.items():
            changed = _changed(prepared, variant.graphs[role], Path(folder) / f"{name}.onnx", seed)
            variants[name] = Variant(graphs={**variant.graphs, role: changed})
    lineage = origin.lineage.model_copy(update={"job_id": job_id})
    prepared.models.publish(
        origin.model_copy(update={"model": model, "number": number, "variants": variants, "lineage": lineage})
    )
    return version


def _is_published(prepared: Prepared, version: VersionName) -> bool:
    try:
        return version.number in prepared.models.versions(version.model)
    except ModelNotFoundError:
        return False


def _changed(prepared: Prepared, graph: Graph, path: Path, seed: int) -> Graph:
    """Store the graph with its last weights a little different; answers stay what they are."""
    model = onnx.load(prepared.path(graph.file))
    last = [
        each for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT and each.dims
    ][-1]
    weights = numpy_helper.to_array(last)
    noise = np.random.default_rng(seed).uniform(-_HAIR, _HAIR, weights.shape)
    last.CopyFrom(numpy_helper.from_array((weights * (1 + noise)).astype(np.float32), last.name))
    onnx.save(model, path)
    return graph.model_copy(update={"file": prepared.models.put_file(path)})
