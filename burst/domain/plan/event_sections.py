"""Sections of a plan for its events: kinds by weight, sizes, shares of duplicates and malformed ones, the canary."""

import json
import re
from fractions import Fraction
from typing import Annotated, Any

import pydantic

from burst.domain.basics import canonical, magnitudes
from burst.domain.plan import field_types, sections
from burst.load import event_bodies, event_kinds, event_mix

MOST_TEMPLATES = 20
_PERCENT = re.compile(r"\d{1,2}(\.\d{1,6})?%")
_SHARE_ALLOWED = "a share such as 2.5%, or a number from 0 to 1"


def _read_share(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return Fraction(value.removesuffix("%")) / 100
    if magnitudes.is_number(value) and 0 <= value <= 1:
        return Fraction(str(value)).limit_denominator(10**8)
    raise ValueError(f"expected {_SHARE_ALLOWED}")


def write_share(share: Fraction) -> str:
    """A share as a plan says it, such as 2.5%."""
    return f"{float(share * 100):.6f}".rstrip("0").rstrip(".") + "%"


Share = Annotated[
    Fraction,
    pydantic.PlainValidator(_read_share, json_schema_input_type=float | str),
    pydantic.PlainSerializer(write_share, return_type=str),
]
Body = Annotated[dict[str, pydantic.JsonValue], pydantic.Field(min_length=1)]


def _refuse_unfit_body(key: str, body: dict[str, Any] | None, *, sized: bool) -> None:
    problem = "" if body is None else event_bodies.find_problem(body, sized=sized)
    if problem:
        raise field_types.Misfit((key,), f"a body whose placeholders fit: {problem}")


Size = Annotated[int, pydantic.Field(ge=1, le=event_bodies.MOST_BYTES)]


class SizesSection(pydantic.BaseModel):
    """How long the bodies of a kind are, by percentiles: in between the sizes lie on straight lines."""

    model_config = sections.STRICT

    least: Size
    """The bytes of the shortest body."""
    p50: Size | None = None
    """Half of the bodies have at most so many bytes."""
    p90: Size | None = None
    """90 of 100 bodies have at most so many bytes."""
    p95: Size | None = None
    """95 of 100 bodies have at most so many bytes."""
    p99: Size | None = None
    """99 of 100 bodies have at most so many bytes."""
    most: Size
    """The bytes of the longest body."""

    @property
    def points(self) -> list[tuple[float, int]]:
        """The share of the events that are no longer, and the bytes."""
        percentiles = ((0.5, self.p50), (0.9, self.p90), (0.95, self.p95), (0.99, self.p99))
        inner = [(share, size) for share, size in percentiles if size is not None]
        return [(0.0, self.least), *inner, (1.0, self.most)]

    @pydantic.model_validator(mode="after")
    def _rising(self) -> "SizesSection":
        sizes = [size for _, size in self.points]
        if sizes != sorted(sizes):
            raise field_types.Misfit(("most",), "sizes that rise, from least over p50, p90, p95 and p99 to most")
        return self


class TemplateSection(pydantic.BaseModel):
    """One kind of event."""

    model_config = sections.STRICT

    name: field_types.Name
    """The name of the kind; in the reference body it is the event type."""
    weight: Annotated[int, pydantic.Field(ge=1, le=1000)] = 1
    """How often it comes among the new events, beside the weights of the other kinds."""
    body: Annotated[
        Body | None,
        pydantic.Field(description="A JSON object with placeholders; without it the reference body of this name."),
    ] = None
    bytes_: Annotated[
        Size | SizesSection | None,
        pydantic.Field(alias="bytes", description="How long its bodies are: one size, or percentiles."),
    ] = None

    @property
    def points(self) -> list[tuple[float, int]] | None:
        """The curve of its sizes; None where a body is as long as it is."""
        if isinstance(self.bytes_, int):
            return [(0.0, self.bytes_), (1.0, self.bytes_)]
        return None if self.bytes_ is None else self.bytes_.points

    @pydantic.model_validator(mode="after")
    def _fitting(self) -> "TemplateSection":
        _refuse_unfit_body("body", self.body, sized=self.bytes_ is not None)
        return self

    def describe_body(self) -> dict[str, Any]:
        """The body, with its placeholders."""
        sized = self.bytes_ is not None
        return dict(self.body or event_kinds.describe_reference(self.name, sized=sized))


class EventsSection(pydantic.BaseModel):
    """What the tasks send: kinds of events, and how many of them are sent again or are malformed on purpose."""

    model_config = sections.STRICT

    duplicates: Annotated[
        Share, pydantic.Field(description="The share of deliveries that repeat an earlier event, exactly.")
    ] = Fraction(0)
    malformed: Annotated[
        Share, pydantic.Field(description="The share of deliveries that the ingest has to quarantine, exactly.")
    ] = Fraction(0)
    templates: Annotated[list[TemplateSection], pydantic.Field(min_length=1, max_length=MOST_TEMPLATES)] | None = None
    """The kinds of new events; burst's own event alone unless said."""
    malformed_body: Annotated[
        Body | None, pydantic.Field(description="The body of a malformed event, where the ingest has another envelope.")
    ] = None

    @pydantic.model_validator(mode="after")
    def _fitting(self) -> "EventsSection":
        special = self.duplicates + self.malformed
        if special > event_mix.MOST_SPECIAL:
            raise field_types.Misfit(
                ("duplicates" if self.duplicates >= self.malformed else "malformed",),
                f"a share that makes duplicates and malformed at most {write_share(event_mix.MOST_SPECIAL)} together, "
                f"not {write_share(special)}",
            )
        names = [template.name for template in self.templates or ()]
        if len(set(names)) != len(names):
            raise field_types.Misfit(("templates",), "templates of different names")
        _refuse_unfit_body("malformed_body", self.malformed_body, sized=False)
        if self.malformed and self.malformed_body is None and any(each.body for each in self.templates or ()):
            raise field_types.Misfit(("malformed_body",), "a body: burst knows no malformed one of another envelope")
        return self

    @property
    def new(self) -> Fraction:
        """The share of deliveries that are new, well-formed events: at most so many become ADMIT."""
        return 1 - self.duplicates - self.malformed

    @property
    def admit_ratio(self) -> Fraction:
        """The highest admit ratio: new events over new and repeated ones."""
        return self.new / (self.new + self.duplicates)

    @property
    def canary_body(self) -> dict[str, Any] | None:
        """The body of the first kind, where the plan gives bodies of its own."""
        return next((dict(each.body) for each in self.templates or () if each.body), None)

    @property
    def kinds_sha256(self) -> str | None:
        """The digest of all bodies, their sizes and weights; None where they are burst's own event."""
        if self.templates is None and self.malformed_body is None:
            return None
        kinds = [_write_template(template) for template in self.templates or ()]
        return canonical.digest(canonical.encode({"templates": kinds, "malformed_body": self.malformed_body}))

    @property
    def stated(self) -> dict[str, str]:
        """The events beside burst's own kind: their shares as a plan says them, and the digest of the kinds."""
        shares = {"duplicates": self.duplicates, "malformed": self.malformed}
        stated = {name: write_share(share) for name, share in shares.items() if share}
        return stated if self.kinds_sha256 is None else {**stated, "kinds": self.kinds_sha256}

    def write(self) -> str:
        """The events as every task reads them (`event_kinds.read_kinds`)."""
        value = {
            "duplicates": str(self.duplicates),
            "malformed": str(self.malformed),
            "templates": [_write_template(template) for template in self.templates or ()]
            or [{"body": event_kinds.describe_reference(), "weight": 1}],
            **({"malformed_body": self.malformed_body} if self.malformed_body else {}),
        }
        return json.dumps(value, separators=(",", ":"))


def _write_template(template: TemplateSection) -> dict[str, Any]:
    sizes = {} if template.points is None else {"sizes": template.points}
    return {"body": template.describe_body(), "weight": template.weight, **sizes}


class CanarySection(pydantic.BaseModel):
    """The one event that preflight sends, for an ingest that takes another body than the reference one."""

    model_config = sections.STRICT

    body: Annotated[Body, pydantic.Field(description="A JSON object with {event_id}, and the scope as {scope}.")]

    @pydantic.model_validator(mode="after")
    def _fitting(self) -> "CanarySection":
        _refuse_unfit_body("body", self.body, sized=False)
        return self
