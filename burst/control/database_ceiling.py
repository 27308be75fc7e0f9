"""The ceiling on database seconds: kept by refusing the next question, so that no count is ever cut or wrong.

A question that was begun is answered, and goes past the ceiling by no more than its own statements may take. Live
counts and stop signs may use a half of the ceiling: the other one is for the count that the verdict rests on.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from burst import ports
from burst.domain.basics import errors, instants, windows
from burst.domain.documents import database_checks
from burst.domain.plan import plans
from burst.domain.receipts import count_costs, driver_figures, duplicates, receipt_table, receipts

KEY = "receipts.database_seconds_max"

ReadFigures = Callable[[], driver_figures.DriverFigures | None]
"""Reads what the driver did for the whole run; None where nobody can tell."""


class LimitedSource:
    """`ports.ReceiptSource` that asks nothing more once the database has worked for as long as it may.

    Each question then raises `errors.Refused`, and so it does where nobody can tell how long the database has worked.
    """

    def __init__(
        self, source: ports.ReceiptSource, *, limit_seconds: float, words: str, read_figures: ReadFigures | None = None
    ) -> None:
        self._source = source
        self._limit_seconds = limit_seconds
        self._words = words
        self._read_figures = read_figures or source.read_figures

    def require_room(self) -> ports.ReceiptSource:
        """The source, where it may be asked one more question."""
        figures = self._read_figures()
        if figures is None:
            raise errors.Refused(
                f"{KEY} cannot be kept: a counting task answered whose image does not count what its driver does; give "
                "its task definition the controller's image, or take the key out"
            )
        if figures.database_seconds >= self._limit_seconds:
            worked = instants.exact(round(figures.database_seconds, 3))
            raise errors.Refused(
                f"the database has worked for {worked} s for this run, and {self._words}: nothing more is asked of it"
            )
        return self._source

    def open(self, until: datetime) -> None:
        """Begins to prepare for questions."""
        self._source.open(until)

    def close(self) -> None:
        """Ends connections or the counting task."""
        self._source.close()

    def read_figures(self) -> driver_figures.DriverFigures | None:
        """What the driver did for this source."""
        return self._source.read_figures()

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one window."""
        source = self.require_room()
        return source.count(window, scope=scope, bucket_seconds=bucket_seconds, give_up_at=give_up_at)

    def classify_duplicates(
        self, window: windows.Window, *, scope: str, event_column: str, give_up_at: datetime
    ) -> duplicates.DuplicateClasses | None:
        """The duplicates of a window by class."""
        source = self.require_room()
        return source.classify_duplicates(window, scope=scope, event_column=event_column, give_up_at=give_up_at)

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """Reads the database clock."""
        return self.require_room().clock(give_up_at=give_up_at)

    def open_writers(self, *, give_up_at: datetime) -> receipts.OpenWriters:
        """The open writers of the table."""
        return self.require_room().open_writers(give_up_at=give_up_at)

    def follow(
        self,
        *,
        start: datetime,
        until: datetime,
        scope: str | None,
        settle_seconds: float,
        every_seconds: float,
        patience_seconds: float,
    ) -> "LimitedCounter":
        """A counter of the burst, each poll of which is a question."""
        counter = self._source.follow(
            start=start,
            until=until,
            scope=scope,
            settle_seconds=settle_seconds,
            every_seconds=every_seconds,
            patience_seconds=patience_seconds,
        )
        return LimitedCounter(counter, self)

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        """The single value of a fact query."""
        return self.require_room().ask(sql, scope=scope, give_up_at=give_up_at)

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        """Every problem of the table and its columns."""
        return self.require_room().problems(give_up_at=give_up_at)

    def server(self, *, give_up_at: datetime) -> receipt_table.DatabaseServer:
        """The version of the server, and whether it is a standby."""
        return self.require_room().server(give_up_at=give_up_at)

    def privileges(self, *, give_up_at: datetime) -> receipt_table.TablePrivileges:
        """The rights to write that the role has on the table."""
        return self.require_room().privileges(give_up_at=give_up_at)

    def role(self, *, give_up_at: datetime) -> database_checks.RoleEntry:
        """The role, with its own settings."""
        return self.require_room().role(give_up_at=give_up_at)

    def sample_times(self, rows: int, *, give_up_at: datetime) -> receipt_table.TimesSample:
        """How the times of receipts are written."""
        return self.require_room().sample_times(rows, give_up_at=give_up_at)

    def scope_contents(self, scope: str, *, event_column: str, give_up_at: datetime) -> receipt_table.ScopeContents:
        """Everything in a scope."""
        return self.require_room().scope_contents(scope, event_column=event_column, give_up_at=give_up_at)

    def find_receipt(
        self, event_id: str, *, scope: str, event_column: str, give_up_at: datetime
    ) -> receipt_table.EventReceipt | None:
        """The receipt of one event."""
        source = self.require_room()
        return source.find_receipt(event_id, scope=scope, event_column=event_column, give_up_at=give_up_at)

    def estimate_count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> count_costs.CountEstimate:
        """What a count of the window would cost."""
        source = self.require_room()
        return source.estimate_count(window, scope=scope, bucket_seconds=bucket_seconds, give_up_at=give_up_at)


class LimitedCounter:
    """`ports.Counter` of a limited source."""

    def __init__(self, counter: ports.Counter, source: LimitedSource) -> None:
        self._counter = counter
        self._source = source

    def poll(self, now: datetime) -> receipts.LiveCount:
        """The next slice. Raises `errors.Refused` once the database has worked for as long as it may."""
        self._source.require_room()
        return self._counter.poll(now)


def limit_source(
    source: ports.ReceiptSource, plan: plans.Plan, read_figures: ReadFigures | None = None
) -> ports.ReceiptSource:
    """The source under the plan's ceiling; itself where the plan has none."""
    seconds = plan.receipts.database_seconds_max
    if seconds is None:
        return source
    words = f"{KEY} is {instants.duration_text(seconds)}"
    return LimitedSource(source, limit_seconds=seconds, words=words, read_figures=read_figures)


def limit_live(source: ports.ReceiptSource, plan: plans.Plan, read_figures: ReadFigures) -> ports.ReceiptSource:
    """The source as live counts and stop signs may ask it, while the burst runs."""
    seconds = plan.receipts.live_database_seconds
    if seconds is None:
        return source
    words = (
        f"live counts and stop signs may take {instants.duration_text(seconds)} of it, half of {KEY}, so that the rest "
        "is left for the final count"
    )
    return LimitedSource(source, limit_seconds=seconds, words=words, read_figures=read_figures)
