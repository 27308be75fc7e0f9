"""Figures as people read them, the same in text and HTML.

Numbers come from JSON, where 3.0 and 3 are one number, so they are printed without regard to their Python type.
"""

from collections.abc import Mapping
from typing import Any

from burst.domain.tasks import tasks

Json = Mapping[str, Any]


DECISIONS = ("ADMIT", "DUPLICATE", "QUARANTINE", "other")


def number(value: object) -> str:
    """A value as people read it: ten digits of a number are enough for all but the last of a limit (see `measured`)."""
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


def measured(gate: Json) -> str:
    """What a gate measured, with digits enough that what misses a limit never reads as reaching it."""
    value, limit = gate["measured"], gate["required"]
    if value is None:
        return number(value)
    same = isinstance(value, int | float) and value != limit and number(value) == number(limit)
    return _with_unit(f"{value:,}" if same else number(value), gate)


_COMPARED = {"at_least": "at least ", "at_most": "at most ", "equals": "equals "}


def required(gate: Json) -> str:
    """What a gate requires: at least 0.995, at most 10, equals 0; the value alone where the gate does not tell how."""
    return _COMPARED.get(str(gate.get("comparison")), "") + _with_unit(number(gate["required"]), gate)


def against(gate: Json) -> str:
    """What a gate measured and what was required; why it answers as it does where nothing was."""
    if gate["required"] is None:
        return str(gate["why"])
    return f"measured {measured(gate)}, required {required(gate)}"


def answer(gate: Json) -> str:
    """Why a gate answers as it does, with what it measured."""
    return str(gate["why"]) if gate["required"] is None else f"{gate['why']} ({against(gate)})"


def _with_unit(shown: str, gate: Json) -> str:
    return f"{shown} {gate['unit']}" if gate.get("unit") else shown


def decisions(counts: Json) -> str:
    """Receipts by decision."""
    return ", ".join(f"{name} {number(counts[name])}" for name in DECISIONS)


def usd(amount: float | None) -> str:
    """An amount of money."""
    return "unknown" if amount is None else f"{amount:.4f} USD"


def word(snapshot: Json) -> str:
    """PASS or HOLD."""
    return "PASS" if snapshot["overall_pass"] else "HOLD"


def span(window: Json | None) -> str:
    """A half-open window."""
    if not window or window.get("start_utc") is None:
        return "not known"
    return f"[{window['start_utc']}, {window['end_utc']})"


_ENDERS = {
    tasks.StopCode.USER_INITIATED: "somebody",
    tasks.StopCode.FAILED_TO_START: "nobody, it never started",
    **dict.fromkeys(tasks.TAKEN, "AWS"),
}
"""Who ended a task that no layer did, by its stop code. A stop that was asked for by no layer was a person's."""


def ended_by(task: Json) -> str:
    """Who ended a task, as far as that is known."""
    if task["stopped_utc"] is None:
        return "not known"
    return str(task["stopped_by"] or _ENDERS.get(task["stop_code"], "itself"))


def open_entries(snapshot: Json) -> list[Json]:
    """The register's entries that count as open."""
    return [entry for entry in snapshot["blocker_register"] if entry["open"]]
