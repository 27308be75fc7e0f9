"""Recordings: the files of a source in their order, and the rows of each from any row on.

A source is a file, a folder, or a place on S3. The end of a file's name says what is in it. Files are played in the
order of their names; names that begin with a dot or an underscore, such as _SUCCESS, are no part of the recording.
"""

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from burst.load.playback import records

PLAIN, GZIP, ZSTD, PARQUET = "plain", "gzip", "zstd", "parquet"
_LINES = (".jsonl", ".ndjson", ".json")
ALLOWED = "NAME.jsonl, .ndjson or .json, each also with .gz or .zst behind it, or NAME.parquet"
LONGEST_LINE = 16 << 20
"""The bytes of one record, at most."""
S3_SCHEME = "s3://"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """One file. `place` is its path, or its URI on S3, whose content `etag` pins."""

    name: str
    place: str
    size: int
    etag: str | None = None


def list_files(source: str) -> tuple[RecordedFile, ...]:
    """The files of a source in their order. Raises RecordingError where there are none, or one cannot be played."""
    if source.startswith(S3_SCHEME):
        from burst.load.playback import s3_recordings

        listed = s3_recordings.list_objects(source)
    else:
        listed = _list_local(Path(source))
    prefix = _find_given(source)
    files = sorted((file for file in listed if not _is_hidden(file.name, prefix)), key=lambda file: file.name)
    if not files:
        raise records.RecordingError(f"{source}: no recorded file there; allowed are {ALLOWED}")
    for file in files:
        name_format(file.name, file.place)
        if not file.size:
            raise records.RecordingError(f"{file.place}: it is empty; a recorded file holds at least one record")
    return tuple(files)


def _list_local(place: Path) -> list[RecordedFile]:
    try:
        if place.is_dir():
            paths = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
        else:
            paths = {place.name: place}
        return [RecordedFile(name=name, place=str(path), size=path.stat().st_size) for name, path in paths.items()]
    except OSError as exc:
        raise records.RecordingError(f"{place}: cannot be read: {exc.strerror}") from None


def _find_given(source: str) -> str:
    """What the source itself says of the names of its files: their beginning on S3, or the name of a single file."""
    if source.startswith(S3_SCHEME):
        return source.removeprefix(S3_SCHEME).partition("/")[2]
    return "" if Path(source).is_dir() else Path(source).name


def _is_hidden(name: str, prefix: str) -> bool:
    """Whether a part of the name that the source does not begin itself has a dot or an underscore before it."""
    begun = prefix.rpartition("/")[2]
    parts = name[len(prefix) - len(begun) :].split("/")
    return any(part.startswith((".", "_")) for part in (parts[1:] if begun else parts))


def name_format(name: str, place: str) -> str:
    """The format of a file, by its name. Raises RecordingError for a name that says no known one."""
    lower = name.lower()
    if lower.endswith(".parquet"):
        return PARQUET
    for suffix, kind in ((".gz", GZIP), (".zst", ZSTD), ("", PLAIN)):
        if lower.endswith(tuple(f"{lines}{suffix}" for lines in _LINES)):
            return kind
    raise records.RecordingError(f"{place}: unknown kind or compression; allowed are {ALLOWED}")


def describe(files: tuple[RecordedFile, ...], *, key: str, shard_count: int) -> str:
    """The digest by which a later run knows that it plays the same recording in the same shards. Reads a file on this
    machine from end to end; S3 pins the content itself. Raises RecordingError."""
    listing = [[file.name, file.size, file.etag or _digest(file)] for file in files]
    return hashlib.sha256(json.dumps([listing, key, shard_count]).encode()).hexdigest()[:32]


def _digest(file: RecordedFile) -> str:
    try:
        with open(file.place, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as exc:
        raise records.RecordingError(f"{file.place}: cannot be read: {exc.strerror}") from None


def read_rows(file: RecordedFile, first_row: int = 0) -> Iterator[tuple[int, bytes]]:
    """The rows of a file as lines of JSON, each with its number. Raises RecordingError."""
    if name_format(file.name, file.place) == PARQUET:
        from burst.load.playback import parquet_rows

        with _open(file) as raw:
            yield from parquet_rows.read_rows(raw, file.place, first_row)
        return
    row = -1
    for row, raw_line in enumerate(_read_lines(file)):
        if row >= first_row:
            yield row, _check_line(raw_line, file, row)
    if row < 0:
        raise records.RecordingError(f"{file.place}: it is empty; a recorded file holds at least one record")


def _check_line(raw_line: bytes, file: RecordedFile, row: int) -> bytes:
    line = raw_line.strip(b" \t\r\n")
    if not line:
        raise records.RecordingError(f"{file.place} row {row}: an empty line; each line is one JSON object")
    if len(line) >= LONGEST_LINE:
        raise records.RecordingError(f"{file.place} row {row}: longer than {LONGEST_LINE} bytes, as no record may be")
    return line


def _read_lines(file: RecordedFile) -> Iterator[bytes]:
    kind = name_format(file.name, file.place)
    row, broken = 0, _list_errors(kind, file.place)
    try:
        with _open(file) as raw, _decompress(raw, kind, file.place) as lines:
            while line := lines.readline(LONGEST_LINE):
                yield line
                row += 1
    except broken as exc:
        raise records.RecordingError(f"{file.place} row {row}: its {kind} is broken: {exc}") from None
    except OSError as exc:
        raise records.RecordingError(f"{file.place} row {row}: cannot be read: {exc.strerror or exc}") from None


def _list_errors(kind: str, place: str) -> tuple[type[Exception], ...]:
    """What a broken file of a kind raises."""
    if kind == GZIP:
        return (EOFError, gzip.BadGzipFile, zlib.error)
    return (EOFError, _import_zstd(place).ZstdError) if kind == ZSTD else ()


def _decompress(
    raw: BinaryIO, kind: str, place: str
) -> contextlib.AbstractContextManager[io.BufferedIOBase | BinaryIO]:
    if kind == GZIP:
        return io.BufferedReader(gzip.GzipFile(fileobj=raw, mode="rb"))
    if kind == ZSTD:
        return io.BufferedReader(_import_zstd(place).ZstdFile(raw, "rb"))
    return contextlib.nullcontext(raw)


def _import_zstd(place: str) -> Any:
    try:
        return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        raise records.RecordingError(f"{place}: zstd needs burst's load extra: pip install 'burst[load]'") from None


def _open(file: RecordedFile) -> BinaryIO:
    if file.place.startswith(S3_SCHEME):
        from burst.load.playback import s3_recordings

        return s3_recordings.open_object(file)
    try:
        return open(file.place, "rb", buffering=1 << 20)
    except OSError as exc:
        raise records.RecordingError(f"{file.place}: cannot be read: {exc.strerror}") from None
