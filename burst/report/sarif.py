"""SARIF 2.1.0 of evidence: one rule for each gate and each open blocker, one result for its answer, with
`baselineState` of a difference.

Only problems are results, unless `passes` asks for every answer: a forge shows each result as an alert, whatever its
`kind` says. Each open blocker is a failure of its own: a blocker may have no gate.

A forge shows only results that lie in a file, by its relative name, and only rules that say what they ask: all results
lie in the first line of the snapshot, and each rule names its runbook page. No path of the machine stands anywhere.
"""

import urllib.parse
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import burst
from burst.domain.basics import runbooks
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import differences, gate_table, snapshot_sections
from burst.report import figures, outcomes

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_KINDS = {"PASS": "pass", "FAIL": "fail", "INVALID": "open"}
_PROBLEMS = ("fail", "open")
_LONGEST_MESSAGE = 4000
_EVIDENCE, _DIFFERENCE, _BLOCKER = "evidence", "difference", "blocker"
_OWN_RULES = {
    _EVIDENCE: "the evidence of the run is whole, unchanged, and reaches its verdict again",
    _DIFFERENCE: "the run can be compared with the one before it",
}


def render(outcome: outcomes.EvidenceOutcome, *, passes: bool = False) -> dict[str, Any]:
    """The log of one run's outcome."""
    results = [result for result in _list_results(outcome) if passes or result["kind"] in _PROBLEMS]
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
                        "rules": [_describe_rule(rule, outcome) for rule in rules],
                    }
                },
                "automationDetails": {"id": f"burst/{outcome.execution_id or 'unknown'}"},
                "invocations": [{"executionSuccessful": True, "exitCode": outcome.exit_code}],
                "results": results,
            }
        ],
    }


def _describe_rule(rule: str, outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    question, page = _say_what_is_asked(rule, outcome)
    return {
        "id": rule,
        "shortDescription": {"text": question},
        "fullDescription": {"text": f"burst asks of every run whether {question}."},
        "help": {
            "text": f"What it means and what to do: burst runbook {page}",
            "markdown": f"What it means and what to do: `burst runbook {page}`",
        },
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["load"]},
    }


def _say_what_is_asked(rule: str, outcome: outcomes.EvidenceOutcome) -> tuple[str, str]:
    """What a rule asks, and the runbook page that helps where the answer is no."""
    if rule in _OWN_RULES:
        return _OWN_RULES[rule], runbooks.page_name(runbooks.PageKind.EXIT, outcome.exit_code)
    short, _, name = rule.partition("/")
    kind = catalogues.Kind(outcome.snapshot.kind) if outcome.snapshot is not None else catalogues.Kind.BURST
    page = runbooks.page_name(runbooks.PageKind.BLOCKER, short, phase_kind=kind)
    if name == _BLOCKER:
        return f"blocker {short} is cleared: {catalogues.CATALOGUES[kind].titles.get(short, short)}", page
    return gate_table.find_invariant(name) or f"{name} is answered with yes", page


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
    result = _result(f"{short}/{_BLOCKER}", "fail", words, outcome)
    if outcome.change is None:
        return result
    return {**result, "baselineState": "new" if short in outcome.change.opened else "unchanged"}


def _absent_result(change: differences.GateChange, outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    """A gate that is asked no more: a problem where it was lost, nothing where a rerun's bounds leave it out."""
    kind = "fail" if change.bad_turn else "notApplicable"
    result = _result(f"{change.blocker}/{change.name}", kind, "the gate was not asked of this run", outcome)
    return {**result, "baselineState": "absent"}


def _write_message(words: str) -> str:
    """A message without links: SARIF makes one of `[text](target)` in any message, and the words come from anybody."""
    message = outcomes.cut(words, _LONGEST_MESSAGE)
    message = "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in message)
    return message.replace("](", "] (")


def _result(rule: str, kind: str, words: str, outcome: outcomes.EvidenceOutcome) -> dict[str, Any]:
    document = outcome.document or document_names.PLAN
    place = PurePath(outcome.place).name or outcome.place
    return {
        "ruleId": rule,
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": _write_message(words.replace(outcome.place, place))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": urllib.parse.quote(document)},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [{"fullyQualifiedName": f"{outcome.execution_id or place}/{rule}"}],
            }
        ],
        "partialFingerprints": {"gate/v1": rule},
    }
