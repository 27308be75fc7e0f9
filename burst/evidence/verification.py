"""Verification: whether the evidence of a run holds, by its documents alone.

Nothing the snapshot says is believed: its documents are read again, digests and sizes are compared, and the verdict is
reached anew from the documents, under the rules the snapshot states, and compared. The task result is held against the
journal. A name is looked up only where it is one of the closed set of the phase, so a snapshot cannot point anywhere
else. The first thing that does not hold is the result. A check that needs more than the documents (another place, a
signature) is a `FurtherCheck` that the caller adds.

A snapshot that this version made is held to every byte. One that another version made is held to all that it judged,
in the fields that both versions know: a later one may have added some, and any may word its sentences otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.verdict import cases, rules, snapshots, unpublished
from burst.evidence import journal_agreement, soundness

if TYPE_CHECKING:
    from burst import ports

Render = Callable[[snapshots.Verdict, Mapping[str, bytes]], bytes]
"""Renders the report from a verdict and every document that its snapshot names; the same input gives the same bytes."""


def verify(
    store: ports.EvidenceStore,
    *,
    render: Render | None = None,
    checks: Sequence[soundness.FurtherCheck] = (),
) -> soundness.Verification:
    """Whether the evidence in a store holds. Never raises for the state of the evidence.

    With `render`, a `report.html` that stands beside a snapshot of this version must be exactly what it renders to.
    `checks` are asked in order once the documents hold together.
    """
    try:
        return _verify_store(store, render, checks)
    except soundness.NotSoundError as exc:
        return exc.finding


def _verify_store(
    store: ports.EvidenceStore, render: Render | None, checks: Sequence[soundness.FurtherCheck]
) -> soundness.Verification:
    names = _names(store)
    name = _only_snapshot(names)
    verdict = _read_verdict(_read(store, name))
    snapshot, slug = verdict.snapshot, document_names.find_snapshot_slug(name) or ""
    contents, own_folder = _read_named(store, snapshot, slug, pruned=document_names.PRUNED in names)
    _refuse_unnamed(names, contents, slug)
    plan = _plan(contents[document_names.PLAN], slug, snapshot.verifier)
    _require_kind(name, plan, snapshot)
    worded_by = _compare(_adjudicate_again(plan, contents, snapshot), verdict)
    journal_agreement.require_agreeing_journal(plan, contents, snapshot.verifier)
    journal_agreement.require_agreeing_records(plan, contents)
    if render is not None and document_names.REPORT in names and snapshot.verifier == cases.VERIFIER:
        _compare_report(_read(store, document_names.REPORT), render, verdict, contents)
    held = soundness.HeldEvidence(name=name, verdict=verdict, plan=plan, documents=contents, names=names)
    for check in checks:
        check(held)
    return _require_published(store, held, worded_by, own_folder=own_folder)


def _require_published(
    store: ports.EvidenceStore, held: soundness.HeldEvidence, worded_by: str | None, *, own_folder: bool
) -> soundness.Verification:
    """The result for a snapshot that holds: in the run's own folder its successor speaks for it until there is a
    receipt of its publication."""
    why = held.snapshot.exit_reason + _describe_maker(held, worded_by)
    ok = soundness.Verification(
        state=soundness.EvidenceState.OK, why=why, name=held.name, verdict=held.verdict, worded_by=worded_by
    )
    if document_names.PUBLICATION in held.names:
        receipt = _receipt(_read(store, document_names.PUBLICATION))
        if receipt.snapshot_sha256 != held.verdict.sha256:
            raise soundness.NotSoundError(
                soundness.EvidenceState.CORRUPT, f"{document_names.PUBLICATION} is of another snapshot"
            )
        return ok
    successor = document_names.unpublished_name(held.plan.slug, held.plan.kind)
    if successor in held.names:
        return _verify_successor(_read(store, successor), successor, held)
    if own_folder and held.plan.folders(held.plan.execution_id):
        raise soundness.NotSoundError(
            soundness.EvidenceState.INCOMPLETE,
            "the verdict is frozen here, and not known to be published; `burst resume` can finish it",
        )
    return ok


def _describe_maker(held: soundness.HeldEvidence, worded_by: str | None) -> str:
    """Which other version made the snapshot, and that its report was not rendered again; empty for this version."""
    if held.snapshot.verifier == cases.VERIFIER:
        return ""
    maker = f"worded by {worded_by}" if worded_by else f"by {soundness.name_maker(held.snapshot.verifier)}"
    report = f"; its {document_names.REPORT} is not compared" if document_names.REPORT in held.names else ""
    return f" ({maker}{report})"


def _receipt(content: bytes) -> run_records.Publication:
    try:
        return models.read(run_records.Publication, content)
    except errors.EvidenceUnknown as exc:
        raise soundness.NotSoundError(
            soundness.EvidenceState.UNSUPPORTED_SCHEMA, f"{document_names.PUBLICATION}: {exc}"
        ) from exc
    except errors.BurstError as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"{document_names.PUBLICATION}: {exc}") from exc


def _verify_successor(content: bytes, name: str, held: soundness.HeldEvidence) -> soundness.Verification:
    """The result for a successor, which must be the one that the frozen snapshot and its reason give."""
    successor = _read_verdict(content)
    reason = unpublished.find_reason(successor.snapshot)
    try:
        worded_by = _compare(unpublished.make_successor(held.verdict, reason or ""), successor)
    except soundness.NotSoundError as exc:
        raise soundness.NotSoundError(
            soundness.EvidenceState.CORRUPT, f"{name} is no successor of {held.name}"
        ) from exc
    why = successor.snapshot.exit_reason
    return soundness.Verification(
        state=soundness.EvidenceState.OK, why=why, name=name, verdict=successor, worded_by=worded_by
    )


def _names(store: ports.EvidenceStore) -> Collection[str]:
    try:
        return store.names()
    except errors.EvidenceIncomplete as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.ABSENT, str(exc)) from exc
    except errors.BurstError as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.UNKNOWN, str(exc)) from exc


def _only_snapshot(names: Collection[str]) -> str:
    snapshot_names = [name for name in names if document_names.is_snapshot_name(name)]
    if len(snapshot_names) > 1:
        raise soundness.NotSoundError(
            soundness.EvidenceState.CORRUPT, f"more than one snapshot: {', '.join(sorted(snapshot_names))}"
        )
    if snapshot_names:
        return snapshot_names[0]
    if document_names.PLAN in names or document_names.JOURNAL in names:
        raise soundness.NotSoundError(
            soundness.EvidenceState.INCOMPLETE,
            "a run began here and never committed a snapshot; `burst resume` can finish it",
        )
    raise soundness.NotSoundError(soundness.EvidenceState.ABSENT, "no evidence of a run here")


def _read(store: ports.EvidenceStore, name: str, *, pruned: bool = False) -> bytes:
    try:
        return store.read(name)
    except errors.EvidenceIncomplete as exc:
        why = f"pruned, see {document_names.PRUNED}" if pruned else "named and not there"
        raise soundness.NotSoundError(soundness.EvidenceState.MISSING_DOCUMENT, f"{name} is {why}") from exc
    except errors.EvidenceCorrupt as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, str(exc)) from exc
    except errors.BurstError as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.UNKNOWN, str(exc)) from exc


def _read_verdict(content: bytes) -> snapshots.Verdict:
    """The snapshot of canonical bytes."""
    try:
        value = canonical.decode(content)
    except errors.EvidenceCorrupt as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"snapshot: {exc}") from exc
    if not isinstance(value, dict):
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, "snapshot: not a JSON object")
    try:
        models.check_schema(snapshots.Snapshot, value)
        same = canonical.encode(value) == content
    except errors.EvidenceUnknown as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.UNSUPPORTED_SCHEMA, f"snapshot: {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.NOT_CANONICAL, f"snapshot: {exc}") from exc
    if not same:
        raise soundness.NotSoundError(
            soundness.EvidenceState.NOT_CANONICAL,
            "snapshot: its bytes are not the canonical form of what they say",
        )
    try:
        return snapshots.Verdict.read(content)
    except errors.EvidenceCorrupt as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"snapshot: {exc}") from exc


def _inputs(slug: str) -> frozenset[str]:
    """The documents a verdict is made from."""
    return frozenset({document_names.PLAN, *document_names.adjudicated_names(slug)})


def _read_named(
    store: ports.EvidenceStore, snapshot: snapshots.Snapshot, slug: str, *, pruned: bool
) -> tuple[dict[str, bytes], bool]:
    """The documents the snapshot names, of the journal the prefix it names.

    And whether the journal goes on after that, which it does only in the run's own folder.
    """
    contents: dict[str, bytes] = {}
    goes_on = False
    for ref in snapshot.evidence_refs:
        of_phase = ref.name == document_names.JOURNAL if ref.prefix else ref.name in _inputs(slug)
        if not of_phase:
            raise soundness.NotSoundError(
                soundness.EvidenceState.CORRUPT, f"snapshot: {ref.name!r} is no document of this phase"
            )
        if ref.name in contents:
            raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"snapshot: {ref.name} is named twice")
        content = _read(store, ref.name, pruned=pruned)
        contents[ref.name] = content[: ref.size] if ref.prefix else content
        goes_on = goes_on or len(content) > len(contents[ref.name])
        if len(contents[ref.name]) != ref.size or canonical.digest(contents[ref.name]) != ref.sha256:
            raise soundness.NotSoundError(
                soundness.EvidenceState.CORRUPT,
                f"{ref.name} is not the document the snapshot names by digest",
            )
    if document_names.PLAN not in contents:
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"snapshot: {document_names.PLAN} is not named")
    return contents, goes_on


def _refuse_unnamed(names: Collection[str], contents: Mapping[str, bytes], slug: str) -> None:
    unnamed = {document_names.JOURNAL, *_inputs(slug)}.intersection(names) - contents.keys()
    if unnamed:
        raise soundness.NotSoundError(
            soundness.EvidenceState.CORRUPT,
            f"the snapshot does not name {', '.join(sorted(unnamed))}: it was added afterwards",
        )


def _plan(content: bytes, slug: str, verifier: Mapping[str, str]) -> plans.Plan:
    try:
        plan = plans.parse(content.decode("utf-8"), source=document_names.PLAN)
    except (UnicodeDecodeError, plans.PlanError) as exc:
        if verifier != cases.VERIFIER:
            raise soundness.NotSoundError(
                soundness.EvidenceState.UNKNOWN,
                f"{document_names.PLAN} of {soundness.name_maker(verifier)}: {exc}",
            ) from exc
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"{document_names.PLAN}: {exc}") from exc
    if plan.slug != slug:
        raise soundness.NotSoundError(
            soundness.EvidenceState.CORRUPT,
            f"{document_names.PLAN} is of phase {plan.phase}, the snapshot of {slug}",
        )
    return plan


def _require_kind(name: str, plan: plans.Plan, snapshot: snapshots.Snapshot) -> None:
    """Raises unless name, snapshot and plan are of one kind: the blockers of one kind are not those of another."""
    if name != document_names.snapshot_name(plan.slug, plan.kind) or snapshot.kind is not plan.kind:
        raise soundness.NotSoundError(
            soundness.EvidenceState.CORRUPT,
            f"{document_names.PLAN} is of kind {plan.kind}, {name} of kind {snapshot.kind}",
        )


def _adjudicate_again(
    plan: plans.Plan, contents: Mapping[str, bytes], snapshot: snapshots.Snapshot
) -> snapshots.Verdict:
    try:
        reached = snapshots.adjudicate_again(snapshot, plan, contents[document_names.PLAN], contents)
    except errors.EvidenceUnknown as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.UNKNOWN, f"snapshot: {exc}") from exc
    except (errors.BurstError, ValueError) as exc:
        raise soundness.NotSoundError(
            soundness.EvidenceState.REFUTED, f"the documents cannot have given this snapshot: {exc}"
        ) from exc
    current = rules.CURRENT.version
    if snapshot.verifier == cases.VERIFIER and snapshot.rules != current:  # older rules may ask less
        raise soundness.NotSoundError(
            soundness.EvidenceState.REFUTED,
            f"judged by rules {snapshot.rules}, and this version judges by rules {current}",
        )
    return reached


def _compare(reached: snapshots.Verdict, published: snapshots.Verdict) -> str | None:
    """The version that worded the snapshot, where its sentences are not this version's.

    Refuted where the documents give another snapshot: in any byte where this version made it, and else in anything
    but its sentences.
    """
    if reached.content == published.content:
        return None
    verifier = published.snapshot.verifier
    if verifier == cases.VERIFIER:
        ours, theirs = reached.snapshot.document(), canonical.decode(published.content)
        differing = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    else:
        differing = snapshots.differing_sections(reached.snapshot, published.snapshot)
        if not differing:
            same = snapshots.same_sentences(reached.snapshot, published.snapshot)
            return None if same else soundness.name_maker(verifier).removeprefix("burst ")
    where = ", ".join(differing) or "its bytes"
    raise soundness.NotSoundError(
        soundness.EvidenceState.REFUTED, f"the documents give another snapshot; it differs in {where}"
    )


def _compare_report(report: bytes, render: Render, verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> None:
    if render(verdict, contents) != report:
        raise soundness.NotSoundError(
            soundness.EvidenceState.CORRUPT, f"{document_names.REPORT} does not show what the snapshot says"
        )
