"""Small versions to publish: real blobs, a valid manifest, no model in them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from shared.names import VersionName
from shared.store.manifest import (
    BaseModelLineage,
    ClassificationDecoding,
    Graph,
    Lineage,
    Manifest,
    StoredFile,
    Tokenization,
    Variant,
)
from shared.store.models import ModelStore


def manifest_of(
    version: VersionName,
    job_id: str,
    files: tuple[StoredFile, StoredFile],
    *,
    state: Literal["published", "rejected"] = "published",
) -> Manifest:
    """Make the manifest of a version whose tokenizer and graph are `files`."""
    tokenizer, graph = files
    return Manifest(
        model=version.model,
        number=version.number,
        state=state,
        task="classification",
        labels=("billing", "other"),
        tokenization=Tokenization(file=tokenizer, max_tokens=16, stride_tokens=4),
        variants={
            "fp32": Variant(graphs={"model": Graph(file=graph, inputs=("input_ids",), outputs=("logits",))})
        },
        decoding=ClassificationDecoding(),
        golden_examples=(),
        evaluations={},
        gate_checks=(),
        lineage=Lineage(
            job_id=job_id,
            base_model=BaseModelLineage(id="tiny", revision="1", digest="0" * 64, licence="Apache-2.0"),
            adaptable=True,
            dataset=f"support@sha256:{'1' * 64}",
            spec={},
            seed=0,
            package_versions={},
        ),
        create_time=datetime(2026, 1, 1, tzinfo=UTC),
    )


def put_files(store: ModelStore, scratch: Path, seed: str) -> tuple[StoredFile, StoredFile]:
    """Store a tokenizer that all versions share and a graph of 100 kB that only `seed` has."""
    scratch.mkdir(parents=True, exist_ok=True)
    tokenizer, graph = scratch / f"tokenizer-{seed}", scratch / f"graph-{seed}"
    tokenizer.write_bytes(b"tokenizer" * 100)
    graph.write_bytes(seed.encode().ljust(10, b".") * 10_000)
    return store.put_file(tokenizer), store.put_file(graph)


def publish_small(
    store: ModelStore,
    scratch: Path,
    *,
    model: str = "banking",
    job_id: str = "job-a",
    state: Literal["published", "rejected"] = "published",
) -> VersionName:
    """Reserve and publish the model's next version."""
    version = store.reserve(model, job_id)
    store.publish(manifest_of(version, job_id, put_files(store, scratch, str(version)), state=state))
    return version
