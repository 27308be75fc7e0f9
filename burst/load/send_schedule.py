"""The schedule of an open load: event k of a task is due at GO + k / rate, whether or not earlier ones were answered.

A sender that falls behind sends late events at once and reports its lateness at the end (`send_account`); it never
lowers the rate quietly.
"""

from dataclasses import dataclass

from burst.load import load_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The place of one event in time: `due` is on the clock that the schedule was started with."""

    sequence: int
    due: float


class SendSchedule:
    """Hands out slots in order to the next free sender."""

    def __init__(self, share: load_shares.LoadShare, started: float) -> None:
        self._share = share
        self._started = started
        self._next = 0

    def take_slot(self) -> Slot | None:
        """The next slot; None once the task's share of the source is spent."""
        if self._share.event_count is not None and self._next >= self._share.event_count:
            return None
        slot = Slot(sequence=self._next, due=self._started + self._next / self._share.events_per_second)
        self._next += 1
        return slot
