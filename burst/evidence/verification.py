"""Verification: whether the evidence of a run holds, told from its documents alone.

Nothing the snapshot says is believed: its documents are read again, digests and sizes are compared, and the verdict is
reached anew from the documents and compared byte for byte. What they say of the run is held against its journal. A name
is looked up only where it is one of the closed set of the phase, so a snapshot cannot point anywhere else. The first
thing that does not hold is the result. What needs more than the documents (another place, a signature) is a
`FurtherCheck` that the caller adds.

What another minor version wrote is held to the fields both versions know: a later one may have added some, and never
changes what the same documents say. What this version wrote itself is held to every byte.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from burst import ports
from burst.control import run_documents
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, models, run_records, task_results
from burst.domain.plan import plans
from burst.domain.run import journals, runs
from burst.domain.tasks import tasks
from burst.domain.verdict import cases, snapshots, unpublished

Render = Callable[[Mapping[str, Any], Mapping[str, Any] | None], bytes]
"""Renders the report from snapshot and metrics; the same input gives the same bytes."""

_SNAPSHOT_SUFFIX = document_names.snapshot_name("")
_UNPUBLISHED_SUFFIX = document_names.unpublished_name("")


class EvidenceState(StrEnum):
    """What verification found."""

    OK = "ok"
    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    MISSING_DOCUMENT = "missing-document"
    CORRUPT = "corrupt"
    NOT_CANONICAL = "not-canonical"
    REFUTED = "refuted"
    """The documents give another verdict than the snapshot claims, or the journal tells otherwise of the run."""
    DIVERGED = "diverged"
    """Two places hold different bytes."""
    BAD_SIGNATURE = "bad-signature"
    CHAIN_BROKEN = "chain-broken"
    UNSUPPORTED_SCHEMA = "unsupported-schema"
    UNKNOWN = "unknown"
    """Something that would tell cannot be read."""


_VERDICT = frozenset({"overall_pass", "blockers", "exit_code"})
_INCOMPLETE = (EvidenceState.ABSENT, EvidenceState.INCOMPLETE)
_CANNOT_TELL = (EvidenceState.UNSUPPORTED_SCHEMA, EvidenceState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The state of one run's evidence and why. `snapshot` is there only when the evidence is sound."""

    state: EvidenceState
    why: str
    name: str | None = None
    """The snapshot's document name."""
    sha256: str | None = None
    snapshot: Mapping[str, Any] | None = None

    @property
    def slug(self) -> str:
        """The phase's slug, as the names of its documents spell it; empty where there is no snapshot."""
        return (self.name or "").removesuffix(_SNAPSHOT_SUFFIX).removesuffix(_UNPUBLISHED_SUFFIX)

    @property
    def exit_code(self) -> int:
        """0 sound PASS, 3 sound HOLD, 7 absent or incomplete, 8 integrity failed, 9 cannot tell."""
        if self.snapshot is not None:
            return 0 if self.snapshot["overall_pass"] else 3
        if self.state in _INCOMPLETE:
            return errors.EvidenceIncomplete.exit_code
        return errors.EvidenceUnknown.exit_code if self.state in _CANNOT_TELL else errors.EvidenceCorrupt.exit_code

    def require(self) -> "Verification":
        """The finding where the evidence is sound; else raises the error whose exit code says what is wrong."""
        if self.state is EvidenceState.OK:
            return self
        if self.state in _INCOMPLETE:
            raise errors.EvidenceIncomplete(f"{self.state}: {self.why}")
        kind = errors.EvidenceUnknown if self.state in _CANNOT_TELL else errors.EvidenceCorrupt
        raise kind(f"{self.state}: {self.why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvidence:
    """Evidence whose documents hold together, as a further check gets it."""

    name: str
    """The snapshot's document name."""
    content: bytes
    """The snapshot's bytes."""
    snapshot: snapshots.Snapshot
    plan: plans.Plan
    documents: Mapping[str, bytes]
    """Every document the snapshot names, and the journal as far as it is named."""
    names: Collection[str]
    """Every name in the store, also of what the snapshot does not name, such as the report and signatures."""


FurtherCheck = Callable[[HeldEvidence], None]
"""One more thing that must hold. Raises `NotSoundError` where it does not."""


class NotSoundError(Exception):
    """Ends verification with what was found."""

    def __init__(self, state: EvidenceState, why: str) -> None:
        self.finding = Verification(state=state, why=why)
        super().__init__(why)


def verify(
    store: ports.EvidenceStore, *, render: Render | None = None, checks: Sequence[FurtherCheck] = ()
) -> Verification:
    """Whether the evidence in a store holds. Never raises for what it finds there.

    With `render`, a `report.html` that stands beside a snapshot of this version must be exactly what it renders to.
    `checks` are asked in order once the documents hold together.
    """
    try:
        return _verified(store, render, checks)
    except NotSoundError as exc:
        return exc.finding


def sound(store: ports.EvidenceStore, *, render: Render | None = None) -> Verification:
    """The finding where the evidence is sound; else raises the error whose exit code says what is wrong with it."""
    return verify(store, render=render).require()


def _verified(store: ports.EvidenceStore, render: Render | None, checks: Sequence[FurtherCheck]) -> Verification:
    names = _names(store)
    name = _only_snapshot(names)
    content = _read(store, name)
    value = _value(content)
    snapshot = _model(value)
    slug = name.removesuffix(_SNAPSHOT_SUFFIX)
    contents, own_folder = _referred(store, snapshot, slug, pruned=document_names.PRUNED in names)
    _refuse_unnamed(names, contents, slug)
    plan = _plan(contents[document_names.PLAN], slug, snapshot.verifier)
    _compare(_readjudicated(plan, contents, snapshot), content, snapshot.verifier)
    _compare_journal(plan, contents, snapshot.verifier)
    if render is not None and document_names.REPORT in names and snapshot.verifier == cases.VERIFIER:
        _compare_report(
            _read(store, document_names.REPORT), render, value, contents.get(document_names.metrics_name(slug))
        )
    found = HeldEvidence(name=name, content=content, snapshot=snapshot, plan=plan, documents=contents, names=names)
    for check in checks:
        check(found)
    return _published_or_not(store, found, value, own_folder=own_folder)


def _published_or_not(
    store: ports.EvidenceStore, found: HeldEvidence, value: Mapping[str, Any], *, own_folder: bool
) -> Verification:
    """The finding about a snapshot that holds: in the run's own folder its successor speaks for it until there is a
    receipt of its publication."""
    sha256 = canonical.digest(found.content)
    verifier = found.snapshot.verifier
    other = "" if verifier == cases.VERIFIER else f" (by {_version(verifier)})"
    why = found.snapshot.exit_reason + other
    ok = Verification(state=EvidenceState.OK, why=why, name=found.name, sha256=sha256, snapshot=value)
    if document_names.PUBLICATION in found.names:
        receipt = _receipt(_read(store, document_names.PUBLICATION))
        if receipt.snapshot_sha256 != sha256:
            raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.PUBLICATION} is of another snapshot")
        return ok
    successor = document_names.unpublished_name(found.plan.slug)
    if successor in found.names:
        return _unpublished(_read(store, successor), successor, found)
    if own_folder and found.plan.folders(found.plan.execution_id):
        raise NotSoundError(
            EvidenceState.INCOMPLETE,
            "the verdict is frozen here, and not known to be published; `burst resume` can finish it",
        )
    return ok


def _receipt(content: bytes) -> run_records.Publication:
    try:
        return models.read(run_records.Publication, content)
    except errors.EvidenceUnknown as exc:
        raise NotSoundError(EvidenceState.UNSUPPORTED_SCHEMA, f"{document_names.PUBLICATION}: {exc}") from exc
    except errors.BurstError as exc:
        raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.PUBLICATION}: {exc}") from exc


def _unpublished(content: bytes, name: str, found: HeldEvidence) -> Verification:
    """The finding of a successor, which must be what the frozen snapshot and its reason give."""
    value = _value(content)
    _model(value)
    reason = unpublished.reason(value)
    if reason is None or unpublished.successor(found.content, reason) != content:
        raise NotSoundError(EvidenceState.CORRUPT, f"{name} is no successor of {found.name}")
    return Verification(
        state=EvidenceState.OK, why=value["exit_reason"], name=name, sha256=canonical.digest(content), snapshot=value
    )


def _names(store: ports.EvidenceStore) -> Collection[str]:
    try:
        return store.names()
    except errors.EvidenceIncomplete as exc:
        raise NotSoundError(EvidenceState.ABSENT, str(exc)) from exc
    except errors.BurstError as exc:
        raise NotSoundError(EvidenceState.UNKNOWN, str(exc)) from exc


def _only_snapshot(names: Collection[str]) -> str:
    found = [name for name in names if name.endswith(_SNAPSHOT_SUFFIX)]
    if len(found) > 1:
        raise NotSoundError(EvidenceState.CORRUPT, f"more than one snapshot: {', '.join(sorted(found))}")
    if found:
        return found[0]
    if document_names.PLAN in names or document_names.JOURNAL in names:
        raise NotSoundError(
            EvidenceState.INCOMPLETE, "a run began here and never committed a snapshot; `burst resume` can finish it"
        )
    raise NotSoundError(EvidenceState.ABSENT, "no evidence of a run here")


def _read(store: ports.EvidenceStore, name: str, *, pruned: bool = False) -> bytes:
    try:
        return store.read(name)
    except errors.EvidenceIncomplete as exc:
        why = f"pruned, see {document_names.PRUNED}" if pruned else "named and not there"
        raise NotSoundError(EvidenceState.MISSING_DOCUMENT, f"{name} is {why}") from exc
    except errors.EvidenceCorrupt as exc:
        raise NotSoundError(EvidenceState.CORRUPT, str(exc)) from exc
    except errors.BurstError as exc:
        raise NotSoundError(EvidenceState.UNKNOWN, str(exc)) from exc


def _value(content: bytes) -> dict[str, Any]:
    """The snapshot's JSON object, once its bytes are known to be the canonical ones of it."""
    try:
        value = canonical.decode(content)
    except errors.EvidenceCorrupt as exc:
        raise NotSoundError(EvidenceState.CORRUPT, f"snapshot: {exc}") from exc
    if not isinstance(value, dict):
        raise NotSoundError(EvidenceState.CORRUPT, "snapshot: not a JSON object")
    try:
        models.check_schema(snapshots.Snapshot, value)
        same = canonical.encode(value) == content
    except errors.EvidenceUnknown as exc:
        raise NotSoundError(EvidenceState.UNSUPPORTED_SCHEMA, f"snapshot: {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise NotSoundError(EvidenceState.NOT_CANONICAL, f"snapshot: {exc}") from exc
    if not same:
        raise NotSoundError(
            EvidenceState.NOT_CANONICAL, "snapshot: its bytes are not the canonical form of what they say"
        )
    return value


def _model(value: dict[str, Any]) -> snapshots.Snapshot:
    try:
        return models.read(snapshots.Snapshot, canonical.encode(value))
    except errors.EvidenceCorrupt as exc:
        raise NotSoundError(EvidenceState.CORRUPT, f"snapshot: {exc}") from exc


def _inputs(slug: str) -> frozenset[str]:
    """The documents a verdict is made from."""
    return frozenset(
        {
            document_names.PLAN,
            *document_names.adjudicated(slug),
        }
    )


def _referred(
    store: ports.EvidenceStore, snapshot: snapshots.Snapshot, slug: str, *, pruned: bool
) -> tuple[dict[str, bytes], bool]:
    """The documents the snapshot names, each as it names them: of the journal a prefix. And whether the journal goes
    on after that, which it does only in the run's own folder."""
    contents: dict[str, bytes] = {}
    goes_on = False
    for ref in snapshot.evidence_refs:
        known = ref.name == document_names.JOURNAL if ref.prefix else ref.name in _inputs(slug)
        if not known:
            raise NotSoundError(EvidenceState.CORRUPT, f"snapshot: {ref.name!r} is no document of this phase")
        if ref.name in contents:
            raise NotSoundError(EvidenceState.CORRUPT, f"snapshot: {ref.name} is named twice")
        content = _read(store, ref.name, pruned=pruned)
        contents[ref.name] = content[: ref.size] if ref.prefix else content
        goes_on = goes_on or len(content) > len(contents[ref.name])
        if len(contents[ref.name]) != ref.size or canonical.digest(contents[ref.name]) != ref.sha256:
            raise NotSoundError(EvidenceState.CORRUPT, f"{ref.name} is not the document the snapshot names by digest")
    if document_names.PLAN not in contents:
        raise NotSoundError(EvidenceState.CORRUPT, f"snapshot: {document_names.PLAN} is not named")
    return contents, goes_on


def _refuse_unnamed(names: Collection[str], contents: Mapping[str, bytes], slug: str) -> None:
    unnamed = {document_names.JOURNAL, *_inputs(slug)}.intersection(names) - contents.keys()
    if unnamed:
        raise NotSoundError(
            EvidenceState.CORRUPT, f"the snapshot does not name {', '.join(sorted(unnamed))}: it was added afterwards"
        )


def _plan(content: bytes, slug: str, verifier: Mapping[str, str]) -> plans.Plan:
    try:
        plan = plans.parse(content.decode("utf-8"), source=document_names.PLAN)
    except (UnicodeDecodeError, plans.PlanError) as exc:
        if verifier != cases.VERIFIER:
            raise NotSoundError(EvidenceState.UNKNOWN, f"{document_names.PLAN} of {_version(verifier)}: {exc}") from exc
        raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.PLAN}: {exc}") from exc
    if plan.slug != slug:
        raise NotSoundError(
            EvidenceState.CORRUPT, f"{document_names.PLAN} is of phase {plan.phase}, the snapshot of {slug}"
        )
    return plan


def _readjudicated(plan: plans.Plan, contents: Mapping[str, bytes], snapshot: snapshots.Snapshot) -> bytes:
    case = cases.of(plan, contents[document_names.PLAN], contents, verifier=snapshot.verifier)
    try:
        return snapshots.adjudicate(case).content
    except (errors.BurstError, ValueError) as exc:
        raise NotSoundError(EvidenceState.REFUTED, f"the documents cannot have given this snapshot: {exc}") from exc


def _version(verifier: Mapping[str, str]) -> str:
    said = f"{verifier.get('name')} {verifier.get('version')}"
    return said if re.fullmatch(r"[A-Za-z0-9 .+_-]{1,60}", said) else "another verifier"


def _shared(value: Any, other: Any) -> Any:
    """The value without the fields that the other does not have, at any depth."""
    if isinstance(value, dict) and isinstance(other, dict):
        return {key: _shared(part, other[key]) for key, part in value.items() if key in other}
    if isinstance(value, list) and isinstance(other, list) and len(value) == len(other):
        return [_shared(part, beside) for part, beside in zip(value, other, strict=True)]
    return value


def _compare(reached: bytes, published: bytes, verifier: Mapping[str, str]) -> None:
    """Refuted where the documents give another snapshot. One that says it was made by another version is held to the
    fields both know; where its verdict is the one reached here and its words are not, nobody can tell, which is no pass
    either."""
    if reached == published:
        return
    ours, theirs = canonical.decode(reached), canonical.decode(published)
    if verifier != cases.VERIFIER:
        ours, theirs = _shared(ours, theirs), _shared(theirs, ours)
        if canonical.encode(ours) == canonical.encode(theirs):
            return
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    where = ", ".join(differing) or "its bytes"
    if verifier != cases.VERIFIER and not _VERDICT.intersection(differing):
        raise NotSoundError(
            EvidenceState.UNKNOWN,
            f"made by {_version(verifier)}, and this version gives the same verdict and differs in "
            f"{where}; verify it with that version",
        )
    raise NotSoundError(EvidenceState.REFUTED, f"the documents give another snapshot; it differs in {where}")


def _compare_journal(plan: plans.Plan, contents: Mapping[str, bytes], verifier: Mapping[str, str]) -> None:
    """Whether the task result says what the journal does that it was made from.

    A journal that was found again in a place ends before the task result that is then made once more. What it left
    open may be known since, which nobody can tell from the documents; nor whether another version knows more events.
    """
    if document_names.JOURNAL not in contents:
        return
    result = models.read(task_results.TaskResult, contents[document_names.task_result_name(plan.slug)])
    run, again = _made_again(plan, contents[document_names.JOURNAL], verifier)
    surely = EvidenceState.REFUTED if verifier == cases.VERIFIER else EvidenceState.UNKNOWN
    for what, was, now in _differing(_course(again), _course(result)):
        # Who takes a run over may be interrupted after the journal it found.
        state = EvidenceState.UNKNOWN if was is None and what == "interruption" else surely
        raise NotSoundError(state, f"the task result says {what} {now}, {document_names.JOURNAL} {was}")
    for task_id, was, now in _differing(_ends(again), _ends(result)):
        how = "leaves out" if now is None else "makes up" if was is None else "tells otherwise of"
        state = EvidenceState.UNKNOWN if _may_be_later(run, task_id, now) else surely
        raise NotSoundError(state, f"the task result {how} {task_id}, by what {document_names.JOURNAL} says")
    for name, _, _ in _differing(_errands(again), _errands(result)):
        state = surely if run.settled else EvidenceState.UNKNOWN
        raise NotSoundError(state, f"the task result tells otherwise of {name} than {document_names.JOURNAL}")


def _made_again(
    plan: plans.Plan, journal: bytes, verifier: Mapping[str, str]
) -> tuple[runs.Run, task_results.TaskResult]:
    """The run a journal tells of, and its task result without the layers, which the journal has only in part."""
    try:
        run = journals.fold(journals.parse(journal, document_names.JOURNAL))
        return run, run_documents.task_result_document(plan, run, [], journal)
    except errors.EvidenceUnknown as exc:
        raise NotSoundError(EvidenceState.UNSUPPORTED_SCHEMA, str(exc)) from exc
    except (errors.BurstError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as exc:
        if verifier != cases.VERIFIER:
            raise NotSoundError(
                EvidenceState.UNKNOWN, f"{document_names.JOURNAL} of {_version(verifier)}: {exc}"
            ) from exc
        raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.JOURNAL}: {exc}") from exc


def _differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            yield name, was.get(name), now.get(name)


def _course(result: task_results.TaskResult) -> dict[str, object]:
    """When a run began and why it ended, without the words from outside, which lose what must not be shown."""
    early, interruption = result.early_stop, result.interruption
    return {
        "execution_id": result.execution_id,
        "go_utc": result.go_utc and instants.text(result.go_utc),
        "deadline_utc": result.deadline_utc and instants.text(result.deadline_utc),
        "stop_reason": (result.stop_reason or "").partition(":")[0],
        "early_stop": early and f"{early.rule} at {instants.text(early.at_utc)}",
        "interruption": interruption and f"{interruption.signal} at {instants.text(interruption.at_utc)}",
    }


def _ends(result: task_results.TaskResult) -> dict[str, object]:
    return {entry.id: entry.model_dump(exclude={"detail"}) for entry in result.tasks}


def _errands(result: task_results.TaskResult) -> dict[str, object]:
    shots = {f"{shot.when}:{shot.name}": shot.model_dump(exclude={"problem"}) for shot in result.one_shots}
    services = {one.name: one.model_dump(include={"name", "before", "desired", "restored"}) for one in result.services}
    return {**shots, **services}


def _may_be_later(run: runs.Run, task_id: str, now: object) -> bool:
    """Whether the journal left open what became of a task, or whether it was launched. A task it knows never goes."""
    truth = run.truths.get(task_id)
    if truth is None:
        return run.unaccounted
    return now is not None and truth.status is not tasks.TaskStatus.STOPPED


def _compare_report(report: bytes, render: Render, snapshot: Mapping[str, Any], metrics: bytes | None) -> None:
    shown: Mapping[str, Any] | None
    try:
        shown = canonical.decode(metrics) if metrics is not None else None
    except errors.EvidenceCorrupt:
        shown = None
    if render(snapshot, shown) != report:
        raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.REPORT} does not show what the snapshot says")
