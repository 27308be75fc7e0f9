"""The table of gates: each gate is answered by its documents alone, and each blocker rests on those of its gates."""

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.cli import main
from burst.domain.plan import catalogues
from burst.domain.verdict import gate_table, rules
from burst.report import gate_lines
from tests import cases


@pytest.mark.parametrize("version", [rules.RULES_0_1_0, rules.RULES_0_2_0], ids=lambda version: version.version)
def test_every_gate_has_an_invariant_a_verifier_and_a_document(version: rules.Rules) -> None:
    for question in version.questions:
        line = gate_table.find_line(question.name)
        assert question.role is line.role
        assert line.invariant
        assert line.documents
        assert line.verifier.startswith("burst adjudicate --plan plan.json --")


def test_the_table_has_no_gate_that_no_rules_ask() -> None:
    assert {line.name for line in gate_table.GATES} == {question.name for question in rules.CURRENT.questions}
    with pytest.raises(KeyError, match="no line in gate_table"):
        gate_table.find_line("made_up")


def _only(case: cases.Case, kinds: tuple[str, ...]) -> cases.Case:
    kept = {gate_table.find_name(kind, "m10_f") for kind in kinds}
    return cases.Case(plan=case.plan, contents={name: part for name, part in case.contents.items() if name in kept})


@pytest.mark.parametrize("question", rules.CURRENT.questions, ids=lambda question: question.name)
def test_a_gate_is_answered_by_the_documents_of_its_line_alone(question: Any) -> None:
    line = gate_table.find_line(question.name)

    whole, alone = (case.document()["gates"] for case in (cases.FULLEST, _only(cases.FULLEST, line.documents)))

    def answers(listed: list[cases.Value]) -> list[tuple[object, ...]]:
        covered = [
            gate
            for gate in listed
            if question.covers(catalogues.BURST, gate["blocker"].rpartition("-")[2], gate["name"])
        ]
        own = [gate for gate in covered if question.name != "*" or gate["name"] in NAMES_OF_FACTS]
        return [(gate["name"], gate["status"], gate["measured"], gate["required"]) for gate in own]

    assert answers(whole)
    if question.name != "evidence_readable":  # it counts the documents that are there
        assert answers(alone) == answers(whole)


NAMES_OF_FACTS = {fact["name"] for fact in cases.plan_value()["facts"]}

SPOILED: dict[str, list[cases.Value | bytes | None]] = {
    "task-result": [cases.task_result(), cases.task_result(execution_id="other"), b"{", None],
    "metrics": [
        cases.metrics(),
        cases.metrics(execution_id="other"),
        cases.metrics(platform_run_id="other"),
        cases.metrics(counts=cases.counts(0)),
        b"{",
        None,
    ],
    "load": [cases.load(), cases.load() | {"execution_id": "other"}, b"{", None],
    "facts": [cases.facts(), cases.facts(execution_id="other"), cases.facts([]), b"{", None],
    "baseline": [cases.baseline(), cases.baseline(max_age_seconds=60), b"{", None],
    "preflight": [cases.preflight(), cases.preflight(passed=False), cases.preflight(execution_id="other"), None],
}


def _case(short: str, chosen: dict[str, cases.Value | bytes | None], *, names_run: bool) -> cases.Case:
    plan = cases.plan(rerun=cases.rerun(short), execution_id=cases.EXECUTION_ID if names_run else None)
    documents = {kind.replace("-", "_"): value for kind, value in chosen.items() if value is not None}
    return cases.Case(plan=plan, contents={}).having(**documents, prior=cases.prior(short))


@hypothesis.settings(max_examples=200)
@hypothesis.given(
    short=st.sampled_from(catalogues.BURST.shorts),
    chosen=st.fixed_dictionaries({kind: st.sampled_from(values) for kind, values in SPOILED.items()}),
    names_run=st.booleans(),
)
def test_a_blocker_of_a_rerun_rests_on_its_documents_and_on_no_other(
    short: str, chosen: dict[str, cases.Value | bytes | None], names_run: bool
) -> None:
    """Whatever became of the documents that the table does not name for it: they are missing, or another run's."""
    rests_on = gate_table.list_documents(catalogues.BURST, short, takes_facts=short in catalogues.BURST.asked)
    sound: dict[str, cases.Value | bytes | None] = {kind: values[0] for kind, values in SPOILED.items()}
    others_sound = {kind: value if kind in rests_on else sound[kind] for kind, value in chosen.items()}

    spoiled, whole = (_case(short, each, names_run=names_run).verdict() for each in (chosen, others_sound))

    assert cases.entry(spoiled, short)["open"] is cases.entry(whole, short)["open"]


def test_counts_that_could_not_be_had_leave_b8_to_task_truth() -> None:
    """A bounded rerun to B1, B5 and B8 whose window nobody could count."""
    given = cases.passing(rerun=cases.rerun("B1", "B5", "B8")).having(prior=cases.prior("B1", "B5", "B8"))

    verdict = given.without("metrics").verdict()

    assert cases.open_shorts(verdict) == {"B1", "B5"}
    assert cases.entry(verdict, "B8")["state"] == "cleared"


def test_a_snapshot_by_the_rules_of_0_1_0_is_judged_as_before() -> None:
    given = cases.passing(rerun=cases.rerun("B1", "B5", "B8")).having(prior=cases.prior("B1", "B5", "B8"))

    verdict = given.without("metrics").verdict(rules.RULES_0_1_0)

    assert cases.open_shorts(verdict) == {"B1", "B5", "B8"}


def test_the_documents_of_each_blocker() -> None:
    table = {
        short: gate_table.list_documents(catalogues.BURST, short, takes_facts=short in catalogues.BURST.asked)
        for short in catalogues.BURST.shorts
    }

    assert table["B8"] == ("task-result",)
    assert table["B7"] == ("task-result", "facts", "observations")
    assert table["B2"] == ("task-result", "facts", "observations", "reference")
    assert table["B1"] == ("task-result", "metrics", "load", "baseline")
    assert set(table["B3"]) == set(gate_table.KINDS)


def test_schema_gates_prints_each_gate_with_its_verifier_and_its_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["schema", "gates"]) == 0
    shown = capsys.readouterr().out
    assert main.main(["schema", "gates", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)

    assert value == gate_lines.value()
    for row in value["gates"]:
        assert row["gate"] in shown
        assert row["verifier"] in shown
        assert row["documents"][0] == "plan.json"
        assert len(row["documents"]) > 1
    assert [row["documents"] for row in value["blockers"] if row["blocker"] == "B8"] == [
        ["plan.json", "{slug}_task_result.json"]
    ]
