"""Where a version comes from, as pairs of a name and a value: what it takes to make it again."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.cards.facts import Facts


class Entry(NamedTuple):
    """A line of a table."""

    name: str
    value: str


def lineage(facts: Facts) -> Iterator[Entry]:
    """Yield the base, the data, the job and the seed."""
    manifest = facts.manifest
    origin = manifest.lineage
    base = origin.base_model
    yield Entry("Version", str(manifest.version))
    yield Entry("Published", f"{manifest.create_time:%Y-%m-%d %H:%M:%S %Z}")
    yield Entry("Base model", base.id if base else "none: trained from scratch")
    if base:
        yield Entry("Base revision", f"{base.source} {base.revision}".strip())
        yield Entry("Base digest", f"sha256:{base.digest}")
        yield Entry("Base licence", base.licence or "not told")
    yield Entry("Adaptable", "on: all weights learnt" if origin.adaptable else "off: only the head learnt")
    yield Entry("Dataset", origin.dataset)
    if origin.parent_version:
        yield Entry("Parent version", origin.parent_version)
    if origin.stopped_step is not None:
        yield Entry("Ended early", f"on request, after step {origin.stopped_step}")
    yield Entry("Seed", str(origin.seed))
    yield Entry("Job", origin.job_id)
    yield Entry("Tokenizer", f"sha256:{manifest.tokenization.file.digest}")
    for name in facts.variants:
        for role, graph in sorted(manifest.variants[name].graphs.items()):
            yield Entry(f"{name} {role}.onnx", f"sha256:{graph.file.digest}, {graph.file.size_bytes} bytes")


def spec_entries(facts: Facts) -> list[Entry]:
    """Return the spec, field by field; a record within it by dotted names."""
    return list(_flat(facts.manifest.lineage.spec))


def package_entries(facts: Facts) -> list[Entry]:
    """Return the packages that it was trained with."""
    return [Entry(*pair) for pair in sorted(facts.manifest.lineage.package_versions.items())]


def _flat(record: Mapping[str, object], prefix: str = "") -> Iterator[Entry]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield Entry(f"{prefix}{name}", str(value))
