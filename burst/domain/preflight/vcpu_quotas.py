"""vCPU quotas: whether the Fargate vCPUs of the account, less those in use, cover the tasks.

On-Demand and Spot have a quota each. A figure in use that is not known claims no room: it is warned of.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.plan import plans
from burst.domain.preflight import findings


@dataclass(frozen=True, slots=True, kw_only=True)
class VcpuRoom:
    """The Fargate vCPUs of one kind. `used` is None where it is not known, and `unknown` says why."""

    provider: str
    allowed: float
    used: float | None
    unknown: str = ""

    def fits(self, vcpu: float, *, empty: bool = False) -> int:
        """How many tasks of a size fit; into the whole quota where it is `empty`."""
        used = 0.0 if empty else self.used or 0.0
        return max(0, math.floor((self.allowed - used) / vcpu + 1e-9))

    @property
    def words(self) -> str:
        """The room in words."""
        if self.used is None:
            return f"{self.provider} allows {self.allowed:g} vCPU, in use is not known: {self.unknown}"
        return f"{self.provider} allows {self.allowed:g} vCPU, {self.used:g} in use"


def judge_quota(plan: plans.Plan, vcpu: float | None, rooms: Sequence[VcpuRoom]) -> findings.Finding:
    """Whether the account's Fargate vCPUs less those in use cover the tasks; what one provider cannot start is asked of
    the next."""
    words = "; ".join(room.words for room in rooms)
    if vcpu is None:
        return findings.report_warning("quota", f"the task definition names no cpu; {words}")
    tasks = plan.target.tasks
    group = f"{wording.format_count(tasks, 'task')} of {vcpu:g} vCPU"
    room_for = sum(room.fits(vcpu, empty=room.used is None) for room in rooms)
    if room_for < tasks:
        return findings.report_refusal("quota", f"no room for {group}, only for {room_for}: {words}")
    problem = f"not known whether there is room for {group}: {words}" if rooms[0].used is None else ""
    if rooms[0].fits(vcpu) < tasks:
        problem = problem or f"no room at first for all of {group}: {words}"
        problem = f"{problem}; what {rooms[0].provider} cannot start is asked of the next"
    return findings.report_problem("quota", problem, f"room for {group}: {words}", required=False)
