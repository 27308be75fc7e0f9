"""The journal of staged changes: lines of JSON, the events in them, and the staging that they describe.

A line is an object of `sequence`, `at`, `event` and the fields of the event. Nothing but the journal is remembered, so
another process goes on from any line of it. A line that a crash cut is passed over where a resume follows it, or at the
end; every other line that is no event is corrupt.
"""

import dataclasses
import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pydantic

from burst.domain.basics import errors, instants
from burst.domain.documents import models
from burst.domain.staging import stage_events, stagings

MINOR = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """One line: an event with its number and its instant."""

    sequence: int
    at: datetime
    event: stage_events.StageEvent


@functools.cache
def _adapter(wire_name: str) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(stage_events.EVENTS[wire_name])


def encode_event(event: stage_events.StageEvent) -> dict[str, Any]:
    """The fields of an event as JSON values."""
    fields: dict[str, Any] = _adapter(event.wire_name).dump_python(event, mode="json", by_alias=True)
    return fields


def decode_event(wire_name: str, fields: dict[str, Any]) -> stage_events.StageEvent:
    """The event that these fields describe. Raises ValueError."""
    event_class: Any = stage_events.EVENTS[wire_name]
    known = {field.name for field in dataclasses.fields(event_class)}
    if set(fields) != known:
        raise ValueError(f"its fields are {', '.join(sorted(fields)) or 'none'}")
    try:
        event: stage_events.StageEvent = _adapter(wire_name).validate_json(json.dumps(fields))
    except pydantic.ValidationError as exc:
        raise ValueError(models.first_problem(exc)) from exc
    return event


def format_line(line: StageLine) -> bytes:
    """The bytes of one line, its end included."""
    fields = encode_event(line.event)
    value = {"sequence": line.sequence, "at": instants.text(line.at), "event": line.event.wire_name, **fields}
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse_lines(content: bytes, name: str) -> tuple[StageLine, ...]:
    """The lines of a journal. Raises `errors.EvidenceCorrupt` for one that is broken, `errors.EvidenceUnknown` for a
    journal of a newer burst."""
    lines: list[StageLine] = []
    torn_at: int | None = None
    for number, written in enumerate(content.split(b"\n"), start=1):
        value = _read_object(written)
        if value is None:
            torn_at = torn_at or (number if written else None)
            continue
        _refuse_newer(value, name)
        line = _decode_line(value, len(lines) + 1, f"{name}:{number}")
        if torn_at is not None and not isinstance(line.event, stage_events.StagingResumed):
            raise errors.EvidenceCorrupt(f"{name}:{torn_at}: not an event, and no crash explains it")
        lines.append(line)
        torn_at = None
    return tuple(lines)


def _read_object(written: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_newer(value: dict[str, Any], name: str) -> None:
    schema, minor = value.get("schema", stage_events.SCHEMA), value.get("minor", MINOR)
    if schema != stage_events.SCHEMA or type(minor) is not int or minor > MINOR:
        raise errors.EvidenceUnknown(
            f"{name}: schema {schema!r} minor {minor!r} is not known; this burst reads "
            f"{stage_events.SCHEMA} minor {MINOR}"
        )


def _decode_line(value: dict[str, Any], sequence: int, place: str) -> StageLine:
    try:
        if value.pop("sequence") != sequence:
            raise ValueError(f"it is not event {sequence}")
        at, wire_name = instants.parse(value.pop("at")), value.pop("event")
        if wire_name not in stage_events.EVENTS:
            raise ValueError(f"{wire_name!r} is no event")
        return StageLine(sequence=sequence, at=at, event=decode_event(wire_name, value))
    except (ValueError, KeyError, TypeError) as exc:
        raise errors.EvidenceCorrupt(f"{place}: not an event of staged changes: {exc}") from exc


def fold(lines: Iterable[StageLine], staging: stagings.Staging | None = None) -> stagings.Staging:
    """The staging that lines describe. Raises `errors.EvidenceCorrupt` for an event that cannot follow the others."""
    folded = stagings.Staging() if staging is None else staging
    for line in lines:
        try:
            folded = line.event.apply(folded, line.at)
        except (LookupError, TypeError, ValueError) as exc:
            words = f"event {line.sequence} ({line.event.wire_name})"
            raise errors.EvidenceCorrupt(f"{words} cannot follow the ones before it: {exc!r}") from exc
    return folded
