"""A bus of a simulated EventBridge with a rule that puts burst's events into a queue of SQS."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from burst.adapters.outlets import event_bridge
from burst.kit import aws


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQueue:
    """The bus and the queue behind it."""

    bus: str
    url: str
    client: Any
    sqs: Any

    def read(self) -> list[dict[str, Any]]:
        """Every event in the queue, which is left empty."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def count(self) -> int:
        """How many events came since the last look."""
        return len(self.read())

    def delete_bus(self) -> None:
        """Takes the bus away, with its rule."""
        self.client.remove_targets(Rule="burst", EventBusName=self.bus, Ids=["queue"])
        self.client.delete_rule(Name="burst", EventBusName=self.bus)
        self.client.delete_event_bus(Name=self.bus)


def make() -> EventQueue:
    """A new bus, rule and queue."""
    events, sqs, name = aws.client("events"), aws.client("sqs"), f"burst-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name=name)
    pattern = json.dumps({"source": [event_bridge.SOURCE]})
    events.put_rule(Name="burst", EventBusName=name, EventPattern=pattern)
    events.put_targets(Rule="burst", EventBusName=name, Targets=[{"Id": "queue", "Arn": arn}])
    return EventQueue(bus=name, url=url, client=events, sqs=sqs)
