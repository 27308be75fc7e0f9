"""SARIF 2.1.0 of evidence: one rule for each gate, one result for its answer, with `baselineState` of a difference.

A gate is a rule and not a finding, so that a gate that passes is shown too (`kind`), and a viewer can follow one gate
over many runs by its fingerprint. Each open blocker is a failure of its own: a blocker may have no gate.

A forge shows only results that lie in a file, by its relative name: all lie in the first line of the snapshot.
"""

import urllib.parse
from collections.abc import Iterator
from typing import Any

import burst
from burst.domain.documents import document_names
from burst.domain.verdict import differences, snapshot_sections
from burst.report import figures, outcomes

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_KINDS = {"PASS": "pass", "FAIL": "fail", "INVALID": "open"}
_EVIDENCE, _DIFFERENCE = "evidence", "difference"


def render(outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    """The log of one run's outcome."""
    results = list(_list_results(outcome))
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
                "automationDetails": {"id": f"burst/{outcome.execution_id or 'unknown'}"},
                "invocations": [{"executionSuccessful": True, "exitCode": outcome.exit_code}],
                "results": results,
            }
        ],
    }


def _list_results(outcome: outcomes.EvidenceOutcome) -> Iterator[dict[str, Any]]:
    snapshot, change = outcome.snapshot, outcome.change
    yield _evidence_result(outcome)
    if snapshot is not None:
        changes = {(gate.blocker, gate.name): gate for gate in change.gates} if change is not None else {}
        for gate in snapshot.gates:
            yield _gate_result(gate, changes.get((gate.short, gate.name)), outcome)
        for entry in snapshot.open_entries:
            yield _open_result(entry, outcome)
    if outcome.uncompared is not None:
        yield _result(_DIFFERENCE, "fail", outcome.uncompared, outcome)
    for gate_change in change.gates if change is not None else ():
        if gate_change.state == "absent":
            yield _absent_result(gate_change, outcome)


def _evidence_result(outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    kind = "fail" if outcome.snapshot is None else "pass"
    result = _result(_EVIDENCE, kind, f"{outcome.state}: {outcome.why}", outcome)
    return {**result, "baselineState": "unchanged"} if outcome.change is not None else result


def _gate_result(
    gate: snapshot_sections.GateEntry, change: differences.GateChange | None, outcome: outcomes.EvidenceOutcome
) -> dict[str, Any]:
    kind = "informational" if gate.mode == "informational" else _KINDS[gate.status]
    result = _result(f"{gate.short}/{gate.name}", kind, figures.answer(gate), outcome)
    result["properties"] = {
        "blocker": gate.blocker,
        "status": gate.status,
        "measured": gate.measured,
        "required": gate.required,
        "comparison": gate.comparison,
        "unit": gate.unit,
        "mode": gate.mode,
        "turn": change.turn if change is not None else None,
    }
    if outcome.change is None:
        return result
    return {**result, "baselineState": change.state if change is not None else "new"}


def _open_result(entry: snapshot_sections.RegisterEntry, outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    short = entry.blocker.rpartition("-")[2]
    words = f"{entry.title} ({entry.state}): {entry.why}"
    result = _result(f"{short}/blocker", "fail", words, outcome)
    if outcome.change is None:
        return result
    return {**result, "baselineState": "new" if short in outcome.change.opened else "unchanged"}


def _absent_result(change: differences.GateChange, outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    words = "the gate was not asked of this run"
    result = _result(f"{change.blocker}/{change.name}", "notApplicable", words, outcome)
    return {**result, "baselineState": "absent"}


def _result(rule: str, kind: str, words: str, outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    file = {"uri": urllib.parse.quote(outcome.document or document_names.PLAN)}
    return {
        "ruleId": rule,
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": words},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": file, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": outcome.place}],
            }
        ],
        "partialFingerprints": {"gate/v1": rule},
    }
