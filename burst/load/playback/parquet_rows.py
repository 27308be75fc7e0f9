"""Rows of a Parquet file as lines of JSON; needs burst's parquet extra."""

import datetime
import decimal
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from burst.load.playback import records

BATCH_ROWS = 500


def read_rows(raw: BinaryIO, place: str, first_row: int) -> Iterator[tuple[int, bytes]]:
    """The rows from a number on. Raises RecordingError for a file that is none, or a column that JSON cannot hold."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise records.RecordingError(f"{place}: Parquet needs its extra: pip install 'burst[parquet]'") from None
    row = 0
    try:
        file = parquet.ParquetFile(raw)
        name = _find_twice(file.schema_arrow)
        if name is not None:
            words = f"{place}: two columns are named {name!r}, so its value is not known"
            raise records.RecordingError(words)
        if not file.metadata.num_rows:
            raise records.RecordingError(f"{place}: it is empty; a recorded file holds at least one record")
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            if row + len(batch) > first_row:
                for number, value in enumerate(batch.to_pylist(), start=row):
                    if number >= first_row:
                        yield number, _write_line(value, f"{place} row {number}")
            row += len(batch)
    except (pyarrow.ArrowException, OSError) as exc:
        raise records.RecordingError(f"{place} row {row}: its Parquet is broken: {_shorten(exc)}") from None
    except (ValueError, OverflowError) as exc:
        words = f"a value in the {BATCH_ROWS} rows from here cannot be read: {_shorten(exc)}"
        raise records.RecordingError(f"{place} row {row}: {words}; instants are whole microseconds") from None


def _shorten(failure: Exception) -> str:
    return str(failure).splitlines()[0] if str(failure) else type(failure).__name__


def _find_twice(fields: Any) -> str | None:
    """A name that two columns have, or two fields of one struct; None where each has its own."""
    names = [field.name for field in fields]
    for field in fields:
        if names.count(field.name) > 1:
            return str(field.name)
        inner = _find_twice(_list_fields(field.type))
        if inner is not None:
            return f"{field.name}.{inner}"
    return None


def _list_fields(kind: Any) -> list[Any]:
    return [kind.field(index) for index in range(kind.num_fields)]


def _write_line(value: Any, place: str) -> bytes:
    try:
        text = json.dumps(value, default=_encode, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError) as exc:
        raise records.RecordingError(f"{place}: {exc}; play columns of texts, numbers, instants and structs") from None


def _encode(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(f"a column of {type(value).__name__} cannot stand in JSON")
