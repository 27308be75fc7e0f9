"""Terms of the load: the events and how they are sent, so that no rerun passes by an easier load.

Other events, or another recording, ask something else, and nobody can say that they ask as much. Of the other keys of
`load` each is no term for a reason of its own:

- the program with its words and variables (`locustfile`, `command`, `profile`, `arguments`, `tags`, `user_classes`,
  `environment`, `per_shard`), because a better generator is what mends many a HOLD. What a locustfile says inside lies
  in an image on ECS. A baseline is compared with the program all the same (`baselines.list_differences`);
- `headroom`, `users`, `spawn_rate`, and how the load is divided (`topology`, `processes`): the gates measure what was
  reached, and `offered_load` what was sent. So is the rate, where a multiple of the baseline is required;
- where it goes (`host`), `api_key`, `key_header`, where a checkpoint is kept: they change with each start of a system,
  and receipts count in the table and the scope of the contract alone;
- `continues`: a playback that goes on sends the rest of the same recording;
- `waits_for_go`, `canary`, `keep`: of the start, of preflight and of documents that no gate rests on.
"""

from collections.abc import Iterator
from typing import Any

from burst.domain.plan import plans

MOST_RECORDS = "load.playback.max_events"
"""The most records of a task; a term that may be raised, as a source may."""
NO_TERMS = frozenset(
    {
        *("locustfile", "command", "profile", "arguments", "tags", "user_classes", "environment", "per_shard"),
        *("headroom", "users", "spawn_rate", "topology", "processes"),
        *("host", "api_key", "key_header", "continues", "waits_for_go", "canary", "keep"),
    }
)
"""The keys of a load that state no term."""
_PLAYBACK = ("source", "key", "at", "template")
_OTHER = ("load.events.", "load.playback.", "load.route", "load.arrivals")


def state_load(plan: plans.Plan) -> Iterator[tuple[str, Any]]:
    """The terms of a plan's load, each by its key; those that the plan leaves to their default are absent."""
    load = plan.load
    if load.route is not None:
        yield "load.route", load.route
    if load.arrivals not in (None, "even"):
        yield "load.arrivals", load.arrivals
    if load.events is not None:
        for name, value in load.events.stated.items():
            yield f"load.events.{name}", value
    if load.playback is not None:
        for name, value in load.playback.model_dump(include=set(_PLAYBACK), exclude_none=True).items():
            yield f"load.playback.{name}", value
        yield MOST_RECORDS, load.playback.max_events


def is_other_load(key: str) -> bool:
    """Whether a term says what is sent, so that no value of it asks as much as another."""
    return key.startswith(_OTHER) and key != MOST_RECORDS
