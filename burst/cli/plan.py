"""`burst plan`: validates a plan and says what a run of it would be. Starts nothing."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.plan import plans
    from burst.wiring import preparing


@click.command(
    epilog="""\b
Examples:
  burst plan plan.yaml
  burst plan plan.yaml --set budget.operator_cap=16m --only M10F-B1,M10F-B8 --prior runs/EXECUTION_ID
"""
)
@click.argument("plan_file", metavar="PLAN", type=common.PLAN_FILE)
@common.set_option
@common.only_option
@common.prior_option
@common.options
def plan(
    output: common.Output, plan_file: Path, overrides: tuple[str, ...], only: tuple[str, ...], prior: str | None
) -> None:
    """Validate PLAN and print what would run: tasks, rate, window, deadline, layers, cost, blockers. Starts nothing.

    On ECS the cost is that of the pinned task definition's size, which is asked of AWS where it is configured here.

    Exits 2 where the plan or a secret it refers to is wrong, 4 where its baseline cannot be used.
    """
    from burst.wiring import preparing

    request = preparing.RunRequest(plan_file=plan_file, overrides=overrides, only=common.split_words(only), prior=prior)
    asked = preparing.read_plan(request)
    _require_secrets(asked)
    value = _described(asked, preparing.prepare(request, datetime.now(UTC)))
    output.result(value, _text(str(plan_file), value))


def _require_secrets(asked: "plans.Plan") -> None:
    """Raises `errors.UsageError` where a secret that this machine holds does not resolve."""
    from burst.adapters import secrets

    dsn = asked.receipts.dsn if asked.receipts.via == "direct" else None
    for reference in (dsn, asked.load.api_key):
        if reference is not None and reference.startswith(("env:", "file:")):
            secrets.resolve(reference)


def _described(asked: "plans.Plan", prepared: "preparing.Prepared") -> dict[str, Any]:
    from burst.domain.plan import plans
    from burst.load import shipped_profiles
    from burst.wiring import preparing
    from burst.wiring.preflight import checks
    from burst.wiring.targets import ecs_target

    budget, target, baseline = asked.budget, asked.target, prepared.baseline
    rate = _rate(prepared)
    required = prepared.required_admits_per_second
    in_scope = list(asked.rerun.only if asked.rerun else asked.blockers)
    local_file = asked.load.locustfile if target.kind == "local" else None
    shipped_profile = shipped_profiles.find_profile(local_file) if local_file else None
    takes_facts = {asked.blocker(short) for short in plans.FACT_BLOCKERS}
    return {
        "phase": asked.phase,
        "scope": asked.scope,
        "environment": asked.environment,
        "target": {"kind": target.kind, "tasks": target.tasks, "min_tasks": target.least_tasks},
        "program": asked.load.locustfile or " ".join(asked.load.command or ()),
        "shipped_profile": None if shipped_profile is None else str(shipped_profile),
        "host": asked.load.host,
        "profile": asked.load.profile,
        "events_per_minute": rate,
        "events_per_minute_per_task": None if rate is None else rate / target.tasks,
        "source_events": asked.load.source_events,
        "baseline": None
        if baseline is None
        else {"admits_per_minute": baseline.rate_per_minute, "source": baseline.source},
        "required": {
            "multiplier": asked.gates.multiplier,
            "admits_per_minute": None if required is None else required * 60,
            "admit_ratio": asked.gates.admit_ratio,
        },
        "window_seconds": budget.window_seconds,
        "min_window_seconds": budget.min_window,
        "cap_seconds": budget.cap_seconds,
        "budget_seconds": budget.max,
        "stop_grace_seconds": budget.stop_grace,
        "cost": checks.cost(asked).seen,
        "cost_cap_usd": budget.cost_cap_usd,
        "services": {service.name: service.desired for service in asked.services},
        "before": [shot.name for shot in asked.before],
        "after": [shot.name for shot in asked.after],
        "lease_ttl_seconds": asked.layers.lease_ttl,
        "lease_ttl_safe_seconds": ecs_target.slowest_heartbeat_seconds(asked) if target.kind == "ecs" else None,
        "layers": list(preparing.layers(asked)),
        "layers_required": list(asked.layers.require),
        "blockers_in_scope": in_scope,
        "blockers_carried": [blocker for blocker in asked.blockers if blocker not in in_scope],
        "prior": asked.rerun.prior if asked.rerun else None,
        "blockers_nothing_is_asked_about": sorted(
            takes_facts.intersection(in_scope) - {fact.blocker for fact in asked.facts}
        ),
        "evidence": [asked.evidence.local, *asked.evidence.control_places, *asked.evidence.scoped_places],
    }


def _rate(prepared: "preparing.Prepared") -> float | None:
    """Events per minute over all tasks; None where a program of its own decides, or the baseline is not here."""
    load, required = prepared.plan.load, prepared.required_admits_per_second
    if load.rate == "auto":
        return None if required is None else required * 60 * load.headroom
    return load.rate


def _text(name: str, value: dict[str, Any]) -> str:
    from burst.load import shipped_profiles
    from burst.report import figures

    number, duration = figures.number, figures.duration
    target, required = value["target"], value["required"]
    lines = [
        f"{name} is valid; nothing was started",
        "",
        f"phase      {value['phase']} ({value['environment']}), scope {value['scope']}",
        f"tasks      {target['tasks']} on {target['kind']}, at least {target['min_tasks']}",
        f"load       {value['program']}" + (f" against {value['host']}" if value["host"] else ""),
        f"rate       {_rate_text(value)}",
        f"required   {_required_text(required)}",
        f"window     {duration(value['window_seconds'])} (at least {duration(value['min_window_seconds'])} to pass)",
        f"deadline   {duration(value['cap_seconds'])} after launch, grace {duration(value['stop_grace_seconds'])}",
        f"budget     {duration(value['budget_seconds'])}",
        f"layers     {', '.join(value['layers'])}; required: {', '.join(value['layers_required'])}",
        f"blockers   {', '.join(value['blockers_in_scope'])}",
    ]
    if value["shipped_profile"]:
        lines.append(f"profile    {value['program']} is {shipped_profiles.describe(Path(value['shipped_profile']))}")
    if value["blockers_carried"]:
        prior = value["prior"] or "no prior snapshot, so they stay open"
        lines.append(f"carried    {', '.join(value['blockers_carried'])} from {prior}")
    lines.append(f"cost       {value['cost']}")
    if value["services"]:
        counts = ", ".join(f"{name} to {desired}" for name, desired in value["services"].items())
        lines.append(f"services   {counts}; put back afterwards")
    lines += [f"{when:<10} {', '.join(value[when])}" for when in ("before", "after") if value[when]]
    if value["cost_cap_usd"] is not None:
        lines.append(f"cost cap   {number(value['cost_cap_usd'])} USD")
    lines.append(f"evidence   {', '.join(value['evidence'])}")
    return "\n".join([*lines, *(f"warning    {warning}" for warning in _warnings(value))])


def _rate_text(value: dict[str, Any]) -> str:
    from burst.report import figures

    if value["events_per_minute"] is None:
        return "as the program decides" if value["host"] is None else "auto, from the baseline when the run starts"
    each = figures.number(round(value["events_per_minute_per_task"], 3))
    return f"{figures.number(round(value['events_per_minute'], 3))} events a minute, {each} a task ({value['profile']})"


def _required_text(required: dict[str, Any]) -> str:
    from burst.report import figures

    ratio = f"a share of {required['admit_ratio']} admitted"
    if required["multiplier"] is None:
        return f"{ratio} (a reference run: no multiplier)"
    admits = required["admits_per_minute"]
    known = "" if admits is None else f", {figures.number(round(admits, 3))} admits a minute"
    return f"{figures.number(required['multiplier'])} times the baseline{known}; {ratio}"


def _warnings(value: dict[str, Any]) -> list[str]:
    found = [
        f"{blocker} will stay open: the plan asks nothing about it"
        for blocker in value["blockers_nothing_is_asked_about"]
    ]
    if value["lease_ttl_seconds"] < (value["lease_ttl_safe_seconds"] or 0.0):
        found.append(
            f"layers.lease_ttl {value['lease_ttl_seconds']:g} s is short for a lease on S3: a few slow answers end the "
            f"tasks; {math.ceil(value['lease_ttl_safe_seconds'])} s or more is safe"
        )
    rate, source = value["events_per_minute"], value["source_events"]
    required = value["required"]["admits_per_minute"]
    if rate and required and rate < required:
        found.append(f"load.rate {rate} a minute cannot reach the {round(required, 3)} admits a minute required")
    if rate and source and source < rate * value["window_seconds"] / 60:
        found.append(
            f"load.source_events {source} last {source / rate * 60:.0f} s at this rate; "
            f"the window is {value['window_seconds']:.0f} s"
        )
    return found
