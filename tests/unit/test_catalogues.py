"""Catalogues: the blockers of each kind of phase, and the ids that its roles have."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from burst.cli import main
from burst.domain.basics import errors
from burst.domain.plan import catalogues, gate_names, plans
from burst.domain.verdict import contract_terms, gate_table, rules, snapshots, term_changes, unpublished
from tests import cases

Kind = catalogues.Kind
Role = catalogues.Role
KINDS = [pytest.param(kind, id=kind.value) for kind in Kind]
RUN_KINDS = [kind for kind in Kind if kind is not Kind.ROLLUP]


def plan(kind: Kind, **changes: Any) -> plans.Plan:
    """A plan of a kind without facts."""
    value = cases.plan_value(**{"facts": [], **changes}) | {"kind": kind.value}
    if kind is Kind.REPRODUCIBILITY:
        value["reproduces"] = cases.REPRODUCES
    return plans.parse(json.dumps(value), source="p")


def query(short: str, name: str) -> dict[str, Any]:
    """A question behind a blocker."""
    return {"blocker": f"M10F-{short}", "name": name, "sql": "select 0", "equals": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_distinct_titles_and_an_id_for_missing_evidence_publication_and_budget(kind: Kind) -> None:
    catalogue = catalogues.CATALOGUES[kind]

    assert catalogue.kind is kind
    assert len(set(catalogue.titles.values())) == len(catalogue.titles)
    assert set(catalogue.roles.values()) == set(catalogue.shorts)
    assert {Role.EVIDENCE, Role.BUDGET} <= set(catalogue.roles)
    assert all(catalogue.find_short(role) in catalogue.shorts for role in Role)
    assert set(catalogue.asked) <= set(catalogue.shorts)


def test_the_ids_are_those_of_the_programme() -> None:
    assert [(kind.value, " ".join(catalogues.CATALOGUES[kind].shorts)) for kind in Kind] == [
        ("burst", "B1 B2 B3 B4 B5 B6 B7 B8 B9"),
        ("window", "B1 B2 B3 B4 B5 B6 B7 B8"),
        ("soak", "B1 B2 B3 B4 B5 B6 B7 B8"),
        ("recovery", "B0 B1 B2 B3 B4 B5"),
        ("reproducibility", "B1 B2 B3 B4 B5 B6 B7 B8 B9"),
        ("drill", "B1 B2 B3 B4 B5 B6 B7 B8"),
        ("rollup", "B1 B2 B3 B4 B5 B6 B7 B8"),
    ]


@pytest.mark.parametrize(
    ("kind", "role", "short"),
    [
        (Kind.BURST, Role.LAG, "B7"),
        (Kind.WINDOW, Role.LAG, "B3"),
        (Kind.WINDOW, Role.CONTIGUITY, "B2"),
        (Kind.WINDOW, Role.EXECUTION, "B5"),
        (Kind.SOAK, Role.LAG, "B2"),
        (Kind.SOAK, Role.CHECKPOINT, "B3"),
        (Kind.SOAK, Role.SCOPE, "B6"),
        (Kind.RECOVERY, Role.DEPENDENCY, "B0"),
        (Kind.RECOVERY, Role.RTO, "B2"),
        (Kind.RECOVERY, Role.PUBLICATION, "B4"),
        (Kind.REPRODUCIBILITY, Role.KEYSET, "B5"),
        (Kind.REPRODUCIBILITY, Role.SCOPE, "B3"),
        (Kind.DRILL, Role.OUTCOME, "B2"),
        (Kind.ROLLUP, Role.UNION, "B4"),
        (Kind.ROLLUP, Role.SCOPE, "B1"),
    ],
)
def test_a_role_without_an_id_of_its_own_goes_to_that_of_missing_evidence(kind: Kind, role: Role, short: str) -> None:
    assert catalogues.CATALOGUES[kind].find_short(role) == short


def test_no_fact_may_have_the_name_of_a_gate() -> None:
    named = {line.name for line in gate_table.GATES if not line.name.endswith("*")} | {unpublished.GATE}

    assert named == gate_names.GATE_NAMES
    families = {line.name.removesuffix("*") for line in gate_table.GATES if line.name.endswith("*")} - {""}
    assert {name for name in families if not name.endswith("@")} == set(gate_names.GATE_FAMILIES)  # no name has an @


@pytest.mark.parametrize("name", gate_names.GATE_FAMILIES)
def test_no_fact_may_have_a_name_that_begins_like_those_of_a_family_of_gates(name: str) -> None:
    with pytest.raises(plans.PlanError, match=r"another name: .* is a gate of burst's own"):
        plan(Kind.SOAK, facts=[query("B2", f"{name}lag.max")])


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_a_fact_may_stand_behind_any_blocker_of_its_kind(kind: Kind) -> None:
    for short in catalogues.CATALOGUES[kind].shorts:
        asked = plan(kind, facts=[query(short, "a")])
        assert short in asked.fact_shorts
    with pytest.raises(plans.PlanError, match=r"a blocker of M10\.F"):
        plan(kind, facts=[query("B10", "a")])


def test_a_fact_with_the_name_of_a_gate_is_refused() -> None:
    with pytest.raises(plans.PlanError, match="another name: admit_ratio is a gate"):
        plan(Kind.BURST, facts=[query("B1", "admit_ratio")])
    assert plan(Kind.BURST, facts=[query("B6", "run_scope")]).facts


def test_a_burst_alone_needs_an_admit_ratio() -> None:
    with pytest.raises(plans.PlanError, match="required of kind burst"):
        plan(Kind.BURST, gates={"multiplier": 3.0})
    assert plan(Kind.SOAK, gates={"multiplier": 3.0}).gates.admit_ratio is None


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_a_snapshot_speaks_by_the_catalogue_of_its_kind(kind: Kind) -> None:
    verdict = snapshots.Verdict.read(cases.Case(plan=plan(kind), contents={}).verdict().content)

    catalogue = catalogues.CATALOGUES[kind]
    assert verdict.snapshot.kind is kind
    assert [(entry.blocker, entry.title) for entry in verdict.snapshot.blocker_register] == [
        (f"M10F-{short}", title) for short, title in catalogue.titles.items()
    ]
    assert not verdict.snapshot.overall_pass
    successor = unpublished.make_successor(verdict, "the store answered 403")
    (published,) = (gate for gate in successor.snapshot.gates if gate.name == unpublished.GATE)
    assert published.short == catalogue.find_short(Role.PUBLICATION)


def test_a_rerun_of_another_kind_opens_the_blocker_of_dependencies_and_clears_nothing() -> None:
    burst = cases.passing(rerun=cases.rerun("B1")).having(prior=cases.prior("B1"))
    soak = cases.Case(
        plan=plan(Kind.SOAK, rerun=cases.rerun("B1"), facts=[query("B2", "lag")]), contents=burst.contents
    )

    assert burst.verdict().snapshot.overall_pass
    held = soak.verdict().snapshot
    assert held.blockers == [f"M10F-B{number}" for number in range(2, 9)]  # nothing is carried from a burst
    assert "the prior snapshot is of kind 'burst', not soak" in next(
        gate.why for gate in held.gates if gate.name == "dependencies"
    )


def test_no_kind_asks_as_much_as_another() -> None:
    terms = {kind: contract_terms.from_plan(plan(kind), "0.2.0", None) for kind in RUN_KINDS}

    for kind, other in itertools.permutations(RUN_KINDS, 2):
        weaker = {change.key for change in term_changes.list_weaker(terms[kind], terms[other])}
        assert "kind" in weaker
        assert {key.partition(".")[0] for key in weaker} <= {"kind", "reproduces"}


def test_rules_that_know_one_kind_judge_no_other() -> None:
    first = cases.passing().verdict(rules.RULES_0_1_0).snapshot

    with pytest.raises(errors.EvidenceCorrupt, match=r"rules 0\.1\.0 judge no phase of kind soak"):
        snapshots.adjudicate_again(first, plan(Kind.SOAK), b"{}", {})


def test_the_bucket_policy_keeps_the_snapshots_of_every_kind() -> None:
    policy = (Path(__file__).parents[2] / "infra" / "evidence.tf").read_text()

    (listed,) = re.findall(r"phase_kinds = (\[.*\])", policy)
    assert json.loads(listed) == [kind.value for kind in Kind]
    assert "*_${kind}_snapshot.json" in policy


def test_no_run_is_a_roll_up() -> None:
    with pytest.raises(plans.PlanError, match="a roll-up is a step of a campaign"):
        plan(Kind.ROLLUP)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_gates_is_told_by_the_blockers_of_a_kind(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["schema", "gates", "--kind", kind.value, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert main.main(["schema", "gates", "--kind", kind.value]) == 0
    shown = capsys.readouterr().out

    catalogue = catalogues.CATALOGUES[kind]
    assert [row["blocker"] for row in value["blockers"]] == list(catalogue.shorts)
    assert {short for row in value["gates"] for short in row["blockers"]} <= set(catalogue.shorts)
    assert all(title in shown for title in catalogue.titles.values())
    assert bool(value["gates"]) is (kind is not Kind.ROLLUP)


def test_no_fact_has_the_name_of_an_observed_gate_of_its_plan() -> None:
    name = "observed:lag.max"
    rule = {"blocker": "M10F-B7", "aggregate": "max", "at_most": 10}

    with pytest.raises(plans.PlanError, match=f"another name: {name} is a gate of burst's own"):
        plan(Kind.BURST, observe=cases.observe(rule), facts=[query("B7", name)])
    assert plan(Kind.BURST, facts=[query("B7", name)]).facts[0].name == name  # as released plans may have it
