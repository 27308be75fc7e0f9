"""The answer of a counting task to the question what a count would cost."""

from typing import Literal

from burst.domain.documents import models
from burst.domain.receipts import count_costs


class ScanEntry(models.Model):
    """One table or partition, as the planner means to read it."""

    relation: str
    access: str
    rows: models.Count
    pages: models.Count
    index: str = ""
    index_condition: str = ""


class SampleEntry(models.Model):
    """The pages that were counted to time a count."""

    rows: models.Count
    pages: models.Count
    pages_outside_buffers: models.Count
    page_seconds: float
    row_seconds: float
    receipt_seconds: float


class EstimateAnswer(models.Model):
    """What a count would cost; a `sample` of None could not be counted, and `problem` says why."""

    kind: Literal["estimate"] = "estimate"
    receipts: models.Count
    scans: list[ScanEntry]
    relations: models.Count
    table_rows: models.Count
    table_pages: models.Count
    statement_seconds: float
    sample: SampleEntry | None
    problem: str = ""
    live_problem: str | None = None

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
