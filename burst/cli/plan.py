"""`burst plan`: validates a plan and describes a run of it. Starts nothing."""

import dataclasses
import math
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common
from burst.domain.basics import errors, wording

if TYPE_CHECKING:
    from burst.domain.plan import drill_sections, load_sections, plans, target_sections
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
    written = preparing.read_plan(request)
    missing = preparing.find_missing_secret(written)
    if missing:
        raise errors.UsageError(missing)
    value = _plan_fields(written, preparing.prepare(request, datetime.now(UTC)))
    value["warnings"] = _warnings(value)
    output.result(value, _text(str(plan_file), value))


def _plan_fields(written: "plans.Plan", prepared: "preparing.Prepared") -> dict[str, Any]:
    """The plan as it is written, with the rate and the requirements that its inputs give."""
    return {
        **_load_fields(written, prepared),
        **_budget_fields(written),
        **_hard_stop_fields(written),
        **_blocker_fields(written),
        "contract_problem": prepared.contract_problem,
        "evidence": [written.evidence.local, *written.evidence.control_places, *written.evidence.scoped_places],
    }


def _find_shipped_profile(written: "plans.Plan") -> str | None:
    """The shipped profile that tasks on this machine would run; None where they run a file of the plan's own."""
    from burst.load import shipped_profiles

    if written.target.kind != "local":
        return None
    found = (shipped_profiles.find_profile(name) for name in written.load.locustfiles)
    return next((str(profile) for profile in found if profile is not None), None)


def _load_fields(written: "plans.Plan", prepared: "preparing.Prepared") -> dict[str, Any]:
    target, baseline = written.target, prepared.baseline
    rate = _rate(prepared)
    return {
        "phase": written.phase,
        "kind": written.kind.value,
        "scope": written.scope,
        "environment": written.environment,
        "target": {
            "kind": target.kind,
            "tasks": target.tasks,
            "min_tasks": target.least_tasks,
            "replacements": target.most_replacements,
        },
        "program": ", ".join(written.load.locustfiles) or " ".join(written.load.command or ()),
        "user_classes": written.load.user_classes,
        "shipped_profile": _find_shipped_profile(written),
        "host": written.load.host,
        "profile": _name_profile(written.load),
        "own_profile": written.load.runs_own_profile or written.load.runs_playback,
        "barrier": _name_barrier(written.load),
        "users_per_task": None if written.load.is_distributed else written.load.users,
        "topology": written.load.topology or "independent",
        "processes_per_task": written.load.processes_per_task,
        "rate_of": _name_rate_source(written.load, rate),
        "rate_written": _describe_written_rate(written),
        "warmup_seconds": written.load.warmup,
        "load_seconds": written.load_seconds,
        "steps": _step_fields(prepared),
        "chart": _draw_chart(prepared),
        "events_per_minute": rate,
        "events_per_minute_per_task": None if rate is None else rate / target.tasks,
        "source_events": written.load.source_events,
        "playback": _describe_playback(written),
        "events": _describe_events(prepared),
        "new_share": written.load.new_share,
        "events_problem": _find_events_problem(prepared),
        "step_problem": _find_step_problem(prepared),
        "baseline": None
        if baseline is None
        else {"admits_per_minute": baseline.rate_per_minute, "source": baseline.source},
        "required": _required_fields(written, prepared.required_admits_per_second),
    }


def _describe_playback(written: "plans.Plan") -> str | None:
    """The recording that is played, its pace, and where it goes on; None where there is none."""
    playback = written.load.playback
    if playback is None:
        return None
    pace = "at load.rate" if playback.speed_up is None else f"at {playback.speed_up:g} times its recorded pace"
    most = "" if playback.max_events is None else f", at most {playback.max_events:,} records a task"
    kept = "no checkpoint is kept" if playback.checkpoint is None else f"checkpoint in {playback.checkpoint}"
    goes_on = ", behind which it goes on" if written.load.continues else ""
    return f"{playback.source} by {playback.key}, {pace}{most}; {kept}{goes_on}"


def _describe_events(prepared: "preparing.Prepared") -> str | None:
    """The kinds of events, and their effect on the gates; None where all events are new ones of the reference kind."""
    from burst.domain.preflight import event_judgements

    events = prepared.plan.load.events
    return None if events is None else event_judgements.describe_events(events)


_INDENT = " " * 11
"""Before the words of a line, and before a line that goes on."""


def _draw_chart(prepared: "preparing.Prepared") -> list[str]:
    """The steps of the rate as a chart, as wide as the terminal allows."""
    from burst.report import rate_charts

    steps = prepared.plan.rate_plan
    if steps is None:
        return []
    terminal = shutil.get_terminal_size()
    return rate_charts.draw_lines(steps, rate_charts.fit_columns(terminal.columns, steps, indent=len(_INDENT)))


def _find_step_problem(prepared: "preparing.Prepared") -> str | None:
    """Why a step cannot reach its own multiple of the baseline; None where each can, or nobody can tell."""
    from burst.domain.preflight import judgements

    baseline = prepared.baseline
    rate = None if baseline is None else baseline.rate_per_second
    finding = judgements.judge_rate(prepared.plan, None, rate)
    return finding.seen if finding.refused else None


def _find_events_problem(prepared: "preparing.Prepared") -> str | None:
    from burst.domain.preflight import event_judgements

    finding = event_judgements.judge_events(prepared.plan)
    return finding.seen if finding.refused else None


def _required_fields(written: "plans.Plan", required_admits_per_second: float | None) -> dict[str, Any]:
    limits = written.gates
    return {
        "multiplier": limits.multiplier,
        "admits_per_minute": None if required_admits_per_second is None else required_admits_per_second * 60,
        "admit_ratio": limits.admit_ratio,
        "step_limits": [{"name": name, "step": step, "limit": limit} for name, step, limit in limits.step_limits],
        **_volume_fields(written),
        "multiplier_lower": limits.multiplier_lower,
        "informational": [name for name in limits.modes or () if limits.is_informational(name)],
    }


def _describe_written_rate(written: "plans.Plan") -> str | None:
    """The rate with the unit that the plan wrote; None where it is none, `auto` or steps."""
    from burst.domain.basics import rates

    return rates.describe(written.load.rate) if isinstance(written.load.rate, float) else None


def _step_fields(prepared: "preparing.Prepared") -> list[dict[str, Any]]:
    """The steps of the rate, each with what a task sends in it."""
    from burst.report import rate_charts

    steps = prepared.plan.rate_plan
    rows = [] if steps is None else rate_charts.list_rows(steps, prepared.plan.target.tasks)
    return [{**dataclasses.asdict(row), "words": rate_charts.describe_row(row)} for row in rows]


def _volume_fields(written: "plans.Plan") -> dict[str, Any]:
    limits = written.gates
    return {
        "min_admits": limits.min_admits,
        "expect_duplicates": limits.expect_duplicates,
        "every_bucket": limits.contiguity is not None and limits.contiguity.max_gap is None,
        "max_gap_seconds": limits.contiguity.max_gap if limits.contiguity else None,
        "decision_shares": [
            {"decision": decision, "limit": limit, "share": share} for decision, limit, share in limits.share_limits
        ],
    }


def _name_profile(load: "load_sections.LoadSection") -> str | None:
    """The profile of burst's own programs, or what the plan says of another one; None where neither says any."""
    if load.runs_playback:
        return "playback"
    return load.profile if load.runs_own_profile or "profile" in load.model_fields_set else None


def _name_rate_source(load: "load_sections.LoadSection", rate: float | None) -> str:
    """Where the rate comes from: the baseline, the recording, the plan, or the program itself."""
    if load.waits_for_baseline:
        return "auto"
    if load.plays_at_speed_up:
        return "recording"
    return "program" if rate is None else "plan"


def _name_barrier(load: "load_sections.LoadSection") -> str:
    """Who keeps the program from sending before GO."""
    if load.is_distributed:
        return "master"
    return "program" if load.holds_barrier else "guard"


def _budget_fields(written: "plans.Plan") -> dict[str, Any]:
    budget = written.budget
    return {
        "window_seconds": budget.window_seconds,
        "min_window_seconds": budget.min_window,
        "cap_seconds": budget.cap_seconds,
        "budget_seconds": budget.max,
        "stop_grace_seconds": budget.stop_grace,
        "database_seconds_max": written.receipts.database_seconds_max,
    }


def _hard_stop_fields(written: "plans.Plan") -> dict[str, Any]:
    """The cost, the errands and the layers: as the target of the plan has them."""
    from burst.adapters.local import system_clock
    from burst.wiring.targets import targets

    target = targets.read_terms(written, system_clock.SystemClock())
    return {
        "cost": target.cost().seen,
        "cost_cap_usd": written.budget.cost_cap_usd,
        "services": {service.name: service.desired for service in written.services},
        "rolled": {service.name: _describe_roll(service) for service in written.services if service.rolls},
        "during": [_describe_drill(drill) for drill in written.drills],
        "stop_when": [entry.sign for entry in written.stop_signs],
        "observe": _observed_series(written),
        "requires": _entry_gates(written),
        "before": [shot.name for shot in written.before],
        "after": [shot.name for shot in written.after],
        "worst_ends": [
            {
                "layer": end.layer.value,
                "seconds": end.seconds,
                "terms": [{"words": term.words, "seconds": term.seconds} for term in end.terms],
            }
            for end in target.worst_ends()
        ],
        "lease_ttl_seconds": written.layers.lease_ttl,
        "lease_ttl_safe_seconds": target.safe_lease_ttl_seconds,
        "layers": list(target.layers),
        "layers_required": list(written.layers.require),
    }


def _observed_series(written: "plans.Plan") -> list[dict[str, Any]]:
    """Each observed series with its period and its rules."""
    every = written.observe.every if written.observe else None
    return [
        {
            "series": series.name,
            "source": series.source_words(written.scope),
            "every_seconds": every,
            "rules": [{"blocker": rule.blocker, "rule": rule.rule.text} for rule in series.rules],
        }
        for series in written.observed_series
    ]


def _entry_gates(written: "plans.Plan") -> list[dict[str, Any]]:
    """The entry gates, each with what it allows and how long it is waited for."""
    from burst.domain.preflight import entry_gates

    return [
        {
            "gate": gate,
            "allowed": entry_gates.describe_wanted(written, gate),
            "until_seconds": entry_gates.find_wait_seconds(question),
        }
        for gate, question in written.entry_questions.items()
    ]


def _describe_roll(service: "target_sections.ServiceSection") -> str:
    """How a service is rolled, in words; its variables by name alone."""
    words = f", rolled to {service.task_definition}" if service.task_definition else ", rolled to a revision"
    variables = ", ".join(service.environment or ())
    return words + (f" with {variables}" if variables else "")


def _describe_drill(drill: "drill_sections.DrillSection") -> dict[str, Any]:
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


def _drill_text(drill: dict[str, Any]) -> str:
    from burst.report import figures

    undo = f"; undone by {drill['undo']}" if drill["undo"] else ""
    return (
        f"{drill['name']}: {drill['fault']}, {figures.duration(drill['at_seconds'])} after GO; recovered within "
        f"{figures.duration(drill['recover_within_seconds'])}, when {drill['recovered_when']} for "
        f"{figures.duration(drill['sustained_seconds'])}{undo}"
    )


def _blocker_fields(written: "plans.Plan") -> dict[str, Any]:
    in_scope = list(written.rerun.only if written.rerun else written.blockers)
    return {
        "blockers_in_scope": in_scope,
        "blockers_carried": [blocker for blocker in written.blockers if blocker not in in_scope],
        "prior": written.rerun.prior if written.rerun else None,
        "blockers_carried_from_nothing": list(written.blockers_carried_from_nothing),
        "blockers_nothing_is_asked_about": [blocker for blocker in written.silent_blockers if blocker in in_scope],
    }


def _rate(prepared: "preparing.Prepared") -> float | None:
    """Events per minute over all tasks; None where the program decides, or the baseline is not here."""
    load, required = prepared.plan.load, prepared.required_admits_per_second
    if load.rate == "auto":
        return None if required is None else required * 60 * load.headroom / load.new_share
    return prepared.plan.mean_rate


_BARRIERS = {
    "master": "Locust's own master starts the users of all workers at GO",
    "program": "the program is started at once, says when it is ready and waits for GO itself",
    "guard": "the guard starts the program at GO",
}


def _text(name: str, value: dict[str, Any]) -> str:
    from burst.report import figures

    duration = figures.duration
    target, required = value["target"], value["required"]
    lines = [
        f"{name} is valid; nothing was started",
        "",
        f"phase      {value['phase']}, a {value['kind']} ({value['environment']}), scope {value['scope']}",
        f"tasks      {_tasks_text(target)}",
        f"load       {value['program']}" + (f" against {value['host']}" if value["host"] else ""),
        *_process_lines(value),
        f"rate       {_rate_text(value)}",
        *(f"{_INDENT}{line}" for line in value["chart"]),
        *([f"events     {value['events']}"] if value["events"] else []),
        *(f"step       {step['words']}" for step in value["steps"]),
        f"barrier    {_BARRIERS[value['barrier']]}",
        f"required   {_required_text(required)}",
        f"window     {duration(value['window_seconds'])} (at least {duration(value['min_window_seconds'])} to pass)",
        f"deadline   {duration(value['cap_seconds'])} after launch, grace {duration(value['stop_grace_seconds'])}",
        f"budget     {duration(value['budget_seconds'])}",
        f"layers     {', '.join(value['layers'])}; required: {', '.join(value['layers_required'])}",
        f"ends       {_ends_text(value['worst_ends'])}",
        f"blockers   {', '.join(value['blockers_in_scope'])}",
        *_list_optional_lines(value),
        f"evidence   {', '.join(value['evidence'])}",
    ]
    return "\n".join([*lines, *(f"warning    {warning}" for warning in value["warnings"])])


def _list_optional_lines(value: dict[str, Any]) -> list[str]:
    """The lines of the keys that this plan has; the cost stands among them."""
    from burst.load import shipped_profiles
    from burst.report import figures

    lines = []
    if value["shipped_profile"]:
        lines.append(f"profile    {value['program']} is {shipped_profiles.describe(Path(value['shipped_profile']))}")
    if value["playback"]:
        lines.append(f"playback   {value['playback']}")
    if value["blockers_carried"]:
        prior = value["prior"] or "no prior snapshot, so they stay open"
        lines.append(f"carried    {', '.join(value['blockers_carried'])} from {prior}")
    lines.append(f"cost       {value['cost']}")
    if value["services"]:
        counts = ", ".join(
            f"{name} {'as it is' if desired is None else f'to {desired}'}{value['rolled'].get(name, '')}"
            for name, desired in value["services"].items()
        )
        lines.append(f"services   {counts}; put back afterwards")
    lines += [f"requires   {_entry_text(entry)}" for entry in value["requires"]]
    lines += [f"{when:<10} {', '.join(value[when])}" for when in ("before", "after") if value[when]]
    lines += [f"{'during':<10} {_drill_text(drill)}" for drill in value["during"]]
    lines += [f"observes   {_series_text(series)}" for series in value["observe"]]
    if value["stop_when"]:
        lines.append(f"stop when  {'; '.join(value['stop_when'])}")
    if value["database_seconds_max"] is not None:
        ceiling = figures.duration(value["database_seconds_max"])
        lines.append(f"database   works for {ceiling} at most, live counts for half of it")
    if value["cost_cap_usd"] is not None:
        lines.append(f"cost cap   {figures.number(value['cost_cap_usd'])} USD")
    return lines


def _series_text(series: dict[str, Any]) -> str:
    from burst.report import figures

    kept = "; ".join(f"{rule['rule']} ({rule['blocker']})" for rule in series["rules"])
    return f"{series['series']} every {figures.duration(series['every_seconds'])}: {kept}"


def _entry_text(entry: dict[str, Any]) -> str:
    from burst.report import figures

    wait = f", waited for {figures.duration(entry['until_seconds'])}" if entry["until_seconds"] else ""
    return f"{entry['gate']}: {entry['allowed']}{wait}"


def _tasks_text(target: dict[str, Any]) -> str:
    least = f"{target['tasks']} on {target['kind']}, at least {target['min_tasks']}"
    most = target["replacements"]
    return f"{least}; up to {most} replaced before GO" if most else f"{least}; none is replaced"


def _process_lines(value: dict[str, Any]) -> list[str]:
    """How the tasks share the load, where it is not one process for each."""
    each, tasks, lines = value["processes_per_task"], value["target"]["tasks"], []
    if each > 1:
        lines.append(
            f"processes  {each} a task, each with its part of the task's load; the first that ends ends the task"
        )
    if value["topology"] == "distributed":
        lines.append(f"topology   distributed: Locust's master beside task 0, and {tasks * each} workers that join it")
    return lines


def _rate_text(value: dict[str, Any]) -> str:
    from burst.report import figures

    if value["events_per_minute"] is None:
        if value["rate_of"] == "auto":
            return "auto, from the baseline when the run starts"
        if value["rate_of"] == "recording":
            return "the recording's: each record is due at its own time, so the plan knows no rate"
        users = _users_text(value["users_per_task"])
        return f"the program's own{users}: the plan names none, so nobody can tell what was due"
    each = figures.number(round(value["events_per_minute_per_task"], 3))
    how = value["profile"] if value["own_profile"] else "declared: the program has to send it"
    mean = f"{figures.number(round(value['events_per_minute'], 3))} events a minute, {each} a task"
    if value["steps"]:
        steps = wording.format_count(len(value["steps"]), "step")
        return f"{steps} over {figures.duration(value['load_seconds'])}, in the mean {mean} ({how})"
    written = value["rate_written"]
    unit = "" if written is None or written.endswith("/min") else f"{written}, "
    return f"{unit}{mean} ({how})"


def _users_text(users: int | None) -> str:
    """The users of a task, which a shape in the locustfile sets itself; only Locust, which imports it, knows of one."""
    return "" if users is None else f", {users} users a task (a LoadTestShape in the file sets its own)"


def _required_text(required: dict[str, Any]) -> str:
    from burst.report import figures

    ratio = required["admit_ratio"]
    parts = [] if ratio is None else [f"a share of {ratio} admitted"]
    if required["min_admits"] is not None:
        parts.append(f"{required['min_admits']:,} ADMIT")
    if required["expect_duplicates"] is not None:
        parts.append(f"{required['expect_duplicates']:,} DUPLICATE")
    if required["every_bucket"]:
        parts.append("a receipt in every bucket")
    if required["max_gap_seconds"] is not None:
        parts.append(f"no gap over {figures.duration(required['max_gap_seconds'])}")
    parts += [
        f"{share['decision']} {share['limit'].replace('_', ' ')} {share['share']:g} of all receipts"
        for share in required["decision_shares"]
    ]
    if required["multiplier_lower"] is not None:
        parts.append(f"the lower bound of the multiplier at least {required['multiplier_lower']:g}")
    if required["informational"]:
        parts.append(f"informational, opening nothing: {', '.join(required['informational'])}")
    parts += [f"{limit['name']}@{limit['step']} {limit['limit']:g}" for limit in required["step_limits"]]
    if required["multiplier"] is None:
        words = "; ".join(parts) or "no figure of the counts"
        return f"{words} (a reference run: no multiplier)" if required["admit_ratio"] is not None else words
    admits = required["admits_per_minute"]
    rate = "" if admits is None else f", {figures.number(round(admits, 3))} admits a minute"
    return "; ".join([f"{figures.number(required['multiplier'])} times the baseline{rate}", *parts])


def _ends_text(ends: list[dict[str, Any]]) -> str:
    """When the last process has ended, by each layer where every other one fails, the earliest first."""
    from burst.report import figures

    ordered = sorted(ends, key=lambda end: float(end["seconds"]))
    by_layer = ", ".join(f"{end['layer']} {figures.duration(math.ceil(end['seconds']))}" for end in ordered)
    return f"at the latest after the deadline, by each layer alone: {by_layer} (burst runbook worst-ends)"


def _warnings(value: dict[str, Any]) -> list[str]:
    warnings = [
        f"{blocker} will stay open: the plan asks nothing about it"
        for blocker in value["blockers_nothing_is_asked_about"]
    ]
    if value["blockers_carried_from_nothing"]:
        blockers = ", ".join(value["blockers_carried_from_nothing"])
        warnings.append(
            f"this rerun will hold: {blockers} will stay open, because it names no prior snapshot that they could be "
            "carried from: --prior RUN, or rerun.prior in the plan"
        )
    if value["contract_problem"]:
        warnings.append(f"this rerun will hold: {value['contract_problem']}")
    if value["lease_ttl_seconds"] < (value["lease_ttl_safe_seconds"] or 0.0):
        warnings.append(
            f"layers.lease_ttl {value['lease_ttl_seconds']:g} s is short for a lease on S3: a few slow answers end the "
            f"tasks; {math.ceil(value['lease_ttl_safe_seconds'])} s or more is safe"
        )
    for name in ("events_problem", "step_problem"):
        if value[name]:
            warnings.append(f"preflight will refuse: {value[name]}")
    rate, source = value["events_per_minute"], value["source_events"]
    required = value["required"]["admits_per_minute"]
    if rate and required and rate * value["new_share"] < required:
        warnings.append(f"load.rate {rate} a minute cannot reach the {round(required, 3)} admits a minute required")
    if rate and source and source < rate * value["window_seconds"] / 60:
        warnings.append(
            f"load.source_events {source} last {source / rate * 60:.0f} s at this rate; "
            f"the window is {value['window_seconds']:.0f} s"
        )
    return warnings
