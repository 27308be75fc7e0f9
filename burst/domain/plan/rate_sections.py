"""The sections of a plan for its rates: one rate, or steps on one clock from GO, and which of them are counted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any, Literal

import pydantic

from burst.domain.basics import instants
from burst.domain.plan import field_types, sections, yaml_lines
from burst.load import rate_plans

STEP_NAME = r"[a-z0-9][a-z0-9_-]{0,19}"


class RateStepSection(pydantic.BaseModel):
    """One step: how long it lasts, and its rate, which `to` and `shape` may move."""

    model_config = sections.STRICT

    for_: Annotated[field_types.PositiveDuration, pydantic.Field(alias="for")]
    """How long the step lasts."""
    rate: field_types.Rate
    """Its rate, at the start of a line."""
    to: Annotated[
        field_types.Rate | None,
        pydantic.Field(description="The rate at the end of a line, and at the top of a sine or a spike."),
    ] = None
    shape: Annotated[
        Literal["step", "linear", "sine", "spike"] | None,
        pydantic.Field(description="step holds the rate; with `to` and no shape it is linear."),
    ] = None
    name: Annotated[str, pydantic.Field(pattern=f"^{STEP_NAME}$")] | None = None
    """Its name, by which limits name it, such as multiplier@burst."""
    count: Annotated[
        bool, pydantic.Field(description="Whether it lies in the counted window; those that do are adjacent.")
    ] = True

    @pydantic.model_validator(mode="after")
    def _fitting(self) -> "RateStepSection":
        if self.shape == rate_plans.STEP and self.to is not None:
            raise field_types.Misfit(("to",), "nothing with shape: step, which holds its rate; write two steps")
        if self.shape not in (None, rate_plans.STEP) and self.to is None:
            raise field_types.Misfit(("to",), f"a rate: shape {self.shape} goes there from rate")
        return self

    @property
    def form(self) -> str:
        """The shape, said or not."""
        return self.shape or (rate_plans.STEP if self.to is None else rate_plans.LINEAR)

    def build(self, name: str) -> rate_plans.RateStep | None:
        """The step as a schedule has it; None where a rate is still `auto`."""
        to = self.rate if self.to is None else self.to
        if not isinstance(self.rate, float) or not isinstance(to, float):
            return None
        return rate_plans.RateStep(
            name=name,
            seconds=_exact(self.for_),
            rate=_exact(self.rate) / 60,
            to=_exact(to) / 60,
            shape=self.form,
            count=self.count,
        )


RateOrSteps = Annotated[
    Annotated[field_types.Rate, pydantic.Tag("rate")]
    | Annotated[
        list[RateStepSection], pydantic.Field(min_length=1, max_length=rate_plans.MOST_STEPS), pydantic.Tag("steps")
    ],
    pydantic.Discriminator(lambda value: "steps" if isinstance(value, list) else "rate"),
]
"""What `load.rate` holds."""
Rates = float | Literal["auto"] | list[RateStepSection] | None


def _exact(number: float) -> Fraction:
    return Fraction(repr(float(number)))


def name_steps(steps: Sequence[RateStepSection]) -> tuple[str, ...]:
    """The names of the steps; one without a name has its number."""
    return tuple(step.name or f"step-{index}" for index, step in enumerate(steps, start=1))


def build_plan(
    rates: Rates, *, profile: str | None, warmup_seconds: float | None, window_seconds: float
) -> rate_plans.RatePlan | None:
    """The steps of a load; None where it has one rate from GO to its end, or where a rate is not known."""
    steps: tuple[rate_plans.RateStep, ...]
    if isinstance(rates, list):
        built = [step.build(name) for step, name in zip(rates, name_steps(rates), strict=True)]
        steps = tuple(step for step in built if step is not None)
        if len(steps) < len(built):
            return None
    elif isinstance(rates, float) and profile is not None:
        steps = rate_plans.make_named(profile, _exact(rates) / 60, _exact(window_seconds))
    elif isinstance(rates, float) and warmup_seconds is not None:
        rate = _exact(rates) / 60
        steps = (rate_plans.RateStep(name=STEADY, seconds=_exact(window_seconds), rate=rate, to=rate),)
    else:
        return None
    if warmup_seconds is not None:
        steps = rate_plans.prepend_warmup(steps, _exact(warmup_seconds))
    return rate_plans.RatePlan(steps=steps)


STEADY = "steady"
"""The name of the one counted step where a plan has a single rate and a warm-up."""


def find_lead_seconds(rates: Rates, warmup_seconds: float | None) -> float:
    """From GO to the beginning of the counted window."""
    lead = Fraction(0) if warmup_seconds is None else _exact(warmup_seconds)
    for step in rates if isinstance(rates, list) else ():
        if step.count:
            break
        lead += _exact(step.for_)
    return float(lead)


def sum_seconds(steps: Sequence[RateStepSection], *, counted: bool = False) -> float:
    """How long the steps last, or those that are counted."""
    return float(sum((_exact(step.for_) for step in steps if step.count or not counted), Fraction(0)))


def derive_window(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """The length of the counted window of a plan as it was written, where its rates are steps and it names none."""
    match value:
        case {"load": {"rate": [*steps]}, "budget": dict(budget)} if "window" not in budget:
            try:
                lengths = [instants.parse_duration(step["for"]) for step in steps if step.get("count", True) is True]
            except (ValueError, TypeError, KeyError, AttributeError):
                return None  # the sections say what is wrong
            total = float(sum(map(_exact, lengths), Fraction(0)))
            return budget | {"window": instants.write_duration(total)} if total > 0 else None
    return None


def name_derived_window(problem: yaml_lines.Problem, value: Mapping[str, Any]) -> yaml_lines.Problem:
    """A problem of a plan as it was written; of a window that its steps made, with what they last."""
    derived = derive_window(value) if problem.key == "budget.window" else None
    if derived is None:
        return problem
    return replace(problem, seen=f"{derived['window']}, which the counted steps of load.rate last")


def refuse_unfit_steps(steps: Sequence[RateStepSection], *, has_warmup: bool) -> None:
    """Raises `field_types.Misfit` where two steps have one name, or those that count are not adjacent."""
    names, taken = name_steps(steps), {rate_plans.WARMUP} if has_warmup else set[str]()
    for index, name in enumerate(names):
        if name in taken:
            raise field_types.Misfit((index, "name"), f"distinct names, but {name!r} stands twice")
        taken.add(name)
    counted = [index for index, step in enumerate(steps) if step.count]
    if not counted:
        raise field_types.Misfit((0, "count"), "true for one step at least: nothing would be counted")
    for index in range(counted[0], counted[-1]):
        if not steps[index].count:
            raise field_types.Misfit(
                (index, "count"), "true between steps that count: the counted window is one, without gaps"
            )


def name_counted(rates: Rates, profile: str | None, warmup_seconds: float | None) -> tuple[str, ...]:
    """The names of the counted steps, whether or not their rates are known yet; none where there are no steps."""
    if isinstance(rates, list):
        return tuple(name for name, step in zip(name_steps(rates), rates, strict=True) if step.count)
    if profile is not None:
        return tuple(step.name for step in rate_plans.make_named(profile, Fraction(1), Fraction(1)))
    return (STEADY,) if rates is not None and warmup_seconds is not None else ()


def find_split_bucket(plan: rate_plans.RatePlan | None, name: str, bucket_seconds: float) -> str:
    """Why the receipts of a step cannot be told apart by the buckets of the counted window; empty where they can."""
    place = None if plan is None else plan.find_step(name)
    if plan is None or place is None:
        return ""  # a rate is not known yet: the resolved plan is asked again
    lead, bucket = plan.counted[0], _exact(bucket_seconds)
    split = next((edge - lead for edge in (place.start, place.end) if (edge - lead) % bucket), None)
    if split is None:
        return ""
    return f"{name} has an edge {instants.exact(float(split))} s into the counted window"
