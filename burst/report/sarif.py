"""SARIF 2.1.0 of evidence: one rule for each gate, one result for what it answered, with `baselineState` of a diff.

A gate is a rule and not a finding, so that what passes is shown too (`kind`), and a viewer can follow one gate over
many runs by its fingerprint. Each open blocker is a failure of its own: one that nothing was asked about has no gate.
"""

from collections.abc import Mapping
from typing import Any

import burst
from burst.report import figures

Json = Mapping[str, Any]
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_KINDS = {"PASS": "pass", "FAIL": "fail", "INVALID": "open"}
_EVIDENCE, _DIFFERENCE = "evidence", "difference"


def render(
    outcome: Json, snapshot: Json | None, *, change: Json | None = None, uncompared: str | None = None
) -> dict[str, Any]:
    """The log of one run's outcome (`state`, `why`, `exit_code`, `place`), with what changed where it is given.

    `uncompared` says why that cannot be told, where it was asked.
    """
    gates = list(snapshot["gates"]) if snapshot is not None else []
    changes = {(gate["blocker"], gate["name"]): gate for gate in change["gates"]} if change else {}
    results = [_evidence(outcome, snapshot is not None, compared=change is not None)]
    results += [_gate(gate, changes.get((_short(gate), gate["name"])), outcome, bool(change)) for gate in gates]
    results += [_open(entry, outcome, change) for entry in figures.open_entries(snapshot)] if snapshot else []
    results += [_result(_DIFFERENCE, "fail", uncompared, outcome)] if uncompared is not None else []
    results += [_absent(gate, outcome) for gate in changes.values() if gate["state"] == "absent"]
    rules = dict.fromkeys(result["ruleId"] for result in results)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "burst",
                        "version": burst.__version__,
                        "rules": [{"id": rule} for rule in rules],
                    }
                },
                "automationDetails": {"id": f"burst/{outcome.get('execution_id') or 'unknown'}"},
                "invocations": [{"executionSuccessful": True, "exitCode": outcome["exit_code"]}],
                "results": results,
            }
        ],
    }


def _evidence(outcome: Json, sound: bool, *, compared: bool) -> dict[str, Any]:
    made = _result(_EVIDENCE, "pass" if sound else "fail", f"{outcome['state']}: {outcome['why']}", outcome)
    return {**made, "baselineState": "unchanged"} if compared else made


def _gate(gate: Json, change: Json | None, outcome: Json, compared: bool) -> dict[str, Any]:
    made = _result(_rule(gate), _KINDS.get(gate["status"], "open"), figures.answer(gate), outcome)
    told = {name: gate.get(name) for name in ("blocker", "status", "measured", "required", "comparison", "unit")}
    made["properties"] = {**told, "turn": change and change["turn"]}
    return {**made, "baselineState": change["state"] if change else "new"} if compared else made


def _open(entry: Json, outcome: Json, change: Json | None) -> dict[str, Any]:
    short = _short(entry)
    words = f"{entry['title']} ({entry['state']}): {entry['why']}"
    made = _result(f"{short}/blocker", "fail", words, outcome)
    if change is None:
        return made
    return {**made, "baselineState": "new" if short in change["blockers_opened"] else "unchanged"}


def _absent(change: Json, outcome: Json) -> dict[str, Any]:
    made = _result(f"{change['blocker']}/{change['name']}", "notApplicable", "the gate was not asked here", outcome)
    return {**made, "baselineState": "absent"}


def _result(rule: str, kind: str, words: str, outcome: Json) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": words},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": str(outcome["place"])}]}],
        "partialFingerprints": {"gate/v1": rule},
    }


def _rule(gate: Json) -> str:
    return f"{_short(gate)}/{gate['name']}"


def _short(gate: Json) -> str:
    return str(gate["blocker"]).rpartition("-")[2]
