"""A receipt source in memory, and a clock moved by hand; the contract suite keeps the source honest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from burst import ports
from burst.domain.basics import errors, instants, windows
from burst.domain.documents import database_checks
from burst.domain.receipts import count_costs, driver_figures, duplicates, receipt_table, receipts
from burst.kit import measure
from tests import fakes_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One row: its decision, the instant it carries, its scope, and the id of its event."""

    decision: str | None
    at: datetime
    scope: str
    event_id: str = ""


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
        self.time = instants.later(self.time, max(0.0, seconds))
        self.on_sleep()


QUICK_SAMPLE = count_costs.CountSample(
    rows=1000, pages=40, pages_outside_buffers=0, page_seconds=1e-6, row_seconds=1e-6, receipt_seconds=2e-6
)


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
        self.table_problems: list[str] = []
        self.database_server = receipt_table.DatabaseServer(version_number=160002, standby=False)
        self.granted = receipt_table.TablePrivileges(writes=(), read_only_sessions=False)
        self.role_entry = fakes_database.role()
        self.times_without_offset = 0
        self.admissions: int | None = 0
        self.opened_until: datetime | None = None
        self.closed = False
        self.writers: tuple[receipts.OpenWriter, ...] = ()
        self.live_problem = ""
        self.figures: driver_figures.DriverFigures | None = driver_figures.DriverFigures()
        self.seconds_each = 0.01
        """The database time of one question."""
        self.sample: count_costs.CountSample | None = QUICK_SAMPLE
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
            pages=driver_figures.PageCount(read=None, why="memory has no pages"),
        )

    def classify_duplicates(
        self, window: windows.Window, *, scope: str, event_column: str, give_up_at: datetime
    ) -> duplicates.DuplicateClasses | None:
        self._answer(give_up_at)
        if event_column != "event_id":
            return None
        own = [row for row in self.rows if row.scope == scope]
        firsts: dict[str, datetime] = {}
        for row in own:
            if row.decision == "ADMIT":
                firsts[row.event_id] = min(row.at, firsts.get(row.event_id, row.at))
        found = [firsts.get(row.event_id) for row in own if row.decision == "DUPLICATE" and window.holds(row.at)]
        retry = sum(first is not None and window.holds(first) for first in found)
        replay = sum(first is not None and first < window.start for first in found)
        return duplicates.DuplicateClasses(retry=retry, replay=replay, unknown=len(found) - retry - replay)

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        self._answer(give_up_at)
        now = instants.later(self._now(), self._skew_seconds)
        return receipts.DatabaseClock(database_now=now, skew_seconds=self._skew_seconds, round_trip_seconds=0.0)

    def open_writers(self, *, give_up_at: datetime) -> receipts.OpenWriters:
        self._answer(give_up_at)
        return receipts.OpenWriters(at=instants.later(self._now(), self._skew_seconds), writers=self.writers)

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        self._answer(give_up_at)
        rows = self._answers.get(sql)
        if rows is None or len(rows) != 1 or len(rows[0]) != 1:
            raise errors.UsageError(f"the fact query {sql!r} does not answer one row of one column")
        return rows[0][0]

    def open(self, until: datetime) -> None:
        self.opened_until = until

    def close(self) -> None:
        self.closed = True

    def follow(
        self,
        *,
        start: datetime,
        until: datetime,
        scope: str | None,
        settle_seconds: float,
        every_seconds: float,
        patience_seconds: float,
    ) -> ports.Counter:
        return measure.LiveCounter(
            self,
            start=start,
            until=until,
            scope=scope,
            settle_seconds=settle_seconds,
            patience_seconds=patience_seconds,
            now=self._now,
        )

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        self._answer(give_up_at)
        return list(self.table_problems)

    def server(self, *, give_up_at: datetime) -> receipt_table.DatabaseServer:
        self._answer(give_up_at)
        return self.database_server

    def privileges(self, *, give_up_at: datetime) -> receipt_table.TablePrivileges:
        self._answer(give_up_at)
        return self.granted

    def role(self, *, give_up_at: datetime) -> database_checks.RoleEntry:
        self._answer(give_up_at)
        return self.role_entry

    def sample_times(self, rows: int, *, give_up_at: datetime) -> receipt_table.TimesSample:
        self._answer(give_up_at)
        sampled = min(rows, len(self.rows))
        return receipt_table.TimesSample(
            sampled=sampled, without_offset=min(self.times_without_offset, sampled), textual=sampled > 0
        )

    def scope_contents(self, scope: str, *, event_column: str, give_up_at: datetime) -> receipt_table.ScopeContents:
        self._answer(give_up_at)
        everything = windows.Window(datetime(1970, 1, 1, tzinfo=UTC), instants.later(self._now(), 86400))
        rows = [row for row in self.rows if row.scope == scope]
        canaries = sum(row.event_id.startswith(receipt_table.CANARY_PREFIX) for row in rows)
        return receipt_table.ScopeContents(
            counts=_counts(rows, everything), canaries=canaries, admissions=self.admissions
        )

    def find_receipt(
        self, event_id: str, *, scope: str, event_column: str, give_up_at: datetime
    ) -> receipt_table.EventReceipt | None:
        self._answer(give_up_at)
        decided = [
            receipt_table.EventReceipt(decision=row.decision, at=row.at)
            for row in self.rows
            if (row.event_id, row.scope) == (event_id, scope) and row.decision is not None
        ]
        return min(decided, key=lambda receipt: (receipt.decision, receipt.at), default=None)

    def read_figures(self) -> driver_figures.DriverFigures | None:
        return self.figures

    def estimate_count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> count_costs.CountEstimate:
        self._answer(give_up_at)
        if bucket_seconds <= 0:
            raise errors.UsageError(f"a bucket of {bucket_seconds} s is no bucket")
        number, pages = len(self.rows), -(-len(self.rows) // 25)
        counts = _counts([row for row in self.rows if scope in (None, row.scope)], window)
        scan = count_costs.RelationScan(relation="memory.receipts", access="Seq Scan", rows=number, pages=pages)
        return count_costs.CountEstimate(
            receipts=counts.total,
            scans=(scan,),
            relations=1,
            table_rows=number,
            table_pages=pages,
            statement_seconds=30.0,
            sample=self.sample,
            problem="" if self.sample else "a sample could not be counted",
            live_problem=self.live_problem,
        )

    def _answer(self, give_up_at: datetime) -> None:
        if self.figures is not None:
            self.figures += driver_figures.DriverFigures(
                connections=1,
                statements=1,
                round_trips=1,
                database_seconds=self.seconds_each,
                largest_wait_seconds=self.seconds_each,
            )
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
