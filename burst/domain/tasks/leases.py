"""The lease between controller and tasks: tasks start on GO, quit on STOP, and quit when the lease goes stale.

No write takes a state back, so a writer with older knowledge undoes nothing: STOP is final, and only STOP follows GO.
The lease names its owner, the controller that drives the run: a controller that reads another owner was superseded.
A claim gives the lease to a new owner, by compare-and-swap. Bursts before 0.2.0 name no owner, and pass over the field.
A reader judges staleness by its own monotonic clock, from the last change of `beat` that it saw, so the clocks of two
machines need not agree. Only a GO that is already old at the first reading is judged by its wall time: a stale GO must
not start load.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from burst.domain.basics import errors, instants

SCHEMA = "burst.control/v1"
OBEYING_SHARE = 0.5
"""The share of the grace that tasks have to obey STOP in the lease, before each of the others is stopped by a call of
its own: a guard reads the lease every second or so, and its program has to end."""

GUARD_POLL_SECONDS = 0.25
"""The time between two looks of a guard at the lease, after GO."""


class LeaseState(StrEnum):
    """WAIT: do not start yet (the word on the wire is HOLD). GO: burst. STOP: end now, for good."""

    WAIT = "HOLD"
    GO = "GO"
    STOP = "STOP"


_ORDER = (LeaseState.WAIT, LeaseState.GO, LeaseState.STOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The controller that drives a run: a random id, its host, and since when by its own clock. Nothing is secret."""

    controller: str
    host: str
    since: datetime

    def words(self) -> str:
        """The owner as messages name it."""
        return f"controller {self.controller} on {self.host} since {instants.text(self.since)}"


DECISIONS = ("ADMIT", "DUPLICATE", "QUARANTINE", "other")
"""The order of the amounts of a count."""
Amounts = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseCount:
    """What the controller had counted of the receipts by then, for those who watch from elsewhere. Tasks pass over it:
    nothing rests on it."""

    counted_to: datetime
    seconds: float
    receipts: Amounts
    recent_seconds: float
    """The length of its last part, of which a rate of now can be told."""
    recent_receipts: Amounts

    @property
    def admits_per_minute(self) -> float | None:
        """The rate of its last part; None where that has no length."""
        return self.recent_receipts[0] / self.recent_seconds * 60 if self.recent_seconds else None

    @property
    def words(self) -> str:
        """The count in words."""
        admit, duplicate, *_ = self.receipts
        rate = self.admits_per_minute
        now = "" if rate is None else f", {rate:,.0f} ADMIT a minute in its last {self.recent_seconds:.0f} s"
        return f"ADMIT {admit:,} DUPLICATE {duplicate:,}{now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The whole content of `control.json`. `beat` counts heartbeats and only ever grows."""

    execution_id: str
    state: LeaseState
    deadline: datetime
    beat: int
    heartbeat_at: datetime
    go_at: datetime | None = None
    reason: str = ""
    owner: Owner | None = None
    """None: of a burst before 0.2.0, or in a write by somebody who drives nothing, such as `burst stop`."""
    counted: LeaseCount | None = None
    """None: before the first count, of a burst before 0.2.0, or where a writer knows of none."""


def merge(stored: Lease | None, new: Lease) -> Lease:
    """The lease after `new` is written over `stored`: no state is taken back, and every write is a new beat.

    A write without an owner keeps the stored one. Raises `errors.ControllerAtWork` where the owners differ.
    """
    if stored is None:
        return new
    if new.owner is not None:
        refuse_foreign(stored, new.owner)
    beat, owner = max(new.beat, stored.beat + 1), new.owner or stored.owner
    counted = new.counted or stored.counted
    if _ORDER.index(new.state) < _ORDER.index(stored.state) or stored.state is LeaseState.STOP:
        return replace(stored, beat=beat, heartbeat_at=new.heartbeat_at, owner=owner, counted=counted)
    return replace(new, beat=beat, owner=owner, counted=counted)


def refuse_foreign(stored: Lease, owner: Owner) -> None:
    """Raises `errors.ControllerAtWork` where the lease belongs to another controller than `owner`."""
    if stored.owner is not None and stored.owner.controller != owner.controller:
        raise errors.ControllerAtWork(f"run {stored.execution_id} is driven by {stored.owner.words()}")


def give(lease: Lease, owner: Owner, at: datetime) -> Lease:
    """The lease after `owner` claimed it: the same state, a new beat."""
    return replace(lease, beat=lease.beat + 1, heartbeat_at=at, owner=owner)


def encode(lease: Lease) -> bytes:
    """The bytes of `control.json`."""
    fields: dict[str, object] = {
        "schema": SCHEMA,
        "execution_id": lease.execution_id,
        "state": lease.state.value,
        "deadline": instants.text(lease.deadline),
        "beat": lease.beat,
        "heartbeat_at": instants.text(lease.heartbeat_at),
        "go_at": None if lease.go_at is None else instants.text(lease.go_at),
        "reason": lease.reason,
        "counted": None if lease.counted is None else count_fields(lease.counted),
    }
    if lease.owner is not None:
        fields["owner"] = owner_fields(lease.owner)
    return json.dumps(fields, sort_keys=True).encode()


def decode(content: bytes) -> Lease:
    """The lease in these bytes; raises ValueError for incomplete, foreign or malformed bytes."""
    try:
        fields = json.loads(content)
        if fields["schema"] != SCHEMA:
            raise ValueError(f"schema is {fields['schema']!r}, allowed is {SCHEMA!r}")
        for name, kind in (("execution_id", str), ("beat", int), ("reason", str)):
            if type(fields[name]) is not kind:
                raise ValueError(f"{name} is {fields[name]!r}, allowed is {kind.__name__}")
        return Lease(
            execution_id=fields["execution_id"],
            state=LeaseState(fields["state"]),
            deadline=instants.parse(fields["deadline"]),
            beat=fields["beat"],
            heartbeat_at=instants.parse(fields["heartbeat_at"]),
            go_at=None if fields["go_at"] is None else instants.parse(fields["go_at"]),
            reason=fields["reason"],
            owner=None if fields.get("owner") is None else read_owner(fields["owner"]),
            counted=_read_count(fields.get("counted")),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"not a lease: {exc!r}") from exc


def count_fields(count: LeaseCount) -> dict[str, Any]:
    """The count as it stands in documents."""
    return {
        "counted_to": instants.text(count.counted_to),
        "seconds": round(count.seconds, 3),
        "receipts": dict(zip(DECISIONS, count.receipts, strict=True)),
        "recent_seconds": round(count.recent_seconds, 3),
        "recent_receipts": dict(zip(DECISIONS, count.recent_receipts, strict=True)),
    }


def _read_count(fields: Any) -> LeaseCount | None:
    """The count in these fields. None where they make no sense: no task may end for what is only shown."""
    try:
        return LeaseCount(
            counted_to=instants.parse(fields["counted_to"]),
            seconds=_read_seconds(fields["seconds"]),
            receipts=_read_amounts(fields["receipts"]),
            recent_seconds=_read_seconds(fields["recent_seconds"]),
            recent_receipts=_read_amounts(fields["recent_receipts"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return None


def _read_seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError("no length of time")
    return seconds


def _read_amounts(fields: Mapping[str, Any]) -> Amounts:
    admit, duplicate, quarantine, other = (int(fields[decision]) for decision in DECISIONS)
    if min(admit, duplicate, quarantine, other) < 0:
        raise ValueError("an amount is below 0")
    return admit, duplicate, quarantine, other


def owner_fields(owner: Owner) -> dict[str, str]:
    """The owner as it stands in documents."""
    return {"controller": owner.controller, "host": owner.host, "since": instants.text(owner.since)}


def read_owner(fields: Mapping[str, Any]) -> Owner:
    """The owner in these fields. Raises as `decode` does, or LookupError or TypeError."""
    for name in ("controller", "host"):
        if type(fields[name]) is not str:
            raise ValueError(f"owner: {name} is {fields[name]!r}, allowed is str")
    return Owner(controller=fields["controller"], host=fields["host"], since=instants.parse(fields["since"]))
