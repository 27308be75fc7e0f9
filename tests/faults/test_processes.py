"""Several processes in a task: exact parts, one account of all, and an end that none of them outlives."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import psutil
import psycopg

from burst.domain.basics import instants
from burst.kit import process_tree
from tests import waiting
from tests.faults import stage

Sections = dict[str, dict[str, object]]

STEPS: list[dict[str, object]] = [
    {"for": "2s", "rate": "30/s", "name": "steady"},
    {"for": "2s", "rate": "30/s", "to": "70/s", "shape": "linear", "name": "climb"},
]
"""60 and 100 events."""
SLOW_STEPS: list[dict[str, object]] = [
    {"for": "8s", "rate": "7.5/s", "name": "steady"},
    {"for": "8s", "rate": "7.5/s", "to": "17.5/s", "shape": "linear", "name": "climb"},
]
"""As many, so slowly that a process is found and killed long before it has sent most of its own."""

AFTER: dict[str, object] = {"for": "3s", "rate": "2/s", "name": "after", "count": False}
"""Six events behind the steps that have to be whole: a process sees GO later than the controller gives it, so its last
events are due after the declared end, and the end of a run comes somewhere in this step."""
UNHURRIED: Sections = {"gates": dict(stage.UNHURRIED["gates"]), "budget": {"start_timeout": "90s"}}


def distributed(**keys: object) -> dict[str, object]:
    """The load of burst's own profile under a master of Locust's."""
    profile = {"locustfile": str(stage.ROOT / "locustfiles" / "ingest.py"), "command": None, "waits_for_go": None}
    return {**profile, "rate": [*STEPS, AFTER], "topology": "distributed", **keys}


def read(ran: stage.Ran, name: str) -> dict[str, Any]:
    """A document of a run."""
    value: dict[str, Any] = json.loads((ran.folder / name).read_text())
    return value


def count_receipts(play: stage.Stage, scope: str, first: int | None = None) -> Counter[str]:
    """The receipts of each part of the load, by the number in the ids of its events, each of which has one; without
    the canary's. `first`: of the first events of each part alone."""
    query = "SELECT event_id FROM receipts WHERE platform_run_id = %s AND event_type <> 'burst.canary'"
    with psycopg.connect(play.dsn) as connection:
        events = [str(event) for (event,) in connection.execute(query, (scope,)).fetchall()]
    assert len(events) == len(set(events))
    parts = (event.split(":") for event in events)
    return Counter(part for _, part, number in parts if first is None or int(number) < first)


def test_two_processes_in_each_of_two_tasks_send_each_event_of_the_plan_once(play: stage.Stage) -> None:
    plan = play.plan({"load": {"rate": [*STEPS, AFTER], "processes": 2}, **stage.UNHURRIED}, window=4, cap=40)
    command, ran = play.begin(plan)
    answer = command.wait()

    assert answer.code == 0, answer.err
    load = read(ran, "m10_f_load.json")
    due = {step["name"]: step["due"] for step in load["steps"]}
    assert (due["steady"], due["climb"]) == (60, 100)
    assert [(task["shard_index"], task["processes"]) for task in load["tasks"]] == [(0, 2), (1, 2)]
    receipts_of_steps = count_receipts(play, answer.document["platform_run_id"], first=40)
    assert receipts_of_steps == {f"{part:04d}": 40 for part in range(4)}
    assert play.verify(ran) == 0
    assert ran.nothing_left()


def test_three_workers_under_a_master_send_each_event_of_the_plan_once_and_none_before_go(play: stage.Stage) -> None:
    totals = play.folder / "totals"
    load_of_plan = distributed(arguments=["--json-file", str(totals)])
    budget = {**UNHURRIED["budget"], "stop_grace": "10s"}
    sections: Sections = {"load": load_of_plan, "target": {"tasks": 3}, "gates": UNHURRIED["gates"], "budget": budget}
    command, ran = play.begin(play.plan(sections, window=4, cap=120))
    answer = command.wait()

    assert answer.code == 0, answer.err
    load = read(ran, "m10_f_load.json")
    due = {step["name"]: step["due"] for step in load["steps"]}
    assert (due["steady"], due["climb"]) == (60, 100)
    receipts = count_receipts(play, answer.document["platform_run_id"])
    for task in load["tasks"]:  # the answer to the last events of the steps behind the window may come after the stop
        assert 53 <= task["acknowledged"] <= receipts[f"{task['shard_index']:04d}"] <= task["sent"]
    (summed_up,) = json.loads(totals.with_suffix(".json").read_text())  # by the master, whose end loses nothing
    answered, sent = (sum(task[name] for task in load["tasks"]) for name in ("acknowledged", "sent"))
    assert answered <= summed_up["num_requests"] <= sent
    assert play.verify(ran) == 0
    assert ran.nothing_left()


def find_role(ran: stage.Ran, role: str, shard: int) -> psutil.Process:
    """The process of a role in the task of a shard."""

    def find() -> psutil.Process | None:
        for process in ran.tasks():
            environment = process_tree.read_environment(process)
            if environment.get("BURST_ROLE") == role and environment.get("BURST_SHARD_INDEX") == str(shard):
                return process
        return None

    return waiting.until(find, seconds=60.0, what=f"the {role} of task {shard}")


def test_a_worker_that_is_killed_is_named_and_holds_the_run(play: stage.Stage) -> None:
    load_of_plan = distributed(rate=[*SLOW_STEPS, AFTER])
    plan = play.plan({"load": load_of_plan, "target": {"tasks": 3}, **UNHURRIED}, window=16, cap=180)
    command, ran = play.begin(plan, "--no-early-stop")
    ran.reached("go-given", seconds=90)
    find_role(ran, "worker", 1).kill()
    answer = command.wait()

    assert answer.code == stage.OVER, answer.err
    words = "the worker ended (killed by signal 9)"
    ends = [event for event in ran.events() if event["event"] == "task-seen" and event["exit_code"]]
    assert ends[0]["detail"] == words
    lost = {task["shard_index"]: task for task in ran.document("task_result")["tasks"]}[1]
    assert (lost["detail"], lost["exit_code"], lost["ended_by"]) == (words, 137, "program-ended")
    assert "B9" in stage.open_blockers(answer.document)
    gates_by_name = {gate["name"]: gate for gate in answer.document["gates"]}
    assert words in gates_by_name["tasks_held"]["why"]
    account = {task["shard_index"]: task["sent"] for task in ran.document("load")["tasks"]}
    assert f"and sent {account[1]} of the 55 events of its shard" in gates_by_name["tasks_held"]["why"]
    assert account[1] < 40 <= account[0]
    assert play.verify(ran) == stage.OVER
    assert ran.nothing_left()


def test_a_master_that_is_killed_is_named_and_holds_the_run(play: stage.Stage) -> None:
    load_of_plan = distributed(rate=[*SLOW_STEPS, AFTER])
    plan = play.plan({"load": load_of_plan, "target": {"tasks": 3}, **UNHURRIED}, window=16, cap=180)
    command, ran = play.begin(plan, "--no-early-stop")
    ran.reached("go-given", seconds=90)
    master = find_role(ran, "master", 0)
    worker_beside_it = find_role(ran, "worker", 0)
    master.kill()
    answer = command.wait()

    assert answer.code == stage.OVER, answer.err
    words = "the master ended (killed by signal 9), and the others were ended"
    ends = [event for event in ran.events() if event["event"] == "task-seen" and event["exit_code"]]
    assert ends[0]["detail"] == words
    lost = {task["shard_index"]: task for task in ran.document("task_result")["tasks"]}[0]
    assert (lost["detail"], lost["exit_code"], lost["ended_by"]) == (words, 137, "program-ended")
    assert not worker_beside_it.is_running()
    assert "B9" in stage.open_blockers(answer.document)
    held = next(gate for gate in answer.document["gates"] if gate["name"] == "tasks_held")
    assert held["status"] == "FAIL"
    assert words in held["why"]
    assert play.verify(ran) == stage.OVER
    assert ran.nothing_left()


SHOP = """
import os
import uuid

from locust import HttpUser, LoadTestShape, constant, task


class Shopper(HttpUser):
    wait_time = constant(0.1)

    @task
    def order(self):
        event = {"event_id": uuid.uuid4().hex, "event_type": "shop.order", "event_class": "traffic", "payload": {}}
        event["platform_run_id"] = os.environ["BURST_SCOPE"]
        self.client.post("/v1/ingest/push", json=event, headers={"X-IG-Api-Key": os.environ["IG_API_KEY"]})


class Six(LoadTestShape):
    def tick(self):
        return 6, 100
"""


def test_a_shape_leads_the_users_of_all_workers_and_none_sends_before_go(play: stage.Stage) -> None:
    shop = play.folder / "shop.py"
    shop.write_text(SHOP)
    load: dict[str, object] = {
        "locustfile": str(shop),
        "command": None,
        "waits_for_go": None,
        "rate": None,
        "topology": "distributed",
    }
    sections: Sections = {"load": load, "gates": {"multiplier": 0.05}, "budget": UNHURRIED["budget"]}
    command, ran = play.begin(play.plan(sections, window=8, cap=120))
    answer = command.wait()

    assert answer.code == 0, answer.err
    query = "SELECT min(created_at_utc) FROM receipts WHERE platform_run_id = %s AND event_type <> 'burst.canary'"
    with psycopg.connect(play.dsn) as connection:
        ((first,),) = connection.execute(query, (answer.document["platform_run_id"],)).fetchall()
    assert instants.parse(ran.reached("go-given")["go_at"]) <= datetime.fromisoformat(first)
    assert [task["sent"] > 0 for task in read(ran, "m10_f_load.json")["tasks"]] == [True, True]
    assert ran.nothing_left()
