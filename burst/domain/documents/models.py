"""Models: what every document shares: strict and frozen values, instants, digests, and how bytes are read.

Only what adjudication needs is required, so that a run recorded elsewhere can be judged from what is known of it;
unknown fields are ignored, an unknown schema is refused. Instants are UTC, counts are whole and not negative.
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


Instant = Annotated[
    datetime,
    pydantic.BeforeValidator(_instant, json_schema_input_type=str),
    pydantic.PlainSerializer(instants.text, return_type=str),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation"),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time", "pattern": "Z$"}, mode="serialization"),
]
Count = Annotated[int, pydantic.Field(ge=0)]
Digest = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class Model(pydantic.BaseModel):
    """Frozen, strict, no NaN; fields a later minor version may add are ignored."""

    model_config = pydantic.ConfigDict(
        frozen=True, strict=True, extra="ignore", allow_inf_nan=False, populate_by_name=True
    )

    def content(self) -> bytes:
        """The canonical bytes of the document."""
        return canonical.encode(self.model_dump(mode="json", by_alias=True))


Value = bool | int | float | str | None
"""What a question can be answered with; None: not known."""
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
    known = model.model_fields["schema_"].annotation
    allowed = getattr(known, "__args__", ())
    seen = value.get("schema") if isinstance(value, dict) else None
    if seen not in allowed:
        raise errors.EvidenceUnknown(f"schema {seen!r} is not known; this version reads {', '.join(allowed)}")


def first_problem(exc: pydantic.ValidationError) -> str:
    """The first thing that is wrong with a value: where, and how."""
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or "document"
    return f"{where}: {first['msg']}"
