"""Risks: a row for each gate that slipped, from the evidence of the runs of a place and the team's owner file.

A gate slipped in a run where it did not pass and its blocker was open, or would have been. Its row names the newest
evidence by digest, since when the gate has not passed, and in how many runs it did not. Evidence that does not hold is
a risk of its own. The same evidence and owners give the same register.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from burst.domain.basics import canonical
from burst.domain.documents import risk_documents
from burst.domain.verdict import owner_files, rollup_snapshots, snapshot_sections, snapshots

EVIDENCE, CARRIED, NOT_EVALUATED = "evidence", "carried", "not-evaluated"
"""What stands for a gate where evidence does not hold, and where a blocker is open without a gate that failed."""
Key = tuple[str, str]
"""A blocker's id, and a gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """One gate that did not pass in one run."""

    title: str
    status: str
    measured: risk_documents.Value
    required: risk_documents.Value
    why: str
    informational: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """One run of a place as the register needs it."""

    execution_id: str
    phase: str | None
    kind: str | None
    sha256: str | None
    ended_at: datetime | None
    slips: dict[Key, Slip] = field(default_factory=dict, hash=False)
    passed: frozenset[Key] = frozenset()
    carried: frozenset[str] = frozenset()
    """The blockers that are open because the prior's were."""
    problem: str = ""
    """Why its evidence does not hold; empty where it does."""


def read_run(
    execution_id: str, sha256: str | None, snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot
) -> JudgedRun:
    """A run, or a roll-up, whose evidence holds. A roll-up has no window, so no instant is known of it."""
    window = snapshot.burst_execution_window if isinstance(snapshot, snapshots.Snapshot) else None
    slips: dict[Key, Slip] = {}
    for entry in snapshot.blocker_register:
        slips |= _list_slips(entry, snapshot.gates)
    return JudgedRun(
        execution_id=execution_id,
        phase=snapshot.phase,
        kind=snapshot.kind,
        sha256=sha256,
        ended_at=window.end_utc if window else None,
        slips=slips,
        passed=frozenset((gate.blocker, gate.name) for gate in snapshot.gates if gate.status == "PASS"),
        carried=frozenset(each.blocker for each in snapshot.blocker_register if each.open and each.state == CARRIED),
    )


def _list_slips(
    entry: snapshot_sections.RegisterEntry, gates: Sequence[snapshot_sections.GateEntry]
) -> dict[Key, Slip]:
    """The gates behind a blocker that did not pass; those of a blocker that is carried are its prior's."""
    own = {gate.name for gate in gates if gate.blocker == entry.blocker}
    decided = entry.open and entry.state != CARRIED
    slips: dict[Key, Slip] = {}
    for gate in gates:
        is_own, informational = gate.blocker == entry.blocker, gate.mode == "informational"
        is_behind = decided and gate.name in entry.gates and (is_own or gate.name not in own)
        if gate.status == "PASS" or not (is_own if informational else is_behind):
            continue
        slips[entry.blocker, gate.name] = Slip(
            title=entry.title,
            status=gate.status,
            measured=gate.measured,
            required=gate.required,
            why=gate.why,
            informational=informational,
        )
    if entry.open and entry.state == NOT_EVALUATED:
        slips[entry.blocker, NOT_EVALUATED] = _without_gate(entry)
    return slips


def _without_gate(entry: snapshot_sections.RegisterEntry) -> Slip:
    return Slip(title=entry.title, status="INVALID", measured=None, required=None, why=entry.why)


def build_register(
    runs: Sequence[JudgedRun], owners: owner_files.OwnerFile | None, owners_sha256: str | None
) -> risk_documents.RiskRegister:
    """The register of a place's runs, the newest first."""
    rows = [*_list_gate_rows(runs), *_list_evidence_rows(runs)]
    owned = [_name_owner(row, owners) for row in rows]
    digests = sorted(f"{run.execution_id} {run.sha256 or run.problem}" for run in runs)
    return risk_documents.RiskRegister(
        evidence_sha256=canonical.digest("\n".join(digests).encode()),
        owners_sha256=owners_sha256,
        runs=len(runs),
        rows=sorted(owned, key=_order),
    )


def _order(row: risk_documents.RiskRow) -> tuple[int, str, str, str, str, str]:
    state = ("open", "informational", "recovered").index(row.state)
    return state, row.phase or "", row.kind or "", row.blocker or "", row.gate, row.execution_id


def _list_gate_rows(runs: Sequence[JudgedRun]) -> Iterable[risk_documents.RiskRow]:
    groups: dict[tuple[str | None, str | None], list[JudgedRun]] = {}
    for run in runs:
        if not run.problem:
            groups.setdefault((run.phase, run.kind), []).append(run)
    for group in groups.values():
        keys = sorted({key for run in group for key in run.slips})
        yield from (_make_row(key, group) for key in keys)
        slipped = {blocker for blocker, _ in keys}
        for blocker in sorted(group[0].carried - slipped):
            yield _make_carried_row(blocker, group)


def _make_row(key: Key, group: Sequence[JudgedRun]) -> risk_documents.RiskRow:
    """The row of a gate, by the runs that answered it. A run that carries its open blocker answers nothing."""
    answered = [run for run in group if key in run.slips or (key in run.passed and key[0] not in run.carried)]
    newest, slipped = answered[0], [run for run in answered if key in run.slips]
    unbroken = answered[: next((index for index, run in enumerate(answered) if key not in run.slips), len(answered))]
    last_slip = slipped[0].slips[key]
    is_open = key in newest.slips
    state: Literal["open", "informational", "recovered"] = "open" if is_open else "recovered"
    since = unbroken[-1] if unbroken else slipped[0]
    return risk_documents.RiskRow(
        phase=newest.phase,
        kind=newest.kind,
        blocker=key[0],
        title=last_slip.title,
        gate=key[1],
        state="informational" if is_open and last_slip.informational else state,
        status=last_slip.status,
        measured=last_slip.measured,
        required=last_slip.required,
        why=last_slip.why,
        execution_id=newest.execution_id,
        sha256=newest.sha256,
        seen_utc=newest.ended_at,
        since_utc=since.ended_at,
        since_execution_id=since.execution_id,
        held=len(slipped),
        runs=len(answered),
    )


def _make_carried_row(blocker: str, group: Sequence[JudgedRun]) -> risk_documents.RiskRow:
    """The row of a blocker that the newest run carries open, and of which no run here says which gate failed."""
    carrying = [run for run in group if blocker in run.carried]
    newest, oldest = carrying[0], carrying[-1]
    return risk_documents.RiskRow(
        phase=newest.phase,
        kind=newest.kind,
        blocker=blocker,
        gate=CARRIED,
        state="open",
        status="INVALID",
        why="carried open from a run that is not under this place",
        execution_id=newest.execution_id,
        sha256=newest.sha256,
        seen_utc=newest.ended_at,
        since_utc=oldest.ended_at,
        since_execution_id=oldest.execution_id,
        held=len(carrying),
        runs=len(carrying),
    )


def _list_evidence_rows(runs: Sequence[JudgedRun]) -> Iterable[risk_documents.RiskRow]:
    """A row for each run whose evidence does not hold: nobody can tell which gates it slipped."""
    for run in runs:
        if run.problem:
            yield risk_documents.RiskRow(
                phase=run.phase,
                kind=run.kind,
                gate=EVIDENCE,
                state="open",
                status="INVALID",
                why=run.problem,
                execution_id=run.execution_id,
                since_execution_id=run.execution_id,
                held=1,
                runs=1,
            )


def _name_owner(row: risk_documents.RiskRow, owners: owner_files.OwnerFile | None) -> risk_documents.RiskRow:
    short = row.blocker.rpartition("-")[2] if row.blocker else None
    section = owners.find(phase=row.phase, kind=row.kind, blocker=short, gate=row.gate) if owners else None
    if section is None:
        return row
    return row.model_copy(update={"owner": section.owner, "mitigation": section.mitigation})
