"""When each record of a playback is due: at a rate, like any other event, or at a speed-up of its recorded pauses.

The first record that a run sends is due at GO, or one place of its shard later at a rate. At a speed-up a record is due
after the recorded time since that first one, divided by the speed-up, and never before a record in front of it.
"""

import math
from collections import Counter, deque
from collections.abc import Iterator

from burst.load import send_schedule
from burst.load.playback import key_order, records

Arrivals = Iterator[tuple[float, str | None]]
"""Instants at which events are due, in order, each with the step of a rate plan."""


class SpeedUp:
    """Instants by the recorded ones: `speed_up` recorded seconds pass in one."""

    def __init__(self, speed_up: float, started: float) -> None:
        self._speed_up, self._latest = speed_up, started
        self._origin: float | None = None
        self._started = started

    def place(self, record: records.Record) -> tuple[float, str | None]:
        """When a record is due. Records are placed in recorded order."""
        recorded_at = record.mark.recorded_at
        if recorded_at is not None:
            self._origin = recorded_at if self._origin is None else self._origin
            self._latest = max(self._latest, self._started + (recorded_at - self._origin) / self._speed_up)
        return self._latest, None


class PlaybackSchedule:
    """Gives each record its slot, and counts what became due, as `SendSchedule` does for events that are made."""

    def __init__(self, pace: SpeedUp | Arrivals) -> None:
        self._pace = pace
        self._sequence = 0
        self._uncounted = deque[send_schedule.Slot]()
        self._due_by_step = Counter[str]()
        self.due_count = 0
        """How many records were due when `count_due` was last asked."""

    def place(self, record: records.Record) -> key_order.Sending | None:
        """The record with its slot; None where the rate plan has ended before it."""
        placed = self._pace.place(record) if isinstance(self._pace, SpeedUp) else next(self._pace, None)
        if placed is None:
            return None
        slot = send_schedule.Slot(sequence=self._sequence, due=placed[0], step=placed[1])
        self._sequence += 1
        self._uncounted.append(slot)
        return key_order.Sending(record=record, slot=slot)

    def count_due(self, until: float) -> int:
        """How many more of the records that were read became due before an instant, since this was last asked."""
        counted = self.due_count
        while self._uncounted and self._uncounted[0].due < until:
            slot = self._uncounted.popleft()
            self.due_count += 1
            if slot.step is not None:
                self._due_by_step[slot.step] += 1
        return self.due_count - counted

    def take_step_counts(self) -> Counter[str]:
        """How many records became due in each step of a rate plan, since this was last asked."""
        counts, self._due_by_step = self._due_by_step, Counter[str]()
        return counts


def parse_speed_up(value: object) -> float:
    """A speed-up. Raises ValueError for anything but a number over 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise ValueError(f"speed_up is {value!r}; it must be a number over 0")
