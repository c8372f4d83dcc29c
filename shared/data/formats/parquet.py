"""Parquet: a record a row, by the names of the columns; lists of structs are lists of objects."""

import io
from collections.abc import Sequence

import pyarrow as pa
from pyarrow import parquet

from shared.data.formats.record import LineError, Records

_BATCH_ROWS = 1024


def records(content: bytes, needed: Sequence[str]) -> Records:
    """Yield a record for each row, of the `needed` columns and no other. Rows count from 1."""
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        columns = file.schema_arrow.names
    except (pa.ArrowException, OSError):
        yield 1, LineError("is not a Parquet file, or a damaged one")
        return
    number = 0
    try:
        for batch in file.iter_batches(_BATCH_ROWS, columns=[name for name in columns if name in needed]):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (
        pa.ArrowException,
        OSError,
        ValueError,
    ):  # the last: values that are no Python values, such as years of five digits
        yield number + 1, LineError("cannot be read, nor can the rows after it")
