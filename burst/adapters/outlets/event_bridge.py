"""An event on a bus of EventBridge for each message: source `burst`, its kind as the detail type."""

from typing import Any

from burst.domain.basics import errors
from burst.domain.verdict import run_messages
from burst.kit import aws

SOURCE = "burst"


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
            "Detail": message.content().decode(),
            "EventBusName": self._bus,
            "Time": message.at_utc,
            "Resources": [],
        }
        answer = aws.call("events:PutEvents", self._client.put_events, Entries=[entry])
        if answer.get("FailedEntryCount"):
            codes = ", ".join(sorted({str(each.get("ErrorCode")) for each in answer["Entries"]}))
            raise errors.Unavailable(f"the bus took no event: {codes}")
