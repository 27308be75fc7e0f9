"""The tail counter: live counts that read only what is new, whatever the size of the table.

Each poll reads the tail of the table (`tails`) and adds it to what lies before, which is counted once: nothing, where
the marks were set before the burst, and else by a whole count beside the polls. A whole count is also made where the
server's figures say that the tail does not hold every new row, but so seldom that it takes less than a fiftieth of the
time. Where much is missing, no slice is closed past the last whole count.

Slices are closed by the second, at an instant before which every receipt is known to be committed. A receipt that
appears later than that is in the next slice, so that the slices add up to the whole.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from burst import ports
from burst.adapters.postgres import tail_leaves, tail_reader, tails
from burst.domain.basics import errors, instants, windows, wording
from burst.domain.receipts import receipts
from burst.kit import measure

WHOLE_COUNT_SECONDS = 120.0
"""How long a whole count may take."""
_WAITED_SECONDS = 1.0
"""How long a poll waits for the whole count that it begins."""
SILENCE_SECONDS = 10.0
"""After so long without a slice the counter says why there is none."""


class _Ledger:
    """Receipts by span, of which those before an edge are kept as one sum. Edges only move on."""

    def __init__(self) -> None:
        self._before = receipts.Counts()
        self._edge: datetime | None = None
        self._spans: dict[datetime, receipts.Counts] = {}

    def add(self, spans: tail_reader.Spans) -> None:
        for start, counts in spans.items():
            if self._edge is not None and start < self._edge:
                self._before += counts
            else:
                self._spans[start] = self._spans.get(start, receipts.Counts()) + counts

    def sum_before(self, edge: datetime) -> receipts.Counts:
        """The receipts in spans that begin before the edge."""
        passed = [start for start in self._spans if start < edge]
        self._before = sum((self._spans.pop(start) for start in passed), self._before)
        self._edge = edge
        return self._before


@dataclass(slots=True, kw_only=True)
class _WholeCount:
    """A count of everything before some marks, on its way or done."""

    marks: tails.Tails
    began_at: datetime
    """By the database's clock."""
    rows: int
    """The rows of tails that had been read when it began."""
    since: _Ledger = field(default_factory=_Ledger)
    """What the marks have moved over since."""
    done: threading.Event = field(default_factory=threading.Event)
    spans: tail_reader.Spans | None = None
    problem: str = ""
    seconds: float = 0.0


class TailCounter:
    """`ports.Counter` by the tail of the table.

    With a `mark` that was set before `followed.start`, no whole count is needed as long as the tail holds every new
    row. Where the receipts have no tail, the counter of `make_instead` counts from the last slice on.
    """

    def __init__(
        self,
        reader: tail_reader.TailReader,
        followed: tail_leaves.Followed,
        *,
        settle_seconds: float,
        patience_seconds: float,
        make_instead: Callable[[datetime], ports.Counter],
        mark: tail_reader.TailMark | None = None,
    ) -> None:
        self._reader = reader
        self.followed = followed
        self._settle_seconds = settle_seconds
        self._patience_seconds = patience_seconds
        self._make_instead = make_instead
        self._instead: ports.Counter | None = None
        """What counts where there is no tail, from `_counted_before` on."""
        self._counted_before = receipts.Counts()
        self._leaves = None if mark is None else mark.leaves
        self._marks = mark.marks if mark else tails.Tails()
        self._ledger: _Ledger | None = _Ledger() if mark else None
        """What lies before the marks; None before a whole count has come."""
        self._rows = 0
        """The rows that the marks have moved over."""
        self._belief = tails.Belief(since=mark.reading.at, rows=mark.rows) if mark else None
        self._whole: _WholeCount | None = None
        """The whole count that is on its way."""
        self.whole_counts = 0
        """How many whole counts were made."""
        self._whole_seconds = 0.0
        self._whole_problem = ""
        self._whole_counted_to: datetime | None = None
        self._whole_due = 0.0
        """The monotonic instant from which the next whole count may begin."""
        self._live = receipts.LiveCount(slice=None, total=receipts.Counts(), counted_to=followed.start)
        self._is_exchanged = False
        """Whether the tables are others, or hold other files, than those that the last slice was counted in."""

    @property
    def has_no_tail(self) -> bool:
        """Whether the receipts have no tail, so that each count reads its slice of the whole table."""
        return self._instead is not None

    def poll(self, now: datetime) -> receipts.LiveCount:
        """The slice up to the last instant before which all is committed. Raises as `ports.Counter.poll`, and with the
        reason where no slice could be closed for a while."""
        if self._instead is not None:
            return self._poll_instead(self._instead, now)
        try:
            count = self._read(instants.later(now, self._patience_seconds))
        except tail_leaves.NoTail:
            self._instead, self._counted_before = self._make_instead(self._live.counted_to), self._live.total
            return self._poll_instead(self._instead, now)
        except (errors.Refused, errors.UsageError):
            self._leaves = None  # the table, its columns or its partitions may be others now
            raise
        believed = self._note(count)
        self._take_whole_count()
        if (self._ledger is None or believed.doubt or believed.missing) and self._may_count_whole():
            self._count_whole(count, now)
        edge = self._find_edge()
        if self._ledger is None or edge is None or edge <= self._live.counted_to:
            self._explain_silence(count.reading.at)
            self._live = replace(self._live, slice=None)
        else:
            self._live = self._close_slice(edge, count, self._ledger)
        return self._live

    def _poll_instead(self, instead: ports.Counter, now: datetime) -> receipts.LiveCount:
        live = instead.poll(now)
        return replace(live, total=self._counted_before + live.total)

    def _read(self, give_up_at: datetime) -> tail_reader.TailCount:
        if self._leaves is None:
            self._leaves = self._reader.find_leaves(self.followed, give_up_at=give_up_at)
        count: tail_reader.TailCount | None = None
        with contextlib.suppress(tail_leaves.LeafGone):
            count = self._reader.read(self.followed, self._leaves, self._marks, give_up_at=give_up_at)
        if count is None or (count.afresh and self._marks.begins):  # perhaps there are other tables now
            self._leaves = self._reader.find_leaves(self.followed, give_up_at=give_up_at)
            count = self._reader.read(self.followed, self._leaves, tails.Tails(), give_up_at=give_up_at)
        return count

    def _note(self, count: tail_reader.TailCount) -> tails.Belief:
        """Adds what was read, and returns whether it is believed to be all."""
        self._marks = count.marks
        if count.afresh:
            self._is_exchanged = True
            self._ledger, self._belief, self._whole, self._rows = None, None, None, 0
            self._whole_counted_to = None
        if self._ledger is not None:
            self._ledger.add(count.passed)
        if self._whole is not None:
            self._whole.since.add(count.passed)
        self._rows += count.rows_passed
        rows = self._rows + count.rows_in_tail
        if self._belief is None:
            self._belief = tails.Belief(since=count.reading.at, rows=rows)
        self._belief = self._belief.note(count.reading, rows)
        return self._belief

    def _may_count_whole(self) -> bool:
        """Whether a whole count would find everything before the marks, and is not too much."""
        waits = self._ledger is None and self._marks.has_first_writer
        return self._whole is None and not waits and time.monotonic() >= self._whole_due

    def _count_whole(self, count: tail_reader.TailCount, now: datetime) -> None:
        """Begins a whole count on a thread, and waits a moment for it."""
        whole = _WholeCount(marks=count.marks, began_at=count.reading.at, rows=self._rows + count.rows_in_tail)

        def work() -> None:
            began = time.monotonic()
            give_up_at = instants.later(now, WHOLE_COUNT_SECONDS)
            try:
                whole.spans = self._reader.count_before(self.followed, count.leaves, whole.marks, give_up_at=give_up_at)
            except errors.BurstError as exc:
                whole.problem = str(exc)
            finally:
                whole.seconds = time.monotonic() - began
                whole.done.set()

        self._whole = whole
        self.whole_counts += 1
        threading.Thread(target=work, name="burst-whole-count", daemon=True).start()
        whole.done.wait(min(_WAITED_SECONDS, self._patience_seconds / 2))
        self._take_whole_count()

    def _take_whole_count(self) -> None:
        """Goes on from the whole count, where it has ended."""
        whole = self._whole
        if whole is None or not whole.done.is_set():
            return
        self._whole, self._whole_problem, self._whole_seconds = None, whole.problem, whole.seconds
        self._whole_due = time.monotonic() + whole.seconds / measure.BUSY_SHARE
        if whole.spans is None:
            return
        doubt = self._belief.doubt if self._belief is not None else ""
        self._ledger = whole.since
        self._ledger.add(whole.spans)
        self._belief = tails.Belief(since=whole.began_at, rows=whole.rows, doubt=doubt)
        self._whole_counted_to = whole.marks.seen_all_to

    def _find_edge(self) -> datetime | None:
        """The end of the next slice: before it every receipt is committed and counted."""
        seen_to, followed = self._marks.seen_all_to, self.followed
        if self._belief is not None and self._belief.doubt:
            seen_to = self._whole_counted_to
        if seen_to is None:
            return None
        settled_to = instants.later(seen_to, -self._settle_seconds)
        if settled_to >= followed.until:
            return followed.until
        return followed.start + (settled_to - followed.start) // followed.span * followed.span

    def _close_slice(self, edge: datetime, count: tail_reader.TailCount, ledger: _Ledger) -> receipts.LiveCount:
        """The slice up to the edge, with what appeared late of the slices before it. Raises `errors.Unavailable` where
        other tables hold fewer receipts than were counted before: what they gain would not be seen."""
        in_tail = (counts for start, counts in count.tail.items() if start < edge)
        total = sum(in_tail, ledger.sum_before(edge))
        gone = receipts.count_losses([self._live.total, total]).total
        if self._is_exchanged and gone:
            raise errors.Unavailable(
                f"{wording.format_count(gone, 'receipt')} of those counted before can no longer be found: the table "
                "was emptied, or it or a partition was exchanged; slices are closed again once there are as many"
            )
        self._is_exchanged = False
        window = windows.Window(self._live.counted_to, edge)
        gained = receipts.count_gains(self._live.total, total)
        closed = receipts.WindowCount(
            window=window,
            scope=self.followed.scope,
            counts=gained,
            buckets=(receipts.BucketCounts(window=window, counts=gained),),
            clock=count.clock,
            sql=count.sql,
            binds=count.binds,
        )
        return receipts.LiveCount(slice=closed, total=self._live.total + gained, counted_to=edge)

    def _explain_silence(self, at: datetime) -> None:
        """Raises `errors.Unavailable` with the reason where the last slice ended long ago."""
        doubt = self._belief.doubt if self._belief is not None else ""
        patience = SILENCE_SECONDS + self._settle_seconds
        if doubt:
            patience += self._whole_seconds / measure.BUSY_SHARE
        if instants.seconds_between(self._live.counted_to, at) < patience:
            return
        writer = self._marks.waits_for
        if self._ledger is not None and writer is not None and not doubt:
            raise errors.Unavailable(f"{writer} has not committed what it wrote, so no later slice can be closed")
        why = doubt or "the newest receipts were not marked before the burst"
        problem = f": {self._whole_problem}" if self._whole_problem else ", which has not come yet"
        raise errors.Unavailable(f"{why}, so live counts need a count of the whole window{problem}")
