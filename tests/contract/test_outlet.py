"""The contract of an outlet, kept by the fake and by each real one against a receiver on loopback."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.local import system_clock
from burst.adapters.outlets import (
    cd_events,
    event_bridge,
    notice_client,
    notices,
    open_metrics_file,
    telemetry,
    webhook,
)
from burst.domain.basics import errors, redaction
from burst.domain.documents import models
from burst.domain.verdict import run_messages
from burst.kit import own_programs
from tests import event_queue, fakes_outlets, receiving, waiting

PORT = ports.Outlet
CLOCK = system_clock.SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An outlet, and how often somebody heard of a run through it."""

    outlet: ports.Outlet
    count: Callable[[], int]
    busy: Callable[[], None]
    """Makes the next message fail in a way that may pass."""


POSTING: dict[str, Callable[[str], ports.Outlet]] = {
    "webhook": lambda url: webhook.Webhook(redaction.Secret(url), redaction.Secret("k"), CLOCK),
    "cdevents": lambda url: cd_events.CdEvents(redaction.Secret(url)),
    "otlp": lambda url: telemetry.Telemetry(redaction.Secret(url)),
    "notify": lambda url: notices.Notices(redaction.Secret(url.replace("http://", "json://"))),
}
"""Those that post to a URL."""


@pytest.fixture(params=["memory", *POSTING, "openmetrics", "eventbridge"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param in POSTING:
        with receiving.receiver() as receiver:

            def busy() -> None:
                receiver.statuses.extend([500] * 20)

            yield Scene(outlet=POSTING[request.param](receiver.url), count=lambda: len(receiver.received), busy=busy)
    elif request.param == "eventbridge":
        queue: event_queue.EventQueue = request.getfixturevalue("events")
        bus = event_bridge.EventBridge(queue.bus, client=queue.client)
        yield Scene(outlet=bus, count=queue.count, busy=queue.delete_bus)
    elif request.param == "openmetrics":
        file = tmp_path / "folder" / "burst.prom"
        text_file = open_metrics_file.OpenMetricsFile(file)
        yield Scene(outlet=text_file, count=lambda: int(file.exists()), busy=lambda: file.mkdir(parents=True))
    else:
        memory = fakes_outlets.MemoryOutlet()

        def fail() -> None:
            memory.failures = 1

        yield Scene(outlet=memory, count=lambda: len(memory.heard), busy=fail)


def test_a_verdict_is_heard(scene: Scene) -> None:
    scene.outlet.send(fakes_outlets.passed())

    assert scene.count() >= 1


@pytest.mark.parametrize(
    "message", [fakes_outlets.started(), fakes_outlets.act_now(), fakes_outlets.held()], ids=lambda each: each.kind
)
def test_every_kind_of_message_is_taken(scene: Scene, message: run_messages.RunMessage) -> None:
    scene.outlet.send(message)


def test_what_cannot_be_told_is_an_error_of_bursts_own_without_the_address(scene: Scene) -> None:
    scene.busy()

    with pytest.raises((errors.Unavailable, errors.Refused)) as failure:
        scene.outlet.send(fakes_outlets.passed())
    assert "://" not in str(failure.value)
    assert scene.count() in (0, 1)


def test_it_has_a_name_that_is_no_address(scene: Scene) -> None:
    assert scene.outlet.name.isalpha()


@pytest.mark.parametrize("name", POSTING)
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_takes_no_message_to_another_host_and_is_no_success(name: str, status: int) -> None:
    with receiving.receiver() as other, receiving.receiver(status) as receiver:
        receiver.location = f"{other.url}/stolen"
        with pytest.raises((errors.Unavailable, errors.Refused)):
            POSTING[name](receiver.url).send(fakes_outlets.passed())

    assert (receiver.asked, other.asked) == (1, 0)


@pytest.mark.parametrize("name", ["webhook", "cdevents", "otlp"])
def test_of_an_answer_without_end_hardly_anything_is_read(name: str) -> None:
    with receiving.receiver() as receiver:
        receiver.endless = True
        POSTING[name](receiver.url).send(fakes_outlets.passed())

        assert len(receiver.received) >= 1
    assert receiver.sent_bytes < 32 << 20


def test_of_an_answer_to_a_notice_no_more_is_read_than_its_program_has_memory_for() -> None:
    """Apprise reads an answer whole: so it does in a program of its own."""
    with receiving.receiver() as receiver:
        receiver.endless, receiver.endless_bytes = True, 2 * notices.LARGEST_DATA_BYTES
        with pytest.raises(errors.Unavailable, match="no whole answer"):
            POSTING["notify"](receiver.url).send(fakes_outlets.passed())

    assert 0 < receiver.sent_bytes < receiver.endless_bytes
    assert len(receiver.received) == 1


def test_the_program_of_a_notice_ends_itself_though_nobody_waits_for_it_any_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        order = {"address": f"json://127.0.0.1:{deaf.getsockname()[1]}", "title": "t", "body": "b", "success": True}
        order |= {"seconds": 0.2, "data_bytes": notices.LARGEST_DATA_BYTES}
        words = own_programs.start_words(notice_client.__name__)
        ended = subprocess.run(
            words, input=json.dumps(order).encode(), capture_output=True, timeout=waiting.PROCESS_SECONDS
        )

    assert (ended.returncode, ended.stdout) == (-signal.SIGALRM, b"")


@pytest.mark.parametrize("name", POSTING)
def test_nothing_that_is_logged_holds_the_address(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving.receiver() as gone:
        nobody = f"{gone.url}/T0KEN"

    with caplog.at_level("INFO"), pytest.raises(errors.Unavailable) as failure:
        POSTING[name](nobody).send(fakes_outlets.passed())
    told = "".join([caplog.text, *capfd.readouterr(), str(failure.value)])
    assert "T0KEN" not in told


def test_a_bus_takes_the_verdict_of_a_run_of_many_tasks(events: event_queue.EventQueue) -> None:
    """An event holds 256 KiB, and so does a message of the queue behind it."""
    one = fakes_outlets.passed()
    many = one.model_copy(update={"spans": [span for span in one.spans for _ in range(1000)]})

    event_bridge.EventBridge(events.bus, client=events.client).send(many)

    (event,) = events.read()
    assert event["detail"]["verdict"] == "PASS"
    assert len(many.content()) > 256 << 10
    assert len(json.dumps(event["detail"])) < 256 << 10
    assert models.read(run_messages.RunMessage, json.dumps(event["detail"]).encode()).id == many.id
