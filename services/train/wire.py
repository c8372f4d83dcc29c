"""Training: datasets and bases between the wire and the domain. Pure functions; with `job_wire` and `spec_wire` the only readers and writers of
TrainingService's messages but the servicer.
"""

from collections.abc import AsyncIterator
from typing import Final

from services.train.catalogue import BaseModelEntry
from services.train.datasets import FileHeader, Imported, UnreadableDataset
from services.train.job_wire import write_time
from services.train.spec_wire import POOLINGS, TASKS, named, read_enum
from shared.data.inspection.findings import Finding
from shared.data.readers import Extras, FieldNames
from shared.data.rows import SPLIT_NAMES, SplitName
from shared.errors import FieldInvalidError
from shared.rpc.status import to_status
from shared.store.datasets import Snapshot
from shared.stubs.training.v1 import training_pb2 as pb

_SPLITS: Final[dict[SplitName, str]] = named(SplitName)


async def read_parts(requests: AsyncIterator[pb.ImportDatasetRequest]) -> AsyncIterator[FileHeader | bytes]:
    """Read an upload. Raises FieldInvalidError for a message without a part."""
    async for request in requests:
        if request.HasField("header"):
            header = request.header
            yield FileHeader(
                dataset=header.dataset,
                file_name=header.file_name,
                split=read_enum(_SPLITS, pb.Split, header.split, field="header.split"),
                server_path=header.server_path,
                task=read_enum(TASKS, pb.Task, header.task, field="header.task"),
                names=FieldNames(**{field.name: value for field, value in header.field_names.ListFields()}),
                extras=Extras(tuple(dict.fromkeys(header.columns)), header.out_of_scope_label),
                cleaning=frozenset(header.cleaning),
            )
        elif request.HasField("chunk"):
            yield request.chunk
        else:
            raise FieldInvalidError("An import message has neither a header nor a chunk.", field="part")


def write_dataset(snapshot: Snapshot | UnreadableDataset) -> pb.Dataset:
    """Write a snapshot's summary, its splits in the order train, validation, test; or what stands in its place."""
    if isinstance(snapshot, UnreadableDataset):
        return pb.Dataset(name=snapshot.name, error=to_status(snapshot.damage))
    return pb.Dataset(
        name=snapshot.name,
        task=TASKS[snapshot.task],
        splits=[
            pb.SplitSummary(
                split=_SPLITS[split],
                row_count=snapshot.splits[split].row_count,
                label_counts=snapshot.splits[split].label_counts,
                out_of_scope_count=snapshot.splits[split].out_of_scope_count,
            )
            for split in SPLIT_NAMES
            if split in snapshot.splits
        ],
        labels=snapshot.labels,
        create_time=write_time(snapshot.create_time),
        cleaning=snapshot.cleaning,
    )


def write_import(imported: Imported) -> pb.Dataset:
    """Write a snapshot's summary with what is doubtful about it, and what cleaning did."""
    dataset = write_dataset(imported.snapshot)
    dataset.findings.extend(map(write_finding, imported.findings))
    dataset.cleaning_reports.extend(
        pb.CleaningReport(
            step=report.step,
            changed_count=report.changed_count,
            dropped_count=report.dropped_count,
            places=report.places,
        )
        for report in imported.reports
    )
    return dataset


def write_finding(finding: Finding) -> pb.Finding:
    """Write something doubtful."""
    return pb.Finding(
        kind=finding.kind.value, message=finding.message, count=finding.count, places=finding.places
    )


def write_base_model(entry: BaseModelEntry) -> pb.BaseModel:
    """Write an entry of the catalogue."""
    return pb.BaseModel(
        id=entry.id,
        description=entry.description,
        languages=entry.languages,
        licence=entry.licence,
        parameter_count=entry.parameter_count,
        max_tokens=entry.max_tokens,
        available=entry.folder is not None,
        digest=f"sha256:{entry.digest}" if entry.digest else "",
        pooling=POOLINGS[entry.pooling],
        is_default=entry.is_default,
        size_bytes=entry.size_bytes,
        tokenizer_family=entry.tokenizer_family,
        source=entry.source,
        revision=entry.revision,
        tasks=list(TASKS.values()),
        limits=entry.limits,
        layer_count=entry.layer_count,
    )
