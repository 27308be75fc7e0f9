"""The schedule of an open load: each event is due at an instant of its own, whether or not earlier ones were answered.

Even arrivals: event k of a task is due at GO + (k + shard / shards) / rate, so that the tasks of a burst take turns and
do not fire together. Poisson arrivals: the pauses are exponential with the mean of the rate, the same in each run of a
scope. A sender that falls behind sends late events at once and reports its lateness (`send_account`); it never lowers
the rate quietly.
"""

import random
from collections.abc import Iterator
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
        self._slots = _list_slots(share, started)
        self._next_slot = next(self._slots, None)
        # A second reading of the same slots: what is due is counted also where no sender took it.
        self._due_slots = _list_slots(share, started)
        self._next_due = next(self._due_slots, None)
        self.due_count = 0
        """How many events were due when `count_due` was last asked."""

    def take_slot(self) -> Slot | None:
        """The next slot; None once the task's share of the source is spent."""
        slot, self._next_slot = self._next_slot, next(self._slots, None)
        return slot

    def is_overdue(self, now: float) -> bool:
        """Whether an event is due that no sender has taken: then there are too few senders."""
        return self._next_slot is not None and self._next_slot.due < now

    def count_due(self, until: float) -> int:
        """How many more events became due before an instant, since this was last asked."""
        counted = self.due_count
        while self._next_due is not None and self._next_due.due < until:
            self.due_count += 1
            self._next_due = next(self._due_slots, None)
        return self.due_count - counted


def _list_slots(share: load_shares.LoadShare, started: float) -> Iterator[Slot]:
    for sequence, due in enumerate(_list_arrivals(share, started)):
        if share.event_count is not None and sequence >= share.event_count:
            return
        yield Slot(sequence=sequence, due=due)


def _list_arrivals(share: load_shares.LoadShare, started: float) -> Iterator[float]:
    """The instants at which events are due, without end."""
    if share.arrivals == load_shares.POISSON:
        pauses = random.Random(f"{share.stream.scope}:{share.stream.shard_index}")  # noqa: S311 (arrivals, not a key)
        due = started
        while True:
            due += pauses.expovariate(share.events_per_second)
            yield due
    sequence = 0
    while True:
        yield started + (sequence + share.phase) / share.events_per_second
        sequence += 1
