"""Kinds of events: their bodies by weight, and the shares of duplicates and malformed ones, as all tasks have them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from burst.load import event_bodies, event_mix

PUSH_PATH = "/v1/ingest/push"
KEY_HEADER = "X-IG-Api-Key"
EVENT_TYPE = "burst.load"


def describe_reference(event_type: str = EVENT_TYPE, *, sized: bool = False) -> dict[str, Any]:
    """The body of an event as the reference ingest takes it, with placeholders."""
    filler = {"filler": "{filler}"} if sized else {}
    return {
        "event_id": "{event_id}",
        "event_type": event_type,
        "event_class": "traffic",
        "platform_run_id": "{scope}",
        "payload": {"shard": "{shard}", "sequence": "{sequence}", **filler},
    }


def describe_malformed() -> dict[str, Any]:
    """A body that the reference ingest answers with QUARANTINE: its payload is no object."""
    return {**describe_reference(), "payload": "malformed on purpose"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKinds:
    """What a burst sends: kinds of events by weight, and the shares of duplicates and malformed ones."""

    templates: tuple[event_bodies.BodyTemplate, ...]
    weights: tuple[int, ...]
    malformed_template: event_bodies.BodyTemplate
    duplicates: Fraction = Fraction(0)
    malformed: Fraction = Fraction(0)

    @property
    def order(self) -> tuple[int, ...]:
        """One round of the kinds, by their index."""
        divisor = math.gcd(*self.weights)
        return event_mix.spread_weights(tuple(weight // divisor for weight in self.weights))


REFERENCE = EventKinds(
    templates=(event_bodies.BodyTemplate(describe_reference()),),
    weights=(1,),
    malformed_template=event_bodies.BodyTemplate(describe_malformed()),
)
"""One kind of event, each sent once."""


# As text in the environment of a task


def read_kinds(text: str) -> EventKinds:
    """What a burst sends, from the text that its tasks have. Raises ValueError for one that makes no sense."""
    value = json.loads(text)
    if not isinstance(value, Mapping) or not isinstance(templates := value.get("templates"), list) or not templates:
        raise ValueError("an object with a list of templates")
    try:
        return EventKinds(
            templates=tuple(_read_template(entry) for entry in templates),
            weights=tuple(int(entry["weight"]) for entry in templates),
            malformed_template=event_bodies.BodyTemplate(value.get("malformed_body") or describe_malformed()),
            duplicates=Fraction(str(value.get("duplicates", 0))),
            malformed=Fraction(str(value.get("malformed", 0))),
        )
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as exc:
        raise ValueError(f"a template has body, weight and perhaps sizes: {exc!r}") from exc


def _read_template(value: Mapping[str, Any]) -> event_bodies.BodyTemplate:
    sizes = value.get("sizes")
    curve = None if sizes is None else event_bodies.SizeCurve([(float(share), int(size)) for share, size in sizes])
    return event_bodies.BodyTemplate(value["body"], curve)
