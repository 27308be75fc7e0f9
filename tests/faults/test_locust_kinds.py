"""Locustfiles of every kind, and the examples, under a plan: nothing before GO, a true account, a verdict."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from burst.domain.basics import canonical, instants
from tests import fixtures_aws
from tests.faults import stage

LOCUSTFILES = stage.ROOT / "locustfiles"
ANY_LOAD = {"multiplier": 0.05, "offered_load": 0.1}
"""On a busy machine Locust takes seconds of the window to start; a few receipts will do."""
MOST_CUT_OFF = 40
"""The end may cut each user off after its receipt was written."""

PUSHING = """
import os
import uuid

HEADERS = {"X-IG-Api-Key": os.environ["IG_API_KEY"]}


def make_event(kind):
    event = {"event_id": uuid.uuid4().hex, "event_type": kind, "event_class": "traffic", "payload": {}}
    return event | {"platform_run_id": os.environ["BURST_SCOPE"]}
"""
KINDS: Mapping[str, str] = {
    "plain_user": """
from locust import HttpUser, between, task

from pushing import HEADERS, make_event


class PlainUser(HttpUser):
    wait_time = between(0.05, 0.1)

    def on_start(self):
        self.client.headers.update(HEADERS)

    @task
    def push(self):
        self.client.post("/v1/ingest/push", json=make_event("plain"), name="plain")
""",
    "fast_user": """
from locust import FastHttpUser, constant_throughput, task

from pushing import HEADERS, make_event


class FastUser(FastHttpUser):
    wait_time = constant_throughput(10)

    @task
    def push(self):
        self.client.post("/v1/ingest/push", json=make_event("fast"), headers=HEADERS, name="fast")
""",
    "steps": """
from locust import FastHttpUser, SequentialTaskSet, constant, task

from pushing import HEADERS, make_event


class Journey(SequentialTaskSet):
    @task
    def look(self):
        self.client.get("/healthz", name="look first")

    @task
    def push(self):
        self.client.post("/v1/ingest/push", json=make_event("in steps"), headers=HEADERS, name="in steps")

    @task
    def leave(self):
        self.interrupt()


class StepUser(FastHttpUser):
    wait_time = constant(0.05)
    tasks = [Journey]
""",
    "checked": """
from locust import HttpUser, constant, task

from pushing import HEADERS, make_event


class CheckedUser(HttpUser):
    wait_time = constant(0.05)

    @task
    def push(self):
        with self.client.post(
            "/v1/ingest/push", json=make_event("checked"), headers=HEADERS, name="checked", catch_response=True
        ) as answer:
            if answer.json()["decision"] != "ADMIT":
                answer.failure("not admitted")

    @task
    def miss(self):
        with self.client.get("/no-such-page", name="missed on purpose", catch_response=True) as answer:
            if answer.status_code == 404:
                answer.success()
""",
    "own_options": """
from locust import FastHttpUser, constant, events, task

from pushing import HEADERS, make_event


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--region", env_var="SHOP_REGION", default="nowhere")


class TenantUser(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def push(self):
        options = self.environment.parsed_options
        kind = f"{options.tenant} in {options.region}"
        self.client.post("/v1/ingest/push", json=make_event(kind), headers=HEADERS, name="with options")
""",
    "shape": """
from locust import LoadTestShape


class Stages(LoadTestShape):
    def tick(self):
        return (8, 8) if self.get_run_time() < 1 else (16, 8)
""",
    "left_out": """
from locust import User, constant, task


class NobodyAsked(User):
    wait_time = constant(0.05)

    @task
    def fail(self):
        raise RuntimeError("the plan names the users that run, and not this one")
""",
}
"""A file of each kind that Locust's users write; all push events that name their kind."""
USERS = ("PlainUser", "FastUser", "StepUser", "CheckedUser", "TenantUser", "Buyer")
EXPECTED = {"plain", "fast", "in steps", "checked", "a in north", "order"}


def write_kinds(folder: Path) -> list[str]:
    (folder / "pushing.py").write_text(PUSHING)
    for name, content in KINDS.items():
        (folder / f"{name}.py").write_text(content)
    return [str(folder / f"{name}.py") for name in KINDS]


def read_receipts(play: stage.Stage, scope: str) -> list[tuple[str, datetime]]:
    """Every receipt of the scope but the canary's: the kind of its event, and its instant."""
    query = (
        "SELECT event_type, created_at_utc FROM receipts WHERE platform_run_id = %s AND event_type <> 'burst.canary'"
    )
    with psycopg.connect(play.dsn) as connection:
        return [(kind, datetime.fromisoformat(at)) for kind, at in connection.execute(query, (scope,)).fetchall()]


def find_go(snapshot: dict[str, dict[str, dict[str, str]]]) -> datetime:
    return instants.parse(snapshot["burst_execution_window"]["counted_window"]["start_utc"])


def test_a_file_of_each_kind_runs_as_it_is_from_go_on_and_the_plan_names_the_users(play: stage.Stage) -> None:
    load = {
        "locustfile": [*write_kinds(play.folder), str(LOCUSTFILES / "journeys.py")],
        "user_classes": list(USERS),
        "arguments": ["--tenant", "a"],
        "keep": ["csv", "html"],
        "environment": {"SHOP_REGION": "north"},
        "command": None,
        "waits_for_go": None,
        "rate": None,
    }
    plan = play.plan({"load": load, "gates": ANY_LOAD, "target": {"tasks": 1}}, window=10, cap=60)

    command, ran = play.begin(plan)
    answer = command.wait()
    assert answer.code == 0, answer.err
    snapshot = answer.document
    receipts = read_receipts(play, snapshot["platform_run_id"])
    assert {kind for kind, _ in receipts} == EXPECTED
    assert [at for _, at in receipts if at < find_go(snapshot)] == []
    requests = {request["name"]: request for request in ran.document("load")["requests"]}
    assert not any(request["failed"] or request["refused"] for request in requests.values()), requests
    pushed = sum(requests[name]["acknowledged"] for name in requests if name not in NOT_PUSHED)
    assert len(receipts) - MOST_CUT_OFF <= pushed <= len(receipts)
    assert ran.document("load")["markers"]["ordered"] >= 1
    check_kept_files(play, ran, snapshot, requests)
    assert play.verify(ran) == 0


def check_kept_files(
    play: stage.Stage, ran: stage.Ran, snapshot: dict[str, Any], requests: Mapping[str, dict[str, Any]]
) -> None:
    """Locust's tables and page are one document of the evidence, with the totals of the account and no secret."""
    content = (ran.folder / "m10_f_locust_files.json").read_bytes()
    refs = {ref["name"]: ref["sha256"] for ref in snapshot["evidence_refs"]}
    assert refs["m10_f_locust_files.json"] == canonical.digest(content)
    assert play.api_key.encode() not in content
    kept = {file["name"]: file["text"] for file in json.loads(content)["files"]}
    assert json.loads(content)["left_out"] == []
    table = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(io.StringIO(kept["stats.csv"]))}
    assert table.pop("Aggregated") == sum(table.values())
    assert table == {name: request["acknowledged"] for name, request in requests.items()}
    assert "missed on purpose" in kept["report.html"].rpartition("window.templateArgs")[2]


NOT_PUSHED = ("look", "look first", "missed on purpose")


@pytest.fixture
def queue(simulated_aws: fixtures_aws.Shared, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a queue, where this process and what it starts find it."""
    fixtures_aws.become_operator(simulated_aws.world, monkeypatch)
    return str(boto3.client("sqs").create_queue(QueueName="examples-under-a-plan")["QueueUrl"])


def test_the_examples_send_what_the_plan_makes_due_from_go_on(
    play: stage.Stage, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLES_COPY_DSN", play.dsn)
    names = ("http_ingest", "postgres_copy", "queue_send")
    load = {
        "locustfile": [str(LOCUSTFILES / f"{name}.py") for name in names],
        "environment": {"COPY_DSN": "env:EXAMPLES_COPY_DSN", "QUEUE_URL": queue},
        "command": None,
        "waits_for_go": True,
        "users": 64,
    }
    plan = play.plan({"load": load, "gates": ANY_LOAD}, window=6, cap=60)

    command, ran = play.begin(plan)
    answer = command.wait()
    assert answer.code == 0, answer.err
    snapshot = answer.document
    receipts = read_receipts(play, snapshot["platform_run_id"])
    assert [at for _, at in receipts if at < find_go(snapshot)] == []
    by_kind = Counter(kind for kind, _ in receipts)
    account = ran.document("load")
    requests = {request["name"]: request for request in account["requests"]}
    assert set(requests) == {"/v1/ingest/push", "receipts", "send_message"}
    assert requests["/v1/ingest/push"]["acknowledged"] <= by_kind["burst.load"]
    assert 10 * requests["receipts"]["acknowledged"] <= by_kind["copied"]
    # Every file's users took turns at the one schedule of their task.
    assert [task["knows_due"] for task in account["tasks"]] == [True, True]
    assert (
        sum(task["sent"] for task in account["tasks"]) <= sum(task["due"] for task in account["tasks"]) + MOST_CUT_OFF
    )
    gates = {gate["name"]: gate for gate in snapshot["gates"]}
    assert gates["offered_load"]["status"] == "PASS", json.dumps(gates["offered_load"])
    assert play.verify(ran) == 0
