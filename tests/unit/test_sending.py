"""Sending: what a plan's rate takes of senders, cores, files and ports, by the time of the canary's answer."""

import contextlib
import dataclasses
import http.server
from collections.abc import Iterator
from typing import Any

import pytest

from burst.adapters import ingest_client
from burst.domain.preflight import sending
from burst.domain.tasks import ecs_definitions
from burst.wiring.preflight import sending_hosts
from tests import cases, loopback_server

ROOMY = sending.SendingHost(tasks=2, cores=4.0, files=20_000, ports=28_232, port_rest_seconds=60.0)
PROFILE: cases.Value = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1"}


def judge(
    *,
    rate: float | None = 24_000,
    seconds: float | None = 0.25,
    keeps: bool = True,
    host: dict[str, Any] | None = None,
    window: str | None = None,
    **load: Any,
) -> tuple[str, str]:
    """The status and the words of two tasks at 200 events a second each, unless told otherwise."""
    stated = {key: value for key, value in {**PROFILE, "rate": rate, **load}.items() if value is not None}
    budget = {} if window is None else {"budget": {"max": "60m", "window": window, "min_window": window}}
    plan = cases.plan(target={"kind": "local", "tasks": 2}, load=stated, **budget)
    answer = None if seconds is None else sending.CanaryAnswer(status=200, seconds=seconds, keeps_connection=keeps)
    finding = sending.judge_sending(plan, answer, dataclasses.replace(ROOMY, **(host or {})))
    return finding.status.value, finding.seen


def test_without_an_answer_of_the_canary_its_finding_is_what_has_to_be_mended() -> None:
    plan = cases.plan(target={"kind": "local", "tasks": 2}, load={**PROFILE, "rate": 24_000})

    finding = sending.judge_sending(plan, None, ROOMY)

    assert finding.mend == "mend what the finding of the canary names"


def test_two_hundred_a_second_answered_after_a_quarter_of_a_second_can_be_sent() -> None:
    assert judge() == (
        "passed",
        "200 events a second a task, each answered in 250 ms; the tasks can send that",
    )


COMMAND: dict[str, Any] = {"locustfile": None, "command": ["program"]}
FOREIGN: dict[str, Any] = {"locustfile": "shop.py"}


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        pytest.param({"users": 50}, "passed", "", id="as many senders as it takes"),
        pytest.param({"users": 49}, "refused", "takes 50 senders a task, and a task has 49 at most", id="one too few"),
        pytest.param({"seconds": 5.1}, "refused", "takes 1020 senders a task, and a task has 1000 at most", id="slow"),
        pytest.param({"seconds": 5.1, **FOREIGN}, "passed", "", id="another file's users are its own"),
        pytest.param({"host": {"files": 113}}, "refused", "a program may open 113 files", id="files"),
        pytest.param({"host": {"files": 114}}, "passed", "", id="just files enough"),
        pytest.param({"host": {"files": 113}, **COMMAND}, "refused", "may open 113 files", id="files of a command"),
        pytest.param({"host": {"files": None}}, "passed", "", id="no limit of files"),
        pytest.param(
            {"keeps": False, "rate": 28_240},
            *("refused", "471 connections a second take 28240 ports of 28232"),
            id="each event takes a port for a minute",
        ),
        pytest.param({"keeps": False, "rate": 28_230}, "passed", "", id="just ports enough"),
        pytest.param(
            {"keeps": False, "rate": 60_000, "window": "28s"}, "passed", "", id="no port has to serve twice in a window"
        ),
        pytest.param({"keeps": False, "rate": 60_000, "window": "29s"}, "refused", "29000 ports", id="29 s of ports"),
        pytest.param(
            {"keeps": False, "rate": 60_000, "source_events": 28_232}, "passed", "", id="no more ports than events"
        ),
        pytest.param({"keeps": False, "rate": 60_000, "source_events": 28_233}, "refused", "ports", id="one too many"),
        pytest.param({"users": 49, "source_events": 98}, "passed", "", id="no more senders than events"),
        pytest.param({"keeps": False, "host": {"port_rest_seconds": 1.0}}, "passed", "", id="ports that rest a second"),
        pytest.param(
            {"keeps": False, "host": {"tasks": 1}, "rate": 28_240}, "passed", "", id="each task has ports of its own"
        ),
        pytest.param(
            {"rate": 2_070_000, "seconds": 0.01}, "refused", "no processor sends more than about 34400", id="cores"
        ),
        pytest.param({"rate": 600_000, "seconds": 0.01}, "warning", "2 cores of this machine", id="cores in doubt"),
        pytest.param({"rate": 668_000, "seconds": 0.01, **FOREIGN}, "passed", "", id="another file's need is its own"),
        pytest.param({"rate": 120_000, "host": {"cores": 0.1}}, "refused", "on 0.1 cores", id="a tenth of a core"),
        pytest.param({"host": {"cores": None}}, "passed", "", id="cores that nobody knows"),
        pytest.param({"seconds": None}, "warning", "nobody knows how many senders", id="no canary was answered"),
        pytest.param({"seconds": None, "rate": 2_070_000}, "refused", "no processor", id="cores need no canary"),
        pytest.param({**COMMAND, "rate": None}, "passed", "the program decides its rate", id="no declared rate"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_sum(told: dict[str, Any], status: str, words: str) -> None:
    judged, observation = judge(**told)

    assert judged == status, observation
    assert words in observation


def test_an_ecs_task_has_its_own_interface_vcpus_and_limit_of_files() -> None:
    container: dict[str, Any] = {"name": "load", "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}]}
    described = {"taskDefinitionArn": "arn:aws:ecs:eu-west-2:1:task-definition/load:1", "cpu": "512", "memory": "1024"}

    def describe(**changes: Any) -> sending.SendingHost:
        whole = {**described, "containerDefinitions": [container | changes]}
        return sending.describe_ecs_host(ecs_definitions.read_definition(whole, None))

    assert (describe().tasks, describe().cores, describe().files) == (1, 0.5, 1024)
    assert describe(ulimits=[]).files == 65535


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:8080", True),
        ("http://10.0.0.1", False),
        ("https://ingest.example", False),
    ],
)
def test_a_host_on_loopback_is_known_by_its_name(host: str, is_loopback: bool) -> None:
    assert sending_hosts.is_loopback(host) is is_loopback


def test_this_machine_has_cores_files_and_ports() -> None:
    host = sending_hosts.describe_machine(cases.plan(load={**PROFILE, "rate": 600}))

    assert host.cores is not None
    assert host.cores >= 1
    assert host.files is None or host.files > sending.OWN_FILES
    assert host.ports > 1000
    assert host.port_rest_seconds in (1.0, 60.0)


# The answer of a real ingest


class Ingest(http.server.BaseHTTPRequestHandler):
    """Answers each event with 200, and keeps the connection or closes it by its protocol."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class ClosingIngest(Ingest):
    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()


@pytest.fixture
def serve() -> Iterator[Any]:
    with contextlib.ExitStack() as servers:

        def start(handler: type[Ingest], protocol: str) -> str:
            kind = type("Handler", (handler,), {"protocol_version": protocol})
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
            return loopback_server.find_url(servers.enter_context(loopback_server.run(server)))

        yield start


@pytest.mark.parametrize(
    ("handler", "protocol", "keeps"),
    [(Ingest, "HTTP/1.1", True), (Ingest, "HTTP/1.0", False), (ClosingIngest, "HTTP/1.1", False)],
    ids=["kept", "by its protocol", "by its header"],
)
def test_the_canary_sees_whether_the_ingest_keeps_the_connection(
    serve: Any, handler: type[Ingest], protocol: str, keeps: bool
) -> None:
    answer = ingest_client.Ingest(serve(handler, protocol)).push(b"{}", "a-key")

    assert (answer.status, answer.keeps_connection) == (200, keeps)
    assert 0 < answer.seconds < 10
