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
    """What the check is for: `measure` and `pair` ask for a gain, every other group for no loss."""
    name: str
    """The name of the check, in the score file or burst's own."""
    status: Literal["PASS", "FAIL", "INVALID"]
    """PASS, FAIL where the figures say no, INVALID where one is not known."""
    baseline: models.Value
    """The figure of the baseline, or of the cold run of a pair; None where it is not known."""
    candidate: models.Value
    """The figure of the candidate, or of the warm run of a pair; None where it is not known."""
    required: models.Value
    """The bound that the candidate's figure was held to, or the rule in words; None where it is neither."""
    improvement_fraction: float | None
    """The part of the baseline's figure that was gained; None where no gain is asked for."""
    unit: str | None
    """The unit of the figures; None where they have none."""
    alert: bool
    """Whether the figure is above the limit at which somebody has to be told (`warm_alert`)."""
    pass_: Annotated[bool, pydantic.Field(alias="pass")]
    """Whether the status is PASS."""
    why: models.Words
    """The answer in words."""

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
