"""The value of `burst plan`: what a run of a plan would be, as JSON.

Its words are in `plan_text`, which reads nothing but this value.
"""

import dataclasses
import shutil
from typing import Any

from burst.adapters.local import system_clock
from burst.cli import plan_text
from burst.domain.basics import rates
from burst.domain.plan import drill_sections, load_sections, plans, target_sections
from burst.domain.preflight import entry_gates, event_judgements, judgements
from burst.load import shipped_profiles
from burst.report import rate_charts
from burst.wiring import preparing
from burst.wiring.targets import targets


def list_fields(plan: plans.Plan, prepared: preparing.Prepared) -> dict[str, Any]:
    """The plan as it is written, with the rate and the requirements that its inputs give."""
    return {
        **_list_phase(plan),
        **_list_program(plan),
        **_list_rate(plan, prepared),
        **_list_events(plan, prepared),
        "baseline": _list_baseline(prepared),
        "required": _list_required(plan, prepared.required_admits_per_second),
        **_list_budget(plan),
        **_list_hard_stop(plan),
        **_list_blockers(plan),
        "contract_problem": prepared.contract_problem,
        "evidence": [plan.evidence.local, *plan.evidence.control_places, *plan.evidence.scoped_places],
    }


def _list_phase(plan: plans.Plan) -> dict[str, Any]:
    target = plan.target
    return {
        "phase": plan.phase,
        "kind": plan.kind.value,
        "scope": plan.scope,
        "environment": plan.environment,
        "target": {
            "kind": target.kind,
            "tasks": target.tasks,
            "min_tasks": target.least_tasks,
            "replacements": target.most_replacements,
        },
    }


def _list_program(plan: plans.Plan) -> dict[str, Any]:
    """The program that sends, and how the tasks run it."""
    load = plan.load
    return {
        "program": ", ".join(load.locustfiles) or " ".join(load.command or ()),
        "user_classes": load.user_classes,
        "shipped_profile": _find_shipped_profile(plan),
        "program_problem": _find_program_problem(plan),
        "host": load.host,
        "profile": _name_profile(load),
        "own_profile": load.runs_own_profile or load.runs_playback,
        "barrier": _name_barrier(load),
        "users_per_task": None if load.is_distributed else load.users,
        "topology": load.topology or "independent",
        "processes_per_task": load.processes_per_task,
    }


def _find_shipped_profile(plan: plans.Plan) -> str | None:
    """The shipped profile that tasks on this machine would run; None where they run a file of the plan's own."""
    if plan.target.kind != "local":
        return None
    profiles = (shipped_profiles.find_profile(name) for name in plan.load.locustfiles)
    return next((str(profile) for profile in profiles if profile is not None), None)


def _find_program_problem(plan: plans.Plan) -> str:
    """Why tasks on this machine cannot run a file of the plan; empty where they can, and where they run elsewhere."""
    missing = map(shipped_profiles.describe_missing, plan.load.locustfiles if plan.target.kind == "local" else ())
    return next((f"load.locustfile: {words}" for words in missing if words), "")


def _list_rate(plan: plans.Plan, prepared: preparing.Prepared) -> dict[str, Any]:
    """The rate and its steps."""
    rate = _find_rate(prepared)
    return {
        "rate_of": _name_rate_source(plan.load, rate),
        "rate_written": _describe_written_rate(plan),
        "warmup_seconds": plan.load.warmup,
        "load_seconds": plan.load_seconds,
        "steps": _list_steps(prepared),
        "chart": _draw_chart(prepared),
        "events_per_minute": rate,
        "events_per_minute_per_task": None if rate is None else rate / plan.target.tasks,
    }


def _list_events(plan: plans.Plan, prepared: preparing.Prepared) -> dict[str, Any]:
    """The events that are sent, and why preflight would refuse them."""
    load = plan.load
    return {
        "source_events": load.source_events,
        "playback": _describe_playback(load),
        "events": _describe_events(prepared),
        "new_share": load.new_share,
        "events_problem": _find_events_problem(prepared),
        "step_problem": _find_step_problem(prepared),
    }


def _list_baseline(prepared: preparing.Prepared) -> dict[str, Any] | None:
    baseline = prepared.baseline
    return None if baseline is None else {"admits_per_minute": baseline.rate_per_minute, "source": baseline.source}


def _describe_playback(load: load_sections.LoadSection) -> str | None:
    """The recording that is played, its pace, and where it goes on; None where there is none."""
    playback = load.playback
    if playback is None:
        return None
    pace = "at load.rate" if playback.speed_up is None else f"at {playback.speed_up:g} times its recorded pace"
    most = "" if playback.max_events is None else f", at most {playback.max_events:,} records a task"
    kept = "no checkpoint is kept" if playback.checkpoint is None else f"checkpoint in {playback.checkpoint}"
    goes_on = ", behind which it goes on" if load.continues else ""
    return f"{playback.source} by {playback.key}, {pace}{most}; {kept}{goes_on}"


def _describe_events(prepared: preparing.Prepared) -> str | None:
    """The kinds of events, and their effect on the gates; None where all events are new ones of the reference kind."""
    events = prepared.plan.load.events
    return None if events is None else event_judgements.describe_events(events)


def _draw_chart(prepared: preparing.Prepared) -> list[str]:
    """The steps of the rate as a chart, as wide as the terminal allows."""
    steps = prepared.plan.rate_plan
    if steps is None:
        return []
    terminal = shutil.get_terminal_size()
    return rate_charts.draw_lines(steps, rate_charts.fit_columns(terminal.columns, steps, indent=len(plan_text.INDENT)))


def _find_step_problem(prepared: preparing.Prepared) -> str | None:
    """Why a step cannot reach its own multiple of the baseline; None where each can, or nobody can tell."""
    baseline = prepared.baseline
    rate = None if baseline is None else baseline.rate_per_second
    finding = judgements.judge_rate(prepared.plan, None, rate)
    return finding.seen if finding.refused else None


def _find_events_problem(prepared: preparing.Prepared) -> str | None:
    finding = event_judgements.judge_events(prepared.plan)
    return finding.seen if finding.refused else None


def _list_required(plan: plans.Plan, required_admits_per_second: float | None) -> dict[str, Any]:
    limits = plan.gates
    return {
        "multiplier": limits.multiplier,
        "admits_per_minute": None if required_admits_per_second is None else required_admits_per_second * 60,
        "admit_ratio": limits.admit_ratio,
        "step_limits": [{"name": name, "step": step, "limit": limit} for name, step, limit in limits.step_limits],
        **_list_volume(plan),
        "multiplier_lower": limits.multiplier_lower,
        "informational": [name for name in limits.modes or () if limits.is_informational(name)],
    }


def _describe_written_rate(plan: plans.Plan) -> str | None:
    """The rate with the unit that the plan wrote; None where it is none, `auto` or steps."""
    return rates.describe(plan.load.rate) if isinstance(plan.load.rate, float) else None


def _list_steps(prepared: preparing.Prepared) -> list[dict[str, Any]]:
    """The steps of the rate, each with what a task sends in it."""
    steps = prepared.plan.rate_plan
    rows = [] if steps is None else rate_charts.list_rows(steps, prepared.plan.target.tasks)
    return [{**dataclasses.asdict(row), "words": rate_charts.describe_row(row)} for row in rows]


def _list_volume(plan: plans.Plan) -> dict[str, Any]:
    limits = plan.gates
    return {
        "min_admits": limits.min_admits,
        "expect_duplicates": limits.expect_duplicates,
        "every_bucket": limits.contiguity is not None and limits.contiguity.max_gap is None,
        "max_gap_seconds": limits.contiguity.max_gap if limits.contiguity else None,
        "decision_shares": [
            {"decision": decision, "limit": limit, "share": share} for decision, limit, share in limits.share_limits
        ],
    }


def _name_profile(load: load_sections.LoadSection) -> str | None:
    """The profile of burst's own programs, or what the plan says of another one; None where neither says any."""
    if load.runs_playback:
        return "playback"
    return load.profile if load.runs_own_profile or "profile" in load.model_fields_set else None


def _name_rate_source(load: load_sections.LoadSection, rate: float | None) -> str:
    """Where the rate comes from: the baseline, the recording, the plan, or the program itself."""
    if load.waits_for_baseline:
        return "auto"
    if load.plays_at_speed_up:
        return "recording"
    return "program" if rate is None else "plan"


def _name_barrier(load: load_sections.LoadSection) -> str:
    """Who keeps the program from sending before GO."""
    if load.is_distributed:
        return "master"
    return "program" if load.holds_barrier else "guard"


def _list_budget(plan: plans.Plan) -> dict[str, Any]:
    budget = plan.budget
    return {
        "window_seconds": budget.window_seconds,
        "min_window_seconds": budget.min_window,
        "cap_seconds": budget.cap_seconds,
        "budget_seconds": budget.max,
        "stop_grace_seconds": budget.stop_grace,
        "database_seconds_max": plan.receipts.database_seconds_max,
    }


def _list_hard_stop(plan: plans.Plan) -> dict[str, Any]:
    """The cost, the errands and the layers: as the target of the plan has them."""
    target = targets.read_terms(plan, system_clock.SystemClock())
    return {
        "cost": target.cost().seen,
        "cost_cap_usd": plan.budget.cost_cap_usd,
        "services": {service.name: service.desired for service in plan.services},
        "rolled": {service.name: _describe_roll(service) for service in plan.services if service.rolls},
        "during": [_describe_drill(drill) for drill in plan.drills],
        "stop_when": [entry.sign for entry in plan.stop_signs],
        "observe": _list_series(plan),
        "requires": _list_entry_gates(plan),
        "before": [shot.name for shot in plan.before],
        "after": [shot.name for shot in plan.after],
        "worst_ends": [
            {
                "layer": end.layer.value,
                "seconds": end.seconds,
                "terms": [{"words": term.words, "seconds": term.seconds} for term in end.terms],
            }
            for end in target.worst_ends()
        ],
        "lease_ttl_seconds": plan.layers.lease_ttl,
        "lease_ttl_safe_seconds": target.safe_lease_ttl_seconds,
        "layers": list(target.layers),
        "layers_required": list(plan.layers.require),
    }


def _list_series(plan: plans.Plan) -> list[dict[str, Any]]:
    """Each observed series with its period and its rules."""
    every = plan.observe.every if plan.observe else None
    return [
        {
            "series": series.name,
            "source": series.source_words(plan.scope),
            "every_seconds": every,
            "rules": [{"blocker": rule.blocker, "rule": rule.rule.text} for rule in series.rules],
        }
        for series in plan.observed_series
    ]


def _list_entry_gates(plan: plans.Plan) -> list[dict[str, Any]]:
    """The entry gates, each with what it allows and how long it is waited for."""
    return [
        {
            "gate": gate,
            "allowed": entry_gates.describe_wanted(plan, gate),
            "until_seconds": entry_gates.find_wait_seconds(question),
        }
        for gate, question in plan.entry_questions.items()
    ]


def _describe_roll(service: target_sections.ServiceSection) -> str:
    """How a service is rolled, in words; its variables by name alone."""
    words = f", rolled to {service.task_definition}" if service.task_definition else ", rolled to a revision"
    variables = ", ".join(service.environment or ())
    return words + (f" with {variables}" if variables else "")


def _describe_drill(drill: drill_sections.DrillSection) -> dict[str, Any]:
    rule = drill.recovered_when.model_dump(exclude={"series", "sustained"}, exclude_none=True)
    (comparison, limit), *_ = rule.items()
    return {
        "name": drill.name,
        "at_seconds": drill.at,
        "fault": f"restart {drill.restart.service}" if drill.restart else " ".join(drill.command or ()),
        "undo": " ".join(drill.undo or ()),
        "recover_within_seconds": drill.recover_within,
        "recovered_when": f"{drill.recovered_when.series} {comparison} {limit}",
        "sustained_seconds": drill.recovered_when.sustained,
    }


def _list_blockers(plan: plans.Plan) -> dict[str, Any]:
    in_scope = list(plan.rerun.only if plan.rerun else plan.blockers)
    return {
        "blockers_in_scope": in_scope,
        "blockers_carried": [blocker for blocker in plan.blockers if blocker not in in_scope],
        "prior": plan.rerun.prior if plan.rerun else None,
        "blockers_carried_from_nothing": list(plan.blockers_carried_from_nothing),
        "blockers_nothing_is_asked_about": [blocker for blocker in plan.silent_blockers if blocker in in_scope],
    }


def _find_rate(prepared: preparing.Prepared) -> float | None:
    """Events per minute over all tasks; None where the program decides, or the baseline is not here."""
    load, required = prepared.plan.load, prepared.required_admits_per_second
    if load.rate == "auto":
        return None if required is None else required * 60 * load.headroom / load.new_share
    return prepared.plan.mean_rate
