"""The validators of documents by kind and form, each made once: whether a schema is one takes a second to check, and
`tests/unit/test_schemas.py` does that."""

import functools

import jsonschema

from burst.report import schemas


@functools.cache
def validator(kind: str, form: schemas.Form) -> jsonschema.Draft202012Validator:
    """Validates documents of a kind by the strict or the lenient form of its schema."""
    return jsonschema.Draft202012Validator(schemas.make_schema(kind, form))
