"""The contract of `ports.Probe`, on the fake and on SQL, a document, a program, CloudWatch, Prometheus and ECS."""

import http.server
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from burst import ports
from burst.adapters import prometheus_probe
from burst.adapters.aws import cloudwatch_probe, ecs_service_probe
from burst.adapters.local import local_programs, system_clock
from burst.control import probes
from burst.domain.basics import canonical, errors, instants
from burst.domain.observations import answers
from burst.domain.plan import observe_sections
from burst.kit import aws
from tests import cases, fakes, fakes_probes, fakes_receipts, fixtures_aws, loopback_server, waiting

PORT = ports.Probe
CLOCK = system_clock.SystemClock()
WHOLE = answers.Pointers(value="/lag/now", at="/at", scope="/scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A probe, and how its system gets a value, or none. `dated`: each answer has its instant; `scoped`: its scope."""

    probe: ports.Probe
    put: Callable[[float | None], object]
    dated: bool = True
    scoped: bool = True
    value: float = 3.5
    """A value that its system can have."""

    def ask(self, seconds: float = 20.0) -> answers.Answer:
        return self.probe.ask(give_up_at=instants.later(CLOCK.now(), seconds))


def written(value: float | None) -> bytes:
    """The JSON of an answer; none is nothing at the pointer."""
    lag = {} if value is None else {"now": value}
    return json.dumps({"lag": lag, "at": instants.text(CLOCK.now()), "scope": cases.SCOPE}).encode()


def fake_stage() -> Stage:
    fake = fakes_probes.CannedProbe(CLOCK, scope=cases.SCOPE)

    def put(value: float | None) -> None:
        fake.value, fake.of = value, CLOCK.now()

    return Stage(probe=fake, put=put)


def sql_stage(*, of_text: bool) -> Stage:
    rows: list[list[object]] = [[None]]
    source = fakes_receipts.MemoryReceiptSource(now=CLOCK.now, answers={"select lag": rows})
    pointers = WHOLE if of_text else answers.Pointers(value=None)

    def put(value: float | None) -> None:
        rows[0] = [written(value).decode() if of_text else value]

    probe = probes.SqlProbe(source, "select lag", pointers, cases.SCOPE)
    return Stage(probe=probe, put=put, dated=of_text, scoped=of_text)


def document_stage() -> Stage:
    documents: dict[str, bytes] = {}

    def read(address: str) -> bytes:
        return documents[address]

    def put(value: float | None) -> None:
        documents["s3://b/k"] = written(value)

    return Stage(probe=probes.DocumentProbe(read, "s3://b/k", WHOLE), put=put)


def command_stage(folder: Path) -> Stage:
    file = folder / "lag.json"
    probe = probes.CommandProbe(local_programs.LocalPrograms(), ("cat", str(file)), WHOLE, CLOCK)
    return Stage(probe=probe, put=lambda value: file.write_bytes(written(value)))


def cloudwatch_stage(cloud: fixtures_aws.Cloud) -> Stage:
    client, name = aws.client("cloudwatch"), f"lag-{cloud.name}"
    section = observe_sections.CloudWatchSection(namespace="burst", metric=name, dimensions={"Topic": "orders"})

    def put(value: float | None) -> None:
        if value is not None:
            dimensions = [{"Name": "Topic", "Value": "orders"}]
            at = instants.later(CLOCK.now(), -90)
            datum = {"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": at}
            client.put_metric_data(Namespace="burst", MetricData=[datum])

    return Stage(probe=cloudwatch_probe.CloudWatchProbe(section, CLOCK), put=put, scoped=False)


class Prometheus(http.server.ThreadingHTTPServer):
    """Answers an instant query as Prometheus does, or says nothing for a while."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PrometheusHandler)
        self.value: float | None = 3
        self.silent_seconds = 0.0
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _PrometheusHandler(http.server.BaseHTTPRequestHandler):
    server: Prometheus

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        time.sleep(self.server.silent_seconds)
        found = [] if self.server.value is None else [{"metric": {}, "value": [time.time(), str(self.server.value)]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    with loopback_server.run(Prometheus()) as server:
        yield server


def prometheus_stage(server: Prometheus) -> Stage:
    section = observe_sections.PrometheusSection(url=server.url, query="max(lag)")

    def put(value: float | None) -> None:
        server.value = value

    return Stage(probe=prometheus_probe.PrometheusProbe(section, CLOCK), put=put, scoped=False)


def service_stage(cloud: fixtures_aws.Cloud) -> Stage:
    """A service of as many tasks as the value; until it has one there is no such service."""
    name, cluster = f"gateway-{cloud.name}", fixtures_aws.CLUSTER
    definition = cloud.register(fixtures_aws.container(command=["sleep", "100"]))

    def find() -> list[dict[str, Any]]:
        return list(cloud.ecs.describe_services(cluster=cluster, services=[name])["services"])

    def put(value: float | None) -> None:
        if value is None:
            return
        if find():
            cloud.ecs.update_service(cluster=cluster, service=name, desiredCount=int(value))
        else:
            cloud.ecs.create_service(
                cluster=cluster, serviceName=name, taskDefinition=definition, desiredCount=int(value),
                launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-a"]}},
            )  # fmt: skip
        waiting.until(lambda: find()[0]["runningCount"] == value, seconds=20, what="the service to have its tasks")

    probe = ecs_service_probe.EcsServiceProbe(cluster, name, CLOCK)
    return Stage(probe=probe, put=put, dated=False, scoped=False, value=3)


@pytest.fixture(params=["fake", "sql", "sql-json", "document", "command", "cloudwatch", "prometheus", "service"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    match request.param:
        case "fake":
            return fake_stage()
        case "sql" | "sql-json":
            return sql_stage(of_text=request.param == "sql-json")
        case "document":
            return document_stage()
        case "command":
            return command_stage(tmp_path)
        case "cloudwatch":
            return cloudwatch_stage(request.getfixturevalue("cloud"))
        case "service":
            return service_stage(request.getfixturevalue("cloud"))
        case _:
            return prometheus_stage(request.getfixturevalue("prometheus"))


def test_a_value_comes_with_what_the_answer_says_of_its_instant_and_scope(stage: Stage) -> None:
    stage.put(stage.value)

    answer = stage.ask()

    assert answer.value == stage.value
    assert answer.scope == (cases.SCOPE if stage.scoped else None)
    assert (answer.of is not None) == stage.dated
    if answer.of is not None:
        assert -1 <= instants.seconds_between(answer.of, CLOCK.now()) < 200


def test_no_value_is_an_error_and_never_a_zero(stage: Stage) -> None:
    stage.put(None)

    with pytest.raises(errors.BurstError):
        stage.ask()


def test_a_later_value_is_seen(stage: Stage) -> None:
    stage.put(3.0)
    assert stage.ask().value == 3.0
    stage.put(8.0)
    assert stage.ask().value == 8.0


def test_a_program_that_takes_too_long_ends_with_its_whole_tree(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    runaway = (
        f"import os, subprocess, sys, time; child = subprocess.Popen(['sleep', '60'], start_new_session=True); "
        f"open({str(file)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    programs = local_programs.LocalPrograms()
    probe = probes.CommandProbe(programs, (sys.executable, "-c", runaway), answers.Pointers(value="/a"), CLOCK)
    began = time.monotonic()

    with pytest.raises(errors.Refused, match="ended with 1"):
        probe.ask(give_up_at=instants.later(CLOCK.now(), 2.0))

    assert time.monotonic() - began < 30
    pid = int(file.read_text())
    waiting.until(lambda: not os.path.exists(f"/proc/{pid}"), what="the child in a session of its own to be gone")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no rows >&2; exit 3", "ended with 3: no rows"),
        ("echo not json", "not valid JSON"),
        ('echo \'{"lag": {"now": null}, "at": 1, "scope": "x"}\'', "NoneType at /lag/now"),
        ('echo \'{"lag": {"now": 3}, "at": "yesterday", "scope": "x"}\'', "is no instant"),
        ("no-such-program", "127"),
    ],
)
def test_a_program_without_a_usable_answer_says_why(script: str, words: str) -> None:
    probe = probes.CommandProbe(local_programs.LocalPrograms(), ("sh", "-c", script), WHOLE, CLOCK)

    with pytest.raises(errors.BurstError, match=words):
        probe.ask(give_up_at=instants.later(CLOCK.now(), 20))


def test_a_prometheus_that_says_nothing_holds_up_no_longer_than_it_may(prometheus: Prometheus) -> None:
    prometheus.silent_seconds = 1.0
    probe = prometheus_stage(prometheus).probe

    with pytest.raises(errors.Unavailable, match="did not answer"):
        probe.ask(give_up_at=instants.later(CLOCK.now(), 0.2))

    assert prometheus.asked == ["/api/v1/query?query=max%28lag%29&timeout=1s"]


def test_an_old_point_of_cloudwatch_is_no_value(cloud: fixtures_aws.Cloud) -> None:
    name = f"old-{cloud.name}"
    datum = {"MetricName": name, "Value": 1.0, "Timestamp": instants.later(CLOCK.now(), -900)}
    aws.client("cloudwatch").put_metric_data(Namespace="burst", MetricData=[datum])
    section = observe_sections.CloudWatchSection(namespace="burst", metric=name)

    with pytest.raises(errors.Unavailable, match="has no value of burst/old"):
        cloudwatch_probe.CloudWatchProbe(section, CLOCK).ask(give_up_at=instants.later(CLOCK.now(), 20))


def test_a_document_names_its_bytes() -> None:
    content = written(3)
    answer = probes.DocumentProbe(lambda address: content, "s3://b/k", WHOLE).ask(give_up_at=fakes.START)

    assert answer.detail == f"of a document with sha256 {canonical.digest(content)}"
