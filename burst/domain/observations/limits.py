"""Limits: how a value is compared with the one that is required of it, and the answer. Facts and samples share them.

INVALID (nobody can tell) is worse than FAIL (the value says no). Only PASS clears a blocker.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

Value = bool | int | float | str | None
"""A value that was answered; None: there is none."""


class AnswerStatus(StrEnum):
    """The status of an answer, the best one first."""

    PASS = "PASS"  # noqa: S105 (a verdict, no password)
    FAIL = "FAIL"
    INVALID = "INVALID"


class Comparison(StrEnum):
    """How the measured value has to stand to the required one."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    EQUALS = "equals"


_SHOULD = {Comparison.EQUALS: "equal", Comparison.AT_MOST: "be at most", Comparison.AT_LEAST: "be at least"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The required value, and how a measured one is compared with it."""

    comparison: Comparison
    required: Value

    def judge(self, value: Value, problem: str = "") -> "LimitAnswer":
        """The answer for a value; without one INVALID, with `problem` as its reason."""
        if meets(value, self.comparison, self.required):
            return LimitAnswer(status=AnswerStatus.PASS, why=f"{value}")
        if value is None:
            return LimitAnswer(status=AnswerStatus.INVALID, why=problem or "no answer")
        should = f"{value}, should {_SHOULD[self.comparison]} {self.required}"
        return LimitAnswer(status=AnswerStatus.FAIL, why=should)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAnswer:
    """Whether a value is within its limit, and why."""

    status: AnswerStatus
    why: str


def choose(equals: Value, at_most: float | None, at_least: float | None) -> Limit:
    """The one limit that is given among three: the first that is not None."""
    if equals is not None:
        return Limit(comparison=Comparison.EQUALS, required=equals)
    if at_most is not None:
        return Limit(comparison=Comparison.AT_MOST, required=at_most)
    return Limit(comparison=Comparison.AT_LEAST, required=at_least)


def meets(value: Value, comparison: Comparison, required: Value) -> bool:
    """Whether a value is as required. `true` is not 1, and text is never compared with numbers."""
    if comparison is Comparison.EQUALS:
        return value is not None and same_value(value, required)
    number, limit = finite(value), finite(required)
    if number is None or limit is None:
        return False
    return number <= limit if comparison is Comparison.AT_MOST else number >= limit


def same_value(first: Value, second: Value) -> bool:
    """Whether two values are the same; `true` is not 1."""
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def finite(value: Value) -> float | None:
    """The value as a number; None for a truth value, a text, NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
