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
    profile = {"locustfile": str(stage.ROOT / "locustfiles" / "ingest.py"), "command": None, "waits_for_go": None}
    load = {**profile, "rate": STEPS, "topology": "distributed"}
    sections = {"load": load, "target": {"tasks": 3}, "budget": {"start_timeout": "60s"}, **stage.UNHURRIED}
    plan = play.plan(sections, window=4, cap=120)
    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == 0, answer.err
    load_document = read(ran, "m10_f_load.json")
    assert {step["name"]: step["due"] for step in load_document["steps"]} == {"steady": 60, "climb": 100}
    sent = [(task["shard_index"], task["due"], task["sent"]) for task in load_document["tasks"]]
    assert sent == [(0, 54, 54), (1, 53, 53), (2, 53, 53)]
    assert count_receipts(play, answer.document["platform_run_id"]) == {"0000": 54, "0001": 53, "0002": 53}
    assert play.verify(ran) == 0
    assert ran.nothing_left()
