"""Figures of a check, read from what its program printed: numbers alone, by plain names."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_.]{0,99}")
_FIGURES_MAX = 1000
_OF_A_RUN = ("achieved_multiplier", "admit_ratio", "duration_seconds")


def read_figures(output: bytes) -> dict[str, float]:
    """The figures of one JSON object; truth values are 1 and 0, an inner object's names follow a dot. Raises
    ValueError for anything else."""
    figures: dict[str, float] = {}
    _collect(_read_object(output), "", figures)
    if not figures:
        raise ValueError('expected one JSON object with a number in it, such as {"seconds": 1.5}')
    return figures


def read_run(output: bytes) -> dict[str, float]:
    """The figures of a burst's verdict, as `burst run --json` prints it. Raises ValueError."""
    snapshot = _read_object(output)
    checks = snapshot.get("burst_load_checks")
    if not isinstance(checks, dict):
        raise ValueError("expected the verdict of a run")
    figures = {"overall_pass": 1.0 if snapshot.get("overall_pass") is True else 0.0}
    for name in _OF_A_RUN:
        check = checks.get(name)
        _collect_one(name, check.get("value") if isinstance(check, dict) else None, figures)
    _collect_one("admits_per_minute", checks.get("admits_per_minute"), figures)
    return figures


def read_refusal(output: bytes) -> str:
    """Why another burst refused, as it says so on stdout: its error, or the findings that are refused; empty where it
    says neither."""
    try:
        value = _read_object(output)
    except ValueError:
        return ""
    findings = value.get("findings")
    refused = [each for each in findings if isinstance(each, dict)] if isinstance(findings, list) else []
    words = [f"{each.get('check')}: {each.get('seen')}" for each in refused if each.get("status") == "refused"]
    return "; ".join(words) or str(value.get("error") or "")


class _GivenTwice(Exception):
    """A key that stands twice in one object, where nobody can tell which of its values is meant."""


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, inner in pairs:
        if key in value:
            raise _GivenTwice(key)
        value[key] = inner
    return value


def _read_object(output: bytes) -> dict[str, Any]:
    try:
        value = json.loads(output, object_pairs_hook=_refuse_twice)
    except _GivenTwice as twice:
        raise ValueError(f"expected one JSON object with each name once, and got {str(twice)[:100]!r} twice") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"expected one JSON object on stdout, and got {len(output)} bytes that are none")
    return value


def _collect(value: Mapping[str, Any], prefix: str, figures: dict[str, float]) -> None:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, dict):
            _collect(inner, f"{name}.", figures)
        elif isinstance(inner, int | float):
            _collect_one(name, inner, figures)


def _collect_one(name: str, number: object, figures: dict[str, float]) -> None:
    """Takes a number that JSON can hold; a name that no red line can have is passed over."""
    if not isinstance(number, int | float) or not _NAME.fullmatch(name):
        return
    try:
        figure = float(number)
    except OverflowError:
        return
    if name in figures:
        raise ValueError(f"expected one JSON object with each figure once, and got {name!r} twice")
    if math.isfinite(figure) and len(figures) < _FIGURES_MAX:
        figures[name] = figure
