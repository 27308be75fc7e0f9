"""A locustfile as a Locust user writes it, run unchanged: it sends nothing before GO, and nothing outside its plan."""

import json
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from burst.domain.basics import instants
from burst.kit import process_tree
from tests.faults import stage

SHOP = """
import os
import uuid

from locust import HttpUser, LoadTestShape, constant, events, tag, task


@events.init_command_line_parser.add_listener
def add_own_option(parser):
    parser.add_argument("--event-type", default="not-given")


class Shopper(HttpUser):
    wait_time = constant(0.05)

    @tag("orders")
    @task(3)
    def order(self):
        event = {"event_id": uuid.uuid4().hex, "event_type": self.environment.parsed_options.event_type}
        event |= {"event_class": "traffic", "platform_run_id": os.environ["BURST_SCOPE"], "payload": {}}
        headers = {"X-IG-Api-Key": os.environ["IG_API_KEY"]}
        with self.client.post("/v1/ingest/push", json=event, headers=headers, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("not taken")

    @tag("orders")
    @task
    def look(self):
        self.client.get("/no-such-page", name="look")

    @tag("never")
    @task(50)
    def unpaid(self):
        raise RuntimeError("this task has a tag that the plan leaves out")
"""
SHAPE = """

class Steps(LoadTestShape):
    def tick(self):
        return 4, 4
"""


def _write_shop(play: stage.Stage, content: str = SHOP) -> dict[str, object]:
    """The load section for a locustfile in the folder of the test."""
    path = play.folder / "shop.py"
    path.write_text(content)
    return {
        "locustfile": str(path),
        "command": None,
        "waits_for_go": None,
        "rate": None,
        "arguments": ["--event-type", "shop.order"],
        "tags": ["orders"],
    }


def _receipts(play: stage.Stage, scope: str) -> list[tuple[str, datetime]]:
    """Every receipt of the scope but the canary's: decision and instant."""
    query = (
        "SELECT event_type, created_at_utc FROM receipts WHERE platform_run_id = %s AND event_type <> 'burst.canary'"
    )
    with psycopg.connect(play.dsn) as connection:
        return [(kind, datetime.fromisoformat(at)) for kind, at in connection.execute(query, (scope,)).fetchall()]


def test_an_ordinary_locustfile_sends_not_one_event_before_go_and_is_what_its_plan_says(
    play: stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each of these ended or changed the load of a plan that does not name it.
    for name, value in (("LOCUST_RUN_TIME", "1s"), ("LOCUST_PROCESSES", "2"), ("LOCUST_TAGS", "never")):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(play.folder)
    Path("locust.conf").write_text("run-time = 1s\ntags = never\n")
    plan = play.plan({"load": _write_shop(play, SHOP + SHAPE), **stage.UNHURRIED}, window=6, cap=40)

    command, ran = play.begin(plan)
    answer = command.wait()
    snapshot = answer.document

    go = instants.parse(snapshot["burst_execution_window"]["counted_window"]["start_utc"])
    receipts = _receipts(play, snapshot["platform_run_id"])
    assert (answer.code, snapshot["blockers"]) == (0, []), answer.err
    assert {kind for kind, _ in receipts} == {"shop.order"}
    assert [at for _, at in receipts if at < go] == []
    assert play.verify(ran) == 0


def test_processes_of_locust_leave_no_process_behind(play: stage.Stage) -> None:
    load = _write_shop(play)
    load["arguments"] = ["--event-type", "shop.order", "--processes", "2"]
    users = {"users": 4, "spawn_rate": 100}
    plan = play.plan({"load": load | users, "target": {"tasks": 1}, **stage.UNHURRIED}, window=9, cap=60)

    command, ran = play.begin(plan)
    answer = command.wait()

    assert (answer.code, answer.document["blockers"]) == (0, []), answer.err
    assert [
        key for key in process_tree.group_by_task(process_tree.list_processes()) if key[0] == ran.execution_id
    ] == []
    assert json.loads((ran.folder / "tasks" / "0000.json").read_text())["exit_code"] is not None
