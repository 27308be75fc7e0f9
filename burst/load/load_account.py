"""The load account of one task: events due, sent, late, acknowledged, refused and failed, by second, with latencies.

A program writes it as lines of JSON at the end of a file (`BURST_ACCOUNT_FILE`), every second and on every way out, so
that a killed program leaves its account up to its last line. A line is either a tally, as burst's own programs write,
or one request, as any program can write it. All figures are counts that are added up, so several processes may append
to one file, and accounts of tasks are merged exactly.
"""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from burst.load import histograms, kept_files, quick_counts, task_processes

ACCOUNT_FILE = "BURST_ACCOUNT_FILE"
LATE_SECONDS = 1.0
"""An event that is sent later than this after it was due is late."""
BEAT_SECONDS = 1.0
MOST_NAMES = 100
PART_SECONDS = 10
"""How long a part of the time is that has a histogram of its own."""
_PARTS = ("outcomes", "refused", "failed", "latency")
"""The counts of each request name."""
MORE_NAMES = "(more)"
"""Stands for every request name and marker after the first hundred."""
LONGEST_LINE = 4 << 20
"""The bytes of a line that is read; one that is longer makes no sense."""
LONGEST_NAME = 200
"""The characters of a name that are kept."""
_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,63}")
_FIRST_SECOND, _LAST_SECOND = 1e9, 1e10
"""The years 2001 to 2286 in UTC seconds since 1970: milliseconds and the readings of other clocks lie outside."""
LONGEST_SECONDS = 1e6
"""No request takes longer."""
_MOST_EVENTS = 10**12

BY_SECOND = ("due", "in_time", "sent", "acknowledged", "refused", "failed")
"""The counts of each second: due and in time by the second in which it was due, sent by that of the sending, and
the answers by that of the answer."""


class LoadAccount:
    """Counts that only grow. `seconds` are whole UTC seconds since 1970."""

    def __init__(self) -> None:
        self.seconds: dict[int, Counter[str]] = {}
        self.late = 0
        self.latest_seconds = 0.0
        self.knows_due = False
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.names: dict[str, dict[str, Counter[Any]]] = {}
        self.steps: dict[str, dict[str, Counter[Any]]] = {}
        """Of each step of a rate plan: `sending` (due and in_time, by the step in which an event was due), and the
        answers to what was sent in it, as of a name."""
        self.latency_over_time: dict[int, Counter[int]] = {}
        """The latencies in wide buckets, by the second in which the part of the time begins that the answer came in."""
        self.markers: Counter[str] = Counter()
        self.marked_at: dict[str, float] = {}
        """When each marker was first reached."""
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.bad_lines = 0
        self.processes: set[int] = set()
        """Which processes of a task wrote it, where the task has several."""
        self.kept: dict[str, str | None] = {}
        """What Locust wrote at its end, by the name of the file, where the plan keeps it (`kept_files`)."""

    @property
    def latency(self) -> Counter[int]:
        """The latencies of all requests."""
        return sum((parts["latency"] for parts in self.names.values()), Counter[int]())

    # Counting

    def note_beat(self, at: float) -> None:
        """The program was alive at this instant."""
        self.first_at = at if self.first_at is None else min(self.first_at, at)
        self.last_at = at if self.last_at is None else max(self.last_at, at)

    def count(self, at: float, figure: str, number: int = 1) -> None:
        """Count events of a second."""
        second = int(at)
        counts = self.seconds.get(second)
        if counts is None:  # a counter that is made for each event, and thrown away, costs more than the event
            counts = self.seconds[second] = Counter()
        counts[figure] += number

    def count_latency(self, at: float, bucket: int, number: int = 1) -> None:
        """Count answers of a latency by the part of the time in which they came."""
        self._find_part(at)[histograms.widen(bucket)] += number

    def note_due(self, at: float, number: int) -> None:
        """So many events were due in the second of this instant."""
        self.knows_due = True
        self.count(at, "due", number)

    def note_step_due(self, step: str, number: int) -> None:
        """So many events became due in a step of the rate plan."""
        self.find_step(step)["sending"]["due"] += number

    def note_sent(self, at: float, due_at: float | None = None, *, step: str | None = None) -> None:
        """One event was sent, where it was due at all at `due_at`, in a step of a rate plan."""
        self.count(at, "sent")
        if due_at is None:
            return
        late_seconds = min(max(0.0, at - due_at), LONGEST_SECONDS)
        self.latest_seconds = max(self.latest_seconds, late_seconds)
        if late_seconds > LATE_SECONDS:
            self.late += 1
        else:
            self.count(due_at, "in_time")
            if step is not None:
                self.find_step(step)["sending"]["in_time"] += 1

    def note_answer(
        self,
        at: float,
        name: str,
        *,
        latency_seconds: float | None,
        status: int | None,
        error: str | None,
        step: str | None = None,
    ) -> None:
        """One request came to its end: refused where a status says so, failed where an error does, or a status that
        is none. `step` is the one in which it was sent."""
        entries = [self.find_name(name), *([self.find_step(step)] if step is not None else [])]
        if error is None and (status is None or 100 <= status < 400):
            outcome = "acknowledged"
        elif status is not None and 300 <= status < 1000:
            outcome, kind = "refused", f"{status // 100}xx"
            self.refused[kind] += 1
            for entry in entries:
                entry["refused"][kind] += 1
        else:
            outcome, kind = "failed", error if error and _KIND.fullmatch(error) else "other"
            self.failed[kind] += 1
            for entry in entries:
                entry["failed"][kind] += 1
        self.count(at, outcome)
        bucket = None if latency_seconds is None else histograms.find_bucket(latency_seconds)
        for entry in entries:
            entry["outcomes"][outcome] += 1
            if bucket is not None:
                entry["latency"][bucket] += 1
        if bucket is not None:
            self.count_latency(at, bucket)

    def note_marker(self, name: str, number: int = 1, *, at: float | None = None) -> None:
        """The program reached a point of its own, at an instant where that is known."""
        marker = name if name in self.markers or len(self.markers) < MOST_NAMES else MORE_NAMES
        self.markers[marker] += number
        if at is not None:
            self.marked_at[marker] = min(at, self.marked_at.get(marker, at))

    def find_name(self, name: str) -> dict[str, Counter[Any]]:
        """The counts of a request name, by part."""
        key = name if name in self.names or len(self.names) < MOST_NAMES else MORE_NAMES
        if key not in self.names:
            self.names[key] = {part: Counter() for part in _PARTS}
        return self.names[key]

    def _find_part(self, at: float) -> Counter[int]:
        second = int(at) // PART_SECONDS * PART_SECONDS
        part = self.latency_over_time.get(second)
        if part is None:
            part = self.latency_over_time[second] = Counter()
        return part

    def find_step(self, name: str) -> dict[str, Counter[Any]]:
        """The counts of a step, by part."""
        key = name if name in self.steps or len(self.steps) < MOST_NAMES else MORE_NAMES
        if key not in self.steps:
            self.steps[key] = {part: Counter() for part in ("sending", *_PARTS)}
        return self.steps[key]

    # As a value of JSON

    def to_value(self) -> dict[str, Any]:
        """Everything that was counted, as a tally line and as a document holds it."""
        return {
            "tally": 1,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "knows_due": self.knows_due,
            "late": self.late,
            "latest_seconds": round(self.latest_seconds, 6),
            "seconds": {
                str(second): [counts[figure] for figure in BY_SECOND] for second, counts in sorted(self.seconds.items())
            },
            "refused": dict(self.refused),
            "failed": dict(self.failed),
            "names": _write_entries(self.names),
            **({"steps": _write_entries(self.steps)} if self.steps else {}),
            "latency_over_time": {
                str(second): _write_buckets(counts) for second, counts in sorted(self.latency_over_time.items())
            },
            "markers": dict(self.markers),
            "marked_at": dict(self.marked_at),
            "bad_lines": self.bad_lines,
            **({"processes": sorted(self.processes)} if self.processes else {}),
            **({"kept": dict(self.kept)} if self.kept else {}),
        }

    def add_value(self, value: Mapping[str, Any]) -> None:
        """Add a tally. Raises KeyError, TypeError, ValueError or AttributeError for one that makes no sense."""
        tally = _read_tally(value)
        for at in (tally.first_at, tally.last_at):
            if at is not None:
                self.note_beat(at)
        self.knows_due = self.knows_due or tally.knows_due
        self.late += tally.late
        self.latest_seconds = max(self.latest_seconds, tally.latest_seconds)
        self.bad_lines += tally.bad_lines
        self.processes |= tally.processes
        self.kept |= tally.kept
        for second, counts in tally.seconds.items():
            self.seconds.setdefault(second, Counter()).update(counts)
        for own, added in ((self.refused, tally.refused), (self.failed, tally.failed)):
            own.update(added)
        for name, parts in tally.names.items():
            entry = self.find_name(name)
            for part, part_counts in parts.items():
                entry[part].update(part_counts)
        for name, parts in tally.steps.items():
            entry = self.find_step(name)
            for part, part_counts in parts.items():
                entry[part].update(part_counts)
        for second, latencies in tally.latency_over_time.items():
            self._find_part(second).update(latencies)
        for name, number in tally.markers.items():
            self.note_marker(name, number, at=tally.marked_at.get(name))

    def add_line(self, line: bytes) -> None:
        """Add one line of an account file; one that makes no sense is counted, and changes nothing else."""
        try:
            value = json.loads(line)
            if "tally" in value:
                self.add_value(value)
            else:
                self._add_request(value)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            self.bad_lines += 1

    def _add_request(self, value: Mapping[str, Any]) -> None:
        """One request, as any program writes it: `at` is the instant of its sending."""
        at, status = _read_instant(value["at"]), value.get("status")
        error, marker = value.get("error"), value.get("marker")
        seconds = None if value.get("latency") is None else _read_duration(value["latency"])
        ended_at = _read_instant(at + (seconds or 0.0))
        due_at = None if value.get("due") is None else _read_instant(value["due"])
        number, name = None if status is None else int(status), _read_name(value.get("name", ""))
        kind = None if error is None else str(error)
        marker_name = None if marker is None else _read_name(marker)
        # Every value makes sense by now: nothing below refuses one, so no line is counted in part.
        if marker_name is not None:
            self.note_marker(marker_name, at=at)
        if due_at is not None:
            self.note_due(due_at, 1)
        if number is not None or kind is not None or due_at is not None:
            self.note_sent(at, due_at)
        if number is not None or kind is not None:
            self.note_answer(ended_at, name, latency_seconds=seconds, status=number, error=kind)
        self.note_beat(ended_at)


def _write_entries(entries: Mapping[str, Mapping[str, Mapping[Any, int]]]) -> dict[str, Any]:
    return {
        name: {part: _write_buckets(counts) for part, counts in parts.items()}
        for name, parts in sorted(entries.items())
    }


def _write_buckets(counts: Mapping[Any, int]) -> dict[str, int]:
    return {str(key): number for key, number in sorted(counts.items())}


def _read_tally(value: Mapping[str, Any]) -> LoadAccount:
    account = LoadAccount()
    account.first_at, account.last_at = (
        None if value[name] is None else _read_instant(value[name]) for name in ("first_at", "last_at")
    )
    account.knows_due, account.late = value["knows_due"] is True, _read_count(value["late"])
    account.latest_seconds = _read_duration(value["latest_seconds"])
    account.bad_lines = _read_count(value.get("bad_lines", 0))
    account.processes = set(map(_read_count, value.get("processes", ())))
    account.kept = kept_files.read(value.get("kept", {}))
    for second, numbers in value["seconds"].items():
        counts = dict(zip(BY_SECOND, map(_read_count, numbers), strict=True))
        account.seconds[int(_read_instant(second))] = Counter(counts)
    account.refused, account.failed = _read_counts(value["refused"]), _read_counts(value["failed"])
    for find_entry, entries in ((account.find_name, value["names"]), (account.find_step, value.get("steps", {}))):
        for name, parts in entries.items():
            entry = find_entry(_read_name(name))
            for part in entry:
                read = _read_buckets if part == "latency" else _read_counts
                entry[part].update(read(parts[part]))
    for second, buckets in value.get("latency_over_time", {}).items():
        account._find_part(_read_instant(second)).update(_read_buckets(buckets))
    account.markers = _read_counts(value["markers"])
    account.marked_at = {_read_name(name): _read_instant(at) for name, at in value.get("marked_at", {}).items()}
    return account


def _read_instant(value: Any) -> float:
    return _read_number(value, _FIRST_SECOND, _LAST_SECOND)


def _read_duration(value: Any) -> float:
    return _read_number(value, 0.0, LONGEST_SECONDS)


def _read_number(value: Any, least: float, most: float) -> float:
    number = float(value)
    if not least <= number <= most:  # nor is NaN
        raise ValueError(f"{number} is not from {least:g} to {most:g}")
    return number


def _read_count(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= _MOST_EVENTS:
        raise ValueError(f"{number} is no count")
    return number


def _read_name(value: Any) -> str:
    """A name as every document can hold it."""
    return str(value)[:LONGEST_NAME].encode(errors="replace").decode()


def _read_counts(value: Mapping[str, Any]) -> Counter[Any]:
    counts = Counter[Any]()
    for name, number in value.items():
        counts[_read_name(name)] += _read_count(number)
    return counts


def _read_buckets(value: Mapping[str, Any]) -> Counter[int]:
    counts = Counter[int]()
    for bucket, number in value.items():
        if not 0 <= int(bucket) <= histograms.find_bucket(LONGEST_SECONDS):
            raise ValueError(f"{bucket} is no bucket")
        counts[int(bucket)] += _read_count(number)
    return counts


class AccountReader:
    """Reads the account file of a task as it grows; what it has read stays counted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0
        self._in_long_line = False
        self.account = LoadAccount()

    def read(self, most_bytes: int | None = None) -> bool:
        """Add every line that is complete by now; whether there was one. Raises OSError, but not for a file that is
        not there.

        With `most_bytes`, at least `LONGEST_LINE`, it is soon done with a file that grows fast: the next call goes on.
        """
        try:
            with open(self._path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:  # the file of another task of this shard
                    self._offset, self._in_long_line, self.account = 0, False, LoadAccount()
                file.seek(self._offset)
                content = file.read(most_bytes)
        except FileNotFoundError:
            return False
        whole = content[: content.rfind(b"\n") + 1]
        if not whole and len(content) >= LONGEST_LINE:
            self.account.bad_lines += not self._in_long_line
            self._offset, self._in_long_line = self._offset + len(content), True
            return False
        self._offset += len(whole)
        lines = whole.splitlines()
        if whole and self._in_long_line:
            lines, self._in_long_line = lines[1:], False
        for line in lines:
            if line.strip():
                self.account.add_line(line)
        return bool(whole)


class AccountWriter:
    """Appends what one process counts to the account file of its task; without a file it counts for nobody.

    `process` is its number, where the task has several.
    """

    def __init__(self, path: str | None, process: int | None = None) -> None:
        self._path = path or None
        self._process = process
        self._next_at = 0.0
        self._after_part = False
        self._counted = LoadAccount()
        self.quick = quick_counts.QuickCounts()
        self.find_step: Callable[[float], str | None] = lambda _: None
        """The step of a rate plan in which an instant lies; None where there is no such plan."""

    @property
    def pending(self) -> LoadAccount:
        """The counts since the last line."""
        self.quick.move_to(self._counted)
        return self._counted

    def note_sent(self, at: float, due_at: float, step: str | None) -> None:
        """One event was sent."""
        if at - due_at > LATE_SECONDS:
            self._counted.note_sent(at, due_at, step=step)
        else:
            self.quick.note_sent_in_time(at, due_at, step)

    def write_if_due(self, now: float) -> None:
        """Write a line where the last one is a beat old."""
        if now >= self._next_at:
            self._next_at = now + BEAT_SECONDS
            self.write(now)

    def write(self, now: float | None = None) -> None:
        """Write a line: it is one call to the system, so lines of several processes do not mix."""
        tally, self._counted = self.pending, LoadAccount()
        if self._path is None:
            return
        tally.note_beat(time.time() if now is None else now)
        if self._process is not None:
            tally.processes.add(self._process)
        line = json.dumps(tally.to_value(), separators=(",", ":")).encode() + b"\n"
        written = False
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                length = os.write(descriptor, b"\n" + line if self._after_part else line)
                written = length == len(line) + self._after_part
                self._after_part = not written  # a part of a line, as of a full disk, is a line of its own
            finally:
                os.close(descriptor)
        except OSError:
            pass  # such as a full disk
        finally:
            if not written:  # also where a signal came in between: the next line holds it
                self.pending.add_value(tally.to_value())


def open_writer(environment: Mapping[str, str]) -> AccountWriter:
    """The account of this process, as its guard says in its environment."""
    return AccountWriter(environment.get(ACCOUNT_FILE), task_processes.read_index(environment))
