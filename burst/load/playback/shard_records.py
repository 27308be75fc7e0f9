"""The records of one shard in recorded order, from its checkpoint on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burst.load.playback import progress, recordings, records

BREATH_ROWS = 200
"""After so many rows without one for the shard the reading pauses, so that a caller can do something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReading:
    """What one shard reads: the records whose key, by `records.choose_shard`, is its own.

    `key` and `at` are dotted paths; `most_records` bounds the shard's output over all its runs.
    """

    files: Sequence[recordings.RecordedFile]
    key: str
    at: str | None
    shard_index: int
    shard_count: int
    most_records: int | None = None

    def read_from(self, checkpoint: progress.Checkpoint) -> Iterator[records.Record | None]:
        """The records behind the low-water mark; None now and then, where many rows were none of the shard's.

        Raises RecordingError where a row cannot be read, and where the mark is not in the recording.
        """
        ordinal, rows_since = checkpoint.low_water, 0
        for file, first_row in self._list_places(checkpoint.last):
            for row, raw in recordings.read_rows(file, first_row):
                if self.most_records is not None and ordinal >= self.most_records:
                    return
                record = self._read_record(file, row, raw, ordinal)
                rows_since += 1
                if record is not None:
                    ordinal, rows_since = ordinal + 1, 0
                    yield record
                elif rows_since >= BREATH_ROWS:
                    rows_since = 0
                    yield None

    def _list_places(self, last: records.RecordPlace | None) -> Iterator[tuple[recordings.RecordedFile, int]]:
        """The files that remain, each with the first row to read."""
        if last is None:
            yield from ((file, 0) for file in self.files)
            return
        names = [file.name for file in self.files]
        if last.file not in names:
            raise records.RecordingError(f"the checkpoint ends in {last.file}, which is no file of the recording")
        index = names.index(last.file)
        yield self.files[index], last.row + 1
        yield from ((file, 0) for file in self.files[index + 1 :])

    def _read_record(self, file: recordings.RecordedFile, row: int, raw: bytes, ordinal: int) -> records.Record | None:
        place = f"{file.place} row {row}"
        value = records.read_object(raw, place)
        key = records.read_key(value, self.key, place)
        if records.choose_shard(key, self.shard_count) != self.shard_index:
            return None
        recorded_at = None if self.at is None else records.read_recorded_at(value, self.at, place)
        mark = records.RecordPlace(file=file.name, row=row, recorded_at=recorded_at)
        return records.Record(ordinal=ordinal, mark=mark, key=key, raw=raw)
