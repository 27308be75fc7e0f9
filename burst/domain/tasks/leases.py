"""The lease between controller and tasks: tasks start on GO, quit on STOP, and quit when the lease goes stale.

No write takes a state back, so a writer with older knowledge undoes nothing: STOP is final, and only STOP follows GO.
A reader judges staleness by its own monotonic clock, from the last change of `beat` that it saw, so the clocks of two
machines need not agree. Only a GO that is already old at the first reading is judged by its wall time: a stale GO must
not start load.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants

SCHEMA = "burst.control/v1"
OBEYING_SHARE = 0.5
"""The share of the grace that tasks have to obey STOP in the lease, before each of the others is stopped by a call of
its own: a guard reads the lease every second or so, and its program has to end."""


class LeaseState(StrEnum):
    """WAIT: do not start yet (the word on the wire is HOLD). GO: burst. STOP: end now, for good."""

    WAIT = "HOLD"
    GO = "GO"
    STOP = "STOP"


_ORDER = (LeaseState.WAIT, LeaseState.GO, LeaseState.STOP)


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


def merge(stored: Lease | None, new: Lease) -> Lease:
    """The lease after `new` is written over `stored`: no state is taken back, and every write is a new beat."""
    if stored is None:
        return new
    beat = max(new.beat, stored.beat + 1)
    if _ORDER.index(new.state) < _ORDER.index(stored.state) or stored.state is LeaseState.STOP:
        return replace(stored, beat=beat, heartbeat_at=new.heartbeat_at)
    return replace(new, beat=beat)


def encode(lease: Lease) -> bytes:
    """The bytes of `control.json`."""
    fields = {
        "schema": SCHEMA,
        "execution_id": lease.execution_id,
        "state": lease.state.value,
        "deadline": instants.text(lease.deadline),
        "beat": lease.beat,
        "heartbeat_at": instants.text(lease.heartbeat_at),
        "go_at": None if lease.go_at is None else instants.text(lease.go_at),
        "reason": lease.reason,
    }
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
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"not a lease: {exc!r}") from exc
