"""Amounts of settings: a value of `pg_settings` or of a statement, as Postgres reads it."""

import re

BYTES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
"""The units of size that Postgres reads, in bytes."""
_AMOUNT = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,12})?(?:[eE][+-]?[0-9]{1,2})?)\s*([A-Za-z]*)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""The units of time that Postgres reads, in seconds."""


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


def _split_unit(unit: str | None) -> tuple[int, str]:
    """A unit of `pg_settings`, such as 8kB, as its number and its name."""
    name = (unit or "").lstrip("0123456789")
    return int((unit or "")[: len(unit or "") - len(name)] or "1"), name
