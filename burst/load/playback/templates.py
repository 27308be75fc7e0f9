"""Templates of bodies: which fields of a recorded body get another value, such as the scope, ids and instants."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from burst.load.playback import records

RECORD = "{record}"
NAMES = ("scope", "shard", "sequence", "key", "value", "recorded_at", "due_at", "sent_at")
ALLOWED = f"{', '.join(f'{{{name}}}' for name in NAMES)}, or {RECORD} alone for the whole recorded body"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def find_problem(fields: Mapping[str, str]) -> str:
    """Why a template cannot be used; empty where it can."""
    for path, text in fields.items():
        if not all(path.split(".")):
            return f"{path!r} is no field; expected a dotted path such as payload.account"
        unknown = [name for name in _PLACEHOLDER.findall(text) if name not in NAMES]
        if unknown and text != RECORD:
            return f"{path}: {{{unknown[0]}}} is not known; allowed are {ALLOWED}"
        holder = next((other_path for other_path in fields if path.startswith(f"{other_path}.")), None)
        if holder is not None:
            return f"{path} lies in {holder}, which becomes a text or the recorded body; set one of both"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilling:
    """What the placeholders of one body stand for; instants are UTC seconds."""

    scope: str
    shard: int
    record: records.Record
    due_at: float
    sent_at: float


class RecordTemplate:
    """Sets fields of recorded bodies, by dotted paths. Without fields a body stays as it was recorded, byte by byte."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {tuple(path.split(".")): text for path, text in fields.items()}

    def fill(self, filling: RecordFilling) -> bytes:
        """The body to send. Raises RecordingError where a field lies inside something that is no object."""
        raw = filling.record.raw
        if not self._fields:
            return raw
        body, values = json.loads(raw), _list_values(filling)
        for path, text in self._fields.items():
            holder: Any = body
            for name in path[:-1]:
                holder = holder.setdefault(name, {}) if isinstance(holder, dict) else None
            if not isinstance(holder, dict):
                raise _explain(filling, f"the template sets {'.'.join(path)}, which lies in no object")
            all_values = values | {"value": _write_text(holder.get(path[-1]))}
            holder[path[-1]] = json.loads(raw) if text == RECORD else _replace(text, all_values)
        try:
            return _write_body(body)
        except ValueError:
            raise _explain(filling, "a number in it is too large to be written again by a template") from None


def _write_body(body: Any) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON holds by its escape alone
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def _explain(filling: RecordFilling, words: str) -> records.RecordingError:
    mark = filling.record.mark
    return records.RecordingError(f"{mark.file} row {mark.row}: {words}")


def _list_values(filling: RecordFilling) -> dict[str, str]:
    record = filling.record
    recorded_at = record.mark.recorded_at
    return {
        "scope": filling.scope,
        "shard": str(filling.shard),
        "sequence": str(record.ordinal),
        "key": record.key,
        "recorded_at": "" if recorded_at is None else _write_instant(recorded_at),
        "due_at": _write_instant(filling.due_at),
        "sent_at": _write_instant(filling.sent_at),
    }


def _replace(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _write_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"))


def _write_instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
