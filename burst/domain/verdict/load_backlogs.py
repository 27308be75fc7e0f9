"""Backlogs of a load: whether generator and system kept up with the schedule, second by second.

An event may be sent a second late and still be in time. In a part of a few seconds that second hides a rate that was
never sent: 1,000 due a second and 850 sent are in time for five seconds. So at some second of the later half of a part
all but the allowed share of what had become due in it has to be sent. One late second at the end changes nothing.
"""

import itertools
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from burst.domain.documents import load_documents

KEEPING_SECONDS = 0.1
"""What became due in the last tenth of a second may still be on its way."""
_DEVIATIONS = 3.0
_KEPT_SHARE = 0.99
"""Of what was sent, a system that keeps up has answered this much by the next second of the same part."""
_LEAST_SECONDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """The events due and sent in a part of the load until the second at which the generator came nearest to them."""

    due: int
    sent: int
    seconds: int

    @property
    def share(self) -> float:
        """The share that was sent."""
        return min(1.0, self.sent / self.due) if self.due else 1.0


def find_shortfall(load: load_documents.Load, start: datetime, end: datetime, *, required: float) -> Shortfall | None:
    """By how much the generator stayed behind from the first whole second of a part to its end; None where it kept
    up, or the part is too short to tell."""
    nearest = None
    for reached, recent in _list_reached(load, start, end):
        if reached.sent + recent + _DEVIATIONS * math.sqrt(recent) + 1 >= required * reached.due:
            return None
        if nearest is None or reached.share > nearest.share:
            nearest = reached
    return nearest


def find_nearest(load: load_documents.Load, start: datetime, end: datetime) -> Shortfall | None:
    """The events due and sent until that second of the later half of a part at which the generator was nearest to all
    that were due; None where the part is too short."""
    reached = [each for each, _ in _list_reached(load, start, end) if each.due]
    return max(reached, key=lambda each: each.share, default=None)


def _list_reached(load: load_documents.Load, start: datetime, end: datetime) -> Iterator[tuple[Shortfall, float]]:
    """The events due and sent until each second of the later half, and how many became due in the tenth of a second
    before it."""
    first, last = _find_whole_seconds(start, end)
    length = round((last - first).total_seconds())
    rows = {row.start_utc: row for row in load.seconds}
    each = [rows.get(first + timedelta(seconds=number)) for number in range(max(0, length))]
    dues = list(itertools.accumulate(row.due if row else 0 for row in each))
    sents = list(itertools.accumulate(row.sent if row else 0 for row in each))
    for index in range(length // 2, length):
        recent = KEEPING_SECONDS * (dues[index] - (dues[index - 1] if index else 0))
        yield Shortfall(due=dues[index], sent=sents[index], seconds=index + 1), recent


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The requests on their way in the first half of a part, and at the best second of its last quarter."""

    early: int
    late: int
    seconds: int


def find_growth(load: load_documents.Load, start: datetime, end: datetime) -> Growth | None:
    """Whether ever more requests waited for their answers, from the first half of a part to its last quarter; None
    where they did not, or the part is too short to tell.

    A system that takes less than it is sent has a queue that grows. A limit on latency sees that only once the queue is
    as long as the limit, which takes minutes close to what the system can take.
    """
    first, last = _find_whole_seconds(start, end)
    length = round((last - first).total_seconds())
    if length < _LEAST_SECONDS:
        return None
    sent, waiting = _add_up_waiting(load, first, length)
    early = statistics.median_low(waiting[: length // 2])
    late, index = min((waiting[index], index) for index in range(length * 3 // 4, length))
    sent_since = sent[index] - sent[length // 2 - 1]
    chance = _DEVIATIONS * math.sqrt(max(early, 0) + KEEPING_SECONDS * sent[-1] / length)
    if late - early <= (1 - _KEPT_SHARE) * sent_since + chance:
        return None
    return Growth(early=max(0, early), late=late, seconds=index + 1)


def _add_up_waiting(load: load_documents.Load, first: datetime, length: int) -> tuple[list[int], list[int]]:
    """The events sent in a part by the end of each of its seconds, and those that wait for their answer then."""
    sent, waiting = [0] * length, [0] * length
    for row in load.seconds:
        index = max(0, round((row.start_utc - first).total_seconds()))
        if index < length:
            sent[index] += row.sent if row.start_utc >= first else 0
            waiting[index] += row.sent - row.acknowledged - row.refused - row.failed
    return list(itertools.accumulate(sent)), list(itertools.accumulate(waiting))


def _find_whole_seconds(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The first and the last whole second of a part."""
    return start.replace(microsecond=0) + timedelta(seconds=start.microsecond > 0), end.replace(microsecond=0)
