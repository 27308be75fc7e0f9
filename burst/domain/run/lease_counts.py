"""What a run has counted, as the lease carries it: totals, and the last few seconds, from which a rate of now follows.

The journal lies on the machine that drives a run. Through the lease others see how the run goes.
"""

from burst.domain.receipts import early_stops, receipts
from burst.domain.run import runs
from burst.domain.tasks import leases

RECENT_SECONDS = 5.0
"""A rate of now is one of the last counts, of at least so many seconds."""


def read_count(run: runs.Run) -> leases.LeaseCount | None:
    """What the run has counted so far; None before its first live count."""
    if run.counted_to is None or not run.polls:
        return None
    recent = _join_polls(_list_recent(run.polls))
    whole = _join_polls(run.polls)
    return leases.LeaseCount(
        counted_to=run.counted_to,
        seconds=whole.seconds,
        receipts=_list_amounts(whole.counts),
        recent_seconds=recent.seconds,
        recent_receipts=_list_amounts(recent.counts),
    )


def restore_polls(count: leases.LeaseCount) -> tuple[early_stops.Poll, ...]:
    """Counts with the same sums: all but the last seconds, and these."""
    recent = early_stops.Poll(seconds=count.recent_seconds, counts=_read_amounts(count.recent_receipts))
    whole = _read_amounts(count.receipts)
    before = early_stops.Poll(
        seconds=max(0.0, count.seconds - count.recent_seconds), counts=receipts.count_gains(recent.counts, whole)
    )
    return (before, recent)


def _list_recent(polls: tuple[early_stops.Poll, ...]) -> tuple[early_stops.Poll, ...]:
    seconds = 0.0
    for number, poll in enumerate(reversed(polls), start=1):
        seconds += poll.seconds
        if seconds >= RECENT_SECONDS:
            return polls[-number:]
    return polls


def _join_polls(polls: tuple[early_stops.Poll, ...]) -> early_stops.Poll:
    return early_stops.Poll(
        seconds=sum(poll.seconds for poll in polls), counts=sum((poll.counts for poll in polls), receipts.Counts())
    )


def _list_amounts(counts: receipts.Counts) -> tuple[int, int, int, int]:
    return (counts.admit, counts.duplicate, counts.quarantine, counts.other)


def _read_amounts(amounts: tuple[int, int, int, int]) -> receipts.Counts:
    admit, duplicate, quarantine, other = amounts
    return receipts.Counts(admit=admit, duplicate=duplicate, quarantine=quarantine, other=other)
