"""What each outlet says, read by a reader of its form; and what becomes of one that is down."""

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from prometheus_client.openmetrics import parser

from burst import ports
from burst.adapters.local import system_clock
from burst.adapters.outlets import cd_events, notices, open_metrics_file, posts, telemetry, webhook
from burst.control import telling
from burst.domain.basics import errors, redaction
from burst.domain.documents import models
from burst.domain.verdict import run_messages
from burst.wiring import outlets
from tests import cases, fakes_outlets, receiving, waiting

CD_SCHEMAS = Path(__file__).parents[1] / "fixtures" / "cdevents"
DASHBOARD = Path(__file__).parents[2] / "infra" / "grafana" / "burst.json"
MESSAGES = [fakes_outlets.started(), fakes_outlets.passed(), fakes_outlets.held(), fakes_outlets.act_now()]
every_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.title.split(":")[0])


# Messages


@every_message
def test_a_message_is_read_back_as_it_was_written(message: run_messages.RunMessage) -> None:
    assert models.read(run_messages.RunMessage, message.content()) == message


def test_a_verdict_carries_the_figures_of_its_snapshot_and_leaves_out_what_is_not_known() -> None:
    told = fakes_outlets.held()

    assert (told.verdict, told.exit_code, told.blockers) == ("HOLD", 3, ["M10F-B1"])
    assert told.figures["duplicates"] == 10002
    assert told.figures["multiplier"] == 0
    assert "cost_usd" not in told.figures
    assert [span.name for span in told.spans][:2] == ["run", "counted window"]
    assert told.title == f"burst HOLD: M10.F, run {cases.EXECUTION_ID}"


def test_a_halt_and_a_task_that_may_run_have_kinds_of_their_own() -> None:
    halted = cases.passing().document()
    gate = next(gate for gate in halted["gates"] if gate["name"] == "not_halted")
    gate.update(status="FAIL")
    urgent = {**cases.passing().document(), "exit_code": 6}

    kinds = [
        run_messages.RunMessage.announce_end(fakes_outlets.PLAN, cases.read_back(document), fakes_outlets.AT).kind
        for document in (halted, urgent)
    ]

    assert kinds == ["halted", "act-now"]


# Webhook


def test_a_webhook_is_signed_over_its_id_its_time_and_its_body() -> None:
    with receiving.receiver() as receiver:
        sent = webhook.Webhook(redaction.Secret(receiver.url), redaction.Secret("a-key"), system_clock.SystemClock())
        sent.send(fakes_outlets.passed())

    (got,) = receiver.received
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    digest = base64.b64encode(hmac.new(b"a-key", signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{digest}"
    assert got.headers["webhook-id"] == f"{cases.EXECUTION_ID}-verdict"
    assert json.loads(got.body)["verdict"] == "PASS"


def test_a_key_as_standard_webhooks_write_it_signs_with_the_bytes_behind_it() -> None:
    """The example of the specification: its key, its id, its time and its body give this signature."""
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key_bytes = webhook.read_key(redaction.Secret(key))

    signature = webhook.sign(key_bytes, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_key_that_is_cut_is_refused_before_anything_is_launched_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!")

    with pytest.raises(errors.UsageError, match="whsec_ and the rest is no base64") as failure:
        outlets.open_outlets(cases.plan(outlets={"webhook": [{"url": "http://127.0.0.1:9/", "key": "env:A_KEY"}]}))
    assert "MfKQ" not in str(failure.value)


@pytest.mark.parametrize(
    ("headers", "wait_seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "9" * 5000}, 999_999_999),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "Tue, 01 Dec 2026 01:00:09 GMT", "date": "Tue, 01 Dec 2026 01:00:00 GMT"}, 9),
        ({"retry-after": "Tue, 01 Dec 2020 01:00:09 GMT", "date": "Tue, 01 Dec 2026 01:00:00 GMT"}, 0),
        ({"retry-after": "Tue, 01 Dec 2026 01:00:09 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Tue, 99 Dec 2026 01:00:09 GMT", "date": "Tue, 01 Dec 2026 01:00:00 GMT"}, None),
    ],
    ids=str,
)
def test_an_answer_says_how_long_it_wants_to_be_left_alone(headers: dict[str, str], wait_seconds: float | None) -> None:
    assert posts.read_wait_seconds(headers) == wait_seconds


@pytest.mark.parametrize(
    ("status", "repeated"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (401, False), (404, False), (302, False)],
)
def test_only_an_answer_that_may_change_is_asked_for_again(status: int, repeated: bool) -> None:
    with receiving.receiver(status) as receiver:
        expected = errors.Unavailable if repeated else errors.Refused
        with pytest.raises(expected, match=f"127.0.0.1 answered {status}$"):
            posts.post(redaction.Secret(f"{receiver.url}/secret-path"), b"{}", {})
        assert receiver.asked == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "no url", "http:///path"])
def test_an_address_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(errors.Refused, match="hidden") as failure:
        posts.post(redaction.Secret(url), b"{}", {})
    assert url not in str(failure.value)


# CDEvents


def cd_schema(event_type: str) -> jsonschema.Draft202012Validator:
    """The published schema of a type of event; its links, which burst sends none of, are left open."""
    name = "".join(event_type.split(".")[2:4])
    schema = json.loads((CD_SCHEMAS / f"{name}.json").read_bytes())
    references = {urllib.parse.urljoin(schema["$id"], reference) for reference in list_references(schema)}
    links = referencing.Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema"})
    registry = referencing.Registry[Any]().with_resources((address, links) for address in references)
    return jsonschema.Draft202012Validator(schema, registry=registry)


def list_references(schema: Any) -> Iterator[str]:
    """The addresses of other documents that a schema refers to."""
    if isinstance(schema, list):
        for each in schema:
            yield from list_references(each)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and not value.startswith("#"):
                yield value
            else:
                yield from list_references(value)


@every_message
def test_cdevents_keep_the_schemas_that_are_published(message: run_messages.RunMessage) -> None:
    events = list(cd_events.list_events(message))

    for event in events:
        assert [error.message for error in cd_schema(event["context"]["type"]).iter_errors(event)] == []
    kinds = [event["context"]["type"].split(".", 2)[2] for event in events]
    expected = {
        "started": ["testsuiterun.started.0.3.0"],
        "verdict": ["testsuiterun.finished.0.3.0", "testoutput.published.0.3.0"],
        "act-now": ["testsuiterun.finished.0.3.0"],
    }
    assert kinds == expected[message.kind]


def test_a_cdevent_comes_as_a_cloudevent_in_binary_mode() -> None:
    with receiving.receiver() as receiver:
        cd_events.CdEvents(redaction.Secret(receiver.url)).send(fakes_outlets.held())

    finished, published = receiver.received
    assert finished.headers["ce-specversion"] == "1.0"
    assert finished.headers["ce-type"] == "dev.cdevents.testsuiterun.finished.0.3.0"
    assert finished.headers["ce-subject"] == cases.EXECUTION_ID
    assert finished.headers["ce-id"] != published.headers["ce-id"]
    assert json.loads(finished.body)["subject"]["content"]["outcome"] == "failure"


@pytest.mark.parametrize(
    ("outlet", "parts"), [(cd_events.CdEvents, 2), (telemetry.Telemetry, 2)], ids=["cdevents", "otlp"]
)
def test_where_the_second_post_fails_the_first_is_not_sent_again(
    outlet: Callable[[redaction.Secret], ports.Outlet], parts: int
) -> None:
    with receiving.receiver() as receiver:
        sent = outlet(redaction.Secret(receiver.url))
        receiver.statuses = [200, 503]
        with pytest.raises(errors.Unavailable):
            sent.send(fakes_outlets.held())
        sent.send(fakes_outlets.held())
        sent.send(fakes_outlets.held().model_copy(update={"id": "another-verdict"}))

    told = [(got.path, got.headers.get("ce-id", "")) for got in receiver.received]
    assert len(told) == 2 * parts
    assert len(set(told[:parts])) == parts


# OTLP


def test_a_collector_gets_metrics_and_one_trace() -> None:
    with receiving.receiver() as receiver:
        telemetry.Telemetry(redaction.Secret(receiver.url)).send(fakes_outlets.held())

    by_path = {got.path: got.body for got in receiver.received}
    metrics = metrics_service_pb2.ExportMetricsServiceRequest.FromString(by_path["/v1/metrics"])
    (resource,) = metrics.resource_metrics
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (attributes["service.name"], attributes["burst.verdict"]) == ("burst", "HOLD")
    told = {
        metric.name: (metric.unit, metric.gauge.data_points[0].as_double)
        for metric in resource.scope_metrics[0].metrics
    }
    assert told["burst.duplicates"] == ("{receipt}", 10002)
    assert told["burst.elapsed_seconds"] == ("s", 990)
    assert told["burst.passed"] == ("1", 0)
    assert {got.headers["content-type"] for got in receiver.received} == {"application/x-protobuf"}

    traces = trace_service_pb2.ExportTraceServiceRequest.FromString(by_path["/v1/traces"])
    spans = [*traces.resource_spans[0].scope_spans[0].spans]
    (root,) = [span for span in spans if not span.parent_span_id]
    assert (root.name, root.end_time_unix_nano - root.start_time_unix_nano) == ("run", 990 * 10**9)
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert {span.parent_span_id for span in spans if span is not root} == {root.span_id}
    assert {"counted window", "task task-0"} <= {span.name for span in spans}


def test_a_run_is_one_trace_however_often_its_message_is_sent() -> None:
    """Another controller, or a repeat after an answer that was lost, sends the same spans."""
    first, again = (telemetry.make_spans(fakes_outlets.passed()) for _ in range(2))
    other = telemetry.make_spans(fakes_outlets.passed().model_copy(update={"id": "another-verdict"}))

    ids = [[(span.context.trace_id, span.context.span_id) for span in spans] for spans in (first, again, other)]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])
    assert len(set(ids[0])) == len(first)


def test_a_collector_gets_the_headers_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=load,authorization=Bearer%20abc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-tenant=traces")
    with receiving.receiver() as receiver:
        telemetry.Telemetry(redaction.Secret(receiver.url)).send(fakes_outlets.passed())

    told = {got.path: (got.headers.get("x-tenant"), got.headers.get("authorization")) for got in receiver.received}
    assert told == {"/v1/metrics": ("load", "Bearer abc"), "/v1/traces": ("traces", None)}


# Notices


def test_the_words_of_a_run_are_text_where_a_notice_is_html() -> None:
    hostile = fakes_outlets.held().model_copy(update={"words": "HOLD <a href='http://127.0.0.1/x'>mend it</a>"})
    with receiving.receiver() as receiver:
        notices.Notices(redaction.Secret(f"{receiver.url.replace('http', 'json')}/?format=html")).send(hostile)

    (got,) = receiver.received
    assert "mend" in json.loads(got.body)["message"]
    assert "<a " not in json.loads(got.body)["message"]


# OpenMetrics


def test_the_file_is_read_by_a_parser_of_openmetrics(tmp_path: Path) -> None:
    file = tmp_path / "burst.prom"
    file.write_text("of an older run")

    open_metrics_file.OpenMetricsFile(file).send(fakes_outlets.passed())

    samples = {
        sample.name: sample
        for family in parser.text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    assert samples["burst_passed"].value == 1
    assert samples["burst_admits"].labels == {"phase": "M10.F", "environment": "ci"}
    assert samples["burst_run_info"].labels["execution_id"] == cases.EXECUTION_ID
    assert "burst_cost_usd" not in samples


def test_a_collector_that_knows_the_older_text_format_reads_the_file_too() -> None:
    """node_exporter leaves out the whole file for one type that it does not know."""
    types = re.findall(rb"^# TYPE \S+ (\w+)$", open_metrics_file.render(fakes_outlets.passed()), re.MULTILINE)

    assert types
    assert set(types) <= {b"counter", b"gauge", b"histogram", b"summary", b"untyped"}


def test_a_start_leaves_the_figures_of_the_last_run_as_they_are(tmp_path: Path) -> None:
    open_metrics_file.OpenMetricsFile(tmp_path / "burst.prom").send(fakes_outlets.started())

    assert not (tmp_path / "burst.prom").exists()


def test_a_run_that_is_told_late_leaves_the_figures_of_a_later_run_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "burst.prom"
    outlet, earlier = open_metrics_file.OpenMetricsFile(file), fakes_outlets.passed()
    later = fakes_outlets.held().model_copy(update={"at_utc": fakes_outlets.AT + timedelta(seconds=1)})

    outlet.send(later)
    with pytest.raises(errors.Refused, match="a run that ended later"):
        outlet.send(earlier)

    assert file.read_bytes() == open_metrics_file.render(later)
    outlet.send(later)
    file.write_bytes(b"no metrics\xff")
    outlet.send(earlier)
    assert file.read_bytes() == open_metrics_file.render(earlier)


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    told = set(re.findall(rb"^# TYPE (burst_\w+)", open_metrics_file.render(fakes_outlets.passed()), re.MULTILINE))
    panels = json.loads(DASHBOARD.read_bytes())["panels"]
    asked = {
        name for panel in panels for target in panel["targets"] for name in re.findall(r"burst_\w+", target["expr"])
    }

    assert asked
    assert asked <= {name.decode() for name in told} | {"burst_cost_usd"}


def test_the_dashboard_asks_by_labels_that_every_metric_has() -> None:
    samples = [
        sample
        for family in parser.text_string_to_metric_families(open_metrics_file.render(fakes_outlets.passed()).decode())
        for sample in family.samples
    ]
    dashboard = json.loads(DASHBOARD.read_bytes())
    queries = [
        target[key] for panel in dashboard["panels"] for target in panel["targets"] for key in ("expr", "legendFormat")
    ]
    queries += [variable["query"] for variable in dashboard["templating"]["list"]]
    asked = {
        label
        for query in queries
        for found in re.findall(r"(\w+)=~|\{\{(\w+)\}\}|label_values\(\w+, (\w+)\)", query)
        for label in found
        if label
    }

    assert asked == {"phase", "environment"}
    assert all(asked <= sample.labels.keys() for sample in samples)


# Telling


def tell(
    outlet: fakes_outlets.MemoryOutlet, *messages: run_messages.RunMessage, patience_seconds: float = 20
) -> list[str]:
    """What was said of outlets that could not be told."""
    said: list[str] = []
    told = telling.Telling([outlet], redactor=redaction.Redactor(["s3cret"]), first_wait_seconds=0.001)
    for message in messages:
        told.tell(message)
    told.close(said.append, patience_seconds)
    return said


def test_a_message_that_fails_twice_is_told_once() -> None:
    outlet = fakes_outlets.MemoryOutlet(failures=2)

    assert tell(outlet, fakes_outlets.started(), fakes_outlets.passed()) == []
    assert [message.kind for message in outlet.heard] == ["started", "verdict"]


def test_an_outlet_that_is_down_is_said_without_a_secret_and_hears_the_next_message() -> None:
    outlet = fakes_outlets.MemoryOutlet(failures=telling.ATTEMPTS_MAX)

    (words,) = tell(outlet, fakes_outlets.started(), fakes_outlets.passed())

    assert words.startswith("outlet memory was not told: started: the memory is busy")
    assert "the verdict does not depend on it" in words
    assert "s3cret" not in words
    assert [message.kind for message in outlet.heard] == ["verdict"]


def test_a_receiver_is_left_alone_as_long_as_it_asks_and_no_longer_than_is_reasonable() -> None:
    waits = []
    for asked_seconds in (None, 0.0, 3.0, 86400.0):
        failure = errors.Unavailable("busy")
        failure.wait_seconds = asked_seconds
        waits.append(telling.choose_wait_seconds(failure, 0.5))

    assert waits == [0.5, 0.5, 3.0, telling.LONGEST_ASKED_SECONDS]
    assert telling.LONGEST_ASKED_SECONDS * (telling.ATTEMPTS_MAX - 1) < telling.PATIENCE_SECONDS


def test_what_a_receiver_is_told_holds_no_secret_of_this_process() -> None:
    outlet = fakes_outlets.MemoryOutlet()
    message = fakes_outlets.act_now().model_copy(update={"words": "no stop: postgres://burst:s3cret@db is away"})

    assert tell(outlet, message) == []
    assert [heard.words for heard in outlet.heard] == ["no stop: postgres://***@db is away"]


def test_an_interrupt_ends_the_wait_for_an_outlet_and_not_the_command() -> None:
    let_go, asked = threading.Event(), threading.Event()

    class Stuck(fakes_outlets.MemoryOutlet):
        def send(self, message: run_messages.RunMessage) -> None:
            asked.set()
            let_go.wait(30)

    def interrupt() -> None:
        asked.wait(30)
        waiting.until(
            lambda: any(isinstance(each, threading.Timer) for each in threading.enumerate()), what="close to wait"
        )
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    (words,) = tell(Stuck(), fakes_outlets.passed(), patience_seconds=120)
    let_go.set()
    interrupting.join()

    assert words == (
        "outlet memory was not told: an interrupt ended the wait for its answer; the verdict does not depend on it"
    )


def test_a_receiver_that_drips_its_answer_holds_back_no_later_message() -> None:
    """Each byte comes in time, and the head of the answer never ends."""
    let_go = threading.Event()

    class Dripping(fakes_outlets.MemoryOutlet):
        def send(self, message: run_messages.RunMessage) -> None:
            if message.kind is run_messages.MessageKind.STARTED:
                let_go.wait(30)
            super().send(message)

    outlet, said = Dripping(), list[str]()
    told = telling.Telling([outlet], redactor=redaction.Redactor(), first_wait_seconds=0.001, attempt_seconds=0.05)
    told.tell(fakes_outlets.started())
    told.tell(fakes_outlets.passed())
    told.close(said.append, 30)
    heard = [message.kind for message in outlet.heard]
    let_go.set()
    waiting.until(lambda: len(outlet.heard) == telling.ATTEMPTS_MAX + 1, what="every attempt to end")

    assert heard == ["verdict"]
    assert said == [
        "outlet memory was not told: started: no whole answer within 0.05 s; the verdict does not depend on it"
    ]


def test_an_outlet_that_never_answers_is_given_up() -> None:
    let_go = threading.Event()

    class Stuck(fakes_outlets.MemoryOutlet):
        def send(self, message: run_messages.RunMessage) -> None:
            let_go.wait(30)

    (words,) = tell(Stuck(), fakes_outlets.passed(), patience_seconds=0.2)
    let_go.set()

    assert "no answer within 0.2 s" in words


# Wiring


def test_a_plan_without_outlets_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(outlets.VARIABLE, raising=False)

    assert outlets.open_outlets(cases.plan()) == ()


@pytest.mark.parametrize("missing", ["opentelemetry.exporter.otlp.proto.common", "opentelemetry.sdk.metrics"])
def test_an_outlet_whose_library_is_there_in_part_is_refused_before_anything_is_launched(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other packages of OpenTelemetry lie in the same folders."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(errors.UsageError, match=r"outlets\.otlp needs the extra outlets"):
        outlets.open_outlets(cases.plan(outlets={"otlp": {"endpoint": "http://127.0.0.1:4318"}}))


def test_outlets_come_of_the_plan_or_of_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "outlets.yaml"
    file.write_text("webhook: [{url: env:A_HOOK}]\nopenmetrics: burst.prom\n")
    monkeypatch.setenv(outlets.VARIABLE, str(file))
    monkeypatch.setenv("A_HOOK", "http://127.0.0.1:9/hook")

    named = [outlet.name for outlet in outlets.open_outlets(cases.plan())]
    of_plan = outlets.open_outlets(cases.plan(outlets={"otlp": {"endpoint": "http://127.0.0.1:4318"}}))

    assert named == ["webhook", "openmetrics"]
    assert [outlet.name for outlet in of_plan] == ["otlp"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("webhook: [{url: ftp://x}]", "webhook.0.url: Value error, expected http"),
        ("nonsense: 1", "nonsense: Extra inputs are not permitted"),
        ("{}", "expected one outlet at least"),
        ("a: [", "no YAML"),
        ("notify: ['slack://T0KEN/A/B']", "notify.0: Value error, expected a reference"),
    ],
)
def test_a_mistake_in_that_file_is_told_before_anything_is_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "outlets.yaml").write_text(text)
    monkeypatch.setenv(outlets.VARIABLE, str(tmp_path / "outlets.yaml"))

    with pytest.raises(errors.UsageError, match=re.escape(said)) as failure:
        outlets.open_outlets(cases.plan())
    assert "T0KEN" not in str(failure.value)


def test_a_secret_that_is_not_there_is_told_before_anything_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_HOOK", raising=False)

    with pytest.raises(errors.UsageError, match="A_HOOK"):
        outlets.open_outlets(cases.plan(outlets={"webhook": [{"url": "env:A_HOOK"}]}))


def test_a_run_that_goes_on_without_its_outlets_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_HOOK", raising=False)
    said: list[str] = []

    outlets.begin_again(cases.plan(outlets={"webhook": [{"url": "env:A_HOOK"}]}), said.append).close(said.append)

    (words,) = said
    assert words.startswith("no outlet is told of this run: ")
    assert "A_HOOK" in words


@pytest.mark.parametrize(("tasks", "words"), [(1, "1 task on local"), (2, "2 tasks on local")])
def test_the_start_of_a_run_says_how_many_tasks_it_has(tasks: int, words: str) -> None:
    target = {**cases.plan_value()["target"], "tasks": tasks, "min_tasks": 1}
    plan = cases.plan(execution_id=cases.EXECUTION_ID, target=target)

    message = run_messages.RunMessage.announce_start(plan, fakes_outlets.AT)

    assert message.words == words
