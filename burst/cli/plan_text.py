"""The words of `burst plan`: the value of a plan as lines for a person, and its warnings."""

import math
from pathlib import Path
from typing import Any

from burst.domain.basics import wording
from burst.load import shipped_profiles
from burst.report import figures

INDENT = " " * 11
"""Before the words of a line, and before a line that goes on."""

_BARRIERS = {
    "master": "Locust's own master starts the users of all workers at GO",
    "program": "the program is started at once, says when it is ready and waits for GO itself",
    "guard": "the guard starts the program at GO",
}


def render(name: str, value: dict[str, Any]) -> str:
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
        *(f"{INDENT}{line}" for line in value["chart"]),
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


def _drill_text(drill: dict[str, Any]) -> str:
    undo = f"; undone by {drill['undo']}" if drill["undo"] else ""
    return (
        f"{drill['name']}: {drill['fault']}, {figures.duration(drill['at_seconds'])} after GO; recovered within "
        f"{figures.duration(drill['recover_within_seconds'])}, when {drill['recovered_when']} for "
        f"{figures.duration(drill['sustained_seconds'])}{undo}"
    )


def _series_text(series: dict[str, Any]) -> str:
    kept = "; ".join(f"{rule['rule']} ({rule['blocker']})" for rule in series["rules"])
    return f"{series['series']} every {figures.duration(series['every_seconds'])}: {kept}"


def _entry_text(entry: dict[str, Any]) -> str:
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
    ordered = sorted(ends, key=lambda end: float(end["seconds"]))
    by_layer = ", ".join(f"{end['layer']} {figures.duration(math.ceil(end['seconds']))}" for end in ordered)
    return f"at the latest after the deadline, by each layer alone: {by_layer} (burst runbook worst-ends)"


def list_warnings(value: dict[str, Any]) -> list[str]:
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
    for name in ("program_problem", "events_problem", "step_problem"):
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
