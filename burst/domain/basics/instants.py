"""Instants and durations: UTC only, exact to the microsecond, parsed strictly and printed in one way.

A naive datetime is refused where it enters, so no later code has to check its zone. Durations are seconds as a float
everywhere inside; their text forms (`90m`, `16m30s`) exist only in plans, options and messages.
"""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

_DURATION_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_UNIT_SECONDS = (Fraction(3600), Fraction(60), Fraction(1), Fraction(1, 1000))
_LONGEST_SECONDS = 3650 * 86400
_LONGEST_DURATION = 100
"""Characters: Python reads no number of more than 4300 digits."""
DURATION_ALLOWED = "a duration with units in falling order, such as 90m, 16m30s, 1h, 5s or 500ms"


def utc(moment: datetime) -> datetime:
    """The same instant in UTC; raises ValueError for a naive datetime, and where UTC leaves the years 1 to 9999."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give an instant such as 2026-02-21T02:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is not in the years 1 to 9999 of UTC") from None


def parse(text: str) -> datetime:
    """The instant of an ISO-8601 text, in UTC; raises ValueError where the zone is missing."""
    return utc(datetime.fromisoformat(text))


def text(moment: datetime) -> str:
    """The only printed form of an instant: ISO-8601, UTC, `Z`, with microseconds where they are not zero."""
    return utc(moment).isoformat().replace("+00:00", "Z")


def stamp(moment: datetime) -> str:
    """The compact form used inside ids: `20260221T020923Z`."""
    return utc(moment).strftime("%Y%m%dT%H%M%SZ")


def seconds_between(start: datetime, end: datetime) -> float:
    """Exact seconds from `start` to `end`; negative where `end` is earlier."""
    return (utc(end) - utc(start)) / timedelta(seconds=1)


def later(moment: datetime, seconds: float) -> datetime:
    """The instant `seconds` after `moment` (before it, where negative)."""
    return moment + timedelta(seconds=seconds)


def parse_duration(value: str) -> float:
    """Seconds of a duration such as `90m` or `16m30s`; raises ValueError on anything looser.

    The sum is exact: `1.1h` is 3960 s, without a rounding error. It may be ten years at most, and no finer than a
    microsecond. A bare number is refused, because `20` could be seconds or minutes.
    """
    match = _DURATION_FORM.fullmatch(value) if 0 < len(value) <= _LONGEST_DURATION else None
    if match is None:
        raise ValueError(f"expected {DURATION_ALLOWED}")
    parts = zip(match.groups(), _UNIT_SECONDS, strict=True)
    seconds = sum((Fraction(part) * unit for part, unit in parts if part), Fraction(0))
    if seconds > _LONGEST_SECONDS or (seconds * 1_000_000).denominator != 1:
        raise ValueError(f"{value!r} is longer than ten years or finer than a microsecond")
    return float(seconds)


def parse_age(value: str) -> float:
    """Seconds of an age such as `7d`, or of a duration as `parse_duration` reads it; raises ValueError."""
    days = re.fullmatch(r"(\d{1,4})d", value, re.ASCII)
    return float(days[1]) * 86400 if days else parse_duration(value)


def exact(seconds: float) -> str:
    """Seconds to the microsecond: `5400.000001`, `0.5`. A value just over a limit never reads as the limit itself."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def write_duration(seconds: float) -> str:
    """Seconds as a person writes them in a plan: `30m`, `90m`, `16m30s`, `2h`, `0.5s`; reads back to the same value."""
    whole = int(seconds)
    if whole != seconds or whole < 60:
        return duration_text(seconds)
    if whole % 3600 == 0:
        return f"{whole // 3600}h"
    minutes, left = divmod(whole, 60)
    return f"{minutes}m{left}s" if left else f"{minutes}m"


def duration_text(seconds: float) -> str:
    """Seconds as the text `parse_duration` reads back to the same value: `5400s`, `0.5s`."""
    return exact(seconds) + "s"
