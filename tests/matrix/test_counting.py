"""Counting inside the VPC: whole runs on the simulated AWS in which the controller never learns the database's DSN."""

import contextlib
import json
import os
import signal
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.domain.basics import canonical, instants, windows
from burst.task import counting
from tests import waiting
from tests.faults import stage as faults_stage
from tests.matrix import stage, table

pytestmark = pytest.mark.timeout(300)

COUNTER = "counter"
FOLLOWED_SECONDS = 5.0
"""A window in which a slice is told of, also where the task that counts it takes its time."""


def in_the_vpc(**receipts: object) -> dict[str, dict[str, object]]:
    """A plan's receipts, asked of a task; the reference would resolve nowhere."""
    return {"receipts": {"via": "task", "dsn": "env:NOBODY_HAS_THIS", **receipts}}


def counters(eye: stage.Eye) -> list[tuple[str, int | None]]:
    """Every counting task, and the process of the one that runs."""
    return [(one.task_arn, one.pid if one.running else None) for one in eye.containers() if one.name == COUNTER]


def counting_commands(play: stage.Stage, ran: faults_stage.Ran, eye: stage.Eye) -> list[list[str]]:
    """What every counting task was told to run."""
    arns = [arn for arn, _ in counters(eye)]
    found = play.cloud.ecs.describe_tasks(cluster=ran.execution_id, tasks=arns)["tasks"]
    return [one["overrides"]["containerOverrides"][0]["command"] for one in found]


def counted_directly(play: stage.Stage, metrics: dict[str, Any]) -> dict[str, Any]:
    """The same window, counted without any task."""
    window = windows.Window(*(instants.parse(metrics["window"][edge]) for edge in ("start_utc", "end_utc")))
    options = counting.CountOptions(
        place=counting.Place(dsn=play.dsn), window=window, scope=metrics["platform_run_id"], bucket_seconds=1
    )
    return counting.count_window(options)


def object_of(play: stage.Stage, ran: faults_stage.Ran, answer: str) -> bytes:
    """The object an answer came as."""
    session, _, name = answer.partition("-answer")
    key = f"{play.cloud.name}/run_control/{ran.execution_id}/counts/{session}/answer{name}.json"
    content: bytes = play.cloud.s3.get_object(Bucket="evidence", Key=key)["Body"].read()
    return content


def test_a_run_counted_in_the_vpc_passes_with_the_counts_of_a_direct_one_however_late_the_log_is(
    play: stage.Stage,
) -> None:
    ran = play.named()
    eye = play.eye(ran)
    plan = play.plan(ran, {**in_the_vpc(), **faults_stage.UNHURRIED}, window=FOLLOWED_SECONDS)

    command = play.begin(ran, plan, strikes=[play.strike("measure-intended", "logs-late")])
    since = instants.parse(ran.reached("measure-intended", 60)["at"])
    waiting.until(lambda: instants.seconds_between(since, datetime.now(UTC)) > 3, seconds=10, what="the log to be late")
    early = ran.event("measured")
    play.cloud.world.faults.disarm("logs-late")
    code = command.ended()

    assert early is None
    assert code == 0, play.said()
    metrics = ran.document("receipts_window_metrics")
    direct = counted_directly(play, metrics)
    assert (metrics["counts"], metrics["sql"]) == (direct["counts"], direct["sql"])
    assert metrics["counts"]["ADMIT"] > 0
    assert [one["counts"] for one in metrics["buckets"]] == [one["counts"] for one in direct["buckets"]]
    counting = metrics["counting"]
    assert (counting["via"], counting["agreed"]) == ("task", ["log", "object"])
    assert counting["task_id"] in {arn for arn, _ in counters(eye)}
    assert all("burst.task.guard" in command for command in counting_commands(play, ran, eye))
    assert counting["answer_sha256"] == canonical.digest(object_of(play, ran, counting["answer"]))
    did = metrics["driver"]["figures"]
    assert did["round_trips"] > did["statements"] > did["connections"] >= 2
    assert 0 < did["largest_wait_ms"] <= did["database_ms"]
    assert metrics["duplicates"] == {"retry": 0, "replay": 0, "unknown": 0, "no_data": ""}
    assert metrics["deliveries"]["distinct_decisions"] == sum(metrics["counts"].values())
    assert [fact["value"] for fact in ran.document("facts")["facts"]] == [0, 0, 0]
    assert ran.event("counted") is not None
    found = {finding["check"]: finding["status"] for finding in ran.document("preflight")["findings"]}
    assert found["counter"] == "passed"
    assert len({arn for arn, _ in counters(eye)}) == 2  # one for preflight, one for the run
    assert not eye.look()
    assert play.verify(ran) == 0


def test_a_resumed_run_is_counted_by_a_task_of_its_own_and_none_is_left_of_the_dead_controllers(
    play: stage.Stage,
) -> None:
    ran = play.named()
    eye = play.eye(ran)

    plan = play.plan(ran, in_the_vpc(), window=FOLLOWED_SECONDS)
    killed = play.begin(ran, plan, strikes=[play.strike("counted", table.KILL)])
    assert killed.ended() == faults_stage.SIGKILLED, play.said()
    left_over = [arn for arn, pid in counters(eye) if pid]
    code = play.resume(ran).ended()

    metrics = ran.document("receipts_window_metrics")
    assert code in (0, 3), play.said()
    assert left_over
    assert metrics["counting"]["task_id"] not in left_over
    assert metrics["counts"] == counted_directly(play, metrics)["counts"]
    waiting.until(lambda: not eye.look(), seconds=10, what="every counting task to be gone")


def test_a_counting_task_that_is_killed_opens_b5_with_the_reason_it_stopped_for(play: stage.Stage) -> None:
    ran = play.named()
    eye = play.eye(ran)
    changes = in_the_vpc(count_timeout="4s", task={"start_timeout": "2s"})
    command = play.begin(ran, play.plan(ran, changes))
    ran.reached("measure-intended", 60)

    while command.code(0.05) is None:
        for _, pid in counters(eye):
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    assert command.ended() == 3, play.said()
    register = {entry["blocker"]: entry for entry in ran.snapshot()["blocker_register"]}
    assert register["M10F-B5"]["open"] is True
    assert "EssentialContainerExited, exit 137" in register["M10F-B5"]["why"]
    assert "EssentialContainerExited, exit 137" in ran.document("task_result")["count_problem"]
    assert play.verify(ran) == 3
    assert play.dsn not in json.dumps(ran.snapshot()) + play.said()
