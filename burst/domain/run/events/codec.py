"""Events as JSON: the fields of a journal's line, turned into an event and back, and the registry of all events."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

import pydantic

from burst.domain.documents import models
from burst.domain.run.events import base, drill_events, ending_events, errand_events, launch_events, watch_events
from burst.domain.tasks import tasks

_MODULES = (launch_events, watch_events, errand_events, drill_events, ending_events)


def _collect_events() -> dict[str, type[base.Event]]:
    classes = [value for module in _MODULES for value in vars(module).values() if isinstance(value, type)]
    events = [value for value in classes if issubclass(value, base.Event)]
    return {event.wire_name: event for event in events}


EVENTS: Mapping[str, type[base.Event]] = _collect_events()
"""Every event by its name in the journal."""


@functools.cache
def adapter(wire_name: str) -> pydantic.TypeAdapter[Any]:
    """Validates and serializes the fields of one event; made when first needed, because making it takes a moment."""
    return pydantic.TypeAdapter(EVENTS[wire_name])


def missing_fields(event_class: type[base.Event], fields: Mapping[str, Any]) -> list[str]:
    """The names of fields that a line of this event lacks."""
    return [field.name for field in dataclasses.fields(event_class) if field.name not in fields]  # type: ignore[arg-type]


def encode(event: base.Event) -> dict[str, Any]:
    """The fields of an event as JSON values, in the order of its class."""
    fields: dict[str, Any] = adapter(event.wire_name).dump_python(event, mode="json")
    return fields


def decode(event_class: type[base.Event], fields: Mapping[str, Any]) -> base.Event:
    """The event that these fields describe; fields that it does not have are passed over.

    Raises ValueError where a field is missing or has a value that the event cannot have.
    """
    try:
        event: base.Event = adapter(event_class.wire_name).validate_json(json.dumps(fields))
    except pydantic.ValidationError as exc:
        raise ValueError(models.first_problem(exc)) from exc
    return event


def truth_fields(truth: tasks.TaskTruth) -> dict[str, Any]:
    """A task's truth as events hold it."""
    return encode(watch_events.TaskSeen.from_truth(truth))
