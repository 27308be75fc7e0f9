"""Run control: the lease between controller and tasks. Tasks start on GO, quit on STOP, and quit when it goes stale.

STOP is final: no later write may turn it back. Staleness is judged by the reader with its own monotonic clock from
the last change of `beat` it saw, so clocks of two machines need not agree; only a GO found already old when first
read is judged by its wall time (a stale GO must not start load).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """HOLD: wait. GO: burst. STOP: end now, for good."""

    HOLD = "HOLD"
    GO = "GO"
    STOP = "STOP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The whole content of `control.json`. `beat` counts heartbeats and only ever grows."""

    execution_id: str
    state: State
    deadline: datetime
    beat: int
    heartbeat_at: datetime
    go_at: datetime | None = None
    reason: str = ""
