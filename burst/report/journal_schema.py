"""The JSON Schema of a journal's lines, made from the classes of the events.

A line is chosen by its `event`: each event has its fields, and the strict form, for producers, lets no other name and
no other field stand. The lenient form lets what a newer minor version adds pass.
"""

import functools
from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from burst.domain.documents import document_names, models
from burst.domain.run.events import base, codec
from burst.report import field_meanings

_REFERENCE = "#/$defs/{model}"


class JournalLine(models.Model):
    """One line of `journal.jsonl`; the first one names the schema. `event` says which further fields it has."""

    sequence: int = pydantic.Field(ge=1)
    """The number of the line, from 1; none is left out."""
    at: models.Instant
    """When the line was written, by the controller's clock."""
    event: str = pydantic.Field(pattern=r"^[a-z]+(-[a-z]+)*$")
    """What happened, or is about to; it says which further fields the line has."""
    schema_: Literal["burst.journal/v1"] = pydantic.Field(default=document_names.JOURNAL_SCHEMA, alias="schema")


@functools.cache
def _definitions(*, strict: bool) -> Mapping[str, Any]:
    """The schema of every event's fields, and of the values in them."""
    mode: Literal["serialization", "validation"] = "serialization" if strict else "validation"
    inputs = [(name, mode, codec.adapter(name)) for name in codec.EVENTS]
    _, schema = pydantic.TypeAdapter.json_schemas(
        inputs, ref_template=_REFERENCE, schema_generator=field_meanings.ExplainedSchema
    )
    definitions: Mapping[str, Any] = schema["$defs"]
    return definitions


def build(*, strict: bool) -> dict[str, Any]:
    """The schema of one line."""
    mode: Literal["serialization", "validation"] = "serialization" if strict else "validation"
    line = JournalLine.model_json_schema(by_alias=True, mode=mode, schema_generator=field_meanings.ExplainedSchema)
    head = {name: line["properties"][name] for name in ("sequence", "at", "event")}
    if strict:
        line["properties"]["event"] = {"enum": list(codec.EVENTS), "title": "Event", "type": "string"}
    definitions = {name: _close(part, strict=strict) for name, part in _definitions(strict=strict).items()}
    for event_class in codec.EVENTS.values():
        fields = definitions[event_class.__name__]
        definitions[event_class.__name__] = _add_head(fields, head, event_class, strict=strict)
    return {
        **line,
        "required": list(head),
        "additionalProperties": True,
        "allOf": [
            {
                "if": {"properties": {"event": {"const": name}}},
                "then": {"$ref": _REFERENCE.format(model=event_class.__name__)},
            }
            for name, event_class in codec.EVENTS.items()
        ],
        "$defs": definitions,
    }


def _close(part: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """A part of the schema that lets unknown fields stand, or where it is strict none, and requires each it has."""
    if "properties" not in part:
        return dict(part)
    required = list(part["properties"]) if strict else part.get("required", [])
    return {**part, "additionalProperties": not strict, "required": required}


def _add_head(
    fields: Mapping[str, Any], head: Mapping[str, Any], event_class: type[base.Event], *, strict: bool
) -> dict[str, Any]:
    """The schema of a whole line of one event."""
    properties = {**head, "event": {"const": event_class.wire_name}, **fields["properties"]}
    if strict and "minor" in properties:
        properties["minor"] = {**properties["minor"], "const": document_names.JOURNAL_MINOR}
    optional = () if strict else event_class.added
    required = [field for field in (*head, *fields["required"]) if field not in optional]
    return {**fields, "properties": properties, "required": required}
