"""Pruning: the documents of old runs removed, by what is to be kept, and the snapshots never.

Kept are the newest of each phase, what the caller names, what is younger than the grace, what is not committed or not
published everywhere yet (somebody may be about to), what is pinned, what does not verify (that is for a person to look
at), and every run that anything in the place rests on: a cited prior, or the run behind a baseline. One snapshot that
cannot be read stops all of it, because it might cite any of them. A receipt of what goes is written before it goes,
so a prune that died is finished by the next one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from burst import ports
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.run import journals
from burst.domain.verdict import snapshots
from burst.evidence import newest, places, verification

DEFAULT_GRACE_SECONDS = 7 * 86400.0
TELL_EVERY = 100
Tell = Callable[[str], None]
_SNAPSHOT = document_names.snapshot_name("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is to be kept: the `newest` of each phase, the runs named, and what is younger than the grace.

    One of `newest` and `named` must be given, be it 0 or empty, so that nothing is kept by no mistake.
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
    """What becomes of one run: kept and why, or its documents that go."""

    execution_id: str
    kept: str | None
    documents: tuple[ports.Stored, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(document.size for document in self.documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """One run of the place as pruning needs to know it. `snapshot` None: it was never committed."""

    execution_id: str
    store: ports.EvidenceStore
    stored: tuple[ports.Stored, ...]
    name: str | None = None
    content: bytes = b""
    snapshot: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> Collection[str]:
        return {document.name for document in self.stored}


def decide(place: str, opener: places.Opener, *, keep: Keep, now: datetime, tell: Tell) -> list[Fate]:
    """What becomes of every run of a place, the newest first. Removes nothing. `tell` hears of the progress.

    Raises `errors.EvidenceUnknown` or `errors.EvidenceCorrupt` where a snapshot cannot be read: it might cite any of
    the others.
    """
    runs = opener.runs(place)
    standing: list[_Standing] = []
    for name, _ in newest.attempts(place, opener, phase=None, scope=None, now=now):
        standing.append(_look(runs, name))
        if len(standing) % TELL_EVERY == 0:
            tell(f"looked at {len(standing)} runs, back to {name}")
    by_digest = {canonical.digest(one.content): one.execution_id for one in standing if one.name}
    cited = {by_digest.get(name, name): one.execution_id for one in standing for name in _cited(one)}
    recent = _recent(standing, keep.newest or 0)
    local = not place.startswith(places.S3)
    fates = []
    for one in standing:
        kept = _why_kept(one, keep, now) or recent.get(one.execution_id)
        if kept is None and one.execution_id in cited:
            kept = f"{cited[one.execution_id]} rests on it"
        if kept is None and local:
            kept = _why_unpublished(one)
        fates.append(_fate(one, kept))
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


def _look(runs: ports.Runs, execution_id: str) -> _Standing:
    store, stored = runs.store(execution_id), tuple(runs.stored(execution_id))
    found = [document.name for document in stored if document.name.endswith(_SNAPSHOT)]
    if not found:
        return _Standing(execution_id=execution_id, store=store, stored=stored)
    content = store.read(found[0])
    try:
        models.read(snapshots.Snapshot, content)
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        raise _not_understood(execution_id, str(exc)) from exc
    if len(found) > 1:
        raise _not_understood(execution_id, "it has more than one")
    value = canonical.decode(content)
    return _Standing(
        execution_id=execution_id, store=store, stored=stored, name=found[0], content=content, snapshot=value
    )


def _not_understood(execution_id: str, why: str) -> errors.EvidenceUnknown:
    return errors.EvidenceUnknown(
        f"{execution_id}: its snapshot cannot be understood ({why}), so what it rests on is not known; nothing was "
        "removed"
    )


def _cited(one: _Standing) -> Iterator[str]:
    """The runs this one rests on, by id or by the digest of their snapshot: its prior, and its baseline's run."""
    for name, path in (
        (document_names.PRIOR, ("execution_id",)),
        (document_names.BASELINE, ("provenance", "execution_id")),
    ):
        if name in one.names:
            value: Any = canonical.decode(one.store.read(name))
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str):
                yield value
    refs = one.snapshot.get("source_snapshot_refs") or {}
    yield from (str(cited) for cited in (refs.get("prior") or {}).values() if cited)
    if refs.get("baseline_snapshot_sha256"):
        yield str(refs["baseline_snapshot_sha256"])


def _why_unpublished(one: _Standing) -> str | None:
    """Why a run on this machine may still have to be published; None where its journal, if it has one, says it is."""
    if document_names.JOURNAL not in one.names:
        return None
    try:
        run = journals.fold(journals.parse(one.store.read(document_names.JOURNAL), document_names.JOURNAL))
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        return f"whether it was published cannot be read: {exc}"
    return None if run.published else "its journal does not say that it was published everywhere"


def _recent(standing: list[_Standing], most: int) -> dict[str, str]:
    """The newest of each phase."""
    taken: dict[str, int] = {}
    found: dict[str, str] = {}
    for one in standing:
        phase = str(one.snapshot.get("phase"))
        taken[phase] = taken.get(phase, 0) + 1
        if taken[phase] <= most:
            found[one.execution_id] = f"among the newest {most} of phase {phase}"
    return found


def _why_kept(one: _Standing, keep: Keep, now: datetime) -> str | None:
    if one.name is None:
        return "it has no snapshot: it may be about to be committed"
    if one.execution_id in (keep.named or ()):
        return "it is named to be kept"
    if document_names.PINNED in one.names:
        return "it is pinned"
    youngest = max(document.modified_at for document in one.stored)
    if now - youngest < timedelta(seconds=keep.grace_seconds):
        return f"younger than the grace of {instants.duration_text(keep.grace_seconds)}"
    return None


def _fate(one: _Standing, kept: str | None) -> Fate:
    if kept is not None:
        return Fate(execution_id=one.execution_id, kept=kept)
    prunable = _prunable(one)
    if document_names.PRUNED not in one.names:
        finding = verification.verify(one.store)
        if finding.snapshot is None:
            return Fate(execution_id=one.execution_id, kept=f"its evidence is {finding.state}: look at it first")
    elif not prunable:
        return Fate(execution_id=one.execution_id, kept="it was pruned already")
    return Fate(execution_id=one.execution_id, kept=None, documents=prunable)


def _prunable(one: _Standing) -> tuple[ports.Stored, ...]:
    """What may go: the documents the snapshot names, and the report. Never the snapshot, never what is not ours."""
    slug = str(one.name).removesuffix(_SNAPSHOT)
    named = {ref["name"] for ref in one.snapshot["evidence_refs"]}
    named &= {document_names.PLAN, document_names.JOURNAL, *document_names.adjudicated(slug)}
    return tuple(document for document in one.stored if document.name in named | {document_names.REPORT})


def _write_receipt(store: ports.EvidenceStore, fate: Fate, now: datetime) -> None:
    """Once: where a prune died after its receipt, that receipt stands and names what is left too."""
    names = store.names()
    if document_names.PRUNED in names:
        return
    (snapshot,) = [name for name in names if name.endswith(_SNAPSHOT)]
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
