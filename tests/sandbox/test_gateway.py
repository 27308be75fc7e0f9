"""The reference gateway over real HTTP and a real Postgres: its decisions, refusals and receipts."""

import collections
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import psutil
import psycopg
import pytest
from hypothesis import strategies

from burst.domain.basics import errors
from burst.sandbox import embedded_postgres, gateway
from tests import fixtures_postgres, waiting
from tests.sandbox import event_sender

EVENTS = strategies.tuples(strategies.sampled_from("ab"), strategies.integers(0, 7))


@pytest.fixture(scope="module")
def dsn(postgres_template: fixtures_postgres.TemplatedServer) -> str:
    """One database for this module. Each test uses scopes of its own."""
    return postgres_template.server.create_database(template=postgres_template.template)


@pytest.fixture(scope="module")
def running(dsn: str) -> Iterator[gateway.Gateway]:
    """One gateway for this module."""
    with gateway.start(dsn=dsn, api_key=event_sender.API_KEY) as gateway_of_module:
        yield gateway_of_module


@pytest.fixture
def sender(running: gateway.Gateway) -> Iterator[event_sender.EventSender]:
    """A connection to the gateway."""
    with event_sender.EventSender(running.url) as connected:
        yield connected


@pytest.fixture
def scope() -> str:
    """A scope of this test alone."""
    return f"platform_{uuid.uuid4().hex}"


def _rows(dsn: str, scope: str, columns: str = "event_id, decision") -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        query = f"SELECT {columns} FROM receipts WHERE platform_run_id = %s ORDER BY event_id, decision"  # noqa: S608
        return connection.execute(query.encode(), [scope]).fetchall()


def _count(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM receipts").fetchone()
    assert row is not None
    return int(row[0])


def test_a_new_event_is_admitted_and_its_row_says_so(sender: event_sender.EventSender, dsn: str, scope: str) -> None:
    answer = sender.event(scope, "e1", event_class="traffic", payload={"b": 1, "a": 2})

    key = hashlib.sha256(f"{scope}:traffic:e1".encode()).hexdigest()
    receipt_id = hashlib.sha256(b"ADMIT:e1").hexdigest()[:32]
    assert (answer.status, answer.document["decision"], answer.document["receipt_id"]) == (200, "ADMIT", receipt_id)
    assert _rows(dsn, scope, "receipt_id, event_id, event_type, dedupe_key, decision, created_at_utc") == [
        (receipt_id, "e1", "test", key, "ADMIT", answer.document["created_at_utc"])
    ]
    with psycopg.connect(dsn) as connection:
        admission = connection.execute(
            "SELECT state, event_class, event_id, payload_hash, receipt_ref, receipt_write_failed, admitted_at_utc"
            " FROM admissions WHERE dedupe_key = %s",
            [key],
        ).fetchone()
    payload_hash = hashlib.sha256(b'{"a":2,"b":1}').hexdigest()
    reference, at = answer.document["receipt_ref"], answer.document["created_at_utc"]
    assert admission == ("ADMITTED", "traffic", "e1", payload_hash, reference, False, at)


def test_times_are_written_as_isoformat_prints_them(sender: event_sender.EventSender, scope: str) -> None:
    answer = sender.event(scope, "e1")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", answer.document["created_at_utc"])


def test_a_repeat_is_a_duplicate_and_a_third_delivery_writes_no_row(
    sender: event_sender.EventSender, dsn: str, scope: str
) -> None:
    decisions = [sender.event(scope, "e1").document["decision"] for _ in range(3)]

    assert decisions == ["ADMIT", "DUPLICATE", "DUPLICATE"]
    assert _rows(dsn, scope) == [("e1", "ADMIT"), ("e1", "DUPLICATE")]


def test_two_scopes_do_not_see_each_others_events(sender: event_sender.EventSender, scope: str) -> None:
    decisions = [sender.event(name, "e1").document["decision"] for name in (scope, scope + "_b", scope)]

    assert decisions == ["ADMIT", "ADMIT", "DUPLICATE"]


def test_two_classes_of_one_event_are_two_admissions(sender: event_sender.EventSender, scope: str) -> None:
    decisions = [sender.event(scope, "e1", event_class=name).document["decision"] for name in ("a", "b", "a")]

    assert decisions == ["ADMIT", "ADMIT", "DUPLICATE"]


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"event_id": None}, ["MISSING_EVENT_ID"]),
        ({"event_id": 7}, ["INVALID_EVENT_ID"]),
        ({"event_id": ""}, ["INVALID_EVENT_ID"]),
        ({"event_id": "a\0b"}, ["INVALID_EVENT_ID"]),
        ({"event_id": "e" * 257}, ["INVALID_EVENT_ID"]),
        ({"event_type": None}, ["MISSING_EVENT_TYPE"]),
        ({"event_class": ["list"]}, ["INVALID_EVENT_CLASS"]),
        ({"payload": None}, ["PAYLOAD_NOT_AN_OBJECT"]),
        ({"payload": [1]}, ["PAYLOAD_NOT_AN_OBJECT"]),
        ({"event_type": None, "payload": "x"}, ["MISSING_EVENT_TYPE", "PAYLOAD_NOT_AN_OBJECT"]),
    ],
    ids=str,
)
def test_a_malformed_envelope_goes_to_quarantine_with_its_reasons(
    sender: event_sender.EventSender, dsn: str, scope: str, fields: dict[str, object], reasons: list[str]
) -> None:
    answer = sender.event(scope, "e1", **fields)

    assert (answer.status, answer.document["decision"]) == (200, "QUARANTINE")
    assert answer.document["reason_codes"] == reasons
    assert _rows(dsn, scope, "decision, reason_codes_json, dedupe_key") == [("QUARANTINE", json.dumps(reasons), None)]


@pytest.mark.parametrize("body", [b"", b"not json", b'"text"', b"[]", b'{"half":', b"\xff\xfe"], ids=repr)
def test_a_body_that_is_no_envelope_gets_an_id_from_its_hash_and_no_scope(
    sender: event_sender.EventSender, dsn: str, body: bytes
) -> None:
    answer = sender.push(body)

    event_id = f"body_{hashlib.sha256(body).hexdigest()[:32]}"
    assert (answer.document["decision"], answer.document["event_id"]) == ("QUARANTINE", event_id)
    assert (event_id, "QUARANTINE") in _rows(dsn, "")


def test_an_envelope_without_a_run_is_quarantined_under_no_scope(
    sender: event_sender.EventSender, dsn: str, scope: str
) -> None:
    answer = sender.event(scope, f"lost-{scope}", platform_run_id=None)

    assert answer.document["reason_codes"] == ["MISSING_PLATFORM_RUN_ID"]
    assert (f"lost-{scope}", "QUARANTINE") in _rows(dsn, "")


def test_a_quarantined_event_is_admitted_once_it_is_mended(sender: event_sender.EventSender, scope: str) -> None:
    decisions = [sender.event(scope, "e1", payload=payload).document["decision"] for payload in ("bad", {"good": 1})]

    assert decisions == ["QUARANTINE", "ADMIT"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (event_sender.PATH + event_sender.PATH, "POST", 404),
        (event_sender.PATH + "/", "POST", 404),
        ("/", "GET", 404),
        (event_sender.PATH, "GET", 405),
        ("/healthz", "GET", 200),
    ],
)
def test_only_the_known_routes_answer(sender: event_sender.EventSender, path: str, method: str, status: int) -> None:
    answer = sender.push(b"{}", path=path, method=method)

    assert answer.status == status


@pytest.mark.parametrize("api_key", [None, "", "REPLACE_ME_LATER", event_sender.API_KEY + "x"], ids=repr)
def test_without_the_right_key_nothing_is_read_or_written(
    sender: event_sender.EventSender, dsn: str, scope: str, api_key: str | None
) -> None:
    before = _count(dsn)
    body = json.dumps({"event_id": "e", "event_type": "t", "platform_run_id": scope, "payload": {}}).encode()

    answer = sender.push(body, api_key=api_key)

    assert answer.status == 401
    assert _count(dsn) == before


def test_the_wrong_key_is_refused_before_the_body_arrives(running: gateway.Gateway) -> None:
    with socket.create_connection((urlsplit(running.url).hostname or "", urlsplit(running.url).port or 0), 10) as raw:
        raw.sendall(b"POST /v1/ingest/push HTTP/1.1\r\nhost: x\r\nx-ig-api-key: wrong\r\ncontent-length: 1000\r\n\r\n")
        answer = raw.recv(100)

    assert answer.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_over_one_mebibyte_is_refused(running: gateway.Gateway, dsn: str, chunked: bool) -> None:
    before = _count(dsn)
    head = b"transfer-encoding: chunked" if chunked else b"content-length: 1048577"
    key = event_sender.API_KEY.encode()
    with socket.create_connection((urlsplit(running.url).hostname or "", urlsplit(running.url).port or 0), 10) as raw:
        raw.sendall(b"POST /v1/ingest/push HTTP/1.1\r\nhost: x\r\nx-ig-api-key: %b\r\n%b\r\n\r\n" % (key, head))
        if chunked:
            raw.sendall(b"100001\r\n" + b"x" * 0x100001 + b"\r\n")
        answer = raw.recv(100)

    assert answer.startswith(b"HTTP/1.1 413")
    assert _count(dsn) == before


def test_a_body_of_one_mebibyte_is_taken(sender: event_sender.EventSender, scope: str) -> None:
    envelope = {"event_id": "e", "event_type": "t", "platform_run_id": scope, "payload": {"x": ""}}
    envelope["payload"] = {"x": "y" * (1024 * 1024 - len(json.dumps(envelope)))}

    answer = sender.push(json.dumps(envelope).encode())

    assert (len(json.dumps(envelope)), answer.document["decision"]) == (1024 * 1024, "ADMIT")


def test_half_a_body_leaves_no_receipt(
    running: gateway.Gateway, sender: event_sender.EventSender, dsn: str, scope: str
) -> None:
    before = _count(dsn)
    with socket.create_connection((urlsplit(running.url).hostname or "", urlsplit(running.url).port or 0), 10) as raw:
        raw.sendall(
            b"POST /v1/ingest/push HTTP/1.1\r\nhost: x\r\nx-ig-api-key: %b\r\ncontent-length: 100\r\n\r\nhalf"
            % event_sender.API_KEY.encode()
        )
    sender.event(scope, "after")

    assert _count(dsn) == before + 1


def test_an_answered_event_has_its_row_for_other_connections(
    sender: event_sender.EventSender, dsn: str, scope: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(50):
            sender.event(scope, f"e{number}")
            count = connection.execute("SELECT count(*) FROM receipts WHERE platform_run_id = %s", [scope]).fetchone()

            assert count == (number + 1,)


@hypothesis.settings(max_examples=12, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(deliveries=strategies.lists(EVENTS, max_size=120))
def test_each_event_is_admitted_once_however_many_send_it_at_once(
    running: gateway.Gateway, dsn: str, deliveries: list[tuple[str, int]]
) -> None:
    prefix = uuid.uuid4().hex
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        shares = pool.map(lambda first: _send(running.url, prefix, deliveries[first::16]), range(16))
        answers = collections.Counter(decision for share in shares for decision in share)

    times = collections.Counter(deliveries)
    expected = {(name, f"e{number}", "ADMIT") for name, number in times}
    expected |= {(name, f"e{number}", "DUPLICATE") for (name, number), count in times.items() if count > 1}
    rows = [(name, *row) for name in "ab" for row in _rows(dsn, prefix + name)]
    assert collections.Counter(rows) == dict.fromkeys(expected, 1)
    assert (answers["ADMIT"], answers["DUPLICATE"]) == (len(times), len(deliveries) - len(times))


def _send(url: str, prefix: str, deliveries: list[tuple[str, int]]) -> list[str]:
    with event_sender.EventSender(url) as sender:
        return [sender.event(prefix + name, f"e{number}").document["decision"] for name, number in deliveries]


def test_without_its_database_the_gateway_answers_503_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(embedded_postgres.DSN_VARIABLE, raising=False)
    with embedded_postgres.start(durable=False) as server:
        dsn = server.create_database()
        with (
            gateway.start(dsn=dsn, api_key=event_sender.API_KEY) as running,
            event_sender.EventSender(running.url) as sender,
        ):
            assert sender.event("s", "before").status == 200
            server.stop_server()
            refused = [sender.event("s", f"away{number}") for number in range(4)]
            health = sender.push(b"", path="/healthz", method="GET")
            server.start_server()
            waiting.until(lambda: sender.event("s", "after").status == 200, what="the gateway to recover")

        assert [(answer.status, answer.headers["retry-after"]) for answer in refused] == [(503, "1")] * 4
        assert health.status == 503
        rows = {event_id for event_id, _ in _rows(dsn, "s")}
        assert rows == {"before", "after"}


def test_a_gateway_ends_with_a_parent_killed_by_sigkill(dsn: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox.hold_gateway"],
        env=os.environ | {"HELD_DSN": dsn, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE, text=True, cwd="/",
    )  # fmt: skip
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    waiting.until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, what="the gateway to end")


def test_a_gateway_that_still_waits_for_its_database_ends_with_its_parent_too() -> None:
    program = (
        "import asyncio; from burst.sandbox import ingest_server; asyncio.run(ingest_server.serve("
        "dsn='postgresql://nobody@127.0.0.1:1/none', api_key='k', port=0, port_file=None, until_eof=True))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as server:
        try:
            assert server.stdin is not None
            server.stdin.close()

            assert server.wait(20) == 0
        finally:
            server.kill()


def test_a_gateway_without_its_database_does_not_start_and_shows_no_password(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="did not start") as refusal:
        gateway.start(dsn=f"postgresql://burst:hunter2@/none?host={tmp_path}", api_key=event_sender.API_KEY)

    assert "hunter2" not in str(refusal.value)
    assert "connection to server" in str(refusal.value)


def test_the_command_line_holds_neither_key_nor_dsn(running: gateway.Gateway, dsn: str) -> None:
    command_line = " ".join(psutil.Process(running.pid).cmdline())

    assert "--dsn-env" in command_line
    assert event_sender.API_KEY not in command_line
    assert dsn not in command_line
