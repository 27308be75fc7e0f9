"""The account of a program that has a schedule: events due and events sent, for its log line and its account file.

Times of the schedule are monotonic, and those of the account are UTC: `clock_offset` is the difference at GO.
"""

import math
import time
from collections import Counter
from typing import Protocol

from burst.load import load_account, load_shares, rate_plans, send_schedule

LATE_SECONDS = 0.1


class DueSchedule(Protocol):
    """What an account asks of a schedule: what became due."""

    def count_due(self, until: float) -> int:
        """How many more events became due before a monotonic instant, since this was last asked."""

    def take_step_counts(self) -> Counter[str]:
        """How many of them in each step of a rate plan."""


class SendAccount:
    """Counts the events of one task as they become due and are sent."""

    def __init__(self, share: load_shares.LoadShare, tally: load_account.AccountWriter | None = None) -> None:
        self._share = share
        self._tally = tally or load_account.AccountWriter(None)
        self._schedule: DueSchedule | None = None
        self._clock_offset = 0.0
        self._counted_until = 0.0
        self._sent = 0
        self._late = 0
        self._latest_seconds = 0.0

    def begin(self, schedule: DueSchedule, started: float) -> None:
        """The schedule started at this monotonic instant."""
        self._schedule = schedule
        self._clock_offset = time.time() - time.monotonic()
        self._counted_until = started
        plan = self._share.rate_plan
        if plan is not None:
            go_at, finder = started + self._clock_offset, rate_plans.StepFinder(plan)
            self._tally.find_step = lambda at: finder.name_step(at - go_at)

    def record(self, slot: send_schedule.Slot, sent_at: float) -> None:
        """Count the slot's event as sent; `sent_at` is on the schedule's clock."""
        lateness_seconds = max(0.0, sent_at - slot.due)
        self._sent += 1
        self._late += lateness_seconds > LATE_SECONDS
        self._latest_seconds = max(self._latest_seconds, lateness_seconds)
        due_at = slot.due + self._clock_offset
        self._tally.note_sent(sent_at + self._clock_offset, due_at, slot.step)

    def find_utc(self, instant: float) -> float:
        """A monotonic instant as UTC seconds."""
        return instant + self._clock_offset

    def count_due(self, now: float) -> None:
        """Count what became due before a monotonic instant, each event in its own second."""
        if self._schedule is None:
            return
        while self._counted_until < now:
            second = math.floor(self._counted_until + self._clock_offset)
            end = min(now, second + 1 - self._clock_offset)
            end = end if end > self._counted_until else now  # no float lies between them
            self._tally.pending.note_due(second, self._schedule.count_due(end))
            self._counted_until = end
        for step, number in self._schedule.take_step_counts().items():
            self._tally.pending.note_step_due(step, number)

    def summarize(self) -> str:
        """One line: the events sent, and their lateness."""
        return (
            f"sent {self._sent} events at {self._share.events_per_second:g}/s asked; {self._late} were over"
            f" {LATE_SECONDS * 1000:.0f} ms late, the latest {self._latest_seconds * 1000:.0f} ms"
        )
