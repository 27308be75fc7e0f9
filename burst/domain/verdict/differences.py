"""Differences of two snapshots: the changes from an earlier attempt to a later one, gate by gate.

The words are those of SARIF's `baselineState` (new, unchanged, updated, absent), and beside them whether a gate was
fixed, regressed or lost. Gates are paired by blocker and name. A gate that was not asked before is a regression where
it does not pass. One that is asked no more is lost, and never fixed, unless it is asked only where it finds something
(`_ASKED_AT_FAULT`). A requirement that was lowered, and another baseline, is a regression too: a better figure by
weaker terms shows nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from burst.domain.basics import canonical, magnitudes
from burst.domain.documents import document_names, models
from burst.domain.plan import catalogues
from burst.domain.verdict import contract_terms, gates, prior_terms, snapshot_sections, snapshots, term_changes

BaselineState = Literal["new", "unchanged", "updated", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """One value, before and after; `delta` where both are numbers."""

    name: str
    before: models.Value
    after: models.Value

    @property
    def delta(self) -> float | None:
        """After minus before, None where one is no number."""
        before, after = _number(self.before), _number(self.after)
        return None if before is None or after is None else after - before

    def value(self) -> dict[str, Any]:
        """As JSON."""
        before, after = canonical.shorten(self.before), canonical.shorten(self.after)
        return {"name": self.name, "before": before, "after": after, "delta": self.delta}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChange:
    """One gate, before and after. `blocker` is the short id, because phases differ in their prefix."""

    name: str
    blocker: str
    before: snapshot_sections.GateEntry | None
    after: snapshot_sections.GateEntry | None
    asked_at_fault: bool = False
    """Whether it is asked only where the documents give a reason (`_ASKED_AT_FAULT`)."""

    @property
    def state(self) -> BaselineState:
        """Whether the gate is in both runs, and answers the same."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "absent"
        return "unchanged" if _answer(self.before) == _answer(self.after) else "updated"

    @property
    def turn(self) -> Literal["regressed", "fixed", "lost"] | None:
        """Whether it passes no longer, or at last, or is asked no more."""
        if self.after is None and not self.asked_at_fault:
            return "lost"
        passed_before, passes_now = _passes(self.before), _passes(self.after)
        if passed_before == passes_now:
            return None
        return "fixed" if passes_now else "regressed"

    @property
    def bad_turn(self) -> bool:
        """Whether it passes no longer, or is asked no more."""
        return self.turn in ("regressed", "lost")

    @property
    def measured(self) -> ValueChange:
        """The measured values."""
        before = self.before.measured if self.before else None
        after = self.after.measured if self.after else None
        return ValueChange(name=self.name, before=before, after=after)

    def value(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "blocker": self.blocker,
            "state": self.state,
            "turn": self.turn,
            "before": self.before and _answer(self.before),
            "after": self.after and _answer(self.after),
            "delta": self.measured.delta,
        }


_FAULTS_OF_COUNTS = ("bound_as_said", "settled", "none_vanished", "known_decisions", "buckets_add_up")
_ASKED_AT_FAULT = (
    *((catalogues.Role.EVIDENCE, name) for name in _FAULTS_OF_COUNTS),
    *((catalogues.Role.DEPENDENCY, gates.SAME_CONTRACT), (catalogues.Role.SCOPE, gates.FACTS_SCOPE)),
    (catalogues.Role.PUBLICATION, "published"),
)
"""The gates, by role and name, that are asked only where the documents give a reason: a fault of the counts, a rerun,
facts. A fact of a plan may have any name."""


def _list_asked_at_fault(kind: catalogues.Kind) -> frozenset[tuple[str, str]]:
    """Those gates, by the short id of their blocker in this kind of phase, and their name."""
    catalogue = catalogues.CATALOGUES[kind]
    return frozenset((catalogue.find_short(role), name) for role, name in _ASKED_AT_FAULT)


def _answer(gate: snapshot_sections.GateEntry) -> dict[str, models.Value]:
    measured, required = canonical.shorten(gate.measured), canonical.shorten(gate.required)
    return {"status": gate.status, "measured": measured, "required": required}


def _passes(gate: snapshot_sections.GateEntry | None) -> bool:
    """Whether a gate passes; one that was not asked holds nothing up."""
    return gate is None or gate.status == gates.GateStatus.PASS or gate.mode == "informational"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The changes from `before` to `after`, both execution ids."""

    before: str
    after: str
    verdicts: tuple[bool, bool]
    gates: tuple[GateChange, ...]
    opened: tuple[str, ...]
    cleared: tuple[str, ...]
    inputs: tuple[ValueChange, ...]
    """The inputs of the verdict that are not the same: phase, scope, targets, baseline, plan, rules, verifier."""
    budget: tuple[ValueChange, ...]
    """The seconds of the budget that are not the same."""
    lowered: tuple[term_changes.TermChange, ...] = ()
    """The terms that are weaker, or of another baseline or question."""

    @property
    def regressed(self) -> bool:
        """Whether a blocker opened, a gate passes no longer or is asked no more, or a requirement was lowered."""
        return bool(self.opened or self.lowered) or any(gate.bad_turn for gate in self.gates)

    def list_regressions(self) -> list[str]:
        """Each regression in a few words."""
        turned = [f"{gate.name} lost" if gate.turn == "lost" else gate.name for gate in self.gates if gate.bad_turn]
        lowered = [f"{term.key} lowered" for term in self.lowered]
        return [*turned, *lowered, *(f"{blocker} opened" for blocker in self.opened)]

    def value(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "overall_pass": {"before": self.verdicts[0], "after": self.verdicts[1]},
            "regressed": self.regressed,
            "blockers_opened": list(self.opened),
            "blockers_cleared": list(self.cleared),
            "lowered": [{"key": term.key, "before": term.before, "after": term.after} for term in self.lowered],
            "gates": [gate.value() for gate in self.gates],
            "inputs": [change.value() for change in self.inputs],
            "budget": [change.value() for change in self.budget],
        }


def compare(before: snapshots.Snapshot, after: snapshots.Snapshot) -> Difference:
    """The changes between two snapshots."""
    open_before, open_after = _open_shorts(before), _open_shorts(after)
    return Difference(
        before=str(before.execution_id),
        after=str(after.execution_id),
        verdicts=(before.overall_pass, after.overall_pass),
        gates=_compare_gates(before, after),
        opened=tuple(sorted(open_after - open_before)),
        cleared=tuple(sorted(open_before - open_after)),
        inputs=_list_changes(_inputs(before), _inputs(after)),
        budget=_list_changes(_budget(before), _budget(after)),
        lowered=term_changes.list_weaker(_read_terms(after), _read_terms(before)),
    )


def _read_terms(snapshot: snapshots.Snapshot) -> contract_terms.Terms:
    """The terms that a snapshot was judged by, or as many as it states."""
    if snapshot.contract is not None:
        return contract_terms.Terms(values=snapshot.contract.terms, unknown=tuple(snapshot.contract.unknown))
    return prior_terms.from_snapshot(snapshot.document(), None).terms


def _compare_gates(before: snapshots.Snapshot, after: snapshots.Snapshot) -> tuple[GateChange, ...]:
    gates_before = {(gate.short, gate.name): gate for gate in before.gates}
    gates_after = {(gate.short, gate.name): gate for gate in after.gates}
    at_fault = _list_asked_at_fault(after.kind)
    return tuple(
        GateChange(
            name=key[1],
            blocker=key[0],
            before=gates_before.get(key),
            after=gates_after.get(key),
            asked_at_fault=key in at_fault,
        )
        for key in dict.fromkeys([*gates_after, *gates_before])
    )


def _open_shorts(snapshot: snapshots.Snapshot) -> set[str]:
    return {blocker.rpartition("-")[2] for blocker in snapshot.blockers}


def _inputs(snapshot: snapshots.Snapshot) -> dict[str, models.Value]:
    digests = {ref.name: ref.sha256 for ref in snapshot.evidence_refs}
    baseline, prior, target = snapshot.baseline_extract, snapshot.source_snapshot_refs.prior, snapshot.burst_target
    return {
        "phase": snapshot.phase,
        "kind": snapshot.kind.value,
        "scope": snapshot.platform_run_id,
        "target.ingest_multiplier": target.ingest_multiplier,
        "target.duration_minutes": target.duration_minutes,
        "target.min_successful_admit_ratio": target.min_successful_admit_ratio,
        "baseline.admits_per_minute": baseline.admits_per_minute if baseline else None,
        "baseline.checksum": baseline.checksum if baseline else None,
        "plan.sha256": digests.get(document_names.PLAN),
        "prior": prior.execution_id if prior else None,
        "rules": snapshot.rules,
        "verifier": " ".join(snapshot.verifier.values()),
    }


def _budget(snapshot: snapshots.Snapshot) -> dict[str, models.Value]:
    budget = snapshot.runtime_budget
    return {
        "budget_seconds": budget.budget_seconds,
        "operator_cap_seconds": budget.operator_cap_seconds,
        "elapsed_seconds": budget.elapsed_seconds,
        "overshoot_seconds": budget.overshoot_seconds,
    }


def _list_changes(before: Mapping[str, models.Value], after: Mapping[str, models.Value]) -> tuple[ValueChange, ...]:
    return tuple(
        ValueChange(name=name, before=before[name], after=after[name]) for name in before if before[name] != after[name]
    )


def _number(value: models.Value) -> float | None:
    return float(value) if magnitudes.is_number(value) else None
