"""Instants and durations: UTC only, exact to the microsecond, parsed strictly and printed in one way.

A naive datetime is refused where it enters, so nothing later has to ask which zone it is in. Durations are
seconds as a float everywhere inside; the text forms (`90m`, `16m30s`) exist only at the edges.
"""

import re
from datetime import UTC, datetime, timedelta

_DURATION_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_UNIT_SECONDS = (3600.0, 60.0, 1.0, 0.001)
DURATION_ALLOWED = "a duration with units in falling order, such as 90m, 16m30s, 1h, 5s or 500ms"


def utc(moment: datetime) -> datetime:
    """The same instant in UTC; raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give an instant such as 2026-02-21T02:00:00Z")
    return moment.astimezone(UTC)


def parse(text: str) -> datetime:
    """The instant an ISO-8601 text names, in UTC; raises ValueError where the zone is missing."""
    return utc(datetime.fromisoformat(text))


def text(moment: datetime) -> str:
    """The one way an instant is printed: ISO-8601, UTC, `Z`, microseconds only where there are any."""
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

    A bare number is refused: `20` could be seconds or minutes, and the two differ by a budget.
    """
    match = _DURATION_FORM.fullmatch(value)
    if not value or match is None:
        raise ValueError(f"{value!r} is not {DURATION_ALLOWED}")
    return sum(float(part) * unit for part, unit in zip(match.groups(), _UNIT_SECONDS, strict=True) if part)


def duration_text(seconds: float) -> str:
    """Seconds as the text `parse_duration` reads back to the same value: `5400s`, `0.5s`."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
