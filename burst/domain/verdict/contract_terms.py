"""Terms: the requirements that a verdict is judged by, as a value with a digest, and how a plan states them.

Each figure and each question of a plan that a gate is answered by is a term, and so is what is sent (`load_terms`). The
number of tasks and tuning are none: a rerun may change them freely. So is the rate, where a multiple of the baseline
keeps it from below; elsewhere a rerun may only raise it. A term that a plan leaves to its default is absent where the
default says nothing of its own, so that it never counts as a change beside the term it follows.

Once a version of the rules is released, its terms never change: their digest stands in the snapshots that it judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from burst.domain.basics import canonical
from burst.domain.plan import (
    budget_sections,
    drill_sections,
    gate_sections,
    observe_sections,
    plans,
    receipts_sections,
    target_sections,
)
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, load_gates, load_terms

KIND = "kind"
"""The kind of the phase. No kind asks as much as another: each has blockers of its own."""
RULES, BASELINE = "rules", "baseline"
GRACE, BUCKET, MAX_AGE = "budget.stop_grace", "receipts.bucket", "baseline.max_age"
TIME_UNIT = "receipts.time_unit"
RATE, SOURCE, LEAST_TASKS = "load.rate", "load.source_events", "target.min_tasks"
LEAST_RATE = f"{RATE}.least"
"""The events a minute of the window, or of the step behind `@`, that a verdict stands for: no gate asks for a rate."""
LEAST_SPEED_UP = f"{RATE}.least_speed_up"
"""The same of a playback at a speed-up."""
MOST_RECORDS = load_terms.MOST_RECORDS
LEAD, STEP = "load.warmup", "load.step."
"""The seconds that are not counted before the window, and the place of each step that a limit names."""
CONTIGUITY, MAX_GAP, SHARES = "gates.contiguity", "gates.contiguity.max_gap", "gates.decision_shares."
STOP_WHEN, SERVICES, DURING, REQUIRES = "stop_when", "services", "during", "requires"
REPRODUCES = "reproduces"
RECOVER_WITHIN, SUSTAINED = ".recover_within", ".sustained"
"""How the keys of a drill's durations end."""
OBSERVE, EVERY, OBSERVED_SETTLE = "observe", "observe.every", "observe.settle"
INFORMATIONAL, PROMOTED = "gates.informational.", "gates.promoted."
"""How the terms begin of limits that require nothing, and of the promotions by which others do."""
WHOLE = {LEAST_TASKS: "all", SOURCE: "unlimited", MOST_RECORDS: "unlimited"}
"""The value of a term where the plan sets no number; every number is less."""
_FROM_PLAN = (
    *(KIND, "gates", "budget", "target", "layers", "load", "receipts"),
    *("facts", STOP_WHEN, OBSERVE, SERVICES, DURING, REQUIRES, REPRODUCES, "before", "after", "evidence"),
)
"""The first words of every term that a plan states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one run, each a JSON value by its dotted key. A term that is not required is absent.

    `unknown`: terms that nobody can tell, by key, or by the first word of a group of them.
    """

    values: Mapping[str, Any] = field(hash=False)
    unknown: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of the canonical bytes."""
        return canonical.digest(canonical.encode(dict(self.values)))

    def knows(self, key: str) -> bool:
        """Whether these terms say anything of a key, be it that it is not required."""
        return key in self.values or not {key, key.partition(".")[0]}.intersection(self.unknown)


def rests_on_limits(key: str) -> bool:
    """Whether this term of a load is stated because of the limits that a plan sets, and not for the load itself."""
    return key.startswith((LEAST_RATE, LEAST_SPEED_UP, STEP))


NOTHING = Terms(values={}, unknown=(RULES, BASELINE, "phase", *_FROM_PLAN))
"""The terms of which nobody can tell one."""


def from_plan(plan: plans.Plan, rules: str, baseline: baselines.Baseline | None) -> Terms:
    """The terms of a run by its plan as executed; `baseline` None: its figures are not known, or it needs none."""
    values: dict[str, Any] = {RULES: rules, **state_plan(plan)}
    if baseline is not None:
        values[BASELINE] = state_baseline(baseline.admits, baseline.seconds, baseline.checksum)
    needs_baseline = plan.baseline is not None and baseline is None
    return Terms(values=values, unknown=(BASELINE,) if needs_baseline else ())


def state_plan(plan: plans.Plan) -> dict[str, Any]:
    """The terms that a plan states by itself, without its rules and its baseline."""
    stated: dict[str, Any] = {
        "phase": plan.phase,
        KIND: plan.kind.value,
        **_state_gates(plan.gates),
        **_state_budget(plan.budget),
        LEAST_TASKS: _state_least_tasks(plan.target),
        "layers.require": sorted(set(plan.layers.require)),
        **_state_receipts(plan.receipts),
        **dict(load_terms.state_load(plan)),
    }
    if stated.get(MOST_RECORDS, 0) is None:
        stated[MOST_RECORDS] = WHOLE[MOST_RECORDS]
    stated[SOURCE] = WHOLE[SOURCE] if plan.load.source_events is None else plan.load.source_events
    if load_gates.declares_rate(plan):
        stated[RATE] = "declared"  # however high: without one nobody asks whether it was offered
    elif plan.load.plays_at_speed_up:
        stated[RATE] = "recorded"
    stated |= dict(_state_least_rates(plan))
    if plan.lead_seconds:
        stated[LEAD] = plan.lead_seconds
    for step in sorted({step for _, step, _ in plan.gates.step_limits}):
        place = plan.rate_plan.find_step(step) if plan.rate_plan else None
        if place is not None:
            stated[f"{STEP}{step}"] = [float(place.start), float(place.end)]
    if plan.baseline is not None and plan.baseline.max_age is not None:
        stated[MAX_AGE] = plan.baseline.max_age
    if plan.evidence.sign is not None:
        stated["evidence.sign"] = True
    return stated | dict(_state_questions(plan))


def _state_gates(gates: gate_sections.GatesSection) -> dict[str, Any]:
    nested = {"warn_at", "contiguity", "decision_shares", "modes", "records"}
    limits = gates.model_dump(exclude_none=True, exclude=nested) | {"offered_load": gates.least_offered}
    stated = {f"gates.{name}": limit for name, limit in limits.items() if not gates.is_informational(name)}
    stated |= _state_modes(gates, limits)
    stated |= {f"{SHARES}{decision}.{limit}": share for decision, limit, share in gates.share_limits}
    if gates.contiguity is not None:
        longest = gates.contiguity.max_gap
        stated |= {CONTIGUITY: "every bucket"} if longest is None else {MAX_GAP: longest}
    return stated


def _state_budget(budget: budget_sections.BudgetSection) -> dict[str, Any]:
    stated = {"budget.max": budget.max, "budget.min_window": budget.min_window, GRACE: budget.stop_grace}
    if budget.window_seconds != budget.min_window:
        stated["budget.window"] = budget.window_seconds
    if budget.cap_seconds != budget.max:
        stated["budget.operator_cap"] = budget.cap_seconds
    return stated


def _state_least_tasks(target: target_sections.TargetSection) -> int | str:
    return WHOLE[LEAST_TASKS] if target.min_tasks in (None, target.tasks) else target.min_tasks


def _state_receipts(section: receipts_sections.ReceiptsSection) -> dict[str, Any]:
    return {
        "receipts.table": section.table,
        "receipts.columns": section.columns.model_dump(),
        "receipts.decisions": section.decisions or list(receipts.DECISIONS),
        **({} if section.time_unit is None else {TIME_UNIT: section.time_unit}),
        "receipts.settle": section.settle,
        "receipts.max_skew": section.max_skew,
        BUCKET: section.bucket,
    }


def _state_least_rates(plan: plans.Plan) -> Iterator[tuple[str, float]]:
    """The rates at which limits have to hold that no multiple of the baseline keeps from below."""
    if plan.gates.multiplier is None or plan.gates.is_informational("multiplier"):
        playback = plan.load.playback
        if plan.mean_rate is not None:
            yield LEAST_RATE, plan.mean_rate
        elif playback is not None and playback.speed_up is not None:
            yield LEAST_SPEED_UP, playback.speed_up
    judged = {step for name, step, _ in plan.gates.step_limits if not plan.gates.is_informational(f"{name}@{step}")}
    required = {step for step in plan.step_multipliers if not plan.gates.is_informational(f"multiplier@{step}")}
    for step in sorted(judged - required):
        rate = plan.find_step_rate(step)
        if rate is not None:
            yield f"{LEAST_RATE}@{step}", rate


def _state_modes(stated: gate_sections.GatesSection, limits: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that require nothing, and the promotions by which others do."""
    modes = stated.modes or {}
    informational = {name: limits[name] for name in modes if stated.is_informational(name)}
    blocks = {name: modes[name].block for name in informational if modes[name].block is not None}
    return {
        **{f"{INFORMATIONAL}{name}": limit for name, limit in informational.items()},
        **{f"{INFORMATIONAL}{name}.block": block for name, block in blocks.items()},
        **{f"{PROMOTED}{name}": digest for name, digest in stated.promoted.items()},
    }


def find_promoted(terms: Terms) -> dict[str, str]:
    """The gates that are required by a promotion, each with its digest."""
    return {key.removeprefix(PROMOTED): str(value) for key, value in terms.values.items() if key.startswith(PROMOTED)}


def _state_questions(plan: plans.Plan) -> Iterator[tuple[str, Any]]:
    """Everything that a plan asks, looks at and puts back before, in and after the burst."""
    for fact in plan.facts:
        yield f"facts.{fact.blocker}.{fact.name}", fact.model_dump(exclude={"blocker", "name"}, exclude_none=True)
    for gate, question in plan.entry_questions.items():
        statement = True if question is None else question.model_dump(exclude={"name", "until"}, exclude_none=True)
        yield f"{REQUIRES}.{gate}", statement
    if plan.observe is not None:
        yield EVERY, plan.observe.every
        yield OBSERVED_SETTLE, plan.observe.settle
    for series in plan.observed_series:
        yield f"{OBSERVE}.series.{series.name}", series.model_dump(exclude={"name", "rules"}, exclude_none=True)
        for section in series.rules:
            yield f"{OBSERVE}.series.{series.name}.{section.name}", _state_rule(section)
    if plan.reproduces is not None:
        yield f"{REPRODUCES}.reference", plan.reproduces.sha256 or plan.reproduces.snapshot
        yield f"{REPRODUCES}.keyset", plan.reproduces.keyset.model_dump(exclude_none=True)
        yield f"{REPRODUCES}.shares_within", plan.reproduces.shares_within
    for sign in plan.stop_signs:
        yield f"{STOP_WHEN}.{sign.sign}", sign.model_dump(exclude={"name"}, exclude_none=True)
    for service in plan.services:
        yield f"{SERVICES}.{service.name}", "put back"
    for drill in plan.drills:
        yield from _state_drill(drill)
    for when, shots in (("before", plan.before), ("after", plan.after)):
        for shot in shots:
            yield f"{when}.{shot.name}", {"command": shot.command, "exit_code": shot.exit_code}


def _state_drill(drill: drill_sections.DrillSection) -> Iterator[tuple[str, Any]]:
    """The fault of a drill, and what its recovery has to show."""
    key = f"{DURING}.{drill.name}"
    fault: dict[str, Any] = {"at": drill.at}
    if drill.restart is not None:
        fault["restart"] = drill.restart.service
    else:
        fault |= {"command": drill.command, "exit_code": drill.required_exit_code}
    yield key, fault
    yield f"{key}{RECOVER_WITHIN}", drill.recover_within
    yield f"{key}{SUSTAINED}", drill.recovered_when.sustained
    yield f"{key}.recovered_when", drill.recovered_when.model_dump(exclude={"sustained"}, exclude_none=True)


def _state_rule(section: observe_sections.ObservedRuleSection) -> dict[str, Any]:
    """A rule of a series: its blocker, aggregate and period, and its one bound."""
    rule = section.rule
    bound: dict[str, Any] = {"within": rule.near.text} if rule.near else {}
    if rule.limit is not None:
        bound = {rule.limit.comparison.value: rule.limit.required}
    return {"blocker": section.blocker, "aggregate": rule.aggregate.value, "over": rule.period.text, **bound}


def state_baseline(admits: int, seconds: float, checksum: str | None) -> dict[str, Any]:
    return {"admits": admits, "seconds": seconds, **({"checksum": checksum} if checksum else {})}
