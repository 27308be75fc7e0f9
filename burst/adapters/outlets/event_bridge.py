"""An event on a bus of EventBridge for each message: source `burst`, its kind as the detail type."""

from typing import Any

from burst.domain.basics import errors
from burst.domain.verdict import run_messages
from burst.kit import aws

SOURCE = "burst"
LARGEST_DETAIL_BYTES = 240_000
"""EventBridge takes 256 KiB for an event with all that is around its detail."""


class EventBridge:
    """`ports.Outlet` that puts events on one bus. The same message may come twice: its id is in the detail."""

    name = "eventbridge"

    def __init__(self, bus: str, *, region: str | None = None, client: Any = None) -> None:
        self._bus = bus
        self._client = client if client is not None else aws.client("events", region_name=region)

    def send(self, message: run_messages.RunMessage) -> None:
        """Puts one event. Raises as `aws.call`, and `errors.Unavailable` where the bus took it not."""
        entry: dict[str, Any] = {
            "Source": SOURCE,
            "DetailType": message.kind.value,
            "Detail": _write_detail(message),
            "EventBusName": self._bus,
            "Time": message.at_utc,
            "Resources": [],
        }
        answer = aws.call("events:PutEvents", self._client.put_events, Entries=[entry])
        if answer.get("FailedEntryCount"):
            codes = ", ".join(sorted({str(each.get("ErrorCode")) for each in answer["Entries"]}))
            raise errors.Unavailable(f"the bus took no event: {codes}")


def _write_detail(message: run_messages.RunMessage) -> str:
    """The message; without its spans, one a task, where they are more than the bus takes."""
    content = message.content()
    if len(content) > LARGEST_DETAIL_BYTES:
        content = message.model_copy(update={"spans": []}).content()
    return content.decode()
