"""Several processes in a task: exact parts, one account of all, and an end that none of them outlives."""

import json
from collections import Counter
from typing import Any

import psycopg

from tests.faults import stage

STEPS: list[dict[str, object]] = [
    {"for": "2s", "rate": "30/s", "name": "steady"},
    {"for": "2s", "rate": "30/s", "to": "70/s", "shape": "linear", "name": "climb"},
]
"""60 and 100 events."""

AFTER: dict[str, object] = {"for": "1s", "rate": "6/s", "name": "after", "count": False}
"""Behind the steps that have to be whole: the end of a run comes somewhere in it."""
UNHURRIED: dict[str, dict[str, object]] = {"gates": dict(stage.UNHURRIED["gates"]), "budget": {"start_timeout": "90s"}}


def distributed(**keys: object) -> dict[str, object]:
    """The load of burst's own profile under a master of Locust's."""
    profile = {"locustfile": str(stage.ROOT / "locustfiles" / "ingest.py"), "command": None, "waits_for_go": None}
    return {**profile, "rate": [*STEPS, AFTER], "topology": "distributed", **keys}


def read(ran: stage.Ran, name: str) -> dict[str, Any]:
    """A document of a run."""
    value: dict[str, Any] = json.loads((ran.folder / name).read_text())
    return value


def count_receipts(play: stage.Stage, scope: str) -> Counter[str]:
    """The receipts of each part of the load, by the number in the ids of its events; without the canary's."""
    query = "SELECT event_id FROM receipts WHERE platform_run_id = %s AND event_type <> 'burst.canary'"
    with psycopg.connect(play.dsn) as connection:
        return Counter(str(event).split(":")[1] for (event,) in connection.execute(query, (scope,)).fetchall())


def test_two_processes_in_each_of_two_tasks_send_each_event_of_the_plan_once(play: stage.Stage) -> None:
    plan = play.plan({"load": {"rate": STEPS, "processes": 2}, **stage.UNHURRIED}, window=4, cap=40)
    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == 0, answer.err
    load = read(ran, "m10_f_load.json")
    assert {step["name"]: step["due"] for step in load["steps"]} == {"steady": 60, "climb": 100}
    assert [(task["shard_index"], task["due"], task["processes"]) for task in load["tasks"]] == [(0, 80, 2), (1, 80, 2)]
    assert count_receipts(play, answer.document["platform_run_id"]) == {f"{part:04d}": 40 for part in range(4)}
    assert play.verify(ran) == 0
    assert ran.nothing_left()


def test_three_workers_under_a_master_send_each_event_of_the_plan_once_and_none_before_go(play: stage.Stage) -> None:
    plan = play.plan({"load": distributed(), "target": {"tasks": 3}, **UNHURRIED}, window=4, cap=120)
    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == 0, answer.err
    load = read(ran, "m10_f_load.json")
    due = {step["name"]: step["due"] for step in load["steps"]}
    assert (due["steady"], due["climb"]) == (60, 100)
    sent = {f"{task['shard_index']:04d}": task["acknowledged"] for task in load["tasks"]}
    assert count_receipts(play, answer.document["platform_run_id"]) == sent
    assert [number >= 53 for number in sent.values()] == [True] * 3
    assert play.verify(ran) == 0
    assert ran.nothing_left()
