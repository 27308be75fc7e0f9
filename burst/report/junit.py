"""JUnit XML of evidence, for CI systems: one test case for the evidence itself and one for each gate.

Open blockers fail. Fail-closed: what could not be told is an error, never a skipped case.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from burst.report import figures

Json = Mapping[str, Any]


def render(outcome: Json, snapshot: Json | None, *, change: Json | None = None, uncompared: str | None = None) -> bytes:
    """The XML of one run's outcome (`state`, `why`, `exit_code`, `place`), with what changed where it is given.

    `uncompared` says why that cannot be told, where it was asked.
    """
    suite = ElementTree.Element("testsuite", name=_plain(f"burst {outcome.get('execution_id') or outcome['place']}"))
    for case in _cases(outcome, snapshot, change):
        suite.append(case)
    if uncompared is not None:
        suite.append(_case("difference", "comparison", "error", "not-compared", uncompared))
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _cases(outcome: Json, snapshot: Json | None, change: Json | None) -> Iterator[ElementTree.Element]:
    sound = snapshot is not None
    yield _case("evidence", "verification", None if sound else "error", str(outcome["state"]), str(outcome["why"]))
    gates = snapshot["gates"] if snapshot is not None else []
    for gate in gates:
        problem = {"PASS": None, "INVALID": "error"}.get(gate["status"], "failure")
        yield _case(gate["blocker"], gate["name"], problem, gate["status"], figures.answer(gate))
    for entry in figures.open_entries(snapshot) if snapshot is not None else []:
        yield _case(entry["blocker"], f"blocker: {entry['title']}", "failure", entry["state"], entry["why"])
    if change is not None:
        turned = [gate["name"] for gate in change["gates"] if gate["turn"] == "regressed"]
        words = ", ".join([*turned, *(f"{blocker} opened" for blocker in change["blockers_opened"])])
        yield _case("difference", f"no regression since {change['before']}", words and "failure", "regressed", words)


def _case(where: str, name: str, problem: str | None, kind: str, words: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_plain(where), name=_plain(name))
    if problem:
        told = ElementTree.SubElement(case, problem, type=_plain(kind), message=_plain(words))
        told.text = _plain(words)
    return case


def _plain(text: str) -> str:
    """Text XML can hold: documents may come from anybody, and XML has no word for most control characters."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
