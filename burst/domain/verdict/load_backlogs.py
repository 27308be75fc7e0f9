"""Backlogs of a load: whether the generator kept up with its schedule, second by second.

An event may be sent a second late and still be in time. In a part of a few seconds that second hides a rate that was
never sent: 1,000 due a second and 850 sent are in time for five seconds. So at some second of the later half of a part
all but the allowed share of what had become due in it has to be sent. One late second at the end changes nothing.
"""

import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from burst.domain.documents import load_documents

KEEPING_SECONDS = 0.1
"""What became due in the last tenth of a second may still be on its way."""
_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What was due and sent in a part of the load until the second at which the generator was nearest to it."""

    due: int
    sent: int
    seconds: int

    @property
    def share(self) -> float:
        """The share that was sent."""
        return self.sent / self.due


def find_shortfall(load: load_documents.Load, start: datetime, end: datetime, *, required: float) -> Shortfall | None:
    """By how much the generator stayed behind from the first whole second of a part to its end; None where it kept
    up, or the part is too short to tell."""
    first = start.replace(microsecond=0) + timedelta(seconds=start.microsecond > 0)
    last = end.replace(microsecond=0)
    length = round((last - first).total_seconds())
    rows = {row.start_utc: row for row in load.seconds}
    each = [rows.get(first + timedelta(seconds=number)) for number in range(max(0, length))]
    dues = list(itertools.accumulate(row.due if row else 0 for row in each))
    sents = list(itertools.accumulate(row.sent if row else 0 for row in each))
    nearest: Shortfall | None = None
    for index in range(length // 2, length):
        due, sent = dues[index], sents[index]
        recent = KEEPING_SECONDS * (due - (dues[index - 1] if index else 0))
        if sent + recent + _DEVIATIONS * math.sqrt(recent) + 1 >= required * due:
            return None
        if nearest is None or sent / due > nearest.share:
            nearest = Shortfall(due=due, sent=sent, seconds=index + 1)
    return nearest
