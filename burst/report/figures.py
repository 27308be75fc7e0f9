"""Figures as people read them, the same in text and HTML.

Numbers come from JSON, where 3.0 and 3 are one number, so they are printed without regard to their Python type.
"""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def number(value: object) -> str:
    """A measured or required value, with digits enough that what misses a limit never reads as reaching it."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:,.10g}"
    return str(value)


def duration(seconds: float) -> str:
    """Seconds as plans are written: 90m, 16m30s, 20s."""
    minutes, rest = divmod(seconds, 60)
    return "".join([f"{minutes:g}m" if minutes else "", f"{rest:g}s" if rest or not minutes else ""])


def word(snapshot: Json) -> str:
    """PASS or HOLD."""
    return "PASS" if snapshot["overall_pass"] else "HOLD"


def span(window: Json | None) -> str:
    """A half-open window."""
    if not window or window.get("start_utc") is None:
        return "not known"
    return f"[{window['start_utc']}, {window['end_utc']})"


def open_entries(snapshot: Json) -> list[Json]:
    """The register's entries that count as open."""
    return [entry for entry in snapshot["blocker_register"] if entry["open"]]
