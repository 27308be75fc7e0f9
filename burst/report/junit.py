"""JUnit XML of evidence, for CI systems: one test case for the evidence itself, for each gate and each open blocker.

Fail-closed: evidence that nobody could judge is an error, never a skipped case. A blocker that a gate of its own opened
is that gate's failure, and not a second one: a case of its own stands for a blocker that is open for another reason.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

from burst.domain.verdict import differences, rollup_snapshots, snapshots
from burst.report import figures, outcomes

_LONGEST_MESSAGE, _LONGEST_TEXT = 1000, 10_000
_PROBLEMS = {"PASS": None, "FAIL": "failure", "INVALID": "error"}


def render(outcome: outcomes.EvidenceOutcome) -> bytes:
    """The XML of one run's outcome. `time` is the seconds that the tasks ran, `timestamp` their first start in UTC."""
    suite = ElementTree.Element("testsuite", name=_plain(f"burst {outcome.execution_id or outcome.place}"))
    suite.extend(_list_cases(outcome))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in suite)))
    suite.set("errors", str(sum(case.find("error") is not None for case in suite)))
    started, seconds = _read_time(outcome.snapshot)
    suite.set("time", f"{seconds:.3f}")
    if started is not None:
        suite.set("timestamp", started.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"))
    for case in suite:
        case.set("time", "0.000")
        if outcome.document is not None:
            case.set("file", _plain(outcome.document))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _read_time(
    snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot | None,
) -> tuple[datetime | None, float]:
    """When the first task started, and for how many seconds tasks ran."""
    if isinstance(snapshot, snapshots.Snapshot):
        window = snapshot.burst_execution_window
        return window.start_utc, window.elapsed_seconds or 0.0
    if snapshot is not None:
        return None, snapshot.runtime_budget.elapsed_seconds or 0.0
    return None, 0.0


def _list_cases(outcome: outcomes.EvidenceOutcome) -> Iterator[ElementTree.Element]:
    problem = "error" if outcome.snapshot is None else None
    yield _case("evidence", "verification", problem, outcome.state, outcome.why)
    if outcome.snapshot is not None:
        yield from _snapshot_cases(outcome.snapshot)
    if outcome.change is not None:
        yield _change_case(outcome.change)
    if outcome.uncompared is not None:
        yield _case("difference", "comparison", "error", "not-compared", outcome.uncompared)


def _snapshot_cases(
    snapshot: snapshots.Snapshot | rollup_snapshots.RollupSnapshot,
) -> Iterator[ElementTree.Element]:
    named_blockers = set()
    for gate in snapshot.gates:
        problem = _PROBLEMS[gate.status]
        outcome = "skipped" if problem and gate.mode == "informational" else problem
        if outcome in ("failure", "error"):
            named_blockers.add(gate.blocker)
        yield _case(gate.blocker, gate.name, outcome, gate.status, figures.answer(gate))
    for entry in snapshot.open_entries:
        if entry.blocker not in named_blockers:
            yield _case(entry.blocker, f"blocker: {entry.title}", "failure", entry.state, entry.why)


def _change_case(change: differences.Difference) -> ElementTree.Element:
    words = ", ".join(change.list_regressions())
    name = f"no regression since {change.before}"
    return _case("difference", name, "failure" if words else None, "regressed", words)


def _case(class_name: str, name: str, problem: str | None, kind: str, words: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_plain(class_name), name=_plain(name))
    if problem:
        message = _plain(outcomes.cut(words, _LONGEST_MESSAGE))
        element = ElementTree.SubElement(case, problem, type=_plain(kind), message=message)
        element.text = _plain(outcomes.cut(words, _LONGEST_TEXT))
    return case


def _plain(text: str) -> str:
    """Text XML can hold: documents may come from anybody, and XML has no word for most control characters."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
