"""Journal: the lines a run is remembered by, and the run they describe.

A line is a JSON object of `sequence`, `at`, `event` and the fields of the event (see `events`). Nothing but the journal
is remembered, so another process can continue a run from any line of it.

The first line names the schema's major and minor version, and so does each `resumed` of a burst that continues the run:
the highest minor counts. Every event or field that is added raises the minor. So a reader can tell a journal that was
changed from one that a newer burst wrote:

    a line has                       minor is known here           minor is newer
    another major                    unknown (exit 9)              unknown
    a name that is no event's        corrupt (exit 8)              not understood
    a field less than its event      corrupt                       corrupt
    a value its event cannot have    corrupt                       not understood
    a field more than its event      corrupt                       ignored

At a known minor a further field is corrupt, because no burst wrote it: what every version writes is known to the last
field. A line that is not understood makes the journal unknown to `parse`, which evidence is verified with.
`read_as_far_as_known` passes over such lines, so that tasks of a newer run can be shown and stopped. Only a burst that
knows the minor continues a run (`parse_to_continue`).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst.domain.basics import errors, instants
from burst.domain.documents import document_names
from burst.domain.run import runs
from burst.domain.run.events import base, codec, launch_events

_NAME = re.compile(r"[a-z]+(?:-[a-z]+)*")
_NAMES_MINOR = (launch_events.RunCreated.wire_name, launch_events.Resumed.wire_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal."""

    sequence: int
    at: datetime
    event: base.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReading:
    """A run as far as this version understands its journal."""

    run: runs.Run
    newer: str | None
    """Why only a newer burst may continue the run, in words; None where this one may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line whose event is still to be decoded."""

    sequence: int
    at: datetime
    name: str
    fields: dict[str, Any]

    @property
    def words(self) -> str:
        return f"event {self.sequence} ({self.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """A journal line by line: an `Entry`, or the line itself where a newer burst wrote what is not known here."""

    name: str
    minor: int
    lines: tuple[Entry | _Line, ...]

    @property
    def newer(self) -> str | None:
        if self.minor <= document_names.JOURNAL_MINOR:
            return None
        unknown = dict.fromkeys(line.name for line in self.lines if isinstance(line, _Line))
        events = f", and does not understand: {', '.join(unknown)}" if unknown else ""
        return (
            f"{self.name} was written by a newer burst, as {document_names.JOURNAL_SCHEMA} minor {self.minor}; "
            f"this version knows minor {document_names.JOURNAL_MINOR}{events}"
        )


def line(entry: Entry) -> bytes:
    """The bytes of one line, its end included."""
    fields = codec.encode(entry.event)
    value = {
        "sequence": entry.sequence, "at": instants.text(entry.at), "event": entry.event.wire_name, **fields
    }  # fmt: skip
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse(content: bytes, name: str) -> tuple[Entry, ...]:
    """The entries of a journal's bytes; `name` is what messages call it.

    A line that a crash cut in half is passed over, and so are several where continuing crashed too. Raises
    `errors.EvidenceCorrupt` for any other line that is broken, `errors.EvidenceUnknown` for a schema this version does
    not know, and where a newer burst wrote something that it does not understand.
    """
    return _require_understood(_decode(content, name))


def read_minor(content: bytes, name: str) -> int:
    """The highest minor version that a journal names; raises as `parse` for bytes that are no journal."""
    return _decode(content, name).minor


def parse_to_continue(content: bytes, name: str) -> tuple[Entry, ...]:
    """The entries of a journal that this version may continue.

    Raises as `parse`, and `errors.EvidenceUnknown` for every journal of a newer burst: what it does not say in a line
    it may still expect of the burst that continues it.
    """
    decoded = _decode(content, name)
    if decoded.newer is not None:
        raise errors.EvidenceUnknown(f"{decoded.newer}; continue it with the burst that wrote it")
    return _require_understood(decoded)


def read_as_far_as_known(content: bytes, name: str) -> JournalReading:
    """The run of a journal; where a newer burst wrote it, without the lines that are not understood.

    Raises as `parse` and `fold` for everything that no newer burst explains.
    """
    decoded = _decode(content, name)
    if decoded.newer is None:
        return JournalReading(run=fold(_require_understood(decoded)), newer=None)
    run = runs.Run()
    for line_or_entry in decoded.lines:
        if isinstance(line_or_entry, Entry):
            try:
                run = fold([line_or_entry], run)
            except errors.EvidenceCorrupt:  # it may rest on a line that was passed over
                continue
    return JournalReading(run=run, newer=decoded.newer)


def fold(entries: Iterable[Entry], run: runs.Run | None = None) -> runs.Run:
    """The run that entries describe, continuing from `run` where given.

    Raises `errors.EvidenceCorrupt` for an event that cannot follow the ones before it.
    """
    folded = runs.Run() if run is None else run
    for entry in entries:
        try:
            folded = entry.event.apply(folded, entry.at)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as exc:
            where = f"event {entry.sequence} ({entry.event.wire_name})"
            raise errors.EvidenceCorrupt(f"{where} cannot be understood: {exc!r}") from exc
    return folded


def _decode(content: bytes, name: str) -> _Content:
    lines = _split(content, name)
    minor = max((_minor(line) for line in lines), default=0)
    return _Content(name=name, minor=minor, lines=tuple(_decode_line(line, minor, name) for line in lines))


def _require_understood(decoded: _Content) -> tuple[Entry, ...]:
    entries = tuple(line for line in decoded.lines if isinstance(line, Entry))
    if len(entries) < len(decoded.lines):
        raise errors.EvidenceUnknown(f"{decoded.newer}; use the burst that wrote it")
    return entries


def _minor(raw: _Line) -> int:
    """The minor version that a line names, 0 where it names none; an odd one is refused when the line is decoded."""
    minor = raw.fields.get("minor", 0)
    return minor if raw.name in _NAMES_MINOR and type(minor) is int else 0


def _decode_line(raw: _Line, minor: int, name: str) -> Entry | _Line:
    newer = minor > document_names.JOURNAL_MINOR
    event_class = codec.EVENTS.get(raw.name)
    if event_class is None:
        if newer and _NAME.fullmatch(raw.name):
            return raw
        raise errors.EvidenceCorrupt(
            f"{name}: event {raw.sequence} is {raw.name[:80]!r}, which is no event of "
            f"{document_names.JOURNAL_SCHEMA} minor {minor}"
        )
    fields = {**event_class.added, **raw.fields}
    missing = codec.missing_fields(event_class, fields)
    if missing:
        raise errors.EvidenceCorrupt(f"{name}: {raw.words} cannot be understood: it lacks {', '.join(missing)}")
    try:
        event = codec.decode(event_class, fields)
    except (ValueError, RecursionError) as exc:
        if newer:
            return raw
        raise errors.EvidenceCorrupt(f"{name}: {raw.words} cannot be understood: {exc}") from exc
    if not newer and codec.encode(event) != fields:
        raise errors.EvidenceCorrupt(f"{name}: {raw.words} says more than such an event, or in another way")
    return Entry(sequence=raw.sequence, at=raw.at, event=event)


def _split(content: bytes, name: str) -> list[_Line]:
    """The whole lines of a journal, in order; raises as `parse` for one that is broken, or out of order."""
    lines: list[_Line] = []
    torn_at: int | None = None
    for number, written in enumerate(content.split(b"\n"), start=1):
        whole = _read_line(written)
        if whole is None:
            torn_at = torn_at or (number if written else None)
            continue
        # Only a controller that continues a run writes after a line that a crash cut.
        if torn_at is not None and whole.name != launch_events.Resumed.wire_name:
            raise errors.EvidenceCorrupt(f"{name}:{torn_at}: not a journal event, and no crash explains it")
        if whole.sequence != len(lines) + 1:
            raise errors.EvidenceCorrupt(f"{name}:{number}: event {whole.sequence} follows event {len(lines)}")
        _refuse_other_schema(whole, name)
        lines.append(whole)
        torn_at = None
    return lines


def _read_line(written: bytes) -> _Line | None:
    try:
        value = json.loads(written)
        sequence, at, name = value.pop("sequence"), instants.parse(value.pop("at")), value.pop("event")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if type(sequence) is not int or type(name) is not str:
        return None
    return _Line(sequence=sequence, at=at, name=name, fields=value)


def _refuse_other_schema(whole: _Line, name: str) -> None:
    schema = whole.fields.get("schema", document_names.JOURNAL_SCHEMA)
    if schema != document_names.JOURNAL_SCHEMA:
        raise errors.EvidenceUnknown(
            f"{name}: schema {schema!r} is not known; allowed: {document_names.JOURNAL_SCHEMA}"
        )
