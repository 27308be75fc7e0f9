"""The armed faults of one simulation: each is in force from its start to its end or its last strike.

One lock and one condition guard all of them, so that a call that waits for the end of a fault wakes when it ends.
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
    """How a fault behaves, beyond its name.

    `manner` is how a service fails to answer: `hang` sends nothing for `hang_seconds` and then resets the connection,
    `reset` resets it at once, and `503` answers with that status. `callers` are the callers that a service outage,
    `response-lost` or `denied` affects: everyone, the operator's host or the tasks.
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
class _ArmedFault:
    fault: faults.Fault
    options: FaultOptions
    from_monotonic: float
    until_monotonic: float | None
    strikes_left: int | None  # None means no limit


class ArmedFaults:
    """The armed faults of one simulation, by label."""

    def __init__(self) -> None:
        self._armed: dict[str, _ArmedFault] = {}
        self._changed = threading.Condition()

    def arm(self, fault: faults.Fault, options: FaultOptions | None = None) -> None:
        """Puts a fault in force `fault.at_seconds` from now. Replaces an armed fault with the same label."""
        begins = time.monotonic() + fault.at_seconds
        ends = None if fault.duration_seconds is None else begins + fault.duration_seconds
        strikes_once = fault.name in faults.STRIKES and fault.duration_seconds is None
        with self._changed:
            self._armed[fault.label] = _ArmedFault(
                fault=fault,
                options=options or FaultOptions(),
                from_monotonic=begins,
                until_monotonic=ends,
                strikes_left=1 if strikes_once else None,
            )
            self._changed.notify_all()

    def disarm(self, label: str) -> None:
        """Ends a fault, whether or not it has struck. Does nothing if no such fault is armed."""
        with self._changed:
            self._armed.pop(label, None)
            self._changed.notify_all()

    def labels(self) -> list[str]:
        """The labels of the faults in force."""
        with self._changed:
            return [label for label in self._armed if self._find_in_force(label) is not None]

    def in_force(self, name: str) -> list[faults.Fault]:
        """The faults in force of a name, whatever their arguments."""
        with self._changed:
            return [
                armed.fault
                for label, armed in self._armed.items()
                if armed.fault.name == name and self._find_in_force(label) is not None
            ]

    def active(self, label: str) -> FaultOptions | None:
        """The options of a fault in force, or None if it is not in force."""
        with self._changed:
            armed = self._find_in_force(label)
            return None if armed is None else armed.options

    def strike(self, label: str) -> bool:
        """Uses up one strike of the fault. Returns False if the fault is not in force."""
        with self._changed:
            armed = self._find_in_force(label)
            if armed is None:
                return False
            if armed.strikes_left is not None:
                armed.strikes_left -= 1
            return True

    def wait_while(self, label: str, seconds: float) -> None:
        """Waits until the fault ends, but no longer than `seconds`."""
        give_up = time.monotonic() + seconds
        with self._changed:
            while self._find_in_force(label) is not None and time.monotonic() < give_up:
                self._changed.wait(min(0.1, max(0.0, give_up - time.monotonic())))

    def skew_seconds(self) -> float:
        """The seconds by which AWS's clock is ahead of this machine's."""
        return next((fault.seconds for fault in self.in_force("clock-skew")), 0.0)

    def now(self) -> datetime:
        """The time on AWS's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.skew_seconds())

    def _find_in_force(self, label: str) -> _ArmedFault | None:
        armed = self._armed.get(label)
        now = time.monotonic()
        if armed is None or now < armed.from_monotonic or armed.strikes_left == 0:
            return None
        if armed.until_monotonic is not None and now >= armed.until_monotonic:
            return None
        return armed
