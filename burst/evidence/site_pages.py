"""The site of a place: a page of all phases, a page for each with its trend, and the report of every sound run.

Every run is verified when the site is made, and its report is rendered anew of the verified documents: a page that lies
beside them is believed in nothing. A site is never changed: it is made again, elsewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from burst.domain.documents import document_names, load_documents, models
from burst.domain.verdict import snapshots
from burst.evidence import full_verification, newest
from burst.report import html, index_pages

if TYPE_CHECKING:
    from burst.domain.verdict import rollup_snapshots
    from burst.evidence import places, soundness

INDEX = "index.html"


def build(
    place: str, opener: places.Opener, run_filter: newest.Filter, *, limit: int, priors: bool
) -> dict[str, bytes]:
    """The files of a site by name, all for one folder, of the newest `limit` runs.

    Raises as `newest.attempts` does.
    """
    files: dict[str, bytes] = {}
    phases: dict[str, list[index_pages.IndexedRun]] = {}
    for name, run in itertools.islice(newest.attempts(place, opener, run_filter), limit):
        held: list[soundness.HeldEvidence] = []
        verified = full_verification.verify(run, opener, everywhere=False, priors=priors, checks=[held.append])
        indexed, report = _index(name, verified.finding, held)
        phases.setdefault(_find_phase(verified.finding), []).append(indexed)
        if report is not None and indexed.report is not None:
            files[indexed.report] = report
    described = [
        index_pages.describe_phase(phase, runs, now=run_filter.now, file=f"{_slug(phase)}.html")
        for phase, runs in sorted(phases.items())
    ]
    for page in described:
        files[page.file] = index_pages.render_phase(page, now=run_filter.now, place=place, up=INDEX)
    files[INDEX] = index_pages.render_index(described, now=run_filter.now, place=place)
    return files


def render_history(place: str, phase: str, attempts: list[newest.Attempt], now: datetime) -> bytes:
    """One page of the attempts of a phase, the newest first, without reports."""
    runs = [_index(attempt.execution_id, attempt.verified.finding, [])[0] for attempt in attempts]
    page = index_pages.describe_phase(phase, runs, now=now)
    return index_pages.render_phase(page, now=now, place=place)


def _index(
    name: str, finding: soundness.Verification, held: list[soundness.HeldEvidence]
) -> tuple[index_pages.IndexedRun, bytes | None]:
    """A run as its phase's page lists it, and its report where its evidence is sound."""
    verdict = finding.verdict
    documents = held[0].documents if held else {}
    report = html.render(verdict, documents) if verdict is not None and held else None
    indexed = index_pages.IndexedRun(
        execution_id=name,
        state=finding.state.value,
        why=finding.why,
        snapshot=finding.shown,
        p95_ms=_find_p95(documents.get(document_names.load_name(finding.slug)), finding.shown),
        report=f"report_{name}.html" if report is not None else None,
    )
    return indexed, report


def _find_p95(
    load: bytes | None, snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None
) -> float | None:
    """The 95th percentile of a run's latencies: of its load document, else what its gate measured."""
    if load is not None:
        document = models.read(load_documents.Load, load)
        return load_documents.find_percentile_ms(document.latency, 95, answered=document.answered)
    gates = snapshot.gates if isinstance(snapshot, snapshots.Snapshot) else []
    measured: Iterator[models.Value] = (gate.measured for gate in gates if gate.name == "latency_p95_ms")
    return next((float(value) for value in measured if isinstance(value, int | float)), None)


def _find_phase(finding: soundness.Verification) -> str:
    """The phase of a run; that of unsound evidence cannot be told."""
    return finding.shown.phase if finding.shown is not None else "of no sound evidence"


def _slug(phase: str) -> str:
    return phase.lower().replace(".", "_").replace(" ", "_")
