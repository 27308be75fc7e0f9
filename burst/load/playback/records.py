"""Records of a recording: a line of JSON each, with a key, and an instant where one is named.

Every problem of a record is a `RecordingError` that names the file and its row, because a record that cannot be read
is never left out: it ends the playback of its shard.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_FIRST_SECOND, _LAST_SECOND = 1e9, 1e10
_SHOWN = 60


class RecordingError(Exception):
    """A recording cannot be played. Its message says where, and names the value seen and those allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlace:
    """The place of a record: its file, its row from 0, and the UTC seconds at which it was recorded, where known."""

    file: str
    row: int
    recorded_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a shard. `ordinal` counts the shard's own records from 0; `raw` is its line of JSON."""

    ordinal: int
    mark: RecordPlace
    key: str
    raw: bytes


def choose_shard(key: str, shard_count: int) -> int:
    """The shard of a key: the first eight bytes of its SHA-256, divided by the number of shards, leave it."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % shard_count


def read_object(raw: bytes, place: str) -> dict[str, Any]:
    """The object of a line. Raises RecordingError for any other line, and for an object with a name twice."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise RecordingError(f"{place}: not UTF-8 at byte {exc.start}; a recording is JSON lines in UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except _NameTwice as exc:
        raise RecordingError(f"{place}: the name {exc} stands in one object twice, so its value is not known") from None
    except (ValueError, RecursionError) as exc:
        words = f"{exc}; seen {_shorten(text)!r}"
        raise RecordingError(f"{place}: not JSON, such as a line that was torn: {words}") from None
    if not isinstance(value, dict):
        raise RecordingError(f"{place}: expected a JSON object, seen {_shorten(text)!r}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


class _NameTwice(Exception):
    """A name that stands in one object twice."""


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _NameTwice(repr(_shorten(next(name for name in names if names.count(name) > 1))))
    return members


def find_field(value: Mapping[str, Any], path: str) -> Any:
    """The field of a dotted path, such as `payload.account`; None where there is none."""
    field: Any = value
    for name in path.split("."):
        if not isinstance(field, Mapping) or name not in field:
            return None
        field = field[name]
    return field


def read_key(value: Mapping[str, Any], path: str, place: str) -> str:
    """The key of a record as text: a text as it is, anything else as JSON."""
    key = find_field(value, path)
    if key is None:
        names = ", ".join(sorted(map(_shorten, value))[:10]) or "none"
        raise RecordingError(f"{place}: no value at the key {path!r}; the fields of the record are {names}")
    return key if isinstance(key, str) else json.dumps(key, sort_keys=True, separators=(",", ":"))


def read_recorded_at(value: Mapping[str, Any], path: str, place: str) -> float:
    """The UTC seconds of a record: ISO 8601 with an offset, or a number of seconds or milliseconds since 1970."""
    at = find_field(value, path)
    if isinstance(at, str):
        try:
            instant = datetime.fromisoformat(at)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC).timestamp()
        except (ValueError, OverflowError):
            pass  # no instant, or one beyond the years 1 to 9999 in UTC
    elif isinstance(at, int | float) and not isinstance(at, bool):
        for unit in (1.0, 1000.0):
            if _FIRST_SECOND * unit <= at < _LAST_SECOND * unit:
                return at / unit
    seen = "nothing" if at is None else _shorten(json.dumps(at))
    raise RecordingError(
        f"{place}: no instant at {path!r}, seen {seen}; expected ISO 8601 with an offset, such as "
        "2026-02-19T23:41:50Z, or a number of seconds or milliseconds since 1970"
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
