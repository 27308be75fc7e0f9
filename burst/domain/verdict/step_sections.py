"""The section of a snapshot for the steps of its load: of each the rate to offer, the events sent and their answers."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Self

import pydantic

from burst.domain.documents import load_documents, models, window_metrics
from burst.domain.verdict import cases, step_gates
from burst.load import rate_plans


class RateStepEntry(models.Model):
    """One step: its rates in events a second, its place in seconds after GO, and its figures; None is not known."""

    name: str
    """The name of the step in the plan."""
    shape: Annotated[str, pydantic.Field(pattern="^(step|linear|sine|spike)$")]
    """How the rate goes from `events_per_second` to `to_events_per_second`."""
    counted: bool
    """Whether the step belongs to the counted window; a warm-up does not."""
    start_seconds: float
    """When it begins, in seconds after GO."""
    seconds: float
    """How long it lasts."""
    events_per_second: float
    """The rate at its beginning, over all tasks."""
    to_events_per_second: float
    """The rate at the end of a line, and at the top of a spike or a sine, over all tasks."""
    planned_events: models.Count
    """The events that the plan makes due in it, over all tasks."""
    due: models.Count | None
    """The events that the programs' schedules made due in it; None where no account says it."""
    in_time: models.Count | None
    """Those of them that were sent no later than 1 s after they were due; None where no account says it."""
    acknowledged: models.Count | None
    """The requests sent in it that were answered with success; None where no account says it."""
    latency_p95_ms: float | None
    """What 95 % of the answers to its requests did not exceed, in milliseconds; None without an answer."""
    latency_p99_ms: float | None
    """What 99 % of the answers to its requests did not exceed, in milliseconds; None without an answer."""
    counts: window_metrics.CountsEntry | None
    """The receipts of the step; None where no whole buckets hold them."""

    @classmethod
    def list_case(cls, case: cases.Case) -> list[Self] | None:
        """The steps of a case; None where its load has no steps."""
        plan = case.plan.rate_plan
        return None if plan is None else [cls.from_step(case, place) for place in plan.placed]

    @classmethod
    def from_step(cls, case: cases.Case, place: rate_plans.PlacedStep) -> Self:
        """The entry of one step."""
        load = case.load.value
        account = None if load is None else load.find_step(place.step.name)
        counts = step_gates.count_step(case, place.step.name)
        return cls(
            name=place.step.name,
            shape=place.step.shape,
            counted=place.step.count,
            start_seconds=float(place.start),
            seconds=float(place.step.seconds),
            events_per_second=float(place.step.rate),
            to_events_per_second=float(place.step.to),
            planned_events=place.events,
            due=account.due if account else None,
            in_time=account.in_time if account else None,
            acknowledged=account.acknowledged if account else None,
            latency_p95_ms=_find_percentile(account, 95),
            latency_p99_ms=_find_percentile(account, 99),
            counts=None if counts is None else window_metrics.CountsEntry.from_counts(counts),
        )


def _find_percentile(account: load_documents.StepLoad | None, percent: float) -> float | None:
    return None if account is None else load_documents.find_percentile_ms(account.latency, percent)


def read_plan(entries: Sequence[RateStepEntry]) -> rate_plans.RatePlan:
    """The rate plan that a snapshot's steps state."""
    return rate_plans.RatePlan(
        steps=tuple(
            rate_plans.RateStep(
                name=entry.name,
                seconds=Fraction(repr(float(entry.seconds))),
                rate=Fraction(repr(float(entry.events_per_second))),
                to=Fraction(repr(float(entry.to_events_per_second))),
                shape=entry.shape,
                count=entry.counted,
            )
            for entry in entries
        )
    )
