"""Models: the base of every document: strict and frozen values, instants, digests, prose, and how bytes are read.

Only fields that adjudication needs are required, so that a run recorded elsewhere can be judged from little. Unknown
fields are ignored; an unknown schema is refused. Instants are UTC, counts are whole and not negative.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar

import pydantic

from burst.domain.basics import canonical, errors, instants


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return instants.utc(value)
    if isinstance(value, str):
        return instants.parse(value)
    raise ValueError("expected an instant such as 2026-02-21T02:00:00Z")


_WITHOUT_WORDS = {"words": "left out"}
"""The serialization context of `Model.judged_value`."""


def _write_words(words: str, info: pydantic.SerializationInfo) -> str:
    return "" if info.context is _WITHOUT_WORDS else words


Instant = Annotated[
    datetime,
    pydantic.BeforeValidator(_instant, json_schema_input_type=str),
    pydantic.PlainSerializer(instants.text, return_type=str),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation"),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time", "pattern": "Z$"}, mode="serialization"),
]
Count = Annotated[int, pydantic.Field(ge=0)]
Digest = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
Words = Annotated[str, pydantic.PlainSerializer(_write_words, return_type=str)]
"""A sentence for people. A later version may word it otherwise; ids, states, names and figures are no `Words`."""


class Model(pydantic.BaseModel):
    """Frozen, strict, no NaN; fields a later minor version may add are ignored."""

    model_config = pydantic.ConfigDict(
        frozen=True, strict=True, extra="ignore", allow_inf_nan=False, populate_by_name=True, defer_build=True
    )

    def document(self) -> dict[str, Any]:
        """The JSON value of the document."""
        return self.model_dump(mode="json", by_alias=True)

    def content(self) -> bytes:
        """The canonical bytes of the document."""
        return canonical.encode(self.document())

    def judged_value(self, *, only_set: bool = False) -> dict[str, Any]:
        """The JSON value with every `Words` empty; `only_set` leaves out the fields that the bytes did not hold."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=only_set, context=_WITHOUT_WORDS)


Value = bool | int | float | str | None
"""The answer to a question; None: not known."""
M = TypeVar("M", bound=Model)


def read(model: type[M], content: bytes) -> M:
    """A document from its bytes.

    Raises `errors.EvidenceUnknown` for a schema this version does not know, `errors.EvidenceCorrupt` for anything
    else that is wrong with it.
    """
    value = canonical.decode(content)
    check_schema(model, value)
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as exc:
        raise errors.EvidenceCorrupt(first_problem(exc)) from exc


def check_schema(model: type[Model], value: Any) -> None:
    """Raises `errors.EvidenceUnknown` unless the value says it follows the model's schema."""
    allowed = getattr(model.model_fields["schema_"].annotation, "__args__", ())
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema not in allowed:
        raise errors.EvidenceUnknown(f"schema {schema!r} is not known; this version reads {', '.join(allowed)}")


def first_problem(exc: pydantic.ValidationError) -> str:
    """The first thing that is wrong with a document, and in which field."""
    problem = exc.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(step) for step in problem["loc"]) or "document"
    return f"{field}: {problem['msg']}"
