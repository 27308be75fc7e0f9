"""The documents that a report is made from, each as its model; None where one is missing or makes no sense.

A report is made again from the documents that a snapshot names, so nothing else may stand in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from burst.domain.basics import errors
from burst.domain.documents import (
    document_names,
    load_documents,
    models,
    preflight_results,
    task_results,
    window_metrics,
)
from burst.domain.plan import plans
from burst.domain.verdict import snapshots

_M = TypeVar("_M", bound=models.Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocuments:
    """Everything a report may show of one run."""

    snapshot: snapshots.Snapshot
    sha256: str
    """The digest of the snapshot."""
    plan: plans.Plan | None
    task_result: task_results.TaskResult | None
    metrics: window_metrics.Metrics | None
    load: load_documents.Load | None
    preflight: preflight_results.Preflight | None
    journal: bytes
    """The part of the journal that the snapshot names; empty where there is none."""

    @classmethod
    def read(cls, verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> Self:
        """The documents of a snapshot, by name."""
        # Read back, so that a value in memory and one from a file (3.0 and 3) give the same page.
        snapshot = snapshots.Verdict.read(verdict.content).snapshot
        slug = snapshot.phase.lower().replace(".", "_")
        return cls(
            snapshot=snapshot,
            sha256=verdict.sha256,
            plan=_read_plan(contents.get(document_names.PLAN)),
            task_result=_read(task_results.TaskResult, contents.get(document_names.task_result_name(slug))),
            metrics=_read(window_metrics.Metrics, contents.get(document_names.metrics_name(slug))),
            load=_read(load_documents.Load, contents.get(document_names.load_name(slug))),
            preflight=_read(preflight_results.Preflight, contents.get(document_names.preflight_name(slug))),
            journal=contents.get(document_names.JOURNAL, b""),
        )


def _read(model: type[_M], content: bytes | None) -> _M | None:
    try:
        return None if content is None else models.read(model, content)
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown):
        return None


def _read_plan(content: bytes | None) -> plans.Plan | None:
    """The plan as it was executed; None where another version wrote one that this one cannot read."""
    try:
        return None if content is None else plans.parse(content.decode("utf-8"), source=document_names.PLAN)
    except (UnicodeDecodeError, errors.BurstError):
        return None
