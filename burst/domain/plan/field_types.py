"""Field types of a plan: durations, references, names, places, numbers, each refusing a value that is none.

A refusal names the expected form and never the value: a secret may stand in the wrong place.
"""

import re
from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical, instants, naming, rates
from burst.domain.plan import yaml_lines

SECRET_KEYS = frozenset({"dsn", "api_key"})
RUN_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{2,99}$"
"""The ids of runs."""
SECRET_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*|ssm:\S+|secretsmanager:\S+)")
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|DSN", re.IGNORECASE)
"""In the name of a variable that holds a secret."""
REFERENCE_ALLOWED = "a reference: env:NAME, file:PATH, ssm:NAME or secretsmanager:ARN (never the value itself)"
ALARM = re.compile(r"arn:aws[a-z-]*:cloudwatch:(?P<region>[a-z]{2,4}(-[a-z]+)+-\d):\d{12}:alarm:(?P<name>[ -~]{1,255})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


class Misfit(ValueError):
    """Keys that are each well formed but do not fit together; `key` is the key to point at, below the section."""

    def __init__(self, key: yaml_lines.Path, allowed: str) -> None:
        self.key = key
        super().__init__(allowed)


class UnknownKey(Misfit):
    """A key that the section does not have, where it takes keys beside those of its fields."""


def _duration(value: object) -> float:
    if isinstance(value, str):
        return instants.parse_duration(value)
    raise ValueError(f"expected {instants.DURATION_ALLOWED}")


def _age(value: object) -> float:
    if isinstance(value, str):
        return instants.parse_age(value)
    raise ValueError("expected days such as 365d, or a duration such as 12h")


def _secret(value: str) -> str:
    if not SECRET_REFERENCE.fullmatch(value):
        raise ValueError(f"expected {REFERENCE_ALLOWED}")
    return value


def _signing_key(value: str) -> str:
    if not re.fullmatch(r"file:\S.*|kms:[A-Za-z0-9][A-Za-z0-9_:/-]*", value):
        raise ValueError("expected file:PATH (a private key in PEM, its owner's alone) or kms:ARN")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("expected a name of letters, digits, _ . : - (at most 128)")
    return value


def _resource(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,511}", value):
        raise ValueError("expected a name or an ARN")
    return value


def _alarm(value: str) -> str:
    if not ALARM.fullmatch(value):
        raise ValueError("expected the ARN of a CloudWatch alarm, arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME")
    return value


def _place(value: str) -> str:
    if not re.fullmatch(rf"s3://{naming.BUCKET}(/(?!\.{{1,2}}(/|$))[^\s/]+)+/?", value):
        raise ValueError(f"expected s3://BUCKET/PREFIX ({naming.BUCKET_ALLOWED}; no part of PREFIX empty, . or ..)")
    return value.rstrip("/")


def _exact(value: object) -> object:
    """A whole number that JSON can hold exactly: a rounded limit is another limit."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    try:
        return canonical.parse_whole(str(value))
    except ValueError:
        raise ValueError("expected a whole number JSON holds exactly: at most 2^53 - 1 either way") from None


def _rate(value: object) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        return rates.parse(value)
    except ValueError:
        raise ValueError(f"expected auto, or {rates.ALLOWED}") from None


def _write_rate(value: float | str) -> float | str:
    return rates.write(value) if isinstance(value, float) else value


Duration = Annotated[
    float,
    pydantic.BeforeValidator(_duration, json_schema_input_type=str),
    pydantic.PlainSerializer(instants.duration_text, return_type=str),
]
PositiveDuration = Annotated[Duration, pydantic.Field(gt=0)]
Age = Annotated[
    float,
    pydantic.BeforeValidator(_age, json_schema_input_type=str),
    pydantic.PlainSerializer(instants.duration_text, return_type=str),
]
Number = Annotated[int | float, pydantic.BeforeValidator(_exact, json_schema_input_type=int | float)]
Scalar = Annotated[
    bool | int | float | str | None,
    pydantic.BeforeValidator(_exact, json_schema_input_type=bool | int | float | str | None),
]
PositiveWhole = Annotated[int, pydantic.Field(gt=0, le=canonical.LARGEST_INTEGER)]
SecretReference = Annotated[str, pydantic.AfterValidator(_secret)]
SigningKey = Annotated[str, pydantic.AfterValidator(_signing_key)]
Name = Annotated[str, pydantic.AfterValidator(_name)]
Resource = Annotated[str, pydantic.AfterValidator(_resource)]
AlarmArn = Annotated[str, pydantic.AfterValidator(_alarm)]
Place = Annotated[str, pydantic.AfterValidator(_place)]
Rate = Annotated[
    float | Literal["auto"],
    pydantic.PlainValidator(_rate, json_schema_input_type=float | str),
    pydantic.PlainSerializer(_write_rate, return_type=float | str),
]


def _term_value(value: object) -> object:
    try:
        canonical.encode(value)
    except ValueError:
        raise ValueError("expected a value that JSON holds exactly") from None
    return value


TermValue = Annotated[pydantic.JsonValue, pydantic.BeforeValidator(_term_value)]
"""The value of a term: a number, a text, or the mapping or list that the plan has there."""
