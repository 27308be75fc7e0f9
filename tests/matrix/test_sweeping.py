"""Stories of what nobody settles: the sweeper ends tasks and puts services back, and `burst reap` does so by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import scheduler as schedule
from burst.kit import aws
from burst.rehearsal import bootstrap
from tests import fixtures_aws, fixtures_ingest, waiting
from tests.faults import stage as faults_stage
from tests.matrix import stage, table

pytestmark = pytest.mark.timeout(300)

SERVICE = "ingest-writer"
UP = 4
SWEEP_SCALE = 0.02
"""Every five minutes becomes every six seconds."""


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


def drill(ran: faults_stage.Ran, noted: Path) -> dict[str, Any]:
    """A service that is restarted a second after GO, and a command that notes that the fault was taken back."""
    rule = {"blocker": "M10F-B7", "aggregate": "min", "at_least": 1}
    return {
        "observe": {
            "every": "3s",  # the patience of each look too, on a machine that has other work
            "settle": "500ms",
            "series": [{"name": "well", "sql": "select 1", "rules": [rule]}],
        },
        "during": [
            {
                "name": "restart-writer",
                "at": "1s",
                "restart": {"service": SERVICE},
                "undo": ["sh", "-c", f"echo mended >> {noted}"],
                "task_definition": f"{ran.execution_id}-drills:1",
                "timeout": "20s",
                "recover_within": "3s",
                "recovered_when": {"series": "well", "equals": 1, "sustained": "3s"},
            }
        ],
    }


def test_reap_takes_back_the_fault_of_a_run_that_nobody_resumes_and_twice_does_no_harm(play: stage.Stage) -> None:
    place, noted = f"{play.cloud.place}/run_control", play.folder / "mended"
    ran = play.kill_at("drill-struck", lambda ran: drill(ran, noted), window=8.0, cap=30.0)
    words = ("reap", "--run", ran.execution_id, "--cluster", ran.execution_id, "--run-control", place, "--json")
    early = play.start(*words)
    assert early.ended() == 0
    assert json.loads(early.out.read_text())["drills"] == []
    waiting.until(lambda: datetime.now(UTC) > ran.deadline(), seconds=180, what="the deadline")

    seen = play.start(*words, "--dry-run")
    assert seen.ended() == 0
    assert not noted.exists()
    codes = [play.start(*words).ended(), play.start("reap", "--all", *words[3:]).ended()]

    assert codes == [0, 0], play.said()
    assert noted.read_text() == "mended\n"
    name = f"{ran.execution_id}.restart-writer"
    assert json.loads(seen.out.read_text())["drills"] == [
        {"drill": name, "back": True, "outcome": "would be taken back"}
    ]


def test_reap_puts_back_the_services_of_a_run_that_nobody_resumes_and_twice_does_no_harm(play: stage.Stage) -> None:
    place = f"{play.cloud.place}/run_control"
    ran = play.kill_at("services-up", around, window=1.0, cap=12.0)
    words = ("reap", "--run", ran.execution_id, "--cluster", ran.execution_id, "--run-control", place, "--json")
    early = play.start(*words)
    assert early.ended() == 0
    assert play.desired(ran, SERVICE) == UP
    waiting.until(lambda: datetime.now(UTC) > ran.deadline(), seconds=90, what="the deadline")

    seen = play.start(*words, "--dry-run")
    assert seen.ended() == 0
    assert play.desired(ran, SERVICE) == UP
    codes = [play.start(*words).ended(), play.start("reap", "--all", *words[3:]).ended()]

    assert codes == [0, 0], play.said()
    assert play.desired(ran, SERVICE) == bootstrap.SERVICE_COUNT
    assert json.loads(early.out.read_text())["services"] == []
    assert json.loads(seen.out.read_text())["services"][0]["before"] == {SERVICE: bootstrap.SERVICE_COUNT}


@pytest.fixture
def swept(ingest: fixtures_ingest.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[stage.Stage]:
    """A stage on an AWS of its own, where time between two sweeps is short."""
    options = replace(fixtures_aws.ROOMY, rate_scale=SWEEP_SCALE)
    with fixtures_aws.shared(tmp_path / "aws", options) as shared, fixtures_aws.use(shared, monkeypatch) as cloud:
        made = stage.Stage(cloud=cloud, folder=tmp_path, dsn=ingest.dsn, host=ingest.host, api_key=ingest.api_key)
        yield made
        made.end()


def test_the_sweeper_ends_what_every_other_layer_left_over(swept: stage.Stage) -> None:
    ran = swept.named()
    require = ["guard", "lease", "schedule", "sweeper"]
    definition = f"{ran.execution_id}-bare"
    changes: dict[str, Any] = {
        **around(ran),
        "budget": {"min_window": "1s"},
        "target": {"task_definition": f"{definition}:1"},
        "layers": {"require": require},
    }
    swept.plan(ran, changes, cap=14.0)
    first = swept.cloud.ecs.describe_task_definition(taskDefinition=f"{definition}:1")["taskDefinition"]
    swept.cloud.register(*[one for one in first["containerDefinitions"] if one["name"] == "burst"], family=definition)
    changes["target"] = {"task_definition": f"{definition}:2"}
    strikes = [swept.strike("go-given", fault) for fault in ("task-escapes-guard", table.KILL)]
    command = swept.begin(ran, swept.write(ran, changes, cap=14.0), strikes=strikes)
    assert command.ended() == faults_stage.SIGKILLED, swept.said()
    scheduler = aws.client("scheduler")
    scheduler.delete_schedule(GroupName="burst-matrix", Name=schedule.entry_name(ran.execution_id))
    eye = swept.eye(ran)

    assert eye.look()
    waiting.until(lambda: not eye.look(), seconds=90, what="the sweeper to end the tasks")
    waiting.until(
        lambda: swept.desired(ran, SERVICE) == bootstrap.SERVICE_COUNT, seconds=60, what="the services to be back"
    )
    swept.resume(ran).ended()

    snapshot = ran.snapshot()
    assert faults_stage.layers_that_stopped(snapshot) == {"sweeper"}
    layers = {one["name"]: one for one in ran.document("task_result")["layers"]}
    assert layers["sweeper"]["state"] == "fired"
    assert snapshot["runtime_budget"]["overshoot_seconds"] > 0


def test_a_sweeper_that_is_required_and_sweeps_another_cluster_launches_nothing(play: stage.Stage) -> None:
    first, ran = play.named(), play.named()
    play.plan(first)
    changes: dict[str, Any] = {"layers": {"require": ["sweeper"]}, "target": {"cluster": ran.execution_id}}

    command = play.begin(ran, play.plan(ran, changes))

    assert command.ended() == 4
    assert f", not {ran.execution_id}" in command.err.read_text()
    assert not play.eye(ran).containers()
    assert not ran.folder.exists()
