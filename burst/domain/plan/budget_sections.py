"""How long a run may and must last, and the layers of the hard stop that end it."""

from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import instants
from burst.domain.plan import field_types, sections
from burst.domain.tasks import launch_rates


class LayersSection(pydantic.BaseModel):
    """Layers of the hard stop that must be armed before launch."""

    model_config = sections.STRICT

    require: list[Literal["guard", "sidecar", "lease", "schedule", "sweeper", "controller"]] = ["guard", "lease"]
    """The layers that have to be armed before launch; the others are armed where they can be."""
    lease_ttl: field_types.PositiveDuration = 30.0
    """How long a task lives without a heartbeat of the controller."""


class BudgetSection(sections.Section):
    """How long the burst may and must run: in seconds here, durations with units in the plan."""

    max: field_types.PositiveDuration
    """The contract's budget: a run over it opens B8."""
    operator_cap: field_types.PositiveDuration | None = None
    """What this attempt may take; its end is the deadline of every layer."""
    min_window: field_types.PositiveDuration
    """The shortest window that can pass."""
    window: field_types.PositiveDuration | None = None
    """How long the window lasts, where that is longer than min_window."""
    start_timeout: Annotated[
        field_types.PositiveDuration,
        pydantic.Field(description="Without it, a minute, and on ECS the seconds that launching the tasks takes."),
    ] = launch_rates.TASK_START_SECONDS
    stop_grace: Annotated[field_types.PositiveDuration, pydantic.Field(le=600)] = 30.0
    """How long a task may take to end after TERM, before KILL."""
    cost_cap_usd: Annotated[float, pydantic.Field(gt=0)] | None = None
    """Preflight refuses a run that could cost more."""

    @pydantic.model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.cap_seconds > self.max:
            raise field_types.Misfit(("operator_cap",), f"at most max, which is {instants.write_duration(self.max)}")
        if self.window_seconds < self.min_window:
            raise field_types.Misfit(
                ("window",), f"at least min_window, which is {instants.write_duration(self.min_window)}"
            )
        if self.window_seconds >= self.cap_seconds:
            key = "min_window" if self.window is None else "window"
            cap = instants.write_duration(self.cap_seconds)
            raise field_types.Misfit(
                (key,), f"a window that ends before the cap ({cap}) does; raise the cap or shorten it"
            )
        return self

    @property
    def cap_seconds(self) -> float:
        """The seconds that this attempt may take; the deadline ends them."""
        return self.max if self.operator_cap is None else self.operator_cap

    @property
    def window_seconds(self) -> float:
        """The length of the window, declared before the data are seen; without `window`, the shortest that can pass."""
        return self.min_window if self.window is None else self.window
