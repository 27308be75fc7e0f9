"""Amounts of settings: a value of `pg_settings` or of a statement, as Postgres reads it."""

import re

BYTES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
"""The units of size that Postgres reads, in bytes."""
_AMOUNT = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,12})?(?:[eE][+-]?[0-9]{1,2})?)\s*([A-Za-z]*)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""The units of time that Postgres reads, in seconds."""
_UNKNOWN = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]*)?\s*(?![eExX][0-9+-])[A-Za-z]+\s*")
"""A number with a word behind it."""


def read_amount(text: str, unit: str | None) -> float | None:
    """The amount of a value of `pg_settings` or of a statement as Postgres reads it; None where it is no number."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    number, own_unit = float(match[1]), match[2]
    times, base = _split_unit(unit)
    scales = next((scales for scales in (BYTES, _SECONDS) if base in scales), None)
    if not own_unit:
        return number * times * (BYTES[base] if scales is BYTES else 1)
    if scales is None or own_unit not in scales:
        return None
    return number * scales[own_unit] / (1 if scales is BYTES else times * scales[base])


def describe_misfit(value: str, *, unit: str | None, least: str, most: str, whole: bool) -> str | None:
    """Why a number is none that Postgres takes for a setting, in words; None where it takes it, or nobody can tell.

    Postgres rounds a `whole` one to its unit, so a value within one unit of a limit may still be taken.
    """
    allowed = f"allowed: {least} to {most}{f', counted in {unit}' if unit else ''}"
    amount = read_amount(value, unit)
    if amount is None:
        return (
            f"the server takes no such unit; {allowed}, or with a unit of its own"
            if _UNKNOWN.fullmatch(value)
            else None
        )
    low, high, step = read_amount(least, unit), read_amount(most, unit), read_amount("1", unit)
    if low is None or high is None or step is None:
        return None
    slack = step if whole else 0.0
    is_outside = amount < low or amount > high
    return (
        f"the server takes no such value; {allowed}" if is_outside and not low - slack < amount < high + slack else None
    )


def _split_unit(unit: str | None) -> tuple[int, str]:
    """A unit of `pg_settings`, such as 8kB, as its number and its name."""
    name = (unit or "").lstrip("0123456789")
    return int((unit or "")[: len(unit or "") - len(name)] or "1"), name
