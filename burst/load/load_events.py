"""Events of a load program: an id is scope, shard and number, so it is unique in a run and the same in a replay."""

import json
from dataclasses import dataclass

PUSH_PATH = "/v1/ingest/push"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """The events of one task, numbered from 0."""

    scope: str
    shard_index: int

    def event_id(self, sequence: int) -> str:
        """The id of event number `sequence`."""
        return f"{self.scope}:{self.shard_index:04d}:{sequence:012d}"

    def encode(self, sequence: int) -> str:
        """The body to push for one event: the same bytes each time it is sent."""
        return json.dumps(
            {
                "event_id": self.event_id(sequence),
                "event_type": "burst.load",
                "event_class": "traffic",
                "platform_run_id": self.scope,
                "payload": {"shard": self.shard_index, "sequence": sequence},
            },
            separators=(",", ":"),
        )
