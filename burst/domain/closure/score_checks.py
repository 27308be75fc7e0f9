"""Checks: one question of a score and its answer. Only PASS counts; a figure that nobody has is INVALID."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical
from burst.domain.documents import models
from burst.domain.verdict import gates

Group = Literal["terms", "measure", "veto", "pair", "reproducibility"]
_MOST_KEYS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question asked of the baseline and one candidate."""

    group: Group
    name: str
    status: gates.GateStatus
    baseline: models.Value = None
    candidate: models.Value = None
    required: models.Value = None
    improvement: float | None = None
    unit: str | None = None
    alert: bool = False
    """Whether somebody has to be told, beside the failure."""
    why: str

    @property
    def passed(self) -> bool:
        """Whether it passes."""
        return self.status is gates.GateStatus.PASS


class ScoreCheckEntry(models.Model):
    """One check and its answer; `improvement_fraction` is the part of the baseline's figure that was gained."""

    group: Group
    name: str
    status: Literal["PASS", "FAIL", "INVALID"]
    baseline: models.Value
    candidate: models.Value
    required: models.Value
    improvement_fraction: float | None
    unit: str | None
    alert: bool
    pass_: Annotated[bool, pydantic.Field(alias="pass")]
    why: models.Words

    @classmethod
    def from_check(cls, check: Check) -> "ScoreCheckEntry":
        """The entry of one check."""
        return cls(
            group=check.group,
            name=check.name,
            status=check.status.value,
            baseline=canonical.shorten(check.baseline),
            candidate=canonical.shorten(check.candidate),
            required=canonical.shorten(check.required),
            improvement_fraction=check.improvement,
            unit=check.unit,
            alert=check.alert,
            pass_=check.passed,
            why=check.why,
        )


def make_invalid(group: Group, name: str, *problems: str, required: models.Value = None) -> Check:
    """The answer to a question whose figures are not known."""
    why = "; ".join(problem for problem in problems if problem)
    return Check(group=group, name=name, status=gates.GateStatus.INVALID, required=required, why=why)


def choose_status(passed: bool) -> gates.GateStatus:
    """PASS or FAIL of a question that could be answered."""
    return gates.GateStatus.PASS if passed else gates.GateStatus.FAIL


def list_keys(keys: Iterable[str]) -> str:
    """Keys in words, in order; of many the first ones and how many more there are."""
    ordered = sorted(keys)
    more = f" and {len(ordered) - _MOST_KEYS} more" if len(ordered) > _MOST_KEYS else ""
    return ", ".join(key[:100] for key in ordered[:_MOST_KEYS]) + more
