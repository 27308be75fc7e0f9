"""A receipt source in memory, and a clock moved by hand; the contract suite keeps the source honest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import errors, instants, windows
from burst.domain.receipts import receipts


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One row: what was decided, the instant it carries, and its scope."""

    decision: str | None
    at: datetime
    scope: str


class HandClock:
    """Stands still but for `sleep`, which moves it on at once and then calls `on_sleep`."""

    def __init__(self, start: datetime, on_sleep: Callable[[], None] = lambda: None) -> None:
        self.time = start
        self.on_sleep = on_sleep
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time = instants.later(self.time, seconds)
        self.on_sleep()


class MemoryReceiptSource:
    """`ports.ReceiptSource` over a list of receipts. `failures` is how many of the next calls find it away."""

    def __init__(
        self,
        rows: Sequence[Receipt] = (),
        *,
        now: Callable[[], datetime],
        answers: Mapping[str, Sequence[Sequence[object]]] | None = None,
        skew_seconds: float = 0.0,
    ) -> None:
        self.rows = list(rows)
        self.failures = 0
        self.found_wrong: list[str] = []
        self._now = now
        self._answers = dict(answers or {})
        self._skew_seconds = skew_seconds

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        if bucket_seconds <= 0:
            raise errors.UsageError(f"a bucket of {bucket_seconds} s is no bucket")
        clock = self.clock(give_up_at=give_up_at)
        rows = [row for row in self.rows if scope in (None, row.scope)]
        return receipts.WindowCount(
            window=window,
            scope=scope,
            counts=_counts(rows, window),
            buckets=tuple(
                receipts.BucketCounts(window=bucket, counts=_counts(rows, bucket))
                for bucket in window.buckets(bucket_seconds)
            ),
            clock=clock,
            sql="memory",
            binds=(("start", instants.text(window.start)), ("end", instants.text(window.end))),
        )

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        self._answer(give_up_at)
        now = instants.later(self._now(), self._skew_seconds)
        return receipts.DatabaseClock(database_now=now, skew_seconds=self._skew_seconds, round_trip_seconds=0.0)

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        self._answer(give_up_at)
        rows = self._answers.get(sql)
        if rows is None or len(rows) != 1 or len(rows[0]) != 1:
            raise errors.UsageError(f"the fact query {sql!r} does not answer one row of one column")
        return rows[0][0]

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        self._answer(give_up_at)
        return list(self.found_wrong)

    def _answer(self, give_up_at: datetime) -> None:
        if self._now() >= give_up_at:
            raise errors.Unavailable("no time left to ask")
        if self.failures > 0:
            self.failures -= 1
            raise errors.Unavailable("the database is away")


def _counts(rows: Sequence[Receipt], window: windows.Window) -> receipts.Counts:
    decisions = [row.decision for row in rows if window.holds(row.at)]
    admit, duplicate, quarantine = (decisions.count(name) for name in receipts.DECISIONS)
    return receipts.Counts(
        admit=admit, duplicate=duplicate, quarantine=quarantine, other=len(decisions) - admit - duplicate - quarantine
    )
