"""The schedule of an open load: each event is due at an instant of its own, whether or not earlier ones were answered.

Even arrivals: event k of a task is due at GO + (k + shard / shards) / rate, so that the tasks of a burst take turns and
do not fire together. Poisson arrivals: the pauses are exponential with the mean of the rate, the same in each run of a
scope. A plan of steps has one sequence of events for the whole burst (`rate_plans`), and ends with its last step. A
sender that falls behind sends late events at once and reports its lateness (`send_account`); it never lowers the rate
quietly.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from burst.load import load_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The place of one event in time: `due` is on the clock that the schedule was started with."""

    sequence: int
    due: float
    step: str | None = None
    """The step of a rate plan that it belongs to."""


class SendSchedule:
    """Hands out slots in order to the next free sender."""

    def __init__(self, share: load_shares.LoadShare, started: float) -> None:
        self._slots = _list_slots(share, started)
        self._next_slot = next(self._slots, None)
        # A second reading of the same slots: a slot is due also where no sender took it.
        self._dues = _list_own_arrivals(share, started)
        self._next_due = next(self._dues, None)
        self.due_count = 0
        """How many events were due when `count_due` was last asked."""
        self._due_by_step = Counter[str]()

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
        while self._next_due is not None and self._next_due[0] < until:
            self.due_count += 1
            if self._next_due[1] is not None:
                self._due_by_step[self._next_due[1]] += 1
            self._next_due = next(self._dues, None)
        return self.due_count - counted

    def take_step_counts(self) -> Counter[str]:
        """How many events became due in each step of a rate plan, since this was last asked."""
        counts, self._due_by_step = self._due_by_step, Counter[str]()
        return counts


def _list_slots(share: load_shares.LoadShare, started: float) -> Iterator[Slot]:
    for sequence, (due, step) in enumerate(_list_own_arrivals(share, started)):
        yield Slot(sequence=sequence, due=due, step=step)


def _list_own_arrivals(share: load_shares.LoadShare, started: float) -> Iterator[tuple[float, str | None]]:
    """The arrivals of the task, which end with its part of the source."""
    return itertools.islice(list_arrivals(share, started), share.event_count)


def list_arrivals(share: load_shares.LoadShare, started: float) -> Iterator[tuple[float, str | None]]:
    """The instants at which events are due, each with the step of a rate plan; without end where there is none."""
    shard, seed = share.stream.shard_index, f"{share.stream.scope}:{share.stream.shard_index}"
    pauses = random.Random(seed)  # noqa: S311 (arrivals, not a key)
    is_random = share.arrivals == load_shares.POISSON
    if (plan := share.rate_plan) is not None:
        count = share.shard_count
        planned = plan.list_random_arrivals(count, pauses) if is_random else plan.list_arrivals(shard, count)
        yield from ((started + arrival.seconds, arrival.step) for arrival in planned)
        return
    if is_random:
        due = started
        while True:
            due += pauses.expovariate(share.events_per_second)
            yield due, None
    sequence = 0
    while True:
        yield started + (sequence + share.phase) / share.events_per_second, None
        sequence += 1
