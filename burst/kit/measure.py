"""Measuring: counting one window until the count stands still, and counting a running burst slice by slice.

Receipts become visible after the instant they carry, so a first count is only a guess. The count is repeated after a
settle delay until two in a row agree, and the late receipts are reported. Receipts are only ever added, so a count that
lost one never settles. Silence alone proves nothing: a transaction that was writing when the window ended may still
bring rows, so the window is not settled before each of those has ended. The live view has no time for that: it counts
disjoint closed slices, each only once the database clock is past its end by the settle delay, so that the slices add up
to the whole. The verdict never uses the live sum.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst import ports
from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import receipts

ROUNDS_MAX = 12
RETRY_SECONDS = 1.0
"""The least time after which a later count that did not come is repeated."""
BUSY_SHARE = 0.02
"""The share of the time that counting while a burst runs may take."""

# A sleep that ends early, because the process is asked to end, settles nothing; a clock that is slewed is allowed.
_SETTLED_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One count while settling, and when it began on our clock."""

    counted_at: datetime
    counts: receipts.Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The last count of a window and the rounds before it. Unless it is `settled`, no verdict may rest on it."""

    count: receipts.WindowCount
    rounds: tuple[Round, ...]
    settled: bool
    open_writers: tuple[receipts.OpenWriter, ...] = ()
    """The writers of the window's end that had not ended before the last count began."""
    problem: str = ""
    """Why no later count came that could have agreed with the last one; empty where that is not why it is unsettled."""

    @property
    def late(self) -> receipts.Counts:
        """The receipts that arrived between the first count and the last."""
        return receipts.count_gains(self.rounds[0].counts, self.rounds[-1].counts)

    @property
    def vanished(self) -> receipts.Counts:
        """The receipts that one count had and the next had not: they were deleted or rewritten."""
        return _count_losses(self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """When a count has settled: two counts in a row agree, `settle_seconds` apart. Until when that is tried."""

    settle_seconds: float
    give_up_at: datetime
    rounds_max: int = ROUNDS_MAX


def measure(
    source: ports.ReceiptSource,
    *,
    window: windows.Window,
    scope: str | None,
    bucket_seconds: float,
    settling: Settling,
    clock: ports.Clock,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> Measurement:
    """Counts until two counts in a row, both after the window's end, agree in every bucket.

    A transaction that was open when the first count after the window's end began, and was writing then or has written
    since, must have ended before the last.
    Raises as the first count does. A later one that is `errors.Unavailable` is repeated. When a later one has lost
    receipts, or an interruption or the end of `settling` comes first, the last count is returned unsettled.
    """
    settle_seconds, give_up_at = settling.settle_seconds, settling.give_up_at
    counter = _WindowCounter(source, window, scope, bucket_seconds, give_up_at=give_up_at, clock=clock)
    first, last = counter.count()
    rounds, settled, problem, pause_seconds = [first], False, "", settle_seconds
    while not settled and len(rounds) < settling.rounds_max and _has_time(clock, pause_seconds, give_up_at):
        clock.sleep(pause_seconds)
        try:
            again, counted = counter.count()
        except errors.Unavailable as exc:
            problem, pause_seconds = str(exc), max(settle_seconds, RETRY_SECONDS)
            if is_interrupted():
                break
            continue
        problem, pause_seconds = "", settle_seconds
        settled = counter.writers.ended and _is_settled(last, counted) and _are_apart(rounds[-1], again, settle_seconds)
        rounds.append(again)
        last = counted
        if _count_losses(rounds).total:
            break
    still_open = counter.writers.still_open
    return Measurement(count=last, rounds=tuple(rounds), settled=settled, open_writers=still_open, problem=problem)


class _WindowCounter:
    """Counts one window again and again, each time after a reading of the writers."""

    def __init__(
        self,
        source: ports.ReceiptSource,
        window: windows.Window,
        scope: str | None,
        bucket_seconds: float,
        *,
        give_up_at: datetime,
        clock: ports.Clock,
    ) -> None:
        self._source = source
        self._window = window
        self._scope = scope
        self._bucket_seconds = bucket_seconds
        self._give_up_at = give_up_at
        self._clock = clock
        self.writers = _WritersOfTheEnd(window.end)

    def count(self) -> tuple[Round, receipts.WindowCount]:
        """Counts once. Raises as `ports.ReceiptSource.count` does."""
        began = self._clock.now()
        self.writers.read(self._source.open_writers(give_up_at=self._give_up_at))
        counted = self._source.count(
            self._window, scope=self._scope, bucket_seconds=self._bucket_seconds, give_up_at=self._give_up_at
        )
        return Round(counted_at=began, counts=counted.counts), counted


class _WritersOfTheEnd:
    """The writers that were open when the first count after the window's end began, and which of them are still open.

    They are read before each count: a transaction that ended by then is in the count, or was rolled back. One that was
    open at the first reading and writes later is one of them: it may carry the instant of its beginning.
    """

    def __init__(self, end: datetime) -> None:
        self._end = end
        self._last: receipts.OpenWriters | None = None
        self._begun = frozenset[str]()
        self.still_open: tuple[receipts.OpenWriter, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether each of them has ended; False before the window's end."""
        return self._last is not None and not self.still_open

    def read(self, present: receipts.OpenWriters) -> None:
        """Takes the next reading. One before the window's end, by the database's clock, tells nothing."""
        if self._last is not None:
            late = tuple(
                writer for writer in present.writers if writer.id in self._begun and writer not in self.still_open
            )
            self.still_open = receipts.keep_open((*self.still_open, *late), self._last, present)
        elif present.at >= self._end:
            self.still_open, self._begun = present.writers, present.transactions
        else:
            return
        self._last = present


class LiveCounter:
    """`ports.Counter` over any receipt source. It keeps only the last edge and the sum, and moves them on together.

    A receipt that becomes visible more than `settle_seconds` after the instant it carries is missed here, and `measure`
    counts it. A count that is slow is made so seldom that counting takes less than a fiftieth of the time.
    """

    def __init__(
        self,
        source: ports.ReceiptSource,
        *,
        start: datetime,
        scope: str | None,
        settle_seconds: float,
        now: Callable[[], datetime],
        until: datetime | None = None,
        patience_seconds: float = 10.0,
    ) -> None:
        self._source = source
        self._until = None if until is None else instants.utc(until)
        self._scope = scope
        self._settle_seconds = settle_seconds
        self._patience_seconds = patience_seconds
        self._live = receipts.LiveCount(slice=None, total=receipts.Counts(), counted_to=instants.utc(start))
        self._now = now
        self._due: datetime | None = None
        """When the next count may be made."""

    def poll(self, now: datetime) -> receipts.LiveCount:
        """Counts from the last edge to the database's now less the settle delay, taking at most `patience_seconds`.

        The last slice ends at `until`, however late it is polled.
        Raises `errors.Unavailable`; nothing is lost then, the next slice starts at the same edge.
        """
        give_up_at = instants.later(now, self._patience_seconds)
        # Asked for its clock with its writers: a standby, which has none and may lag behind, does not answer that.
        edge = instants.later(self._source.open_writers(give_up_at=give_up_at).at, -self._settle_seconds)
        if self._until is not None:
            edge = min(edge, self._until)
        began = self._now()
        if edge <= self._live.counted_to or (self._due is not None and began < self._due):
            self._live = dataclasses.replace(self._live, slice=None)
            return self._live
        window = windows.Window(self._live.counted_to, edge)
        counted = self._source.count(window, scope=self._scope, bucket_seconds=window.seconds, give_up_at=give_up_at)
        ended = self._now()
        self._due = instants.later(ended, instants.seconds_between(began, ended) / BUSY_SHARE)
        self._live = receipts.LiveCount(slice=counted, total=self._live.total + counted.counts, counted_to=edge)
        return self._live


def _has_time(clock: ports.Clock, settle_seconds: float, give_up_at: datetime) -> bool:
    return instants.later(clock.now(), settle_seconds) < give_up_at


def _is_settled(before: receipts.WindowCount, after: receipts.WindowCount) -> bool:
    """Whether nothing moved between two counts of a window that had ended by the first, on the database's clock."""
    ended = before.clock.database_now >= before.window.end
    return ended and (before.counts, before.buckets) == (after.counts, after.buckets)


def _are_apart(before: Round, after: Round, settle_seconds: float) -> bool:
    passed = instants.seconds_between(before.counted_at, after.counted_at)
    return passed >= _SETTLED_SHARE * settle_seconds


def _count_losses(rounds: Sequence[Round]) -> receipts.Counts:
    return receipts.count_losses([count_round.counts for count_round in rounds])
