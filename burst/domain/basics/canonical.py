"""Canonical bytes: RFC 8785 JSON, so that the same facts are the same bytes and a digest means something."""

import hashlib
import json
import re
from typing import Any

import jsonpointer
import rfc8785

from burst.domain.basics import errors

LARGEST_INTEGER = 2**53 - 1
"""The largest whole number canonical JSON can hold as one."""


def encode(value: Any) -> bytes:
    """The canonical JSON bytes of a JSON value.

    Raises ValueError on NaN, infinities and anything JSON has no word for.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as exc:
        raise ValueError(f"not canonical JSON: {exc}") from exc


def digest(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def decode(content: bytes) -> Any:
    """The JSON value of UTF-8 bytes, which can then be encoded again.

    Raises `errors.EvidenceCorrupt`, with the reason, for bytes without a canonical form: duplicate keys, NaN and
    infinities (`1e999` is one), whole numbers JSON cannot hold exactly, half characters, nesting without end.
    """
    try:
        text = content.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_build_object, parse_constant=_refuse_constant, parse_int=parse_whole
        )
        encode(value)
    except (UnicodeDecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise errors.EvidenceCorrupt(f"not valid JSON: {exc}") from exc
    return value


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def parse_whole(text: str) -> int | float:
    """The number that whole digits spell.

    Beyond 2^53 they have to be the canonical text of a double, which has no exponent up to 1e21. Raises ValueError for
    any other.
    """
    number = int(text)
    if abs(number) <= LARGEST_INTEGER:
        return number
    double = float(number)
    if encode(double) != text.encode():
        raise ValueError(f"{text[:40]} is a whole number JSON cannot hold exactly")
    return double


def shorten(value: bool | int | float | str | None) -> bool | int | float | str | None:
    """A value as canonical JSON reads it back: a float without a fraction is a whole number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_INTEGER:
        return int(value)
    return value


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def value_at(value: Any, pointer: str) -> Any:
    """Whatever stands at a JSON pointer (RFC 6901).

    Raises `errors.EvidenceCorrupt` for a pointer to nothing. Its words name the step that fails, and no value.
    """
    try:
        steps = jsonpointer.JsonPointer(pointer).get_parts()
    except jsonpointer.JsonPointerException as exc:
        raise errors.EvidenceCorrupt(f"nothing at {pointer[:_MOST_SHOWN]}: it is no JSON pointer") from exc
    part = value
    for place, step in enumerate(steps):
        try:
            part = _find_member(part, step)
        except LookupError as exc:
            above = "/".join(["", *map(jsonpointer.escape, steps[:place])]) or "the top"
            raise errors.EvidenceCorrupt(f"nothing at {pointer}: {above} is {exc.args[0]}") from exc
    return part


_MOST_SHOWN = 500
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")


def _find_member(value: Any, step: str) -> Any:
    """The member of an object, or of a list. Raises LookupError, with what the value is instead."""
    if isinstance(value, dict):
        if step in value:
            return value[step]
        raise LookupError(f"an object without the key {step[:_MOST_SHOWN]!r}")
    if isinstance(value, list):
        if _INDEX.fullmatch(step) and int(step) < len(value):
            return value[int(step)]
        raise LookupError(f"a list of {len(value)}, without the index {step[:_MOST_SHOWN]!r}")
    words = "null" if value is None else "a text" if isinstance(value, str) else "a number, true or false"
    raise LookupError(f"{words}, and holds nothing")


def scalar_at(value: Any, pointer: str) -> bool | int | float | str:
    """The text, number or truth value at a JSON pointer (RFC 6901).

    Raises `errors.EvidenceCorrupt` for a pointer to nothing, null, a list or an object.
    """
    scalar = value_at(value, pointer)
    if not isinstance(scalar, bool | int | float | str):
        raise errors.EvidenceCorrupt(f"{type(scalar).__name__} at {pointer}; a fact is a text, a number, true or false")
    return scalar
