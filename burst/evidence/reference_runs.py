"""Reference runs: a baseline document made from the sound evidence of a passed run, and its check before use.

A baseline is only as good as the run behind it, so the run's evidence is verified first, and anything but a sound
PASS is refused.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, models, preflight_results, window_metrics
from burst.domain.plan import catalogues, plans
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, blocks, gates
from burst.evidence import verification

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.verdict import snapshots

_Role = catalogues.Role
_OF_COUNTS = (_Role.PROFILE, _Role.EVIDENCE, _Role.EXECUTION, _Role.CONTIGUITY, _Role.OUTCOME, _Role.BASELINE)
"""The roles whose gates are about the counts."""


def make(
    *stores: ports.EvidenceStore,
    created_at: datetime,
    max_age_seconds: float | None,
    environment: Mapping[str, str | int | float | None],
) -> bytes:
    """The bytes of a baseline document made from the run in `store`, or from several, which keeps each one's rate.

    Raises `errors.Refused` unless the evidence of each is sound and says PASS, and unless all are of one program, on
    one machine, one after the other.
    """
    runs = sorted(map(_read_run, stores), key=lambda run: run.metrics.window.start_utc)
    _refuse_unlike(runs)
    return _seal_baseline(runs, created_at, max_age_seconds, environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReferenceRun:
    """A passed run as a baseline needs it."""

    plan: plans.Plan
    metrics: window_metrics.Metrics
    sha256: str
    machine: Mapping[str, str | int | float | None] | None

    @property
    def provenance(self) -> dict[str, Any]:
        """Where its figures come from."""
        return {
            "execution_id": self.metrics.execution_id,
            "platform_run_id": self.metrics.platform_run_id,
            "phase": self.plan.phase,
            "snapshot_sha256": self.sha256,
            "window": self.metrics.window.document(),
        }

    @property
    def buckets(self) -> list[dict[str, Any]]:
        """Its buckets; the whole window where it was counted as one."""
        window = self.metrics.window.window
        whole = window_metrics.BucketEntry(start_utc=window.start, end_utc=window.end, counts=self.metrics.counts)
        return [bucket.document() for bucket in self.metrics.buckets or [whole]]

    @property
    def setting(self) -> tuple[str, Mapping[str, Any]]:
        """The phase, and program, load and environment."""
        return self.plan.phase, blocks.describe_setting(self.plan, self.machine)

    @property
    def seconds(self) -> float:
        """The seconds of its window."""
        return self.metrics.window.window.seconds

    @property
    def share(self) -> dict[str, Any]:
        """It among several runs."""
        return {
            "provenance": self.provenance,
            "admits": self.metrics.counts.admit,
            "seconds": self.seconds,
            "admits_per_minute": self.metrics.counts.admit / self.seconds * 60,
            "bucket_seconds": self.metrics.bucket_seconds or self.seconds,
            "buckets": self.buckets,
        }


def _refuse_unlike(runs: Sequence[_ReferenceRun]) -> None:
    """Raises `errors.Refused` where runs are of other programs or machines, or are not one after the other."""
    ids = [run.metrics.execution_id for run in runs]
    if len(set(ids)) != len(ids):
        raise errors.UsageError(f"a run stands twice: {', '.join(sorted(ids))}; name each once")
    first = runs[0]
    for earlier, later in itertools.pairwise(runs):
        if later.metrics.window.start_utc < earlier.metrics.window.end_utc:
            both = f"{earlier.metrics.execution_id} and {later.metrics.execution_id}"
            raise errors.Refused(f"no baseline can be made of these runs: the windows of {both} overlap")
        if later.setting != first.setting:
            unlike = f"{later.metrics.execution_id} is of another phase or setting than {first.metrics.execution_id}"
            raise errors.Refused(f"no baseline can be made of these runs: {unlike}")


def _read_run(store: ports.EvidenceStore) -> _ReferenceRun:
    finding = verification.verify(store)
    if finding.verdict is None:
        raise errors.Refused(f"no baseline can be made of this run: its evidence is {finding.state}: {finding.why}")
    if not finding.verdict.snapshot.overall_pass:
        still_open = ", ".join(finding.verdict.snapshot.blockers)
        raise errors.Refused(f"no baseline can be made of this run: it is on HOLD, open: {still_open}")
    carried = _list_carried_over(finding.verdict.snapshot)
    if carried:
        raise errors.Refused(
            f"no baseline can be made of this run: it passes by blockers that its prior had cleared, and of its own "
            f"counts these gates do not pass: {', '.join(carried)}"
        )
    plan = plans.read(store.read(document_names.PLAN), source=document_names.PLAN)
    metrics = models.read(window_metrics.Metrics, store.read(document_names.metrics_name(plan.slug)))
    return _ReferenceRun(plan=plan, metrics=metrics, sha256=finding.verdict.sha256, machine=_read_machine(store, plan))


def _read_machine(store: ports.EvidenceStore, plan: plans.Plan) -> Mapping[str, str | int | float | None] | None:
    name = document_names.preflight_name(plan.slug)
    return models.read(preflight_results.Preflight, store.read(name)).machine if name in store.names() else None


def _list_carried_over(snapshot: snapshots.Snapshot) -> list[str]:
    """The gates about the counts that do not pass though the run does, because a rerun carries their blockers."""
    shorts = set(map(catalogues.CATALOGUES[snapshot.kind].find_short, _OF_COUNTS))
    about_counts = [gate for gate in snapshot.gates if gate.short in shorts or gate.name == gates.RUN_SCOPE]
    return [gate.name for gate in about_counts if gate.status != gates.GateStatus.PASS and gate.mode == "required"]


def _seal_baseline(
    runs: Sequence[_ReferenceRun],
    created_at: datetime,
    max_age_seconds: float | None,
    environment: Mapping[str, str | int | float | None],
) -> bytes:
    """A run knows its own machine where its preflight saw it; else it is that of whoever makes the baseline."""
    last = runs[-1]
    admits, seconds = sum(run.metrics.counts.admit for run in runs), math.fsum(run.seconds for run in runs)
    counts = functools.reduce(operator.add, (run.metrics.counts.counts for run in runs))
    return baselines.seal(
        {
            "schema": baselines.SCHEMA,
            "admits": admits,
            "seconds": seconds,
            "admits_per_minute": admits / seconds * 60,
            "admit_ratio": receipts.admit_ratio(counts),
            "bucket_seconds": last.metrics.bucket_seconds or last.seconds,
            "buckets": [bucket for run in runs for bucket in run.buckets],
            "profile": baselines.describe_load(last.plan),
            "environment": {
                **(environment if last.machine is None else last.machine),
                **baselines.describe_environment(last.plan),
            },
            "created_utc": instants.text(created_at),
            "max_age_seconds": max_age_seconds,
            "provenance": last.provenance,
            "runs": [run.share for run in runs] if len(runs) > 1 else None,
        }
    )


def verify(content: bytes, *, now: datetime) -> baselines.Document:
    """A baseline document that may be used at an instant.

    Raises `errors.EvidenceCorrupt` for a changed byte or a missing field, `errors.EvidenceUnknown` for another schema,
    `errors.Refused` where its own age limit is over.
    """
    document = baselines.read(content)
    too_old = baselines.expiry_problem(document, None, now)
    if too_old is not None:
        raise errors.Refused(f"{too_old}; make a new one from a fresh reference run")
    return document
