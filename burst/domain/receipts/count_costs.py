"""Count costs: the cost of one count of a window, from the planner's plan and a measured sample, and whether it fits.

Nothing here is a count. The planner names what a count will read, a bounded sample gives the seconds a page and a row
take on this server, and the burst itself adds receipts that no statistics know yet.
"""

import enum
from dataclasses import dataclass

ASSUMED_RECEIPT_SECONDS = 20e-6
"""The seconds to count one receipt where the table holds none to measure: several times what a receipt took in an
embedded Postgres."""
LEAST_ROWS = 1_000
"""So few rows are counted faster than a clock can tell."""
LEAST_RECEIPT_SECONDS = 0.3e-6
"""No server that was measured counted a receipt faster."""
COUNTS_OF_A_VERDICT = 2
"""A window is settled once two counts agree."""
REFUSED_FROM = 4.0
"""An estimate that is so many times too long is refused: planner and sample are not wrong by more, as a rule."""
DOUBTED_FROM = 0.5
"""An estimate of this share of the time there is may turn out too long."""


class CountFit(enum.StrEnum):
    """Whether a final count is done in time."""

    FITS = "fits"
    MAY_NOT_FIT = "may not fit"
    CANNOT_FIT = "cannot fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationScan:
    """One table or partition as the planner means to read it: the access by EXPLAIN's name, with its index.

    `rows` and `pages` are estimates of what is read, before any filter.
    """

    relation: str
    access: str
    rows: int
    pages: int
    index: str = ""
    index_condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSample:
    """A few pages of the table, read and counted for real: the seconds for a page, for a row that is passed over, and
    for a receipt that is counted."""

    rows: int
    pages: int
    pages_outside_buffers: int
    page_seconds: float
    row_seconds: float
    receipt_seconds: float


def bound_receipt_seconds(measured: float, rows: int) -> float:
    """The seconds of one receipt: never less than a sample of so many rows can tell."""
    return max(measured, LEAST_RECEIPT_SECONDS if rows >= LEAST_ROWS else ASSUMED_RECEIPT_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountEstimate:
    """One count of a window, estimated. `receipts` are those of the window that the planner expects.

    `relations` counts the tables and partitions that could have been read, and `scans` names those that will be.
    `statement_seconds` is the longest that one statement may take. `sample` is None where the rows could not be
    sampled; `problem` then says why.
    """

    receipts: int
    scans: tuple[RelationScan, ...]
    relations: int
    table_rows: int
    table_pages: int
    statement_seconds: float
    sample: CountSample | None
    problem: str = ""
    live_problem: str | None = None
    """Why each live count reads the whole window; empty where it reads what is new, None where nobody asked."""

    @property
    def rows_read(self) -> int:
        """The rows that the count reads."""
        return sum(scan.rows for scan in self.scans)

    @property
    def pages_read(self) -> int:
        """The pages that the count reads."""
        return sum(scan.pages for scan in self.scans)

    def estimate_seconds(self, expected_receipts: int = 0) -> float | None:
        """The seconds of one count of a window with so many receipts; None where no sample gives them.

        Parallel workers are left out, because nobody can promise them.
        """
        if self.sample is None:
            return None
        present, further = self.receipts, max(0, expected_receipts - self.receipts)
        by_index = sum(scan.rows for scan in self.scans if scan.index)
        reading = self.pages_read * self.sample.page_seconds
        reading += (self.rows_read - by_index) * self.sample.row_seconds + by_index * self.sample.receipt_seconds
        # Each further receipt is read and counted; the last ones written lie close together.
        return reading + (present + further) * self.sample.receipt_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CountPatience:
    """The time there is for a final count: `receipts.count_timeout`, and the wait between two counts."""

    count_timeout_seconds: float
    settle_seconds: float

    def one_count_seconds(self, statement_seconds: float) -> float:
        """How long one count may take, so that two of them and the wait between them fit, and no statement is
        cancelled."""
        shared = (self.count_timeout_seconds - self.settle_seconds) / COUNTS_OF_A_VERDICT
        return max(0.0, min(statement_seconds, shared))


def judge_fit(seconds: float, allowed_seconds: float) -> CountFit:
    """Whether a count of so many estimated seconds is done in the seconds allowed."""
    if seconds > REFUSED_FROM * allowed_seconds:
        return CountFit.CANNOT_FIT
    return CountFit.MAY_NOT_FIT if seconds > DOUBTED_FROM * allowed_seconds else CountFit.FITS


def describe_reading(estimate: CountEstimate) -> str:
    """What a count reads, in words."""
    if not estimate.scans:
        return "one count reads nothing: no partition can hold the window"
    scans = [_describe_scan(scan) for scan in estimate.scans[:3]]
    more = len(estimate.scans) - len(scans)
    parts = f", {len(estimate.scans)} of {estimate.relations} tables" if estimate.relations > 1 else ""
    return (
        f"one count reads about {estimate.rows_read:,} of {estimate.table_rows:,} rows and {estimate.pages_read:,} of "
        f"{estimate.table_pages:,} pages{parts}: {'; '.join(scans)}{f'; and {more} more' if more else ''}"
    )


def _describe_scan(scan: RelationScan) -> str:
    if not scan.index:
        return f"{scan.access} of {scan.relation}"
    return f"{scan.access} of {scan.relation} by {scan.index} with {scan.index_condition or 'no condition'}"


def describe_estimation(estimate: CountEstimate) -> str:
    """How the seconds were estimated, in words."""
    if estimate.sample is None:
        return f"the seconds are not known: {estimate.problem}"
    sample = estimate.sample
    if sample.rows < LEAST_ROWS:
        return (
            f"the seconds are assumed, {sample.receipt_seconds * 1e6:.3g} us a receipt, as the sample has "
            f"{sample.rows:,} rows, too few to measure"
        )
    return (
        f"by EXPLAIN's rows and pages, and {sample.rows:,} rows on {sample.pages:,} pages that were counted here "
        f"({sample.pages_outside_buffers:,} of them from outside the server's buffers): "
        f"{sample.page_seconds * 1e6:.3g} us a page, {sample.row_seconds * 1e6:.3g} us a row passed over, "
        f"{sample.receipt_seconds * 1e6:.3g} us a receipt counted, without parallel workers"
    )
