"""Verifying roll-ups: the documents give the snapshot again, byte for byte, and the evidence of every lane holds.

A roll-up is worth no more than its lanes: where the evidence of one is not to be had, anybody could have written what
was found of it, so the result is unknown. Lanes are believed only where the caller asks for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models, rollup_documents
from burst.domain.plan import catalogues
from burst.domain.verdict import rollup_snapshots, rollups
from burst.evidence import places, soundness

if TYPE_CHECKING:
    from burst import ports

State = soundness.EvidenceState
_SUFFIX = document_names.snapshot_name("", catalogues.Kind.ROLLUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedLane:
    """One lane as its place shows it."""

    finding: rollup_documents.LaneFinding
    content: bytes | None
    execution_id: str | None


VerifyRun = Callable[[places.RunPlace], soundness.Verification]
"""Verifies the run at a place."""


def is_name(name: str) -> bool:
    """Whether a document is the snapshot of a roll-up."""
    return name.endswith(_SUFFIX)


def find_name(store: ports.EvidenceStore) -> str | None:
    """The snapshot of a roll-up in a store; None where there is none."""
    try:
        names = [name for name in store.names() if is_name(name)]
    except errors.BurstError:
        return None
    return names[0] if len(names) == 1 else None


def examine_lane(name: str, run: places.RunPlace, verify_run: VerifyRun) -> ExaminedLane:
    """The evidence of one lane: verified, and each document that its snapshot names looked up."""
    verified = verify_run(run)
    content = _read_snapshot(run.store)
    sha256 = None if content is None else canonical.digest(content)
    value = _read_object(content)
    finding = rollup_documents.LaneFinding(
        name=name,
        state=verified.state.value,
        sha256=sha256,
        published=verified.verdict is not None and document_names.is_snapshot_name(verified.name or ""),
        missing_refs=["everything"] if value is None else _list_missing(value, run.store),
    )
    execution_id = None if value is None else value.get("execution_id")
    return ExaminedLane(
        finding=finding, content=content, execution_id=execution_id if isinstance(execution_id, str) else None
    )


def _read_snapshot(store: ports.EvidenceStore) -> bytes | None:
    try:
        names = [name for name in store.names() if document_names.is_snapshot_name(name)]
        return store.read(names[0]) if len(names) == 1 else None
    except errors.BurstError:
        return None


def _read_object(content: bytes | None) -> Mapping[str, object] | None:
    try:
        value = None if content is None else canonical.decode(content)
    except errors.EvidenceCorrupt:
        return None
    return value if isinstance(value, dict) else None


def _list_missing(value: Mapping[str, object], store: ports.EvidenceStore) -> list[str]:
    """The documents that a snapshot names and that are not there, or are others."""
    refs, missing = value.get("evidence_refs"), []
    for ref in refs if isinstance(refs, list) else []:
        if not isinstance(ref, dict):
            continue
        name, sha256, size = str(ref.get("name")), ref.get("sha256"), ref.get("size")
        try:
            content = store.read(name)
        except errors.BurstError:
            missing.append(name)
            continue
        content = content[:size] if ref.get("prefix") and isinstance(size, int) else content
        if canonical.digest(content) != sha256:
            missing.append(name)
    return sorted(missing) if isinstance(refs, list) else ["everything"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """The questions beyond one folder. Without `lanes` the findings about them are believed."""

    lanes: bool
    everywhere: bool | None
    open_store: Callable[[str], ports.EvidenceStore]


def verify(run: places.RunPlace, name: str, verify_run: VerifyRun, *, beyond: Beyond) -> soundness.Verification:
    """Whether a roll-up holds. Never raises for its state."""
    try:
        verdict, contents = _verify_documents(run.store, name)
        _compare_places(run, verdict, name, contents, beyond)
        if beyond.lanes:
            _verify_lanes(run, verdict, contents, verify_run)
    except soundness.NotSoundError as exc:
        return exc.finding
    except errors.EvidenceUnknown as exc:
        return soundness.Verification(state=State.UNKNOWN, why=str(exc))
    except errors.BurstError as exc:
        return soundness.Verification(state=State.CORRUPT, why=str(exc))
    return soundness.Verification(state=State.OK, why=verdict.snapshot.exit_reason, name=name, rollup=verdict)


def _verify_documents(store: ports.EvidenceStore, name: str) -> tuple[rollup_snapshots.RollupVerdict, dict[str, bytes]]:
    """The verdict that the documents give again."""
    published = rollup_snapshots.RollupVerdict.read(store.read(name))
    contents: dict[str, bytes] = {}
    for ref in published.snapshot.evidence_refs:
        try:
            contents[ref.name] = store.read(ref.name)
        except errors.EvidenceIncomplete as exc:
            raise soundness.NotSoundError(State.MISSING_DOCUMENT, f"{ref.name} is not there") from exc
        if canonical.digest(contents[ref.name]) != ref.sha256:
            raise soundness.NotSoundError(State.CORRUPT, f"{ref.name} is not the document the snapshot names")
    if rollup_documents.ORDER not in contents:
        raise soundness.NotSoundError(State.CORRUPT, f"{rollup_documents.ORDER} is not named")
    order = models.read(rollup_documents.RollupOrder, contents[rollup_documents.ORDER])
    if name != document_names.snapshot_name(order.slug, catalogues.Kind.ROLLUP):
        raise soundness.NotSoundError(State.CORRUPT, f"{name} is not the snapshot of {order.phase}")
    unnamed = sorted(set(order.names).intersection(store.names()) - contents.keys())
    if unnamed:
        raise soundness.NotSoundError(State.CORRUPT, f"{', '.join(unnamed)} was added afterwards")
    reached = rollups.adjudicate(contents)
    if reached.content != published.content:
        ours, theirs = reached.snapshot.document(), published.snapshot.document()
        differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        where = ", ".join(differing) or "its bytes"
        own = published.snapshot.verifier == rollups.VERIFIER
        raise soundness.NotSoundError(
            State.REFUTED if own else State.UNKNOWN, f"the documents give another snapshot; it differs in {where}"
        )
    return published, contents


def _compare_places(
    run: places.RunPlace,
    verdict: rollup_snapshots.RollupVerdict,
    name: str,
    contents: Mapping[str, bytes],
    beyond: Beyond,
) -> None:
    """The other places of a roll-up hold the same bytes."""
    folders = dict.fromkeys(key.rpartition("/")[0] for ref in verdict.snapshot.evidence_refs for key in ref.keys)
    if not (run.place in folders if beyond.everywhere is None else beyond.everywhere):
        return
    for folder in folders:
        if folder == run.place:
            continue
        store = beyond.open_store(folder)
        for document, content in {**contents, name: verdict.content}.items():
            if store.read(document) != content:
                raise soundness.NotSoundError(State.DIVERGED, f"{document} has other bytes in {folder}")


def _verify_lanes(
    run: places.RunPlace,
    verdict: rollup_snapshots.RollupVerdict,
    contents: Mapping[str, bytes],
    verify_run: VerifyRun,
) -> None:
    """The evidence of every lane is found again as the roll-up found it."""
    order = models.read(rollup_documents.RollupOrder, contents[rollup_documents.ORDER])
    if rollup_documents.LANES not in contents:
        return  # then nothing of them was believed
    document = models.read(rollup_documents.RollupLanes, contents[rollup_documents.LANES])
    by_name = {finding.name: finding for finding in document.lanes}
    for lane in order.lanes:
        finding = by_name.get(lane.name)
        if finding is None or finding.state != rollups.SOUND or lane.execution_id is None:
            continue
        place = f"{run.place.rstrip('/').rpartition('/')[0]}/{lane.execution_id}"
        beside = places.RunPlace(place=place, store=run.beside.store(lane.execution_id), beside=run.beside)
        again = examine_lane(lane.name, beside, verify_run).finding
        if again.sha256 is None:
            raise soundness.NotSoundError(
                State.UNKNOWN,
                f"lane {lane.name}: the evidence of {lane.execution_id} is not beside it, and cannot be believed",
            )
        if (again.sha256, again.state, again.missing_refs) != (finding.sha256, finding.state, finding.missing_refs):
            raise soundness.NotSoundError(
                State.CHAIN_BROKEN, f"lane {lane.name}: the evidence of {lane.execution_id} is {again.state} now"
            )
