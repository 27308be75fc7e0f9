"""The bounds of a campaign's steps: how long each takes at most, and what it costs at most."""

from pathlib import Path

from burst.domain.course import campaign_files, course_decisions
from burst.wiring import campaign_plans, driving


def make_terms(
    file: campaign_files.CampaignFile, folder: Path, reporter: driving.Reporter
) -> course_decisions.CourseTerms:
    """How long each step takes at most, and costs at most. Raises `errors.UsageError` for a plan that is none."""
    plan_steps = campaign_plans.PlanSteps(file=file, folder=folder, reporter=reporter, command=())
    longest: dict[str, float] = {}
    most_usd: dict[str, float | None] = {}
    for step in file.steps:
        longest[step.name], most_usd[step.name] = _find_bounds(step, plan_steps)
    return course_decisions.CourseTerms(file=file, longest_seconds=longest, most_usd=most_usd)


def _find_bounds(step: campaign_files.StepSection, plan_steps: campaign_plans.PlanSteps) -> tuple[float, float | None]:
    """The seconds and the dollars that one attempt takes at most; None where nobody can tell."""
    database = step.overrides.database if step.overrides is not None else None
    beside = 0.0 if database is None else 2 * database.timeout
    if step.plan is None:
        bound = step.compare or step.promote or step.stage or step.one_shot or step.rollup
        return (bound.timeout if bound is not None else 0.0) + beside, 0.0
    plans = [plan_steps.read_plan(step, step.list_settings(index)) for index in range(len(step.values))]
    longest = max(campaign_plans.find_longest(plan) for plan in plans)
    costs = [plan.most_usd for plan in plans]
    sums = [cost for cost in costs if cost is not None]
    return longest + beside, max(sums) if len(sums) == len(costs) else None
