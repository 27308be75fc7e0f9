"""Gates of drills: only a fault that was caused, a recovery that was seen in time and parts that add up pass."""

from typing import Any

import pytest

from burst.domain.basics import instants
from burst.domain.documents import task_results, window_metrics
from burst.domain.observations import recoveries
from burst.domain.plan import catalogues, drill_sections, plan_keys
from burst.domain.verdict import contract_terms, drill_gates, gates, term_changes
from tests import cases

DRILL = drill_sections.DrillSection.model_validate(
    {
        "name": "restart-writer",
        "at": "5m",
        "restart": {"service": "writer"},
        "undo": ["mend", "writer"],
        "task_definition": "drills:3",
        "recover_within": "600s",
        "recovered_when": {"series": "lag", "at_most": 10, "sustained": "60s"},
    }
)
COMMAND = drill_sections.DrillSection.model_validate(
    {
        "name": "cut",
        "at": "5m",
        "command": ["cut"],
        "exit_code": 3,
        "recover_within": "600s",
        "recovered_when": {"series": "lag", "at_most": 10, "sustained": "60s"},
    }
)
STRUCK = cases.moment(300)


def entry(**changes: Any) -> task_results.DrillEntry:
    return task_results.DrillEntry(
        **{
            "name": "restart-writer",
            "service": "writer",
            "planned_utc": STRUCK,
            "intended_utc": STRUCK,
            "struck_utc": cases.moment(301),
            "over_utc": cases.moment(340),
            "tasks_before": 4,
            "replaced_task_count": 4,
            "undone": True,
            **changes,
        }
    )


def command_entry(**changes: Any) -> task_results.DrillEntry:
    return entry(name="cut", service=None, tasks_before=None, replaced_task_count=None, exit_code=3, **changes)


def recovered(seconds: float) -> recoveries.Recovery:
    at = instants.later(STRUCK, seconds)
    return recoveries.Recovery(recovered_at=at, held_to=instants.later(at, 60.0), why="at_most 10")


NEVER = recoveries.Recovery(recovered_at=None, held_to=None, why="lag was never good")


def test_the_golden_restart_passes_with_its_figures() -> None:
    restart = drill_gates.restart_gate(DRILL, entry(), "")
    rto = drill_gates.rto_gate(DRILL, entry(), recovered(172.162))

    assert (restart.status, restart.measured, restart.required) == (gates.GateStatus.PASS, 4, 4)
    assert (rto.status, rto.measured, rto.required, rto.unit) == (gates.GateStatus.PASS, 172.162, 600.0, "s")
    assert (restart.blocker, rto.blocker) == (catalogues.Role.RESTART, catalogues.Role.RTO)


def test_a_recovery_that_is_late_fails_and_one_that_was_not_seen_is_invalid() -> None:
    late = drill_gates.rto_gate(DRILL, entry(), recovered(600.000001))

    assert late.status is gates.GateStatus.FAIL
    assert late.why.startswith("recovered after 600.000001 s of 600 s")
    assert drill_gates.rto_gate(DRILL, entry(), recovered(600.0)).passed
    for nothing in (entry(), None):
        never = drill_gates.rto_gate(DRILL, nothing, NEVER)
        assert (never.status, never.measured) == (gates.GateStatus.INVALID, None)
    assert drill_gates.rto_gate(DRILL, None, recovered(1.0)).status is gates.GateStatus.INVALID
    assert drill_gates.rto_gate(DRILL, entry(intended_utc=None), recovered(1.0)).status is gates.GateStatus.INVALID
    assert drill_gates.rto_gate(DRILL, entry(), recovered(-1.0)).status is gates.GateStatus.INVALID


@pytest.mark.parametrize(
    ("drill", "said", "status"),
    [
        (DRILL, None, gates.GateStatus.INVALID),
        (DRILL, entry(replaced_task_count=3), gates.GateStatus.INVALID),
        (DRILL, entry(replaced_task_count=2, problem="2 of 4 replaced", over_utc=None), gates.GateStatus.FAIL),
        (DRILL, entry(tasks_before=0, replaced_task_count=0), gates.GateStatus.INVALID),
        (DRILL, entry(over_utc=None), gates.GateStatus.INVALID),
        (DRILL, entry(service="reader"), gates.GateStatus.INVALID),
        (DRILL, entry(service=None), gates.GateStatus.INVALID),
        (COMMAND, command_entry().model_copy(update={"service": "cut"}), gates.GateStatus.INVALID),
        (DRILL, entry(intended_utc=None, problem="the run ended before it"), gates.GateStatus.INVALID),
        (COMMAND, command_entry(), gates.GateStatus.PASS),
        (COMMAND, command_entry().model_copy(update={"exit_code": 1, "problem": "no"}), gates.GateStatus.FAIL),
        (COMMAND, command_entry().model_copy(update={"exit_code": 0}), gates.GateStatus.INVALID),
        (COMMAND, command_entry().model_copy(update={"exit_code": None}), gates.GateStatus.INVALID),
    ],
)  # fmt: skip
def test_only_a_fault_that_was_caused_as_asked_passes(
    drill: drill_sections.DrillSection, said: task_results.DrillEntry | None, status: gates.GateStatus
) -> None:
    assert drill_gates.restart_gate(drill, said, "the task result is missing").status is status


def test_a_fault_that_was_not_taken_back_fails_with_the_command_to_run() -> None:
    left = drill_gates.undone_gate(DRILL, entry(undone=False, undo_problem="it ended with exit code 3"), "")

    assert left.status is gates.GateStatus.FAIL
    assert left.why == "not taken back: it ended with exit code 3; run: mend writer"
    assert drill_gates.undone_gate(DRILL, entry(), "").passed
    assert drill_gates.undone_gate(DRILL, None, "missing").status is gates.GateStatus.INVALID
    assert not drill_gates.undone_gate(DRILL, entry(undo_problem="claims otherwise"), "").passed


def part(start: float, end: float, admits: int) -> cases.Value:
    return {"start_utc": cases.at(start), "end_utc": cases.at(end), "counts": cases.counts(admits)}


def counted(*parts: cases.Value | None, total: int = 18900, **changes: Any) -> window_metrics.Metrics:
    before, during, after = parts
    drills = [{"drill": "restart-writer", "before": before, "during": during, "after": after, **changes}]
    value = cases.metrics(counts=cases.counts(total), drills=drills, window=cases.window())
    return window_metrics.Metrics.model_validate(value)


WINDOW = cases.window()
START = instants.seconds_between(cases.moment(0), instants.parse(WINDOW["start_utc"]))
END = instants.seconds_between(cases.moment(0), instants.parse(WINDOW["end_utc"]))
PARTS = (part(START, 300, 6000), part(300, 472.162, 900), part(472.162, END, 12000))


def windows_gate(metrics: window_metrics.Metrics | None, seconds: float | None = 172.162) -> gates.Gate:
    recovery = NEVER if seconds is None else recovered(seconds)
    return drill_gates.windows_gate(DRILL, entry(), recovery, metrics, "no counts")


def test_parts_that_add_up_to_the_whole_pass() -> None:
    gate = windows_gate(counted(*PARTS))

    assert (gate.status, gate.measured) == (gates.GateStatus.PASS, 18900)
    assert gate.why == "6000 before, 900 during, 12000 after"
    assert windows_gate(counted(PARTS[0], part(300, END, 12900), None), None).passed


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        counted(*PARTS, total=18901),
        counted(None, None, None, no_data="the database is away"),
        counted(PARTS[0], part(300, 480, 900), part(480, END, 12000)),
        counted(part(START, 301, 6000), part(301, 472.162, 900), PARTS[2]),
        counted(PARTS[0], part(300, 470, 900), PARTS[2]),
        counted(PARTS[0], PARTS[1], part(472.162, END - 1, 12000)),
        counted(PARTS[0], part(300, END, 12900), None),
    ],
    ids=["none", "sum", "away", "other recovery", "other fault", "gap", "short", "no after"],
)
def test_parts_that_do_not_fit_are_invalid(metrics: window_metrics.Metrics | None) -> None:
    assert windows_gate(metrics).status is gates.GateStatus.INVALID


DRILLED: cases.Value = {
    "target": cases.ECS,
    "observe": cases.observe(),
    "during": [cases.DRILL],
    "execution_id": cases.EXECUTION_ID,
}


def test_a_plan_with_a_drill_never_passes_without_its_evidence() -> None:
    given = cases.passing(
        target=cases.ECS, observe=cases.observe(), during=[cases.DRILL], execution_id=cases.EXECUTION_ID
    )

    verdict = given.verdict()

    failing = {gate["name"] for gate in verdict.snapshot.document()["gates"] if gate["status"] != "PASS"}
    drilled = {f"{name}restart-writer" for name in ("restart:", "rto:", "drill_windows:", "drill_undone:")}
    assert failing == {*drilled, "observed:lag.max.last-600s"}
    assert cases.open_shorts(verdict) == {"B5", "B7", "B8"}


def test_a_fault_that_was_not_taken_back_is_exit_6() -> None:
    left = entry(undone=False, undo_problem="it ended with exit code 3").model_dump(mode="json")
    given = cases.passing(
        target=cases.ECS, observe=cases.observe(), during=[cases.DRILL], execution_id=cases.EXECUTION_ID
    )

    snapshot = given.having(task_result=cases.task_result(drills=[left])).verdict().snapshot

    assert (snapshot.exit_code, snapshot.exit_reason) == (6, "1 drill not undone")


def terms(**changes: Any) -> contract_terms.Terms:
    rule = {"series": "lag", "at_most": 10, "sustained": "70s"}
    drill = cases.DRILL | {"recovered_when": rule} | changes
    plan = cases.plan(target=cases.ECS, observe=cases.observe(), during=[drill] if changes.get("name", True) else [])
    return contract_terms.from_plan(plan, "0.2.0", None)


@pytest.mark.parametrize(
    ("changes", "weaker"),
    [
        ({"recover_within": "6m"}, ["during.restart-writer.recover_within"]),
        ({"recover_within": "4m"}, []),
        ({"recovered_when": {"series": "lag", "at_most": 10, "sustained": "61s"}}, ["during.restart-writer.sustained"]),
        ({"recovered_when": {"series": "lag", "at_most": 10, "sustained": "90s"}}, []),
        (
            {"recovered_when": {"series": "lag", "at_most": 11, "sustained": "70s"}},
            ["during.restart-writer.recovered_when"],
        ),
        ({"recovered_when": {"series": "lag", "at_most": 9, "sustained": "70s"}}, []),
        (
            {"recovered_when": {"series": "lag", "at_least": 9, "sustained": "70s"}},
            ["during.restart-writer.recovered_when"],
        ),
        ({"restart": {"service": "reader"}}, ["during.restart-writer"]),
        ({"at": "6m"}, ["during.restart-writer"]),
    ],
)
def test_a_drill_that_asks_less_is_a_weaker_term(changes: cases.Value, weaker: list[str]) -> None:
    assert [change.key for change in term_changes.list_weaker(terms(**changes), terms())] == weaker


def test_a_drill_that_is_left_out_is_weaker_and_one_that_is_added_is_not() -> None:
    without = terms(name="")

    assert [change.key for change in term_changes.list_weaker(without, terms())] == [
        f"during.restart-writer{key}" for key in ("", ".recover_within", ".recovered_when", ".sustained")
    ]
    assert term_changes.list_weaker(terms(), without) == ()


def test_a_rerun_may_name_the_duration_of_a_drill_as_plans_write_it() -> None:
    change = plan_keys.ChangeSection.model_validate(
        {"key": "during.restart-writer.recover_within", "from": "5m", "to": "6m", "why": "a slower image"}
    )

    compared = term_changes.compare(terms(recover_within="6m"), terms(), [change])

    assert (compared.named, compared.unnamed) == ((change,), ())
    assert term_changes.explain_change(change).startswith("during.restart-writer.recover_within 300s -> 360s")
