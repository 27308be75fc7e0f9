"""The journal of a course: lines of JSON, the events in them, and the state that they describe.

A line is an object of `sequence`, `at`, `event` and the fields of the event. Nothing but the journal is remembered, so
another process goes on from any line of it. A line that a crash cut is passed over where a resume follows it, or at the
end; every other line that is no event is corrupt. A `Form` says which events a journal has: those of staged changes, or
those of a campaign.
"""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import pydantic

from burst.domain.basics import errors, instants
from burst.domain.documents import models

S = TypeVar("S")


class CourseEvent(Generic[S]):
    """One thing that happened to a course, or is about to."""

    __slots__ = ()
    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(strict=True, allow_inf_nan=False)
    wire_name: ClassVar[str]
    """The event's name in the journal."""

    def apply(self, state: S, at: datetime, /) -> S:
        """The state after the event."""
        raise NotImplementedError


E = TypeVar("E", bound=CourseEvent[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Generic[E]):
    """One line: an event with its number and its instant."""

    sequence: int
    at: datetime
    event: E


@functools.cache
def _adapter(event_class: type[Any]) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(event_class)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[E, S]):
    """The form of one kind of journal: its schema, its events by name, the state before the first, and the names of the
    events that a process writes first when it goes on."""

    named: str
    schema: str
    minor: int
    events: Mapping[str, type[E]]
    empty: S
    resumed: frozenset[str]

    def format_line(self, line: Line[E]) -> bytes:
        """The bytes of one line, its end included."""
        event_class: Any = type(line.event)
        fields: dict[str, Any] = _adapter(event_class).dump_python(line.event, mode="json", by_alias=True)
        value = {"sequence": line.sequence, "at": instants.text(line.at), "event": line.event.wire_name, **fields}
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def parse_lines(self, content: bytes, name: str) -> tuple[Line[E], ...]:
        """The lines of a journal. Raises `errors.EvidenceCorrupt` for one that is broken, `errors.EvidenceUnknown` for
        a journal of a newer burst."""
        lines: list[Line[E]] = []
        torn_at: int | None = None
        for number, written in enumerate(content.split(b"\n"), start=1):
            value = _read_object(written)
            if value is None:
                torn_at = torn_at or (number if written else None)
                continue
            self._refuse_newer(value, name)
            line = self._decode_line(value, len(lines) + 1, f"{name}:{number}")
            if torn_at is not None and line.event.wire_name not in self.resumed:
                raise errors.EvidenceCorrupt(f"{name}:{torn_at}: not an event, and no crash explains it")
            lines.append(line)
            torn_at = None
        return tuple(lines)

    def fold(self, lines: Iterable[Line[E]], state: S | None = None) -> S:
        """The state that lines describe, from `state` on. Raises `errors.EvidenceCorrupt` for an event that cannot
        follow the others."""
        folded = self.empty if state is None else state
        for line in lines:
            try:
                folded = line.event.apply(folded, line.at)
            except (LookupError, TypeError, ValueError) as exc:
                words = f"event {line.sequence} ({line.event.wire_name})"
                raise errors.EvidenceCorrupt(f"{words} cannot follow the ones before it: {exc!r}") from exc
        return folded

    def _refuse_newer(self, value: dict[str, Any], name: str) -> None:
        schema, minor = value.get("schema", self.schema), value.get("minor", self.minor)
        if schema != self.schema or type(minor) is not int or minor > self.minor:
            raise errors.EvidenceUnknown(
                f"{name}: schema {schema!r} minor {minor!r} is not known; this burst reads "
                f"{self.schema} minor {self.minor}"
            )

    def _decode_line(self, value: dict[str, Any], sequence: int, place: str) -> Line[E]:
        try:
            if value.pop("sequence") != sequence:
                raise ValueError(f"it is not event {sequence}")
            at, wire_name = instants.parse(value.pop("at")), value.pop("event")
            if wire_name not in self.events:
                raise ValueError(f"{wire_name!r} is no event")
            return Line(sequence=sequence, at=at, event=self._decode_event(wire_name, value))
        except (ValueError, KeyError, TypeError) as exc:
            raise errors.EvidenceCorrupt(f"{place}: not an event of {self.named}: {exc}") from exc

    def _decode_event(self, wire_name: str, fields: dict[str, Any]) -> E:
        event_class: Any = self.events[wire_name]
        names = {field.name for field in dataclasses.fields(event_class)}
        if set(fields) != names:
            raise ValueError(f"its fields are {', '.join(sorted(fields)) or 'none'}")
        try:
            event: E = _adapter(event_class).validate_json(json.dumps(fields))
        except pydantic.ValidationError as exc:
            raise ValueError(models.first_problem(exc)) from exc
        return event


def _read_object(written: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
