"""Answers: the value of one question with the instant and the scope that it speaks of, read from what was answered."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst.domain.basics import canonical, errors, instants
from burst.domain.observations import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; `of` and `scope` None: it does not say them. `detail`: what else is known of it."""

    value: limits.Value
    of: datetime | None = None
    scope: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointers:
    """The JSON pointers to value, instant and scope of an answer; None: it is not looked for.

    Without one to the value the answer is the value itself.
    """

    value: str | None
    at: str | None = None
    scope: str | None = None


def read(content: bytes, pointers: Pointers, detail: str = "") -> Answer:
    """The answer in the bytes of a JSON value. Raises `errors.EvidenceCorrupt` where a pointer leads to nothing."""
    whole = canonical.decode(content)
    return Answer(
        value=require_usable(canonical.scalar_at(whole, pointers.value or "")),
        of=_read_instant(whole, pointers.at),
        scope=None if pointers.scope is None else str(canonical.scalar_at(whole, pointers.scope)),
        detail=detail,
    )


def _read_instant(whole: Any, pointer: str | None) -> datetime | None:
    """The instant at a pointer: a text of ISO-8601, or the seconds since 1970."""
    if pointer is None:
        return None
    written = canonical.scalar_at(whole, pointer)
    try:
        if isinstance(written, str):
            return instants.parse(written)
        if not isinstance(written, bool):
            return from_epoch(written)
    except (ValueError, OverflowError, OSError):
        pass
    raise errors.EvidenceCorrupt(
        f"{written!r} at {pointer} is no instant; allowed: a text such as 2026-02-21T02:00:00Z, or seconds since 1970"
    )


def from_epoch(seconds: float) -> datetime:
    """The instant so many seconds after the beginning of 1970. Raises ValueError outside the years 1 to 9999."""
    try:
        return instants.later(instants.parse("1970-01-01T00:00:00Z"), seconds)
    except OverflowError as exc:
        raise ValueError(f"{seconds} s after 1970 is no instant") from exc


def require_usable(value: object) -> bool | int | float | str:
    """A value that JSON holds exactly. Raises `errors.Refused`, which says why, for any other."""
    if value is None:
        raise errors.Refused("the question answered nothing")
    if not isinstance(value, bool | int | float | str):
        raise errors.Refused(f"the question answered a {type(value).__name__}; allowed: number, text, true or false")
    if isinstance(value, float) and not math.isfinite(value):
        raise errors.Refused(f"the question answered {value}, which is no number to compare")
    if isinstance(value, int) and abs(value) > canonical.LARGEST_INTEGER:
        raise errors.Refused("the question answered a whole number beyond 2^53, which JSON cannot hold exactly")
    return value
