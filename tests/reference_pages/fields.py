"""The fields of a document, from the JSON Schema of the model that reads it: dotted name, form, default, meaning."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from burst.domain.basics import instants
from burst.domain.run.events import codec
from burst.report import schemas

Schema = Mapping[str, Any]
_BOUNDS = {"exclusiveMinimum": "above", "gt": "above", "minimum": "from", "ge": "from", "maximum": "to", "le": "to"}
SCHEMA_MEANING = "The kind of the document, and its version."
_OF_EVERY_LINE = ("sequence", "at", "event")
_LARGEST = 2**53 - 1
"""The largest whole number that JSON holds exactly; every number ends there, so it is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `[]` in its name stands for an entry of a list, `KEY` for a key that its author chooses."""

    name: str
    form: str
    required: bool
    default: str
    meaning: str


def list_fields(kind: str) -> list[Field]:
    """The fields of one kind of document, in the order of its models, each followed by those within it."""
    schema = schemas.make_schema(kind)
    return list(dict.fromkeys(_Walk(schema.get("$defs", {})).list_within(schema, "", ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFields:
    """One event of the journal with the fields that its line has beside number, instant and name."""

    name: str
    meaning: str
    fields: tuple[Field, ...]


def list_events() -> list[EventFields]:
    """Every event of the journal, in the order of a run."""
    definitions = schemas.make_schema("journal")["$defs"]
    return [_describe_event(name, definitions[kind.__name__], definitions) for name, kind in codec.EVENTS.items()]


def _describe_event(name: str, schema: Schema, definitions: Mapping[str, Schema]) -> EventFields:
    own = {key: value for key, value in schema["properties"].items() if key not in _OF_EVERY_LINE}
    fields = _Walk(definitions).list_within({**schema, "properties": own}, "", ())
    return EventFields(name=name, meaning=_first_paragraph(schema["description"]), fields=tuple(fields))


def _first_paragraph(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


class _Walk:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def list_within(self, schema: Schema, prefix: str, above: tuple[str, ...]) -> Iterator[Field]:
        """The fields of an object, an entry of a list, or a value of a mapping, under a prefix."""
        for part, suffix, name in self._list_parts(schema):
            if name is not None and name in above:
                continue  # it holds itself
            names = above if name is None else (*above, name)
            for key, value in part.get("properties", {}).items():
                name_here = f"{prefix}{suffix}{key}".removeprefix(".")
                field = self._describe(name_here, value, key in part.get("required", ()))
                if key == "schema" and "const" in value and not field.meaning:
                    field = replace(field, meaning=SCHEMA_MEANING)
                yield field
                yield from self.list_within(value, field.name, names)

    def _list_parts(self, schema: Schema) -> Iterator[tuple[Schema, str, str | None]]:
        """Each object in a schema, with what stands between its name and those of its fields."""
        for one, name in self._list_choices(schema):
            if "properties" in one:
                yield one, ".", name
            elif "items" in one:
                for part, suffix, inner in self._list_parts(one["items"]):
                    yield part, f"[]{suffix}", inner
            else:
                for value in _list_values(one):
                    for part, suffix, inner in self._list_parts(value):
                        yield part, f".KEY{suffix}", inner

    def _list_choices(self, schema: Schema, name: str | None = None) -> Iterator[tuple[Schema, str | None]]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self._list_choices(self._definitions[name], name)
        elif "anyOf" in schema or "oneOf" in schema:
            for choice in schema.get("anyOf", schema.get("oneOf", ())):
                yield from self._list_choices(choice, name)
        else:
            yield schema, name

    def _describe(self, name: str, schema: Schema, required: bool) -> Field:
        forms = dict.fromkeys(self._name_form(choice) for choice, _ in self._list_choices(schema))
        form = " or ".join(text for text in forms if text != "null")
        return Field(
            name=name,
            form=form,
            required=required,
            default=_name_default(schema.get("default"), form),
            meaning=schema.get("description", ""),
        )

    def _name_form(self, schema: Schema) -> str:
        if "const" in schema:
            return str(schema["const"])
        if "enum" in schema:
            return ", ".join(map(str, schema["enum"]))
        if "items" in schema:
            inner = dict.fromkeys(self._name_form(choice) for choice, _ in self._list_choices(schema["items"]))
            return f"list of {' or '.join(inner)}"
        kind = schema.get("type", "any value")
        if kind == "object":
            return "section" if "properties" in schema else "mapping"
        if kind == "string" and schema.get("format") == "date-time":
            return "instant"
        if kind == "string" and "gt" in schema:
            kind = "duration"
        return " ".join([str(kind), *_list_bounds(schema)])


def _list_values(schema: Schema) -> Iterator[Schema]:
    """The schemas of what a mapping holds."""
    yield from schema.get("patternProperties", {}).values()
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield schema["additionalProperties"]


def _name_default(default: object, form: str) -> str:
    """A default as a plan writes it; nothing for none, and for a section or a list."""
    if default is None or isinstance(default, dict | list):
        return ""
    if isinstance(default, float) and form.startswith("duration"):
        return instants.duration_text(default)
    return json.dumps(default) if isinstance(default, bool) else str(default)


def _list_bounds(schema: Schema) -> Iterator[str]:
    for key, word in _BOUNDS.items():
        value = schema.get(key)
        if isinstance(value, int | float) and value != _LARGEST:
            yield f"{word} {value:g}"
