"""The contract of an outlet, kept by the fake and by each real one against a receiver on loopback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.local import system_clock
from burst.adapters.outlets import cd_events, event_bridge, notices, open_metrics_file, telemetry, webhook
from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages
from tests import event_queue, fakes_outlets, receiving

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
