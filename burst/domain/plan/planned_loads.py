"""The load of a plan over its length: when it is counted, and how many events its rates add up to."""

import json

from burst.domain.basics import instants, windows
from burst.domain.plan import field_types, gate_sections, load_sections, plan_keys, playback_sections, rate_sections
from burst.load import event_bodies, rate_plans, shard_values

MOST_SHARD_VALUES = 4000
"""ECS takes overrides of 8,192 characters, and other variables need some of them."""

_FRESH_SCOPE = "platform_20260221T020923Z_4f7a1c"
"""As long as each fresh scope is."""


class PlannedLoad(plan_keys.PlanKeys):
    """The keys of a plan with its load, which begins at GO."""

    @property
    def load_shards(self) -> int:
        """How many processes send the load, each with its own part of it."""
        return self.target.tasks * self.load.processes_per_task

    def _refuse_unfit_rates(self) -> None:
        """Raises where the steps of the rate do not fit the budget, the gates, or the buckets of the counts."""
        budget, load = self.budget, self.load
        names = rate_sections.name_steps(load.steps)
        for index, (step, name) in enumerate(zip(load.steps, names, strict=True)):
            has_multiple = self.gates.find_multiplier(name) is not None and self.baseline is not None
            if "auto" in (step.rate, step.to) and not has_multiple:
                why = f"auto needs gates.multiplier, or multiplier@{name}, and a baseline"
                raise field_types.Misfit(("load", "rate", index, "rate"), f"events per minute; {why}")
        counted = rate_sections.sum_seconds(load.steps, counted=True)
        if load.steps and counted != budget.window_seconds:
            length = instants.write_duration(counted)
            raise field_types.Misfit(
                ("budget", "window"), f"{length}, which the counted steps of load.rate last; or none"
            )
        if self.load_seconds >= budget.cap_seconds:
            cap, ends = instants.write_duration(budget.cap_seconds), instants.write_duration(self.load_seconds)
            raise field_types.Misfit(
                ("load", "rate" if load.steps else "warmup"),
                f"a load that ends before the cap ({cap}) does, not after {ends}",
            )
        self._refuse_unfit_step_limits()

    def _refuse_unfit_topology(self) -> None:
        """Raises where a master would wait for workers that need not come."""
        if self.load.is_distributed and self.target.least_tasks < self.target.tasks:
            tasks = self.target.tasks
            why = f"independent, or target.min_tasks {tasks}: a master begins with the workers of every task"
            raise field_types.Misfit(("load", "topology"), why)

    def _refuse_unfit_playback(self) -> None:
        """Raises where tasks on ECS cannot have what the playback needs."""
        playback = self.load.playback
        if playback is None or self.target.kind != "ecs":
            return
        if playback.checkpoint is not None and not playback.checkpoint.startswith("env:"):
            why = "env:NAME on ECS, where NAME is a secret of the task definition: the disk of a task ends with it"
            raise field_types.Misfit(("load", "playback", "checkpoint"), why)
        length = len(playback.model_dump_json(exclude_none=True))
        if length > playback_sections.MOST_CHARACTERS:
            why = f"at most {playback_sections.MOST_CHARACTERS} characters in all on ECS, not {length}"
            raise field_types.Misfit(("load", "playback"), why)

    def _refuse_unfit_shard_values(self) -> None:
        """Raises where a list has not exactly one value for each task, or all are too long for ECS."""
        for name, values in (self.load.per_shard or {}).items():
            if isinstance(values, list) and len(values) != self.target.tasks:
                raise field_types.Misfit(
                    ("load", "per_shard", name), f"{self.target.tasks} values, one for each of target.tasks"
                )
            if name == shard_values.HOST and isinstance(values, str):
                self._refuse_unfit_host(values)
            if name in self.load.environment:
                raise field_types.Misfit(("load", "per_shard", name), "another name: load.environment has it for all")
        length = len(shard_values.write_values(self.load.per_shard or {}))
        if self.target.kind == "ecs" and length > MOST_SHARD_VALUES:
            raise field_types.Misfit(
                ("load", "per_shard"),
                f"at most {MOST_SHARD_VALUES} characters on ECS, which gives each task all of them; a text with "
                f"{shard_values.INDEX} is short",
            )

    def _refuse_unfit_host(self, template: str) -> None:
        """Raises where the template of the hosts makes none for a task, such as a port above 65535 for the last."""
        for index in range(self.target.tasks):
            host = template.replace(shard_values.INDEX, str(index))
            if not load_sections.port_fits(host):
                why = f"a port from 1 to 65535 for each task, which {host} of task {index} is not"
                raise field_types.Misfit(("load", "per_shard", shard_values.HOST), why)

    def _refuse_long_events(self) -> None:
        """Raises where ECS could not give the events to its tasks."""
        events = self.load.events
        if self.target.kind == "ecs" and events is not None and len(json.dumps(events.write())) > MOST_SHARD_VALUES:
            raise field_types.Misfit(
                ("load", "events"), f"at most {MOST_SHARD_VALUES} characters on ECS, which gives each task all of them"
            )

    def _refuse_small_bodies(self) -> None:
        """Raises where a body is longer without its filler than it may be."""
        scope = _FRESH_SCOPE if self.scope == "fresh" else self.scope
        event_id = event_bodies.name_event(scope, 0, 0)
        filling = event_bodies.Filling(event_id=event_id, scope=scope, shard=0, sequence=0, spread=0, sent_at=0.0)
        for index, template in enumerate((self.load.events and self.load.events.templates) or ()):
            if template.points is None:
                continue
            needed, (_, least) = (
                event_bodies.BodyTemplate(template.describe_body()).measure(filling),
                template.points[0],
            )
            if least < needed:
                below = ("bytes",) if isinstance(template.bytes_, int) else ("bytes", "least")
                why = f"at least {needed} bytes, which its body takes without {{filler}}"
                raise field_types.Misfit(("load", "events", "templates", index, *below), why)

    def _refuse_unfit_step_limits(self) -> None:
        """Raises where a limit names a step that is not counted, or whose receipts no bucket could tell apart."""
        counted = rate_sections.name_counted(self.load.rate, self.load.named_profile, self.load.warmup)
        for name, step, _ in self.gates.step_limits:
            key = ("gates", f"{name}@{step}")
            if step not in counted:
                raise field_types.Misfit(key, f"a counted step of load.rate: {', '.join(counted) or 'it has none'}")
            edge = rate_sections.find_split_bucket(self.rate_plan, step, self.receipts.bucket)
            if edge and name in gate_sections.COUNTED_LIMITS:
                bucket = instants.write_duration(self.receipts.bucket)
                raise field_types.Misfit(key, f"a step of whole buckets (receipts.bucket, {bucket}): {edge}")

    @property
    def rate_plan(self) -> rate_plans.RatePlan | None:
        """The steps of the load; None where it has one rate from GO to its end, or a rate is not known yet."""
        load = self.load
        return rate_sections.build_plan(
            load.rate, profile=load.named_profile, warmup_seconds=load.warmup, window_seconds=self.budget.window_seconds
        )

    @property
    def lead_seconds(self) -> float:
        """From GO to the beginning of the counted window; events sent before are not counted."""
        return rate_sections.find_lead_seconds(self.load.rate, self.load.warmup)

    def cut_counted(self, attempt: windows.Window) -> windows.Window | None:
        """The part of an attempt that is counted: all of it, or where the load has steps or a warm-up, the window that
        was declared, as far as the attempt goes; None where it ended before."""
        if self.rate_plan is None and not self.lead_seconds:
            return attempt
        start = instants.later(attempt.start, self.lead_seconds)
        end = min(attempt.end, instants.later(start, self.budget.window_seconds))
        return windows.Window(start, end) if start < end else None

    @property
    def load_seconds(self) -> float:
        """From GO to the declared end of the load, counted or not."""
        if not self.load.steps:
            return self.lead_seconds + self.budget.window_seconds
        return (self.load.warmup or 0.0) + rate_sections.sum_seconds(self.load.steps)

    @property
    def highest_rate(self) -> float | None:
        """The highest events a minute; None where none is declared, or it is not known yet."""
        steps = self.rate_plan
        if steps is not None:
            return steps.highest * 60
        return float(self.load.rate) if isinstance(self.load.rate, float) else None

    def count_planned(self, since_seconds: float, until_seconds: float) -> float | None:
        """How many events the rates add up to between two instants after GO; None where no rate is declared."""
        steps = self.rate_plan
        if steps is not None:
            return float(steps.sum_until(until_seconds) - steps.sum_until(since_seconds))
        if not isinstance(self.load.rate, float):
            return None
        return self.load.rate / 60 * max(0.0, until_seconds - since_seconds)

    @property
    def planned_events(self) -> float | None:
        """How many events the rates add up to from GO to the end of the load; None where no rate is declared."""
        return self.count_planned(0.0, self.load_seconds)

    @property
    def mean_rate(self) -> float | None:
        """The mean events a minute of the counted window; None where no rate is declared."""
        window = self.budget.window_seconds
        events = self.count_planned(self.lead_seconds, self.lead_seconds + window)
        if events is None or self.rate_plan is None:
            return float(self.load.rate) if isinstance(self.load.rate, float) else None
        return events / window * 60

    @property
    def step_multipliers(self) -> dict[str, float]:
        """The multiple of the baseline that is asked of a step of its own, by its name."""
        return {step: limit for name, step, limit in self.gates.step_limits if name == "multiplier"}

    def find_step_rate(self, name: str) -> float | None:
        """The mean events a minute of a step; None where it is not known."""
        place = None if self.rate_plan is None else self.rate_plan.find_step(name)
        return None if place is None else float(place.step.events / place.step.seconds * 60)
