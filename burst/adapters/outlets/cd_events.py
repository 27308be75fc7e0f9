"""CDEvents 0.5 over HTTP, as CloudEvents in binary mode: a run is a test suite run, its snapshot a test output."""

import json
from collections.abc import Iterator
from typing import Any

from burst.adapters.outlets import posts
from burst.domain.basics import instants, redaction
from burst.domain.verdict import run_messages

SPEC_VERSION = "0.5.1"
_STARTED = "dev.cdevents.testsuiterun.started.0.3.0"
_FINISHED = "dev.cdevents.testsuiterun.finished.0.3.0"
_PUBLISHED = "dev.cdevents.testoutput.published.0.3.0"
_SOURCE = "/burst"
_OUTCOMES = {
    run_messages.MessageKind.HALTED: "cancel",
    run_messages.MessageKind.UNPUBLISHED: "error",
    run_messages.MessageKind.ACT_NOW: "error",
}


class CdEvents:
    """`ports.Outlet` that posts CDEvents to an address."""

    name = "cdevents"

    def __init__(self, address: redaction.Secret) -> None:
        self._address = address
        self._posts = posts.SeveralPosts()

    def send(self, message: run_messages.RunMessage) -> None:
        """Posts one event, and after a verdict a second one for the snapshot. Raises as `posts.post`; sent again, it
        posts only what was not taken."""
        from cloudevents.core.bindings import http
        from cloudevents.core.v1 import event

        for content in list_events(message):
            context = content["context"]
            cloud_event = event.CloudEvent(
                {
                    "id": context["id"],
                    "source": context["source"],
                    "type": context["type"],
                    "subject": content["subject"]["id"],
                    "time": message.at_utc,
                    "datacontenttype": "application/json",
                },
                json.dumps(content, sort_keys=True).encode(),
            )
            sent = http.to_binary_event(cloud_event)
            self._posts.post(context["id"], self._address, sent.body, sent.headers)


def list_events(message: run_messages.RunMessage) -> Iterator[dict[str, Any]]:
    """The events of a message, as the schemas of CDEvents have them."""
    run = {
        "environment": {"id": message.environment},
        "testSuite": {"id": message.phase, "name": f"{message.phase} ({message.phase_kind})"},
    }
    if message.kind is run_messages.MessageKind.STARTED:
        yield _make_event(message, _STARTED, message.execution_id, run)
        return
    outcome = _OUTCOMES.get(message.kind, "success" if message.verdict == "PASS" else "failure")
    finished = {**run, "outcome": outcome, "reason": message.words}
    yield _make_event(message, _FINISHED, message.execution_id, finished)
    if message.evidence is not None:
        output = {"outputType": "report", "format": "application/json"}
        uris = [f"{place}/{message.evidence.name}" for place in message.evidence.places if "://" in place]
        content = {**output, **({"uri": uris[0]} if uris else {})}
        yield _make_event(message, _PUBLISHED, f"{message.execution_id}/{message.evidence.name}", content)


def _make_event(
    message: run_messages.RunMessage, event_type: str, subject: str, content: dict[str, Any]
) -> dict[str, Any]:
    return {
        "context": {
            "specversion": SPEC_VERSION,
            "id": f"{message.id}-{event_type.split('.')[3]}",
            "source": _SOURCE,
            "type": event_type,
            "timestamp": instants.text(message.at_utc),
        },
        "subject": {"id": subject, "source": _SOURCE, "content": content},
    }
