"""Run control: the lease between controller and tasks. Tasks start on GO, quit on STOP, and quit when it goes stale.

No write turns a state back, so that who writes and knows less undoes nothing: STOP is final, and GO is but for a STOP.
Staleness is judged by the reader with its own monotonic clock from the last change of `beat` it saw, so clocks of two
machines need not agree; only a GO found already old when first read is judged by its wall time (a stale GO must not
start load).
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants

SCHEMA = "burst.control/v1"


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


def merge(standing: Lease | None, wanted: Lease) -> Lease:
    """What stands after `wanted` was written over `standing`: no state is taken back, and every write is a new beat."""
    if standing is None:
        return wanted
    beat = max(wanted.beat, standing.beat + 1)
    if _ORDER.index(wanted.state) < _ORDER.index(standing.state) or standing.state is LeaseState.STOP:
        return replace(standing, beat=beat, heartbeat_at=wanted.heartbeat_at)
    return replace(wanted, beat=beat)


def encode(control: Lease) -> bytes:
    """The bytes of `control.json`."""
    fields = {
        "schema": SCHEMA,
        "execution_id": control.execution_id,
        "state": control.state.value,
        "deadline": instants.text(control.deadline),
        "beat": control.beat,
        "heartbeat_at": instants.text(control.heartbeat_at),
        "go_at": None if control.go_at is None else instants.text(control.go_at),
        "reason": control.reason,
    }
    return json.dumps(fields, sort_keys=True).encode()


def decode(content: bytes) -> Lease:
    """The control these bytes hold; raises ValueError for anything half, foreign or malformed."""
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
        raise ValueError(f"not a control: {exc!r}") from exc
