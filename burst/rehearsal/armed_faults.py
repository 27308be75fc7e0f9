"""The faults in force now: armed and disarmed at any time, asked for at every point where one can strike.

One lock and one condition for all of them, so that a call that hangs wakes when its fault is over.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from burst.rehearsal import faults

HANG, RESET, REFUSE = "hang", "reset", "503"
EVERYONE, OPERATOR, TASKS = "everyone", "operator", "tasks"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOptions:
    """How a fault behaves beyond its name.

    `manner` and `hang_seconds` are for services that do not answer: no answer for so long and then a reset connection,
    a reset at once, or 503. `callers` says whom these faults, and `response-lost`, meet: everyone, the operator's host
    or the tasks.
    """

    manner: str = HANG
    hang_seconds: float = 2.0
    callers: str = EVERYONE

    def __post_init__(self) -> None:
        if self.manner not in (HANG, RESET, REFUSE):
            raise ValueError(f"manner {self.manner!r} is none of {HANG}, {RESET}, {REFUSE}")
        if self.callers not in (EVERYONE, OPERATOR, TASKS):
            raise ValueError(f"callers {self.callers!r} is none of {EVERYONE}, {OPERATOR}, {TASKS}")


@dataclass(slots=True, kw_only=True)
class _Entry:
    fault: faults.Fault
    options: FaultOptions
    from_monotonic: float
    until_monotonic: float | None
    left: int | None  # strikes left; None for as many as come


class ArmedFaults:
    """The faults of one simulation."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._changed = threading.Condition()

    def arm(self, fault: faults.Fault, options: FaultOptions | None = None) -> None:
        """From `fault.at_seconds` from now on; again replaces what was armed under the same label."""
        begins = time.monotonic() + fault.at_seconds
        ends = None if fault.duration_seconds is None else begins + fault.duration_seconds
        strikes_once = fault.name in faults.STRIKES and fault.duration_seconds is None
        with self._changed:
            self._entries[fault.label] = _Entry(
                fault=fault,
                options=options or FaultOptions(),
                from_monotonic=begins,
                until_monotonic=ends,
                left=1 if strikes_once else None,
            )
            self._changed.notify_all()

    def disarm(self, label: str) -> None:
        """Over, whether it had struck or not; nothing happens where it was not armed."""
        with self._changed:
            self._entries.pop(label, None)
            self._changed.notify_all()

    def labels(self) -> list[str]:
        """The faults in force now."""
        with self._changed:
            return [label for label in self._entries if self._find(label) is not None]

    def active(self, label: str) -> FaultOptions | None:
        """The options of a fault in force, None when it is not."""
        with self._changed:
            entry = self._find(label)
            return None if entry is None else entry.options

    def strike(self, label: str) -> bool:
        """Whether the fault strikes here and now; one of its strikes is used up by asking."""
        with self._changed:
            entry = self._find(label)
            if entry is None:
                return False
            if entry.left is not None:
                entry.left -= 1
            return True

    def wait_while(self, label: str, seconds: float) -> None:
        """Until the fault is over, but no longer than this."""
        give_up = time.monotonic() + seconds
        with self._changed:
            while self._find(label) is not None and time.monotonic() < give_up:
                self._changed.wait(min(0.1, max(0.0, give_up - time.monotonic())))

    def skew_seconds(self) -> float:
        """How far AWS's clock is ahead."""
        with self._changed:
            for label, entry in self._entries.items():
                if entry.fault.name == "clock-skew" and self._find(label) is not None:
                    return float(entry.fault.argument or faults.DEFAULT_SKEW_SECONDS)
        return 0.0

    def now(self) -> datetime:
        """The time on AWS's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.skew_seconds())

    def _find(self, label: str) -> _Entry | None:
        entry = self._entries.get(label)
        now = time.monotonic()
        if entry is None or now < entry.from_monotonic or entry.left == 0:
            return None
        if entry.until_monotonic is not None and now >= entry.until_monotonic:
            return None
        return entry
