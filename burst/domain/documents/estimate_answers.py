"""The answer of a counting task to the question what a count would cost."""

from typing import Literal

from burst.domain.documents import models
from burst.domain.receipts import count_costs


class ScanEntry(models.Model):
    """One table or partition, as the planner means to read it."""

    relation: str
    """The table or partition."""
    access: str
    """How the planner means to read it, by the name in EXPLAIN."""
    rows: models.Count
    """Rows that it expects to read, before any filter."""
    pages: models.Count
    """Pages that it expects to read."""
    index: str = ""
    """The index that it reads by; empty where it reads by none."""
    index_condition: str = ""
    """What it looks for in that index; empty where it reads by none."""


class SampleEntry(models.Model):
    """The pages that were counted to time a count."""

    rows: models.Count
    """Rows that the sample counted."""
    pages: models.Count
    """Pages that the sample read."""
    pages_outside_buffers: models.Count
    """How many of those were not in the server's memory."""
    page_seconds: float
    """How long one page took."""
    row_seconds: float
    """How long one row took that was passed over."""
    receipt_seconds: float
    """How long one receipt took that was counted."""


class EstimateAnswer(models.Model):
    """What a count would cost; a `sample` of None could not be counted, and `problem` says why."""

    kind: Literal["estimate"] = "estimate"
    receipts: models.Count
    """Receipts of the window that the planner expects."""
    scans: list[ScanEntry]
    """The tables and partitions that the count will read."""
    relations: models.Count
    """How many tables and partitions could have been read."""
    table_rows: models.Count
    """Rows of the whole table, by the server's statistics."""
    table_pages: models.Count
    """Pages of the whole table, by the server's statistics."""
    statement_seconds: float
    """The longest that one statement may take."""
    sample: SampleEntry | None
    """The pages that were counted to time a count; None where they could not be counted."""
    problem: str = ""
    """Why there is no sample; empty where there is one."""
    live_problem: str | None = None
    """Why a live count reads the whole window; empty where it does not, None where nobody asked."""

    @classmethod
    def from_estimate(cls, estimate: count_costs.CountEstimate) -> "EstimateAnswer":
        """The entry for an estimate."""
        sample = estimate.sample
        return cls(
            receipts=estimate.receipts,
            scans=[
                ScanEntry(
                    relation=scan.relation,
                    access=scan.access,
                    rows=scan.rows,
                    pages=scan.pages,
                    index=scan.index,
                    index_condition=scan.index_condition,
                )
                for scan in estimate.scans
            ],
            relations=estimate.relations,
            table_rows=estimate.table_rows,
            table_pages=estimate.table_pages,
            statement_seconds=estimate.statement_seconds,
            sample=None
            if sample is None
            else SampleEntry(
                rows=sample.rows,
                pages=sample.pages,
                pages_outside_buffers=sample.pages_outside_buffers,
                page_seconds=sample.page_seconds,
                row_seconds=sample.row_seconds,
                receipt_seconds=sample.receipt_seconds,
            ),
            problem=estimate.problem,
            live_problem=estimate.live_problem,
        )

    @property
    def estimate(self) -> count_costs.CountEstimate:
        """The estimate of the entry."""
        return count_costs.CountEstimate(
            receipts=self.receipts,
            scans=tuple(count_costs.RelationScan(**entry.model_dump()) for entry in self.scans),
            relations=self.relations,
            table_rows=self.table_rows,
            table_pages=self.table_pages,
            statement_seconds=self.statement_seconds,
            sample=None if self.sample is None else count_costs.CountSample(**self.sample.model_dump()),
            problem=self.problem,
            live_problem=self.live_problem,
        )
