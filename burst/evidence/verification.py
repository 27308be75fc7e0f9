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

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from burst.domain.basics import canonical, errors, instants, wording
from burst.domain.documents import (
    document_names,
    models,
    observation_series,
    run_records,
    task_records_document,
    task_results,
)
from burst.domain.plan import plans
from burst.domain.run import journals, observations_builder, task_result_builder
from burst.domain.run.events import launch_events
from burst.domain.tasks import tasks
from burst.domain.verdict import cases, rules, snapshots, unpublished

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.run import runs
    from burst.domain.verdict import rollup_snapshots

Render = Callable[[snapshots.Verdict, Mapping[str, bytes]], bytes]
"""Renders the report from a verdict and every document that its snapshot names; the same input gives the same bytes."""


class EvidenceState(StrEnum):
    """The result of a verification."""

    OK = "ok"
    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    TOO_OLD = "too-old"
    """Sound, and older than the caller allows."""
    MISSING_DOCUMENT = "missing-document"
    CORRUPT = "corrupt"
    NOT_CANONICAL = "not-canonical"
    REFUTED = "refuted"
    """The documents give another verdict than the snapshot claims, or the journal another task result."""
    DIVERGED = "diverged"
    """Two places hold different bytes."""
    BAD_SIGNATURE = "bad-signature"
    CHAIN_BROKEN = "chain-broken"
    UNSUPPORTED_SCHEMA = "unsupported-schema"
    UNKNOWN = "unknown"
    """A document that would settle it cannot be read, or needs another version of burst."""


_INCOMPLETE = (EvidenceState.ABSENT, EvidenceState.INCOMPLETE, EvidenceState.TOO_OLD)
_CANNOT_TELL = (EvidenceState.UNSUPPORTED_SCHEMA, EvidenceState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The state of one run's evidence and why. `verdict` is there only when the evidence is sound."""

    state: EvidenceState
    why: str
    name: str | None = None
    """The snapshot's document name."""
    verdict: snapshots.Verdict | None = None
    worded_by: str | None = None
    """The version whose sentences the snapshot holds, where they are not this version's."""
    rollup: rollup_snapshots.RollupVerdict | None = None
    """The verdict in place of `verdict`, where the evidence is that of a roll-up."""

    @property
    def shown(self) -> snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None:
        """The snapshot of sound evidence, of whatever kind."""
        sound = self.verdict or self.rollup
        return None if sound is None else sound.snapshot

    @property
    def snapshot(self) -> Mapping[str, Any] | None:
        """The snapshot's JSON value as it was published, with the fields of a later minor version."""
        sound = self.verdict or self.rollup
        value: Mapping[str, Any] | None = canonical.decode(sound.content) if sound else None
        return value

    @property
    def sha256(self) -> str | None:
        """The digest of the snapshot."""
        sound = self.verdict or self.rollup
        return sound.sha256 if sound else None

    @property
    def slug(self) -> str:
        """The phase's slug, as the names of its documents spell it; empty where there is no snapshot."""
        name = self.name or ""
        return document_names.find_snapshot_slug(name) or document_names.find_unpublished_slug(name) or ""

    @property
    def exit_code(self) -> int:
        """0 sound PASS, 3 sound HOLD, 7 absent or incomplete, 8 integrity failed, 9 cannot tell."""
        if self.shown is not None:
            return 0 if self.shown.overall_pass else 3
        if self.state in _INCOMPLETE:
            return errors.EvidenceIncomplete.exit_code
        return errors.EvidenceUnknown.exit_code if self.state in _CANNOT_TELL else errors.EvidenceCorrupt.exit_code

    def require(self) -> Verification:
        """This result where the evidence is sound; else raises the error of its state, with its exit code."""
        self.require_verdict()
        return self

    def require_verdict(self) -> snapshots.Verdict:
        """The verdict of sound evidence; else raises the error of its state, with its exit code."""
        if self.verdict is not None:
            return self.verdict
        if self.rollup is not None:
            raise errors.UsageError("it is a roll-up, and no run: its lanes are the runs; name one of those")
        if self.state in _INCOMPLETE:
            raise errors.EvidenceIncomplete(f"{self.state}: {self.why}")
        kind = errors.EvidenceUnknown if self.state in _CANNOT_TELL else errors.EvidenceCorrupt
        raise kind(f"{self.state}: {self.why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvidence:
    """Evidence whose documents hold together, as a further check gets it."""

    name: str
    """The snapshot's document name."""
    verdict: snapshots.Verdict
    plan: plans.Plan
    documents: Mapping[str, bytes]
    """Every document the snapshot names, and the journal as far as it is named."""
    names: Collection[str]
    """Every name in the store, also of documents the snapshot does not name, such as the report and signatures."""

    @property
    def snapshot(self) -> snapshots.Snapshot:
        """The snapshot."""
        return self.verdict.snapshot

    @property
    def content(self) -> bytes:
        """The snapshot's bytes."""
        return self.verdict.content


FurtherCheck = Callable[[HeldEvidence], None]
"""One more thing that must hold. Raises `NotSoundError` where it does not."""


class NotSoundError(Exception):
    """Ends verification with its result."""

    def __init__(self, state: EvidenceState, why: str) -> None:
        self.finding = Verification(state=state, why=why)
        super().__init__(why)


def verify(
    store: ports.EvidenceStore, *, render: Render | None = None, checks: Sequence[FurtherCheck] = ()
) -> Verification:
    """Whether the evidence in a store holds. Never raises for the state of the evidence.

    With `render`, a `report.html` that stands beside a snapshot of this version must be exactly what it renders to.
    `checks` are asked in order once the documents hold together.
    """
    try:
        return _verify_store(store, render, checks)
    except NotSoundError as exc:
        return exc.finding


def _verify_store(store: ports.EvidenceStore, render: Render | None, checks: Sequence[FurtherCheck]) -> Verification:
    names = _names(store)
    name = _only_snapshot(names)
    verdict = _read_verdict(_read(store, name))
    snapshot, slug = verdict.snapshot, document_names.find_snapshot_slug(name) or ""
    contents, own_folder = _read_named(store, snapshot, slug, pruned=document_names.PRUNED in names)
    _refuse_unnamed(names, contents, slug)
    plan = _plan(contents[document_names.PLAN], slug, snapshot.verifier)
    _require_kind(name, plan, snapshot)
    worded_by = _compare(_adjudicate_again(plan, contents, snapshot), verdict)
    _compare_journal(plan, contents, snapshot.verifier)
    _require_agreeing_records(plan, contents)
    if render is not None and document_names.REPORT in names and snapshot.verifier == cases.VERIFIER:
        _compare_report(_read(store, document_names.REPORT), render, verdict, contents)
    held = HeldEvidence(name=name, verdict=verdict, plan=plan, documents=contents, names=names)
    for check in checks:
        check(held)
    return _require_published(store, held, worded_by, own_folder=own_folder)


def _require_published(
    store: ports.EvidenceStore, held: HeldEvidence, worded_by: str | None, *, own_folder: bool
) -> Verification:
    """The result for a snapshot that holds: in the run's own folder its successor speaks for it until there is a
    receipt of its publication."""
    why = held.snapshot.exit_reason + _describe_maker(held, worded_by)
    ok = Verification(state=EvidenceState.OK, why=why, name=held.name, verdict=held.verdict, worded_by=worded_by)
    if document_names.PUBLICATION in held.names:
        receipt = _receipt(_read(store, document_names.PUBLICATION))
        if receipt.snapshot_sha256 != held.verdict.sha256:
            raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.PUBLICATION} is of another snapshot")
        return ok
    successor = document_names.unpublished_name(held.plan.slug, held.plan.kind)
    if successor in held.names:
        return _verify_successor(_read(store, successor), successor, held)
    if own_folder and held.plan.folders(held.plan.execution_id):
        raise NotSoundError(
            EvidenceState.INCOMPLETE,
            "the verdict is frozen here, and not known to be published; `burst resume` can finish it",
        )
    return ok


def _describe_maker(held: HeldEvidence, worded_by: str | None) -> str:
    """Which other version made the snapshot, and that its report was not rendered again; empty for this version."""
    if held.snapshot.verifier == cases.VERIFIER:
        return ""
    maker = f"worded by {worded_by}" if worded_by else f"by {_version(held.snapshot.verifier)}"
    report = f"; its {document_names.REPORT} is not compared" if document_names.REPORT in held.names else ""
    return f" ({maker}{report})"


def _receipt(content: bytes) -> run_records.Publication:
    try:
        return models.read(run_records.Publication, content)
    except errors.EvidenceUnknown as exc:
        raise NotSoundError(EvidenceState.UNSUPPORTED_SCHEMA, f"{document_names.PUBLICATION}: {exc}") from exc
    except errors.BurstError as exc:
        raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.PUBLICATION}: {exc}") from exc


def _verify_successor(content: bytes, name: str, held: HeldEvidence) -> Verification:
    """The result for a successor, which must be the one that the frozen snapshot and its reason give."""
    successor = _read_verdict(content)
    reason = unpublished.find_reason(successor.snapshot)
    try:
        worded_by = _compare(unpublished.make_successor(held.verdict, reason or ""), successor)
    except NotSoundError as exc:
        raise NotSoundError(EvidenceState.CORRUPT, f"{name} is no successor of {held.name}") from exc
    why = successor.snapshot.exit_reason
    return Verification(state=EvidenceState.OK, why=why, name=name, verdict=successor, worded_by=worded_by)


def _names(store: ports.EvidenceStore) -> Collection[str]:
    try:
        return store.names()
    except errors.EvidenceIncomplete as exc:
        raise NotSoundError(EvidenceState.ABSENT, str(exc)) from exc
    except errors.BurstError as exc:
        raise NotSoundError(EvidenceState.UNKNOWN, str(exc)) from exc


def _only_snapshot(names: Collection[str]) -> str:
    snapshot_names = [name for name in names if document_names.is_snapshot_name(name)]
    if len(snapshot_names) > 1:
        raise NotSoundError(EvidenceState.CORRUPT, f"more than one snapshot: {', '.join(sorted(snapshot_names))}")
    if snapshot_names:
        return snapshot_names[0]
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


def _read_verdict(content: bytes) -> snapshots.Verdict:
    """The snapshot of canonical bytes."""
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
    try:
        return snapshots.Verdict.read(content)
    except errors.EvidenceCorrupt as exc:
        raise NotSoundError(EvidenceState.CORRUPT, f"snapshot: {exc}") from exc


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


def _require_kind(name: str, plan: plans.Plan, snapshot: snapshots.Snapshot) -> None:
    """Raises unless name, snapshot and plan are of one kind: the blockers of one kind are not those of another."""
    if name != document_names.snapshot_name(plan.slug, plan.kind) or snapshot.kind is not plan.kind:
        raise NotSoundError(
            EvidenceState.CORRUPT, f"{document_names.PLAN} is of kind {plan.kind}, {name} of kind {snapshot.kind}"
        )


def _adjudicate_again(
    plan: plans.Plan, contents: Mapping[str, bytes], snapshot: snapshots.Snapshot
) -> snapshots.Verdict:
    try:
        reached = snapshots.adjudicate_again(snapshot, plan, contents[document_names.PLAN], contents)
    except errors.EvidenceUnknown as exc:
        raise NotSoundError(EvidenceState.UNKNOWN, f"snapshot: {exc}") from exc
    except (errors.BurstError, ValueError) as exc:
        raise NotSoundError(EvidenceState.REFUTED, f"the documents cannot have given this snapshot: {exc}") from exc
    current = rules.CURRENT.version
    if snapshot.verifier == cases.VERIFIER and snapshot.rules != current:  # older rules may ask less
        raise NotSoundError(
            EvidenceState.REFUTED, f"judged by rules {snapshot.rules}, and this version judges by rules {current}"
        )
    return reached


def _version(verifier: Mapping[str, str]) -> str:
    """The program and version that made a snapshot; a text that is no version is not repeated."""
    version = f"{verifier.get('name')} {verifier.get('version')}"
    return version if re.fullmatch(r"[A-Za-z0-9 .+_-]{1,60}", version) else "another verifier"


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
            return None if same else _version(verifier).removeprefix("burst ")
    where = ", ".join(differing) or "its bytes"
    raise NotSoundError(EvidenceState.REFUTED, f"the documents give another snapshot; it differs in {where}")


def _compare_journal(plan: plans.Plan, contents: Mapping[str, bytes], verifier: Mapping[str, str]) -> None:
    """Whether the task result says what the journal does that it was made from.

    A journal that was recovered from a place ends before the task result that is then made once more. What it left
    open may be known since, which cannot be told from the documents; nor whether another version knows more events.
    """
    if document_names.JOURNAL not in contents:
        return
    result = models.read(task_results.TaskResult, contents[document_names.task_result_name(plan.slug)])
    journal = contents[document_names.JOURNAL]
    run, again = _build_again(plan, journal, verifier)
    _compare_beginning(plan, journal, contents)
    older = verifier != cases.VERIFIER or journals.read_minor(journal, document_names.JOURNAL) < _ENDS_MINOR
    surely = EvidenceState.REFUTED if verifier == cases.VERIFIER else EvidenceState.UNKNOWN
    course = _course(again)
    if older and "stop_asked_utc" not in result.model_fields_set:
        course["stop_asked_utc"] = None  # its version did not know the field
    for field, was, now in _differing(course, _course(result)):
        # A machine that takes a run over may be interrupted after the end of the journal it recovered.
        state = EvidenceState.UNKNOWN if was is None and field == "interruption" else surely
        raise NotSoundError(state, f"the task result says {field} {now}, {document_names.JOURNAL} {was}")
    for task_id, was, now in _differing_ends(again, result, only_set=older):
        how = "leaves out" if now is None else "makes up" if was is None else "tells otherwise of"
        state = EvidenceState.UNKNOWN if _may_be_later(run, task_id, now) else surely
        raise NotSoundError(state, f"the task result {how} {task_id}, by what {document_names.JOURNAL} says")
    _compare_records(plan, run, contents, surely)
    _compare_samples(plan, run, contents, surely)
    for name, _, _ in _differing(_errands(again), _errands(result)):
        state = surely if run.settled else EvidenceState.UNKNOWN
        raise NotSoundError(state, f"the task result tells otherwise of {name} than {document_names.JOURNAL}")


def _compare_beginning(plan: plans.Plan, journal: bytes, contents: Mapping[str, bytes]) -> None:
    """Whether plan and attempt are those that the run began by: terms that were changed afterwards are no terms."""
    first = journals.parse(journal, document_names.JOURNAL)[0].event
    if not isinstance(first, launch_events.RunCreated):
        return
    beginning = {document_names.PLAN: first.plan_sha256, document_names.attempt_name(plan.slug): first.attempt_sha256}
    for name, sha256 in beginning.items():
        if sha256 is not None and (name not in contents or canonical.digest(contents[name]) != sha256):
            why = f"{name} is not the one that the run began by, by what {document_names.JOURNAL} says"
            raise NotSoundError(EvidenceState.REFUTED, why)


def _build_again(
    plan: plans.Plan, journal: bytes, verifier: Mapping[str, str]
) -> tuple[runs.Run, task_results.TaskResult]:
    """The run of a journal, and its task result without the layers, of which the journal has only a part."""
    try:
        run = journals.fold(journals.parse(journal, document_names.JOURNAL))
        return run, task_result_builder.build_task_result(plan, run, [], journal)
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
    """When a run began and why it ended, without words from outside, from which secrets were taken out."""
    early, interruption, halt, sign = result.early_stop, result.interruption, result.halt, result.stop_sign
    return {
        "execution_id": result.execution_id,
        "command": result.command,
        "go_utc": result.go_utc and instants.text(result.go_utc),
        "deadline_utc": result.deadline_utc and instants.text(result.deadline_utc),
        "stop_reason": (result.stop_reason or "").partition(":")[0],
        "early_stop": early and f"{early.rule} at {instants.text(early.at_utc)}",
        "interruption": interruption and f"{interruption.signal} at {instants.text(interruption.at_utc)}",
        "stop_asked_utc": result.stop_asked_utc and instants.text(result.stop_asked_utc),
        "halt": halt and f"at {instants.text(halt.at_utc)}, since {instants.text(halt.since_utc)}",
        "stop_sign": sign and f"at {instants.text(sign.at_utc)}",
    }


_ENDS_MINOR = 2
"""The minor version of the journal since which it says who asked for the end of a task, and when its load ended."""


def _differing_ends(
    again: task_results.TaskResult, result: task_results.TaskResult, *, only_set: bool
) -> Iterator[tuple[str, Any, Any]]:
    """The tasks of which two task results tell otherwise; `only_set`: in the fields that the second one has."""
    theirs = {entry.id: entry.judged_value(only_set=only_set) for entry in result.tasks}
    ours = {entry.id: entry.judged_value() for entry in again.tasks}
    if only_set:
        ours = {
            name: {key: part for key, part in value.items() if key in theirs.get(name, value)}
            for name, value in ours.items()
        }
    return _differing(ours, theirs)


def _compare_records(plan: plans.Plan, run: runs.Run, contents: Mapping[str, bytes], surely: EvidenceState) -> None:
    """Whether the records of the guards are those that the run read, by its journal."""
    name = document_names.task_records_name(plan.slug)
    read = {entry.task_id: entry.judged_value() for entry in task_result_builder.build_task_records(plan, run).records}
    if name not in contents:
        if read:
            guards = wording.format_count(len(read), "guard")
            raise NotSoundError(surely, f"{document_names.JOURNAL} has the records of {guards}, {name} is missing")
        return
    document = models.read(task_records_document.TaskRecords, contents[name])
    documented = {entry.task_id: entry.judged_value() for entry in document.records}
    for task_id, was, now in _differing(read, documented):
        how = "leaves out" if now is None else "makes up" if was is None else "tells otherwise of"
        state = EvidenceState.UNKNOWN if _may_be_later(run, task_id, now) else surely
        raise NotSoundError(state, f"{name} {how} {task_id}, by what {document_names.JOURNAL} says")


def _compare_samples(plan: plans.Plan, run: runs.Run, contents: Mapping[str, bytes], surely: EvidenceState) -> None:
    """Whether the samples are those that the run took, by its journal."""
    name, again = document_names.observations_name(plan.slug), observations_builder.build_observations(plan, run)
    if again is None:
        return
    if name not in contents:
        if run.observed:
            raise NotSoundError(surely, f"{document_names.JOURNAL} has samples, {name} is missing")
        return
    document = models.read(observation_series.Observations, contents[name])
    taken, documented = (
        {entry.name: (entry.taken, [sample.judged_value() for sample in entry.samples]) for entry in observed.series}
        for observed in (again, document)
    )
    for series, _, _ in _differing(taken, documented):
        raise NotSoundError(surely, f"{name} tells otherwise of {series} than {document_names.JOURNAL}")


def _require_agreeing_records(plan: plans.Plan, contents: Mapping[str, bytes]) -> None:
    """Refutes a task result that its own guards' records contradict."""
    records, result = (
        contents.get(name(plan.slug)) for name in (document_names.task_records_name, document_names.task_result_name)
    )
    if records is None or result is None:
        return
    try:
        contradiction = task_records_document.find_contradiction(
            models.read(task_records_document.TaskRecords, records), models.read(task_results.TaskResult, result)
        )
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown):
        return  # an unreadable document is the verdict's affair, which says so
    if contradiction:
        raise NotSoundError(EvidenceState.REFUTED, f"the task result is not what its guards recorded: {contradiction}")


def _errands(result: task_results.TaskResult) -> dict[str, object]:
    shots = {f"{shot.when}:{shot.name}": shot.model_dump(exclude={"problem"}) for shot in result.one_shots}
    compared = {"name", "before", "desired", "restored", "definition_before", "definition"}
    services = {service.name: service.model_dump(include=compared) for service in result.services}
    drills = {f"drill {drill.name}": drill.judged_value() for drill in result.drills}
    return {**shots, **services, **drills}


def _may_be_later(run: runs.Run, task_id: str, now: object) -> bool:
    """Whether the journal left open what became of a task, or whether it was launched. A task it knows never goes."""
    truth = run.truths.get(task_id)
    if truth is None:
        return run.unaccounted
    return now is not None and truth.status is not tasks.TaskStatus.STOPPED


def _compare_report(report: bytes, render: Render, verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> None:
    if render(verdict, contents) != report:
        raise NotSoundError(EvidenceState.CORRUPT, f"{document_names.REPORT} does not show what the snapshot says")
