"""Differences of two snapshots: what changed from an earlier attempt to a later one, gate by gate.

The words are those of SARIF's `baselineState` (new, unchanged, updated, absent), and beside them whether a gate was
fixed or regressed. A gate that some runs do not have (the clock was measured, or was not) is no regression by itself:
one that does not pass and was not there before is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from burst.domain.basics import errors
from burst.domain.verdict import gates

Json = Mapping[str, Any]
BaselineState = Literal["new", "unchanged", "updated", "absent"]
_ANSWER = ("status", "measured", "required")
_BUDGET = ("budget_seconds", "operator_cap_seconds", "elapsed_seconds", "overshoot_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """One value, before and after; `delta` where both are numbers."""

    name: str
    before: Any
    after: Any

    @property
    def delta(self) -> float | None:
        """After minus before, None where one is no number."""
        if not (_is_number(self.before) and _is_number(self.after)):
            return None
        return float(self.after) - float(self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChange:
    """One gate, before and after. `blocker` is the short id, because phases differ in their prefix."""

    name: str
    blocker: str
    state: BaselineState
    before: Json | None
    after: Json | None

    @property
    def turn(self) -> Literal["regressed", "fixed"] | None:
        """Whether it passes no longer, or at last."""
        stood = self.before is None or self.before["status"] == gates.GateStatus.PASS
        stands = self.after is None or self.after["status"] == gates.GateStatus.PASS
        if stood == stands:
            return None
        return "fixed" if stands else "regressed"

    @property
    def measured(self) -> ValueChange:
        """What was measured."""
        before, after = self.before or {}, self.after or {}
        return ValueChange(name=self.name, before=before.get("measured"), after=after.get("measured"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changed from `before` to `after`, both execution ids."""

    before: str
    after: str
    verdicts: tuple[bool, bool]
    gates: tuple[GateChange, ...]
    opened: tuple[str, ...]
    cleared: tuple[str, ...]
    inputs: tuple[ValueChange, ...]
    """What the verdict was made from and is not the same: phase, scope, targets, baseline, plan, verifier."""
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
            "gates": [
                {
                    "name": gate.name,
                    "blocker": gate.blocker,
                    "state": gate.state,
                    "turn": gate.turn,
                    "before": gate.before and {key: gate.before[key] for key in _ANSWER},
                    "after": gate.after and {key: gate.after[key] for key in _ANSWER},
                    "delta": gate.measured.delta,
                }
                for gate in self.gates
            ],
            "inputs": [_change(change) for change in self.inputs],
            "budget": [_change(change) for change in self.budget],
        }


def compare(before: Json, after: Json) -> Difference:
    """What changed between two snapshots.

    Raises `errors.EvidenceUnknown` where they follow different schemas: their fields need not mean the same.
    """
    if before.get("schema") != after.get("schema"):
        raise errors.EvidenceUnknown(
            f"schemas {before.get('schema')!r} and {after.get('schema')!r} cannot be compared: their fields need not "
            "mean the same"
        )
    was, now = _open(before), _open(after)
    return Difference(
        before=str(before["execution_id"]),
        after=str(after["execution_id"]),
        verdicts=(before["overall_pass"], after["overall_pass"]),
        gates=_gates(before, after),
        opened=tuple(sorted(now - was)),
        cleared=tuple(sorted(was - now)),
        inputs=_changes(_inputs(before), _inputs(after)),
        budget=_changes(
            {name: before["runtime_budget"].get(name) for name in _BUDGET},
            {name: after["runtime_budget"].get(name) for name in _BUDGET},
        ),
    )


def _gates(before: Json, after: Json) -> tuple[GateChange, ...]:
    was, now = _by_key(before), _by_key(after)
    return tuple(
        GateChange(
            name=name,
            blocker=blocker,
            state=_state(was.get(key), now.get(key)),
            before=was.get(key),
            after=now.get(key),
        )
        for key in dict.fromkeys([*now, *was])
        for blocker, name in [key]
    )


def _by_key(snapshot: Json) -> dict[tuple[str, str], Json]:
    return {(_short(gate["blocker"]), gate["name"]): gate for gate in snapshot["gates"]}


def _state(before: Json | None, after: Json | None) -> BaselineState:
    if before is None:
        return "new"
    if after is None:
        return "absent"
    return "unchanged" if all(before[key] == after[key] for key in _ANSWER) else "updated"


def _short(blocker: str) -> str:
    return blocker.rpartition("-")[2]


def _open(snapshot: Json) -> set[str]:
    return {_short(blocker) for blocker in snapshot["blockers"]}


def _inputs(snapshot: Json) -> dict[str, Any]:
    digests = {ref["name"]: ref["sha256"] for ref in snapshot["evidence_refs"]}
    baseline = snapshot["baseline_extract"] or {}
    prior = snapshot["source_snapshot_refs"].get("prior") or {}
    return {
        "phase": snapshot["phase"],
        "scope": snapshot["platform_run_id"],
        **{f"target.{name}": value for name, value in snapshot["burst_target"].items()},
        "baseline.admits_per_minute": baseline.get("admits_per_minute"),
        "baseline.checksum": baseline.get("checksum"),
        "plan.sha256": digests.get("plan.json"),
        "prior": prior.get("execution_id"),
        "verifier": " ".join(snapshot["verifier"].values()),
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    return tuple(
        ValueChange(name=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    )


def _change(change: ValueChange) -> dict[str, Any]:
    return {"name": change.name, "before": change.before, "after": change.after, "delta": change.delta}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
