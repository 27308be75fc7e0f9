"""The meaning of each field of a document: the docstring under it, which Python itself does not keep.

It is read from the source of the model's module, and only where a schema is asked for, so that no other command pays
for it.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import json_schema
from pydantic_core import core_schema

SHARED: Mapping[str, str] = {
    "execution_id": (
        "The id of one run: its group, a UTC stamp and six random hex digits, or what the operator gave "
        "(`--execution-id`)."
    ),
    "platform_run_id": "The scope: the id of the platform run under which the receipts are counted.",
    "sha256": "SHA-256 of its bytes, as 64 lower-case hex digits.",
}
"""What a field of this name says in every document, where no docstring stands under it."""
CHOICE = "Which of its forms the section has; it decides the other fields."
"""What a `kind` with one possible value says, where no docstring stands under it."""


class ExplainedSchema(json_schema.GenerateJsonSchema):
    """JSON Schemas in which the docstring under a field is the description of its property."""

    def model_schema(self, schema: core_schema.ModelSchema) -> json_schema.JsonSchemaValue:
        """The schema of a model, with the meaning of each field that has one."""
        schema_value = super().model_schema(schema)
        fields = schema["cls"].model_fields
        return _explain(schema_value, schema["cls"], {name: field.alias or name for name, field in fields.items()})

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> json_schema.JsonSchemaValue:
        """The schema of a dataclass, with the meaning of each field that has one."""
        return _explain(super().dataclass_schema(schema), schema["cls"], {})


def read_field_docstrings(kind: type[Any]) -> Mapping[str, str]:
    """The docstring under each field that has one, also of the classes that the class inherits from."""
    docstrings: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        if parent.__module__.startswith("burst."):
            docstrings |= _read_classes(parent.__module__).get(parent.__qualname__, {})
    return docstrings


def _explain(
    schema_value: json_schema.JsonSchemaValue, kind: type[Any], aliases: Mapping[str, str]
) -> json_schema.JsonSchemaValue:
    documented = {aliases.get(name, name): words for name, words in read_field_docstrings(kind).items()}
    properties = schema_value.get("properties", {})
    for key, value in properties.items():
        choice = CHOICE if key == "kind" and "const" in value else None
        meaning = documented.get(key) or value.get("description") or SHARED.get(key) or choice
        if meaning:
            properties[key] = {**value, "description": meaning}
    return schema_value


@functools.cache
def _read_classes(module: str) -> Mapping[str, Mapping[str, str]]:
    """Empty where the module has no source, as in an image of compiled files: schemas are then without these words."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    return {node.name: dict(_list_documented(node)) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _list_documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, following in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(following, ast.Expr):
            value = following.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield field.target.id, " ".join(value.value.split())
