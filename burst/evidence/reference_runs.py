"""Reference runs: a baseline document made from the sound evidence of a passed run, and its check before use.

A baseline is only as good as the run behind it, so the run's evidence is verified first, and anything but a sound
PASS is refused.
"""

from collections.abc import Mapping
from datetime import datetime

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, models, window_metrics
from burst.domain.plan import catalogues, plans
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, gates, snapshots
from burst.evidence import verification

_Role = catalogues.Role
_OF_COUNTS = (_Role.PROFILE, _Role.EVIDENCE, _Role.EXECUTION, _Role.CONTIGUITY, _Role.OUTCOME, _Role.BASELINE)
"""The roles whose gates are about the counts."""


def make(
    store: ports.EvidenceStore,
    *,
    created_at: datetime,
    max_age_seconds: float | None,
    environment: Mapping[str, str | int | float | None],
) -> bytes:
    """The bytes of a baseline document made from the run in `store`.

    Raises `errors.Refused` unless its evidence is sound and says PASS.
    """
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
    plan = plans.parse(store.read(document_names.PLAN).decode(), source=document_names.PLAN)
    metrics = models.read(window_metrics.Metrics, store.read(document_names.metrics_name(plan.slug)))
    return _seal_baseline(plan, metrics, finding.verdict.sha256, created_at, max_age_seconds, environment)


def _list_carried_over(snapshot: snapshots.Snapshot) -> list[str]:
    """The gates about the counts that do not pass though the run does, because a rerun carries their blockers."""
    shorts = set(map(catalogues.CATALOGUES[snapshot.kind].find_short, _OF_COUNTS))
    about_counts = [gate for gate in snapshot.gates if gate.short in shorts or gate.name == gates.RUN_SCOPE]
    return [gate.name for gate in about_counts if gate.status != gates.GateStatus.PASS]


def _seal_baseline(
    plan: plans.Plan,
    metrics: window_metrics.Metrics,
    snapshot_sha256: str,
    created_at: datetime,
    max_age_seconds: float | None,
    environment: Mapping[str, str | int | float | None],
) -> bytes:
    window, counts = metrics.window.window, metrics.counts.counts
    whole = window_metrics.BucketEntry(start_utc=window.start, end_utc=window.end, counts=metrics.counts)
    return baselines.seal(
        {
            "schema": baselines.SCHEMA,
            "admits": counts.admit,
            "seconds": window.seconds,
            "admits_per_minute": counts.admit / window.seconds * 60,
            "admit_ratio": receipts.admit_ratio(counts),
            "bucket_seconds": metrics.bucket_seconds or window.seconds,
            "buckets": [bucket.document() for bucket in metrics.buckets or [whole]],
            "profile": baselines.describe_load(plan),
            "environment": dict(environment),
            "created_utc": instants.text(created_at),
            "max_age_seconds": max_age_seconds,
            "provenance": {
                "execution_id": metrics.execution_id,
                "platform_run_id": metrics.platform_run_id,
                "phase": plan.phase,
                "snapshot_sha256": snapshot_sha256,
                "window": metrics.window.document(),
            },
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
