"""Stories of what lies around a burst on ECS: services up and back, and one-shots before and after it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.domain.tasks import tasks
from burst.kit import aws
from burst.rehearsal import bootstrap
from tests import waiting
from tests.faults import stage as faults_stage
from tests.matrix import playing, stage, table

pytestmark = pytest.mark.timeout(300)

SERVICE = "ingest-writer"
UP = 4


def around(ran: faults_stage.Ran, **layers: object) -> dict[str, Any]:
    """A service to scale, and a command on either side of the burst."""
    definition = f"{ran.execution_id}-reporter:1"
    shots: dict[str, object] = {"task_definition": definition, "timeout": "20s"}
    return {
        "services": [{"name": SERVICE, "desired": UP}],
        "before": [{"name": "migrate", **shots, "command": ["sh", "-c", 'test -n "$BURST_SCOPE"']}],
        "after": [{"name": "refresh", **shots, "command": ["sh", "-c", "exit 7"], "exit_code": 7}],
        **layers,
    }


def entries(ran: faults_stage.Ran) -> list[str]:
    """The schedule entries of a run and its one-shots that stand."""
    found = aws.client("scheduler").list_schedules(GroupName="burst-matrix", NamePrefix=f"burst-{ran.execution_id}")
    return sorted(one["Name"] for one in found["Schedules"])


def one_shots(play: stage.Stage, ran: faults_stage.Ran, name: str) -> list[str]:
    """Every task that was ever started under a one-shot's name."""
    found = []
    for status in ("RUNNING", "STOPPED"):
        answer = play.cloud.ecs.list_tasks(
            cluster=ran.execution_id,
            startedBy=f"burst/{tasks.one_shot_id(ran.execution_id, name)}",
            desiredStatus=status,
        )
        found += answer["taskArns"]
    return found


@pytest.mark.parametrize("event", ["one-shot-started", "go-given"])
def test_a_killed_controller_leaves_services_up_and_resume_puts_them_back_and_starts_nothing_twice(
    play: stage.Stage, event: str
) -> None:
    ran = play.named()
    plan = play.plan(ran, {**around(ran), **faults_stage.UNHURRIED}, cap=60.0)
    command = play.begin(ran, plan, strikes=[play.strike(event, table.KILL)])
    assert command.ended() == faults_stage.SIGKILLED, play.said()
    armed = entries(ran)

    code = play.resume(ran).ended()

    snapshot = ran.snapshot()
    playing.sound(play, ran, snapshot, code)
    assert armed == [f"burst-{ran.execution_id}", f"burst-{ran.execution_id}.migrate"]
    assert entries(ran) == []
    assert play.desired(ran, SERVICE) == bootstrap.SERVICE_COUNT
    began = event == "go-given"
    assert len(one_shots(play, ran, "refresh")) == began
    assert len(one_shots(play, ran, "migrate")) == 1
    assert snapshot["overall_pass"] is began, snapshot["blockers"]
    assert play.verify(ran) == code
    result = ran.document("task_result")
    assert [one["restored"] for one in result["services"]] == [True]
    assert [(one["name"], one["exit_code"]) for one in result["one_shots"]] == (
        [("migrate", 0), ("refresh", 7)] if began else [("migrate", 0)]
    )


def test_reconcile_from_another_machine_puts_services_back(play: stage.Stage, tmp_path: Path) -> None:
    ran = play.kill_at("one-shot-started", around, window=1.0, cap=11.0)
    elsewhere = faults_stage.Ran(folder=tmp_path / "elsewhere" / ran.execution_id)
    elsewhere.folder.parent.mkdir()
    waiting.until(lambda: datetime.now(UTC) > ran.deadline(), seconds=90, what="the deadline")

    code = play.start(
        "reconcile", ran.execution_id, "--run-control", f"{play.cloud.place}/run_control", "--runs-dir",
        str(elsewhere.folder.parent), "--json",
    ).ended()  # fmt: skip

    assert code == 3, play.said()
    assert play.desired(ran, SERVICE) == bootstrap.SERVICE_COUNT
    (service,) = elsewhere.document("task_result")["services"]
    assert (service["before"], service["restored"]) == (bootstrap.SERVICE_COUNT, True)
    assert len(one_shots(play, ran, "migrate")) == 1
