"""What every load program of a burst agrees on: settings, its share of the rate, event ids, send times, lateness.

Standard library only. A program imports it without Locust, starts in hundredths of a second, and runs in a task image
or in an operator's folder alike. `profiles/` holds the programs that ship with burst.

The author of a locustfile needs one import of it, `from burst.load import ...`:

| name | what it is for |
|---|---|
| `Scheduled` | a user that sends the events of the schedule: rate, shard and source by the plan |
| `DueEvent` | what `Scheduled.take_event` returns: `sequence`, `event_id`, `encode()` |
| `measured` | counts a block as one request, for a client that Locust does not know |
| `OwnRequest` | what a block of `measured` may say of its request |
| `mark` | counts a marker in the load account |
| `read_share`, `LoadShare` | this task's scope, shard, rate and source, from the environment |
| `EventStream` | the ids and bodies of a task's events |
| `SettingError` | raised where a setting is missing or wrong |

Each is imported when it is asked for: only `Scheduled` and `DueEvent` import Locust.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burst.load.load_events import EventStream
    from burst.load.load_settings import SettingError
    from burst.load.load_shares import LoadShare, read_share
    from burst.load.locust_schedule import DueEvent, Scheduled
    from burst.load.own_requests import OwnRequest, mark, measured

_MODULES = {
    "DueEvent": "locust_schedule",
    "EventStream": "load_events",
    "LoadShare": "load_shares",
    "OwnRequest": "own_requests",
    "Scheduled": "locust_schedule",
    "SettingError": "load_settings",
    "mark": "own_requests",
    "measured": "own_requests",
    "read_share": "load_shares",
}

__all__ = [
    "DueEvent",
    "EventStream",
    "LoadShare",
    "OwnRequest",
    "Scheduled",
    "SettingError",
    "mark",
    "measured",
    "read_share",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
