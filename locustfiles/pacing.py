"""What every load program of a burst agrees on: its share of the rate, the ids of its events, its start, its lateness.

Standard library only, and beside the programs that import it, so that `locust -f ingest.py` needs nothing but Locust.

The load is open: the k-th event of a task is due at GO + k / rate, whether or not the earlier ones were answered. A
sender that falls behind sends what is late at once and says at the end how late it was; it never lowers the rate
quietly. An event's id is its scope, its shard and its number: unique in a run, and the same again in a replay.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SCOPE = "BURST_SCOPE"
SHARD_INDEX = "BURST_SHARD_INDEX"
SHARD_COUNT = "BURST_SHARD_COUNT"
RATE_PER_MINUTE = "BURST_RATE_PER_MINUTE"
PROFILE = "BURST_PROFILE"
SOURCE_EVENTS = "BURST_SOURCE_EVENTS"
HOST = "BURST_HOST"
GO_FILE = "BURST_GO_FILE"
READY_FILE = "BURST_READY_FILE"
API_KEY = "IG_API_KEY"

# What each setting is, and what it is when it is not given (None: it may be absent).
SETTINGS: Mapping[str, tuple[str | None, str]] = {
    SCOPE: ("fresh", "the platform run whose receipts count; fresh makes a new one"),
    SHARD_INDEX: ("0", "which task of the burst this is, from 0"),
    SHARD_COUNT: ("1", "how many tasks the burst has"),
    RATE_PER_MINUTE: ("600", "events per minute of the whole burst; this task sends its share"),
    PROFILE: ("steady", "steady: new events; replay: the scope's events from the first, once each"),
    SOURCE_EVENTS: (None, "the most events the whole burst can send; needed by replay"),
    GO_FILE: (None, "wait for this file before the first event"),
    READY_FILE: (None, "make this file once ready to send"),
}

PUSH_PATH = "/v1/ingest/push"
GO_POLL_SECONDS = 0.01
_LATE_SECONDS = 0.1
_PLACEHOLDER = re.compile(r"REPLACE_ME|CHANGE_?ME|TO_PIN|\bTBD\b|<[^<>]*>", re.IGNORECASE)


class BadSetting(Exception):
    """A setting is missing or wrong: what is named, what was seen, what is allowed. Never holds a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One task's part of a burst."""

    scope: str
    shard_index: int
    events_per_second: float
    events: int | None
    go_file: Path | None
    ready_file: Path | None

    def event_id(self, sequence: int) -> str:
        """The id of this task's event number `sequence`, from 0."""
        return f"{self.scope}:{self.shard_index:04d}:{sequence:012d}"

    def envelope(self, sequence: int) -> str:
        """The body to push for one event: the same bytes each time it is sent."""
        return json.dumps(
            {
                "event_id": self.event_id(sequence),
                "event_type": "burst.load",
                "event_class": "traffic",
                "platform_run_id": self.scope,
                "payload": {"shard": self.shard_index, "sequence": sequence},
            },
            separators=(",", ":"),
        )

    def say_ready(self) -> None:
        """Make the ready file, if one is wanted: it is empty, so it is whole as soon as it is there."""
        if self.ready_file is not None:
            self.ready_file.touch()

    def may_go(self) -> bool:
        """Whether nothing holds the first event back any more."""
        return self.go_file is None or self.go_file.exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The place of one event in time: due on the clock the pace was started with."""

    sequence: int
    due: float


class Pace:
    """Hands out slots in order to whoever is free next, and keeps account of how late they were used."""

    def __init__(self, share: Share, started: float) -> None:
        self._share = share
        self._started = started
        self._next = 0
        self._sent = 0
        self._late = 0
        self._latest_seconds = 0.0

    def take(self) -> Slot | None:
        """The next slot; None when the task's share of the source is spent."""
        if self._share.events is not None and self._next >= self._share.events:
            return None
        slot = Slot(sequence=self._next, due=self._started + self._next / self._share.events_per_second)
        self._next += 1
        return slot

    def sending(self, slot: Slot, now: float) -> None:
        """Note that the slot's event is sent now."""
        lateness_seconds = max(0.0, now - slot.due)
        self._sent += 1
        self._late += lateness_seconds > _LATE_SECONDS
        self._latest_seconds = max(self._latest_seconds, lateness_seconds)

    def account(self) -> str:
        """One line on what was sent and how late."""
        return (
            f"sent {self._sent} events at {self._share.events_per_second:g}/s asked; {self._late} were over"
            f" {_LATE_SECONDS * 1000:.0f} ms late, the latest {self._latest_seconds * 1000:.0f} ms"
        )


def share(settings: Mapping[str, str]) -> Share:
    """Read a task's share from settings as the environment gives them; empty counts as not given."""
    given = {name: settings.get(name) or default for name, (default, _) in SETTINGS.items()}
    scope = given[SCOPE] or ""
    shard_count = _whole(given, SHARD_COUNT, least=1)
    shard_index = _whole(given, SHARD_INDEX, least=0)
    if shard_index >= shard_count:
        raise BadSetting(f"{SHARD_INDEX} is {shard_index}; it must be under {SHARD_COUNT}, which is {shard_count}")
    if given[PROFILE] not in ("steady", "replay"):
        raise BadSetting(f"{PROFILE} is {given[PROFILE]!r}; it must be steady or replay")
    if given[PROFILE] == "replay" and given[SOURCE_EVENTS] is None:
        raise BadSetting(f"{PROFILE} is replay: {SOURCE_EVENTS} must say how many events there are to send again")
    go_file, ready_file = given[GO_FILE], given[READY_FILE]
    return Share(
        scope=datetime.now(UTC).strftime("platform_%Y%m%dT%H%M%SZ") if scope == "fresh" else scope,
        shard_index=shard_index,
        events_per_second=_rate_per_minute(given) / 60 / shard_count,
        events=_share_of_events(given, shard_index, shard_count),
        go_file=Path(go_file) if go_file else None,
        ready_file=Path(ready_file) if ready_file else None,
    )


def api_key() -> str:
    """The key of the ingest, from the environment and nowhere else; refused when missing or a placeholder."""
    key = os.environ.get(API_KEY, "")
    if not key.strip():
        raise BadSetting(f"{API_KEY} is not set: put the ingest's API key in the environment under that name")
    if _PLACEHOLDER.search(key):
        raise BadSetting(f"{API_KEY} holds a placeholder, not a key (it is not shown): put the real key there")
    if not key.isascii() or not key.isprintable():
        raise BadSetting(f"{API_KEY} holds characters that cannot stand in a header (it is not shown)")
    return key


def _share_of_events(given: Mapping[str, str | None], shard_index: int, shard_count: int) -> int | None:
    if given[SOURCE_EVENTS] is None:
        return None
    each, rest = divmod(_whole(given, SOURCE_EVENTS, least=0), shard_count)
    return each + (shard_index < rest)


def _rate_per_minute(given: Mapping[str, str | None]) -> float:
    seen = given[RATE_PER_MINUTE] or ""
    try:
        rate = float(seen)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise BadSetting(f"{RATE_PER_MINUTE} is {seen!r}; it must be a number over 0")
    return rate


def _whole(given: Mapping[str, str | None], name: str, *, least: int) -> int:
    seen = given[name] or ""
    if not (seen.isascii() and seen.isdigit()) or int(seen) < least:
        raise BadSetting(f"{name} is {seen!r}; it must be a whole number of at least {least}")
    return int(seen)
