"""The names of a guard's task: a slow metadata service is asked again, and hides no record."""

import contextlib
import json
import time
from collections.abc import Iterator
from http import server
from typing import Any

import pytest

from burst.domain.tasks import tasks
from burst.task import task_names
from tests import loopback_server, waiting

TASK_ID = "cd189a933e5849daa93386466019ab50"
ARN = f"arn:aws:ecs:eu-west-2:111122223333:task/burst/{TASK_ID}"


class Metadata(server.ThreadingHTTPServer):
    """A metadata service that answers from the so many-th question on, and before that with nothing of use."""

    daemon_threads = True

    def __init__(self, answers_from: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers_from = answers_from
        self.asked = 0


class _Handler(server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Metadata)
        self.server.asked += 1
        told = self.server.asked >= self.server.answers_from
        networks = [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.1.7"]}]
        told_of = {"TaskARN": ARN, "Containers": [{"Name": "burst", "Networks": networks}]}
        content = json.dumps(told_of if told else {}).encode()
        self.send_response(200 if told else 500)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def serving(answers_from: int) -> Iterator[Metadata]:
    with loopback_server.run(Metadata(answers_from)) as service:
        yield service


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_names, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(task_names, "LONGEST_PAUSE_SECONDS", 0.01)


def name_task(
    monkeypatch: pytest.MonkeyPatch, port: int, path: str = f"/v4/{TASK_ID}-2495160603"
) -> task_names.TaskNames:
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"http://127.0.0.1:{port}{path}")
    return task_names.TaskNames()


def test_a_service_that_does_not_answer_at_once_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answers_from=4) as service:
        names = name_task(monkeypatch, service.server_port)
        first = names.for_claim
        names.learn()
        claimed = waiting.until(lambda: names.for_claim, what="the ARN")

    assert first is None
    assert claimed == ARN
    assert names.for_records == (ARN,)
    assert names.host == "10.0.1.7"


def test_a_silent_service_holds_up_no_claim_for_ever_and_its_address_still_names_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_names, "TRIES", 3)
    with serving(answers_from=1000) as service:
        names = name_task(monkeypatch, service.server_port)
        names.learn()
        waiting.until(lambda: service.asked == 3, what="three questions")
        monkeypatch.setattr(names, "_patient_until", time.monotonic())
        claimed = names.for_claim

    assert claimed is not None
    assert tasks.is_nameless(claimed)
    assert names.for_records == (TASK_ID, claimed)


def test_an_arn_that_is_told_after_the_claim_gets_the_record_and_not_a_second_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_names, "PATIENCE_SECONDS", 0.0)
    with serving(answers_from=1) as service:
        names = name_task(monkeypatch, service.server_port, "/v4/abc")
        claimed = names.for_claim
        names.learn()
        waiting.until(lambda: ARN in names.for_records, what="the ARN")

    assert claimed is not None
    assert tasks.is_nameless(claimed)
    assert names.for_claim == claimed
    assert names.for_records == (ARN, claimed)


def test_where_there_is_no_service_the_task_has_its_own_name_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECS_CONTAINER_METADATA_URI_V4", raising=False)
    names = task_names.TaskNames()
    names.learn()

    claimed = names.for_claim

    assert claimed is not None
    assert tasks.is_nameless(claimed)
    assert names.for_records == (claimed,)
