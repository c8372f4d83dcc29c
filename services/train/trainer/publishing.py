"""From exported files to a version in the store.

Owns the manifest: drafted before the gate, so that the gate loads what will be published; completed with the evidence; written
last, after every file. Whatever fails before that leaves no version, only blobs that nobody names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from services.train.catalogue import read_base_folder
from services.train.spec import Assignment
from services.train.trainer.corpus import Corpus
from services.train.trainer.export import ExportedGraph, Role, describe_file
from services.train.trainer.reference import Decoding
from shared.data.inspection.findings import Finding
from shared.names import VersionName
from shared.runtime.reader import TextReader
from shared.store.evaluation import CurvePoint, Trial
from shared.store.manifest import (
    BaseModelLineage,
    DataFinding,
    GateCheck,
    Lineage,
    Manifest,
    StoredFile,
    Tokenization,
    Variant,
    VariantName,
)
from shared.store.models import ModelStore

_PACKAGES = (
    "tagsmith", "torch", "transformers", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "tokenizers", "numpy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A drafted version and where its files lie; not in the store yet."""

    manifest: Manifest
    paths: Mapping[str, Path]  # by digest

    def open_file(self, file: StoredFile) -> Path:
        """Where a file of the manifest lies."""
        return self.paths[file.digest]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was noticed on the way to a version."""

    of_rows: Sequence[Finding]
    curve: Sequence[CurvePoint]
    trials: Sequence[Trial]
    replayed_row_count: int
    stopped_step: int | None


def draft(
    assignment: Assignment,
    corpus: Corpus,
    findings: Findings,
    reader: TextReader,
    decoding: Decoding,
    variants: Mapping[VariantName, Mapping[Role, ExportedGraph]],
    *,
    tokenizer: Path,
    weights: Path,
) -> Candidate:
    """Describe exported files as a version, without any evidence yet."""
    name = VersionName.parse(assignment.version)
    described = {
        variant: {role: graph.described() for role, graph in graphs.items()}
        for variant, graphs in variants.items()
    }
    tokenizer_file, weights_file = describe_file(tokenizer), describe_file(weights)
    manifest = Manifest(
        model=name.model,
        number=name.number,
        state="published",
        task=corpus.task,
        labels=corpus.labels,
        tokenization=Tokenization(
            file=tokenizer_file, max_tokens=reader.max_tokens, stride_tokens=reader.stride_tokens
        ),
        variants={variant: Variant(graphs=graphs) for variant, graphs in described.items()},
        decoding=decoding,
        weights=weights_file,
        golden_examples=(),
        evaluations={},
        gate_checks=(),
        training_curve=tuple(findings.curve),
        trials=tuple(findings.trials),
        findings=tuple(
            DataFinding(kind=each.kind, message=each.message, count=each.count, places=each.places)
            for each in findings.of_rows
        ),
        lineage=_lineage(assignment, findings),
        create_time=datetime.now(UTC),
    )
    paths = {
        described[variant][role].file.digest: graph.path
        for variant, graphs in variants.items()
        for role, graph in graphs.items()
    }
    return Candidate(manifest, {**paths, tokenizer_file.digest: tokenizer, weights_file.digest: weights})


def complete(candidate: Candidate, checks: Sequence[GateCheck]) -> Manifest:
    """Add the gate's report: one failed check of fp32 makes the version a rejected one, another variant stays if all of its passed."""
    failed = {check.variant for check in checks if not check.passed}
    passed = {check.variant for check in checks} - failed
    variants = {
        name: variant
        for name, variant in candidate.manifest.variants.items()
        if name == "fp32" or name in passed
    }
    state = "rejected" if "fp32" in failed else "published"
    return candidate.manifest.model_copy(
        update={"state": state, "gate_checks": tuple(checks), "variants": variants}
    )


def publish(store: ModelStore, manifest: Manifest, candidate: Candidate) -> None:
    """Put every file, then the manifest. Raises StoreUnavailableError, VersionConflictError."""
    weights = [manifest.weights] if manifest.weights else []
    for file in dict.fromkeys([*manifest.files, *weights]):
        store.put_file(candidate.open_file(file))
    store.publish(manifest)


def _lineage(assignment: Assignment, findings: Findings) -> Lineage:
    spec = assignment.spec
    return Lineage(
        job_id=assignment.job_id,
        base_model=_base_lineage(assignment),
        adaptable=spec.adaptable,
        dataset=spec.dataset,
        spec=spec.model_dump(mode="json"),
        seed=spec.seed,
        package_versions=dict(_installed()),
        parent_version=spec.continues.version if spec.continues else None,
        replayed_row_count=findings.replayed_row_count,
        stopped_step=findings.stopped_step,
    )


def _base_lineage(assignment: Assignment) -> BaseModelLineage | None:
    spec, folder = assignment.spec, assignment.base_model_folder
    if spec.base_model is None or spec.base_digest is None or folder is None:
        return None
    base = read_base_folder(Path(folder))
    return BaseModelLineage(
        id=spec.base_model,
        revision=base.revision,
        digest=spec.base_digest,
        licence=base.licence,
        source=base.source,
        config=json.loads((Path(folder) / "config.json").read_text("utf-8")),
    )


def _installed() -> list[tuple[str, str]]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue  # one of the two ONNX Runtime builds always is not there
    return found
