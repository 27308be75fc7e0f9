"""Rules: a gate is asked of a snapshot only where the version of its rules names it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import case_gates, differences, gates, rules, snapshots
from tests import cases

VERSIONS = [rules.RULES_0_1_0, rules.RULES_0_2_0]


def ask_duplicates(case: Any) -> Iterator[gates.Gate]:
    """A gate that no released rules have: not one receipt may be DUPLICATE."""
    duplicates = case.metrics.value.counts.duplicate if case.metrics.value else None
    status = gates.GateStatus.PASS if duplicates == 0 else gates.GateStatus.FAIL
    yield gates.Gate(
        name="no_duplicates",
        blocker=catalogues.Role.DRIFT,
        status=status,
        measured=duplicates,
        required=0,
        why=f"{duplicates} counted",
    )


STRICTER = rules.Rules(
    version="made-up",
    questions=(
        *rules.CURRENT.questions,
        case_gates.CaseQuestion(role=catalogues.Role.DRIFT, name="no_duplicates", ask=ask_duplicates),
    ),
)
ONE_DUPLICATE = cases.passing().having(metrics=cases.metrics(counts=cases.counts(duplicate=1)))


def adjudicated(case: cases.Case, judged_by: rules.Rules) -> snapshots.Snapshot:
    return case.verdict(judged_by).snapshot


def test_a_gate_is_asked_only_where_the_rules_name_it() -> None:
    before, after = (adjudicated(ONE_DUPLICATE, judged_by) for judged_by in (rules.CURRENT, STRICTER))

    assert "no_duplicates" not in {gate.name for gate in before.gates}
    assert (before.overall_pass, before.blockers) == (True, [])
    assert (after.overall_pass, after.blockers) == (False, ["M10F-B2"])
    assert [check.name for check in after.semantic_drift_checks.checks][-1] == "no_duplicates"
    assert (before.rules, after.rules) == (rules.CURRENT.version, "made-up")


def test_a_difference_pairs_gates_by_blocker_and_name_and_names_the_rules() -> None:
    before, after = (adjudicated(ONE_DUPLICATE, judged_by) for judged_by in (rules.CURRENT, STRICTER))

    change = differences.compare(before, after)

    assert [(gate.blocker, gate.name) for gate in change.gates if gate.state != "unchanged"] == [
        ("B2", "no_duplicates")
    ]
    assert change.regressed
    assert [(value.name, value.before, value.after) for value in change.inputs] == [
        ("rules", rules.CURRENT.version, "made-up")
    ]


def test_the_order_in_which_gates_are_listed_is_not_judged_and_their_answers_are() -> None:
    turned = dataclasses.replace(rules.CURRENT, questions=rules.CURRENT.questions[::-1])
    case = ONE_DUPLICATE.having(preflight=cases.preflight())

    assert snapshots.differing_sections(adjudicated(case, turned), adjudicated(case, rules.CURRENT)) == []
    assert snapshots.differing_sections(adjudicated(case, STRICTER), adjudicated(case, rules.CURRENT)) == [
        "blocker_register",
        "blockers",
        "contract",
        "exit_code",
        "gates",
        "hold",
        "overall_pass",
        "rules",
        "semantic_drift_checks",
    ]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.version)
def test_every_gate_that_is_answered_is_named_by_its_rules(version: rules.Rules) -> None:
    asked = adjudicated(cases.FULLEST, version).gates

    assert all(version.names(catalogues.BURST, gate.short, gate.name) for gate in asked)
    silent = [
        question.name
        for question in version.questions
        if not any(question.covers(catalogues.BURST, gate.short, gate.name) for gate in asked)
    ]
    assert silent == []


def test_rules_are_found_by_version_and_unknown_ones_are_no_guess() -> None:
    assert rules.find_rules("0.1.0") is rules.RULES_0_1_0
    assert rules.find_rules(rules.CURRENT.version) is rules.CURRENT
    with pytest.raises(errors.EvidenceUnknown, match=r"rules '9\.0\.0', which this version does not know"):
        rules.find_rules("9.0.0")


def test_only_the_rules_of_0_1_0_are_not_stated() -> None:
    first, current = (adjudicated(cases.passing(), judged_by) for judged_by in VERSIONS)

    assert "rules" not in first.document()
    assert current.document()["rules"] == "0.2.0"
    assert snapshots.Verdict.read(first.content()).snapshot.rules == "0.1.0"


def test_a_snapshot_is_adjudicated_again_under_the_rules_it_states() -> None:
    case = cases.passing()
    first = adjudicated(case, rules.RULES_0_1_0)

    again = snapshots.adjudicate_again(first, case.plan, canonical.encode(case.plan.document()), case.contents)

    assert again.content == first.content()
    with pytest.raises(errors.EvidenceUnknown):
        snapshots.adjudicate_again(
            first.model_copy(update={"rules": "9.0.0"}), case.plan, b"{}", {document_names.PLAN: b"{}"}
        )
