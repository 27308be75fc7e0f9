"""Differences of two snapshots: the changes from an earlier attempt to a later one, gate by gate.

The words are those of SARIF's `baselineState` (new, unchanged, updated, absent), and beside them whether a gate was
fixed or regressed. Gates are paired by blocker and name. A gate that only one run has (the clock was measured, or was
not; other rules) is no regression by itself: one that does not pass and was not asked before is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from burst.domain.basics import canonical
from burst.domain.documents import document_names, models
from burst.domain.verdict import gates, snapshot_sections, snapshots

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

    @property
    def state(self) -> BaselineState:
        """Whether the gate is in both runs, and answers the same."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "absent"
        return "unchanged" if _answer(self.before) == _answer(self.after) else "updated"

    @property
    def turn(self) -> Literal["regressed", "fixed"] | None:
        """Whether it passes no longer, or at last."""
        passed_before, passes_now = _passes(self.before), _passes(self.after)
        if passed_before == passes_now:
            return None
        return "fixed" if passes_now else "regressed"

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


def _answer(gate: snapshot_sections.GateEntry) -> dict[str, models.Value]:
    measured, required = canonical.shorten(gate.measured), canonical.shorten(gate.required)
    return {"status": gate.status, "measured": measured, "required": required}


def _passes(gate: snapshot_sections.GateEntry | None) -> bool:
    """Whether a gate passes; one that was not asked holds nothing up."""
    return gate is None or gate.status == gates.GateStatus.PASS


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

    @property
    def regressed(self) -> bool:
        """Whether a blocker opened or a gate passes no longer."""
        return bool(self.opened) or any(gate.turn == "regressed" for gate in self.gates)

    def value(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "overall_pass": {"before": self.verdicts[0], "after": self.verdicts[1]},
            "regressed": self.regressed,
            "blockers_opened": list(self.opened),
            "blockers_cleared": list(self.cleared),
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
    )


def _compare_gates(before: snapshots.Snapshot, after: snapshots.Snapshot) -> tuple[GateChange, ...]:
    gates_before = {(gate.short, gate.name): gate for gate in before.gates}
    gates_after = {(gate.short, gate.name): gate for gate in after.gates}
    return tuple(
        GateChange(name=key[1], blocker=key[0], before=gates_before.get(key), after=gates_after.get(key))
        for key in dict.fromkeys([*gates_after, *gates_before])
    )


def _open_shorts(snapshot: snapshots.Snapshot) -> set[str]:
    return {blocker.rpartition("-")[2] for blocker in snapshot.blockers}


def _inputs(snapshot: snapshots.Snapshot) -> dict[str, models.Value]:
    digests = {ref.name: ref.sha256 for ref in snapshot.evidence_refs}
    baseline, prior, target = snapshot.baseline_extract, snapshot.source_snapshot_refs.prior, snapshot.burst_target
    return {
        "phase": snapshot.phase,
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
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
