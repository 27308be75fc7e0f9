"""Pruning: removes the documents of old runs, and never their snapshots.

A run is kept where it is among the newest of its phase, named by the caller, younger than the grace, not yet committed
or published everywhere, pinned, or not sound (a person should look at it), and where another run in the place rests on
it: as a cited prior, or as the run behind a baseline. One snapshot that cannot be read stops all of it, because it may
cite any of them. A receipt of the documents that go is written before they go, so a prune that died is finished by the
next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, run_records
from burst.domain.run import journals
from burst.domain.verdict import rollup_snapshots, snapshots
from burst.evidence import newest, places, rollup_verification, verification

if TYPE_CHECKING:
    from burst import ports

DEFAULT_GRACE_SECONDS = 7 * 86400.0
TELL_EVERY = 100
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The runs to keep: the `newest` of each phase, the runs named, and runs younger than the grace.

    One of `newest` and `named` must be given, be it 0 or empty, so that keeping nothing is never a mistake.
    """

    newest: int | None = None
    named: frozenset[str] | None = None
    grace_seconds: float = DEFAULT_GRACE_SECONDS

    def __post_init__(self) -> None:
        if self.newest is None and self.named is None:
            raise errors.UsageError("say what to keep: the newest runs of each phase, or runs by name")
        if self.newest is not None and self.newest < 0:
            raise errors.UsageError(f"the newest {self.newest} runs cannot be kept; allowed is 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """The fate of one run: kept and why, or its documents that go."""

    execution_id: str
    kept: str | None
    documents: tuple[ports.Stored, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(document.size for document in self.documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredRun:
    """One run of the place as pruning needs to know it. Without `verdict` and `rollup` it was never committed."""

    execution_id: str
    store: ports.EvidenceStore
    stored: tuple[ports.Stored, ...]
    name: str = ""
    verdict: snapshots.Verdict | None = None
    rollup: rollup_snapshots.RollupVerdict | None = None

    @property
    def names(self) -> Collection[str]:
        return {document.name for document in self.stored}


def decide(place: str, opener: places.Opener, *, keep: Keep, now: datetime, tell: Tell) -> list[Fate]:
    """The fate of every run of a place, the newest first. Removes nothing. `tell` gets the progress in words.

    Raises `errors.EvidenceUnknown` or `errors.EvidenceCorrupt` where a snapshot cannot be read: it might cite any of
    the others.
    """
    runs = opener.runs(place)
    stored_runs: list[_StoredRun] = []
    for name, _ in newest.attempts(place, opener, newest.Filter(now=now)):
        stored_runs.append(_look(runs, name))
        if len(stored_runs) % TELL_EVERY == 0:
            tell(f"looked at {len(stored_runs)} runs, back to {name}")
    by_digest = {run.verdict.sha256: run.execution_id for run in stored_runs if run.verdict is not None}
    cited = {by_digest.get(name, name): run.execution_id for run in stored_runs for name in _list_cited(run)}
    recent = _recent(stored_runs, keep.newest or 0)
    local = not place.startswith(places.S3)
    fates = []
    for run in stored_runs:
        kept = _why_kept(run, keep, now) or recent.get(run.execution_id)
        if kept is None and run.execution_id in cited:
            kept = f"{cited[run.execution_id]} rests on it"
        if kept is None and local:
            kept = _why_unpublished(run)
        fates.append(_fate(run, kept))
    return fates


def remove(place: str, opener: places.Opener, fates: Collection[Fate], *, now: datetime) -> Iterator[Fate]:
    """Removes what was decided, run by run, each after its receipt; yields each as it is done.

    Raises `errors.Conflict` where a document changed since it was listed: it stays.
    """
    runs = opener.runs(place)
    for fate in fates:
        if fate.kept is not None or not fate.documents:
            continue
        store = runs.store(fate.execution_id)
        _write_receipt(store, fate, now)
        for document in fate.documents:
            runs.remove(fate.execution_id, document)
        yield fate


def _look(runs: ports.Runs, execution_id: str) -> _StoredRun:
    store, stored = runs.store(execution_id), tuple(runs.list_documents(execution_id))
    names = [document.name for document in stored if document_names.is_snapshot_name(document.name)]
    if not names:
        return _StoredRun(execution_id=execution_id, store=store, stored=stored)
    if len(names) > 1:
        raise _not_understood(execution_id, "it has more than one")
    content = store.read(names[0])
    try:
        if rollup_verification.is_name(names[0]):
            rollup = rollup_snapshots.RollupVerdict.read(content)
            return _StoredRun(execution_id=execution_id, store=store, stored=stored, name=names[0], rollup=rollup)
        verdict = snapshots.Verdict.read(content)
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        raise _not_understood(execution_id, str(exc)) from exc
    return _StoredRun(execution_id=execution_id, store=store, stored=stored, name=names[0], verdict=verdict)


def _not_understood(execution_id: str, why: str) -> errors.EvidenceUnknown:
    return errors.EvidenceUnknown(
        f"{execution_id}: its snapshot cannot be understood ({why}), so the runs it rests on are not known; "
        "nothing was removed"
    )


def _list_cited(run: _StoredRun) -> Iterator[str]:
    """The runs this one rests on, by id or by the digest of their snapshot: prior, baseline's run, lanes."""
    for name, path in (
        (document_names.PRIOR, ("execution_id",)),
        (document_names.BASELINE, ("provenance", "execution_id")),
    ):
        if name in run.names:
            value: Any = canonical.decode(run.store.read(name))
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str):
                yield value
    for lane in run.rollup.snapshot.source_snapshot_refs if run.rollup is not None else ():
        yield from filter(None, (lane.execution_id, lane.sha256))
    if run.verdict is None:
        return
    sources = run.verdict.snapshot.source_snapshot_refs
    if sources.prior is not None:
        yield from (sources.prior.execution_id, sources.prior.sha256)
    if sources.baseline_snapshot_sha256 is not None:
        yield sources.baseline_snapshot_sha256


def _why_unpublished(run: _StoredRun) -> str | None:
    """Why a run on this machine may still have to be published; None where its journal, if it has one, says it is."""
    if document_names.JOURNAL not in run.names:
        return None
    try:
        entries = journals.parse(run.store.read(document_names.JOURNAL), document_names.JOURNAL)
        is_published = journals.fold(entries).published
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        return f"whether it was published cannot be read: {exc}"
    return None if is_published else "its journal does not say that it was published everywhere"


def _recent(stored_runs: list[_StoredRun], most: int) -> dict[str, str]:
    """The newest committed runs of each phase, each with why it is kept."""
    counts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for run in stored_runs:
        if run.verdict is None:
            continue
        phase = run.verdict.snapshot.phase
        counts[phase] = counts.get(phase, 0) + 1
        if counts[phase] <= most:
            reasons[run.execution_id] = f"among the newest {most} of phase {phase}"
    return reasons


def _why_kept(run: _StoredRun, keep: Keep, now: datetime) -> str | None:
    if run.rollup is not None:
        return "it is a roll-up, which has no more than its verdict rests on"
    if run.verdict is None:
        return "it has no snapshot: it may be about to be committed"
    if run.execution_id in (keep.named or ()):
        return "it is named to be kept"
    if document_names.PINNED in run.names:
        return "it is pinned"
    youngest = max(document.modified_at for document in run.stored)
    if now - youngest < timedelta(seconds=keep.grace_seconds):
        return f"younger than the grace of {instants.duration_text(keep.grace_seconds)}"
    return None


def _fate(run: _StoredRun, kept: str | None) -> Fate:
    if kept is not None:
        return Fate(execution_id=run.execution_id, kept=kept)
    prunable = _prunable(run)
    if document_names.PRUNED not in run.names:
        finding = verification.verify(run.store)
        if finding.verdict is None:
            return Fate(execution_id=run.execution_id, kept=f"its evidence is {finding.state}: look at it first")
    elif not prunable:
        return Fate(execution_id=run.execution_id, kept="it was pruned already")
    return Fate(execution_id=run.execution_id, kept=None, documents=prunable)


def _prunable(run: _StoredRun) -> tuple[ports.Stored, ...]:
    """The documents the snapshot names, and the report. Never the snapshot, never a file that burst did not write."""
    slug = document_names.find_snapshot_slug(run.name) or ""
    named = {ref.name for ref in run.verdict.snapshot.evidence_refs} if run.verdict is not None else set()
    named &= {document_names.PLAN, document_names.JOURNAL, *document_names.adjudicated_names(slug)}
    return tuple(document for document in run.stored if document.name in named | {document_names.REPORT})


def _write_receipt(store: ports.EvidenceStore, fate: Fate, now: datetime) -> None:
    """Once: where a prune died after its receipt, that receipt stands and names the remaining documents too."""
    names = store.names()
    if document_names.PRUNED in names:
        return
    (snapshot,) = [name for name in names if document_names.is_snapshot_name(name)]
    contents = {document.name: store.read(document.name) for document in fate.documents}
    receipt = run_records.PruneReceipt(
        execution_id=fate.execution_id,
        at_utc=now,
        snapshot=snapshot,
        snapshot_sha256=canonical.digest(store.read(snapshot)),
        removed=[
            run_records.RemovedDocument(name=name, size=len(content), sha256=canonical.digest(content))
            for name, content in contents.items()
        ],
    )
    store.put_once(document_names.PRUNED, receipt.content())
