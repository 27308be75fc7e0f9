"""Judgements of preflight: pure functions from an observation to a finding. The shell asks, and these judge."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, time

from burst.domain.basics import instants, wording
from burst.domain.documents import halts
from burst.domain.plan import plans
from burst.domain.preflight import findings, playback_judgements
from burst.domain.receipts import count_costs, receipt_table, receipts
from burst.domain.tasks import costs, ecs_definitions, launch_rates, stop_signs, tasks, worst_ends
from burst.load import event_bodies, event_kinds

REPLAY_PROFILE = "replay"
STRICT_ENVIRONMENTS = ("staging", "pilot", "prod")
"""The environments that refuse a role which can write receipts; elsewhere it is a warning."""
LIVE_COUNT_SECONDS = 2.0
LIVE_COUNT_SHARE = 0.02
"""The share of the time that live counts may take."""
OLDEST_POSTGRES = 14
OFFSET_STEP_SECONDS = 900.0
"""Offsets of the world are whole quarters of an hour."""
LARGEST_OFFSET_SECONDS = 14 * 3600.0 + OFFSET_STEP_SECONDS
OFFSET_TOLERANCE_SECONDS = 60.0
LEAST_FREE_BYTES = 64 << 20
EVENTS_PER_VCPU_SECOND = 350.0
"""The events a second that a vCPU of Fargate carries with any locustfile: a quarter of what a user of Locust's fast
client sent on one core, at 0.72 ms an event. Fargate's vCPU is one hardware thread of a core, and the other half is
left for TLS and an older processor."""


_ROUNDING = 1e-12


def judge_rate(
    plan: plans.Plan, required_admits_per_second: float | None, admits_per_second: float | None = None
) -> findings.Finding:
    """Whether the plan sends fast enough to pass, also in each step that has a multiple of its own.

    `admits_per_second` is the rate of the baseline, and `required_admits_per_second` its multiple for the whole.
    """
    requirements = [("", plan.mean_rate, required_admits_per_second)]
    for step, multiplier in plan.step_multipliers.items():
        required = None if admits_per_second is None else multiplier * admits_per_second
        requirements.append((f"step {step}: ", plan.find_step_rate(step), required))
    enough, problems = [], []
    for where, sent, required in requirements:
        if sent is None or required is None:
            continue
        new = sent * plan.load.new_share
        of_them = "" if plan.load.events is None else f", of which {new:.3f} are new,"
        summary = f"{sent:.3f} events a minute{of_them} for {required * 60:.3f} admits a minute required"
        if new >= required * 60 * (1 - _ROUNDING):
            enough.append(f"{where}{summary}, which is enough")
        else:
            problems.append(f"{where}only {summary}: it cannot pass")
    if not enough and not problems:
        words = "the plan asks for no multiplier" if plan.load.rate is not None else "the program decides"
        return findings.report_pass("rate", words)
    return findings.report_problem("rate", "; ".join(problems), "; ".join(enough))


def judge_source(plan: plans.Plan, required_admits_per_second: float | None) -> findings.Finding:
    """Whether the profile has enough events for the admits that the window needs."""
    events = plan.load.source_events
    if events is None or required_admits_per_second is None:
        return findings.report_pass("source", "the plan declares no limit")
    required, new = required_admits_per_second * plan.budget.window_seconds, events * plan.load.new_share
    of_them = "" if plan.load.events is None else f", of which {new:.0f} are new,"
    summary = f"{events} events{of_them} for the {required:.0f} admits the window needs"
    problem = "" if new >= required else f"load.source_events: only {summary}"
    return findings.report_problem("source", problem, f"{summary}, which is enough")


def judge_database_skew(worst_seconds: float, allowed_seconds: float) -> findings.Finding:
    """Whether this clock and the database's agree."""
    problem = f"they may differ by {worst_seconds:.3f} s; allowed {allowed_seconds:g} s"
    return findings.report_problem(
        "clock-skew",
        "" if worst_seconds <= allowed_seconds else problem,
        f"they differ by at most {worst_seconds:.3f} s",
    )


def judge_aws_skew(least_seconds: float, allowed_seconds: float) -> findings.Finding:
    """Whether this clock and AWS's agree. Its answers name whole seconds, so a smaller difference is not seen."""
    problem = f"they differ by {least_seconds:.1f} s at least; allowed {allowed_seconds:g} s"
    return findings.report_problem(
        "aws-clock",
        "" if least_seconds <= allowed_seconds else problem,
        "they agree to the second, which is all that AWS's answers name",
    )


def judge_freshness(
    plan: plans.Plan, contents: receipt_table.ScopeContents, kept: int | None = None
) -> findings.Finding:
    """Whether the scope can still take a burst, with the best admit ratio that it can still reach.

    Receipts of canaries are left out, because their ids are never sent again. `kept`: how many records the checkpoints
    of a playback hold, where that is known.
    """
    counts = dataclasses.replace(contents.counts, admit=max(0, contents.counts.admit - (contents.canaries or 0)))
    spent = max(counts.total, contents.admissions or 0)
    summary = (
        f"{wording.format_count(counts.total, 'receipt')} of {plan.scope} already there "
        f"(ADMIT {counts.admit}, DUPLICATE {counts.duplicate})"
    )
    if contents.admissions is not None:
        summary += f", and {wording.format_count(contents.admissions, 'admission')}"
    if plan.load.profile == REPLAY_PROFILE:
        return _judge_replay(plan, summary, spent)
    if not spent:
        return findings.report_pass("scope-freshness", f"no receipt of {plan.scope} yet")
    if plan.load.continues:
        words = playback_judgements.describe_going_on(plan, counts.admit, kept)
        return findings.report_pass("scope-freshness", f"{summary}{words}")
    if not plan.gates.asks_for_new_admits:
        return findings.report_warning("scope-freshness", f"{summary}; no gate of the plan asks for new ADMIT")
    return findings.report_refusal("scope-freshness", f"{summary}{_best_ratio(plan, spent)}")


def _judge_replay(plan: plans.Plan, summary: str, spent: int) -> findings.Finding:
    """Whether the scope holds what a replay sends again, and whether the gates of the plan allow a replay at all."""
    if not spent:
        words = f"nothing to send again: {plan.scope} has no receipt, so each event of the replay is new"
        mend = "name the scope of the run whose events are to be sent again, or use profile: steady for new ones"
        return findings.report_warning("scope-freshness", words, mend=mend)
    words = f"{summary}; the profile replay sends these events again, and each is then a DUPLICATE"
    if not plan.gates.asks_for_new_admits:
        return findings.report_pass("scope-freshness", f"{words}, as the plan means it")
    limits = {name: getattr(plan.gates, name) for name in ("multiplier", "admit_ratio", "min_admits")}
    limit_words = " and ".join(f"gates.{name} {limit:,}" for name, limit in limits.items() if limit is not None)
    return findings.report_warning(
        "scope-freshness",
        f"{words}; {limit_words} ask{'' if ' and ' in limit_words else 's'} for new ADMIT, so the burst will hold",
        mend="for new events use scope: fresh with profile: steady; a replay that is meant has "
        "gates.expect_duplicates, and no gate that asks for ADMIT",
    )


def _best_ratio(plan: plans.Plan, spent: int) -> str:
    """The arithmetic: the first events of a scope are the same each time, so the spent ones are sent as duplicates."""
    sent = plan.planned_events
    limits = [count for count in (plan.load.source_events, sent) if count]
    if not limits:
        return "; events sent again are DUPLICATE"
    events = int(min(limits))
    best = max(0, events - spent) / events
    return (
        f"; of {events} events at most {max(0, events - spent)} can be new: "
        f"a ratio of {best:.4f} at best{_require_ratio(plan)}"
    )


def _require_ratio(plan: plans.Plan) -> str:
    ratio = plan.gates.admit_ratio
    return "" if ratio is None else f", required {ratio:g}"


def judge_server(server: receipt_table.DatabaseServer) -> findings.Finding:
    """Whether burst can count in this server."""
    major = server.version_number // 10000
    if major < OLDEST_POSTGRES:
        return findings.report_refusal("database", f"PostgreSQL {major}; needed is {OLDEST_POSTGRES} or later")
    problem = (
        f"PostgreSQL {major} is a standby: it may lag behind the primary, and shows nobody who still writes there"
        if server.standby
        else ""
    )
    return findings.report_problem("database", problem, f"PostgreSQL {major}, not a standby")


def judge_role(plan: plans.Plan, privileges: receipt_table.TablePrivileges) -> findings.Finding:
    """Whether the role can write the table it counts."""
    if not privileges.writes:
        return findings.report_pass("database-role", "it can only read")
    if privileges.read_only_sessions:
        return findings.report_pass("database-role", "its sessions are read-only")
    return findings.report_problem(
        "database-role",
        f"the role may {', '.join(privileges.writes)} {plan.receipts.table}; burst never does, and needs SELECT alone",
        "",
        required=plan.environment in STRICT_ENVIRONMENTS,
    )


def judge_times(plan: plans.Plan, sample: receipt_table.TimesSample) -> findings.Finding:
    """Whether the sampled times say their offset. Without one a text is ambiguous, and an instant is read as UTC; a
    date is no instant, whatever its offset."""
    column = plan.receipts.columns.at
    if not sample.sampled:
        words = f"no receipt yet, so nothing shows how times are written in {column}"
        return findings.report_warning("timestamps", words)
    if sample.without_time_of_day:
        words = f"{sample.without_time_of_day} of {sample.sampled} sampled in {column} have no time of day"
        return findings.report_refusal("timestamps", f"{words}: a date is no instant, and lies outside every window")
    if not sample.without_offset:
        return findings.report_pass("timestamps", f"all of {sample.sampled} sampled in {column} say their offset")
    problem = f"{sample.without_offset} of {sample.sampled} sampled in {column} have no offset, and are taken for UTC"
    return findings.report_problem("timestamps", problem, "", required=sample.textual)


def judge_count_cost(plan: plans.Plan, estimate: count_costs.CountEstimate) -> findings.Finding:
    """Whether two counts of the window are done within `count_timeout`, by estimate.

    The burst's own receipts are added as the plan declares them, because no statistics know them yet.
    """
    expected, patience = expect_receipts(plan), plan.receipts.count_patience
    seconds = estimate.estimate_seconds(expected or 0)
    reading = count_costs.describe_reading(estimate)
    if seconds is None:
        return findings.report_warning("count-cost", f"{reading}; {count_costs.describe_estimation(estimate)}")
    allowed_seconds = patience.one_count_seconds(estimate.statement_seconds)
    burst = "" if expected is None else f" with the {expected:,} receipts of the burst"
    summary = (
        f"one count{burst} is estimated at {wording.format_span(seconds)}, and two have "
        f"{wording.format_span(allowed_seconds)} each within receipts.count_timeout; {reading}; "
        f"{count_costs.describe_estimation(estimate)}"
    )
    details: dict[str, findings.Json] = {"seconds": seconds, "allowed_seconds": allowed_seconds}
    match count_costs.judge_fit(seconds, allowed_seconds):
        case count_costs.CountFit.CANNOT_FIT:
            finding = findings.report_refusal("count-cost", f"it cannot fit: {summary}")
        case count_costs.CountFit.MAY_NOT_FIT:
            finding = findings.report_warning("count-cost", f"it may not fit: {summary}")
        case count_costs.CountFit.FITS if estimate.live_problem:
            finding = findings.report_warning(
                "count-cost", f"{_describe_live(estimate.live_problem, seconds)}; {summary}"
            )
        case count_costs.CountFit.FITS:
            finding = findings.report_pass("count-cost", summary)
    return dataclasses.replace(finding, details=details)


def _describe_live(problem: str, seconds: float) -> str:
    """How seldom live counts come where each reads the whole window, and what that means."""
    every = wording.format_span(max(LIVE_COUNT_SECONDS, seconds / LIVE_COUNT_SHARE))
    return f"{problem}: at the end one comes about every {every}, and early stop acts no sooner"


def expect_receipts(plan: plans.Plan) -> int | None:
    """The receipts that the plan's load makes in its window; None where it declares no rate."""
    planned = plan.planned_events
    if planned is None:
        return plan.load.source_events
    due = math.ceil(planned)
    return due if plan.load.source_events is None else min(due, plan.load.source_events)


def judge_program(program: str, variable_files: Sequence[str]) -> findings.Finding:
    """Whether nothing but the plan can change the load of the program."""
    files = ", ".join(variable_files)
    problem = f"{program}; variables come from {files} too, which preflight does not read: LOCUST_ and BURST_ ones"
    return findings.report_problem(
        "program", f"{problem} would change the load" if variable_files else "", program, required=False
    )


def find_doubled_route(host: str, route: str = event_kinds.PUSH_PATH) -> str:
    """The part of the route that the host ends in, empty where it ends in none."""
    path = "/" + host.partition("://")[2].partition("/")[2].strip("/")
    parts = route.strip("/").split("/")
    for length in range(len(parts), 0, -1):
        beginning = "/" + "/".join(parts[:length])
        if path == beginning or path.endswith(beginning):
            return beginning
    return ""


def judge_host(plan: plans.Plan) -> findings.Finding:
    """Whether the host would double the route."""
    if plan.load.host is None:
        return findings.report_pass("host", "the plan names no host")
    route = plan.load.push_route
    doubled = find_doubled_route(plan.load.host, route)
    problem = f"{plan.load.host} ends in {doubled}, and the profile adds {route}" if doubled else ""
    return findings.report_problem("host", problem, f"{plan.load.host}{route}")


def build_canary_event(plan: plans.Plan, event_id: str, sent_at: datetime) -> bytes:
    """The body of the one event sent before a burst, like those of the plan."""
    filling = event_bodies.Filling(
        event_id=event_id, scope=plan.scope, shard=0, sequence=0, spread=0, sent_at=sent_at.timestamp()
    )
    return event_bodies.BodyTemplate(plan.load.canary_body).fill(filling).encode()


def judge_push(status: int, url: str) -> findings.Finding | None:
    """The finding of an answer that did not take the canary; None where it did, and the receipt decides."""
    if 200 <= status < 300:
        return None
    if status in (404, 405):
        return findings.report_refusal("canary-route", f"POST {url} was answered {status}")
    if status in (401, 403):
        return findings.report_refusal("canary-unauthorised", f"POST {url} was answered {status}")
    return findings.report_refusal("canary", f"POST {url} was answered {status}")


def judge_receipt_instant(
    event_id: str, at: datetime, *, sent_at: datetime, seen_at: datetime, max_skew_seconds: float
) -> findings.Finding | None:
    """The finding of a receipt that carries another instant than that of its event; None where the two agree.

    Receipts carry the time of whoever stamps them, which is neither this clock nor the database's. Where it is off, or
    is no instant at all, the receipts of a burst lie outside its window.
    """
    behind_seconds = instants.seconds_between(at, sent_at) - max_skew_seconds
    ahead_seconds = instants.seconds_between(seen_at, at) - max_skew_seconds
    if behind_seconds <= 0 and ahead_seconds <= 0:
        return None
    off_seconds = instants.seconds_between(sent_at, at) if behind_seconds > 0 else ahead_seconds + max_skew_seconds
    cause = _guess_cause(at, abs(off_seconds))
    observation = (
        f"the receipt of {event_id}, sent at {instants.text(sent_at)} and seen at {instants.text(seen_at)}, carries "
        f"{instants.text(at)}: receipts are stamped {wording.format_span(abs(off_seconds))} "
        f"{'behind' if off_seconds < 0 else 'ahead'}; allowed {max_skew_seconds:g} s"
    )
    return findings.report_refusal("timestamps" if cause else "clock-skew", f"{observation}{cause}")


def _guess_cause(at: datetime, off_seconds: float) -> str:
    """The usual cause of a receipt's instant that is far off; empty where a clock that is wrong is more likely."""
    if at.time() == time():
        return " (a date without its time of day?)"
    nearest = round(off_seconds / OFFSET_STEP_SECONDS) * OFFSET_STEP_SECONDS
    if 0 < nearest <= LARGEST_OFFSET_SECONDS and abs(off_seconds - nearest) <= OFFSET_TOLERANCE_SECONDS:
        return " (a local time without its offset?)"
    return " (is this the column of the time, in its right unit?)" if off_seconds > LARGEST_OFFSET_SECONDS else ""


def judge_canary(event_id: str, receipt: receipt_table.EventReceipt, sent_at: datetime) -> findings.Finding:
    """Whether the canary was admitted. Its receipt precedes GO, so no window holds it."""
    if receipt.decision != receipts.DECISIONS[0]:
        return findings.report_refusal("canary-not-admitted", f"the receipt of {event_id} says {receipt.decision}")
    return findings.report_pass(
        "canary",
        f"{event_id} was admitted at {instants.text(receipt.at)}, before any window begins",
        event_id=event_id,
        sent_utc=instants.text(sent_at),
        receipt_utc=instants.text(receipt.at),
    )


def _find_price(plan: plans.Plan, region: str) -> costs.Price:
    own = plan.target.price
    if own is None:
        return costs.price_in(region)
    return costs.Price(vcpu_hour_usd=own.vcpu_hour_usd, gb_hour_usd=own.gb_hour_usd, source="target.price of the plan")


"""The cost of a burst whose tasks nobody bills."""


def judge_cost(plan: plans.Plan, definition: ecs_definitions.Definition, region: str) -> findings.Finding:
    """Whether the cost at the cap stays under the plan's, with the stop after it: every task is billed until the
    platform has taken it down. Without a size it is not known, and a plan's cap refuses."""
    cap, size = plan.budget.cost_cap_usd, definition.size
    if size is None:
        return findings.report_problem(
            "cost", "the task definition names no cpu and memory", "", required=cap is not None
        )
    billed_seconds = worst_ends.billed_seconds(
        plan.budget.cap_seconds, plan.budget.stop_grace, definition.longest_stop_timeout_seconds
    )
    price = _find_price(plan, region)
    # A replacement begins once the failed task was seen to end, so the two cost no more than one, but for a minute.
    replaced_seconds = [costs.BILLED_AT_LEAST_SECONDS] * plan.target.most_replacements
    most_usd = costs.usd(size, price, [billed_seconds] * plan.target.tasks + replaced_seconds)
    tasks_words = wording.format_count(plan.target.tasks, "task")
    sum_words = (
        f"{tasks_words} of {size.vcpu:g} vCPU and {size.memory_gb:g} GB for "
        f"{billed_seconds:.0f} s, which is the cap and a stop that takes as long as it may ({price.source})"
    )
    over = cap is not None and most_usd > cap
    problem = f"{most_usd:.4f} USD, more than budget.cost_cap_usd, which is {cap:g}: {sum_words}" if over else ""
    details: dict[str, findings.Json] = {
        "vcpu": size.vcpu,
        "memory_gb": size.memory_gb,
        "vcpu_hour_usd": price.vcpu_hour_usd,
        "gb_hour_usd": price.gb_hour_usd,
        "price_source": price.source,
        "at_cap_usd": most_usd,
    }
    finding = findings.report_problem("cost", problem, f"{most_usd:.4f} USD at most: {sum_words}")
    return dataclasses.replace(finding, details=details)


def judge_task_definition(
    plan: plans.Plan, *, guarded: bool, sidecar: bool, stop_timeout_seconds: float
) -> tuple[findings.Finding, ...]:
    """Whether a task definition has the layers of the hard stop that the plan requires."""
    required = plan.layers.require
    grace = plan.budget.stop_grace
    return (
        findings.report_problem(
            "task-guard",
            "" if guarded else "its entry point is not burst guard",
            "it starts under burst guard",
            required=bool({"guard", "lease"}.intersection(required)),
        ),
        findings.report_problem(
            "task-sidecar",
            "" if sidecar else "it has no essential container named lifespan",
            "the essential container lifespan ends the task after budget and grace",
            required="sidecar" in required,
        ),
        findings.report_problem(
            "task-stop-timeout",
            ""
            if stop_timeout_seconds >= grace
            else f"stopTimeout is {stop_timeout_seconds:g} s, budget.stop_grace {grace:g} s",
            f"{stop_timeout_seconds:g} s for a grace of {grace:g} s",
        ),
    )


def judge_root(definition: ecs_definitions.Definition, *, waits_for_go: bool) -> findings.Finding:
    """Whether the container can write temporary files. The guard makes a folder for its program's barrier, where the
    program itself `waits_for_go`."""
    root = definition.root
    if not root.read_only:
        return findings.report_pass("task-root-filesystem", "its root can be written")
    if root.writable_temporary is not None:
        return findings.report_pass("task-root-filesystem", f"its root is read-only, {root.writable_temporary} is not")
    tried = ", ".join(root.temporary)
    if root.writable or root.shares_volumes:
        places = ", ".join(root.writable) or "the volumes of another container"
        words = f"its root is read-only, and it is not known whether {places} serves for temporary files ({tried})"
        return findings.report_warning("task-root-filesystem", words)
    words = f"its root is read-only, and nothing is mounted for temporary files ({tried})"
    return findings.report_problem("task-root-filesystem", words, "", required=definition.guarded and waits_for_go)


def judge_task_size(plan: plans.Plan, definition: ecs_definitions.Definition) -> findings.Finding:
    """Whether a task's cpu carries its share of the rate, by what a locustfile needs; another program's need is its
    own."""
    rate, size = plan.highest_rate, definition.size
    if plan.load.locustfile is None or rate is None or size is None:
        return findings.report_pass("task-size", "the program or its rate decides what a task needs")
    each = rate / 60 / plan.target.tasks
    processes = plan.load.processes_per_task  # each keeps to one core
    carried = min(float(processes), size.vcpu) * EVENTS_PER_VCPU_SECOND
    programs = "one process" if processes == 1 else f"{processes} processes"
    carries = "carries" if processes == 1 else "carry"
    carrying = (
        f"{programs} on {size.vcpu:g} vCPU {carries} about {carried:.0f} "
        f"({EVENTS_PER_VCPU_SECOND:g} a vCPU, a quarter of what a user of Locust's fast client reached on one core)"
    )
    problem = "" if each <= carried else f"{each:.0f} events a second a task are too many: {carrying}"
    summary = f"{each:.0f} events a second a task, and {carrying}"
    return findings.report_problem("task-size", problem, summary, required=False)


def judge_start_timeout(plan: plans.Plan, *, guarded: bool) -> findings.Finding:
    """Whether so many tasks can be launched within `start_timeout`, however fast each starts. Without a guard each task
    is a call."""
    batch = launch_rates.LARGEST_BATCH if guarded else 1
    least_seconds = launch_rates.least_start_seconds(plan.target.tasks, batch=batch)
    tasks_words = wording.format_count(plan.target.tasks, "task")
    launching = f"{tasks_words} take {least_seconds:.1f} s at least to be launched and seen, at the rates of AWS"
    timeout = f"budget.start_timeout is {plan.budget.start_timeout:g} s"
    problem = f"{timeout}, too short: {launching}" if plan.budget.start_timeout < least_seconds else ""
    return findings.report_problem("start-timeout", problem, f"{launching}; {timeout}")


def judge_earlier_tasks(plan: plans.Plan, living: Sequence[tasks.MarkedTask], now: datetime) -> findings.Finding:
    """Whether tasks of other runs are alive: a warning in time, a refusal past their deadline or without one."""
    runs = dict[str, list[tasks.MarkedTask]]()
    for marked in living:
        if tasks.run_of(marked.execution_id) != plan.execution_id:
            runs.setdefault(tasks.run_of(marked.execution_id), []).append(marked)
    overdue = {
        name: [marked for marked in group if marked.deadline is None or marked.deadline <= now]
        for name, group in runs.items()
    }
    place = f" --run-control {plan.evidence.authority}" if plan.evidence.authority else ""
    late = [
        f"{wording.format_count(len(group), 'task')} of {name} past the deadline; "
        f"burst reap --run {name} --cluster {plan.target.cluster}{place}"
        for name, group in overdue.items()
        if group
    ]
    if late:
        return findings.report_refusal("earlier-tasks", "; ".join(late))
    alive = [f"{wording.format_count(len(group), 'task')} of {name}" for name, group in runs.items()]
    problem = f"{', '.join(alive)} in {plan.target.cluster}, within the deadline; burst stop ends them by the run's id"
    return findings.report_problem(
        "earlier-tasks", problem if alive else "", f"none in {plan.target.cluster}", required=False
    )


def judge_one_shots(wrong: Sequence[str], bare: Sequence[str], schedule_problems: Sequence[str]) -> findings.Finding:
    """Whether the commands of before and after end by themselves.

    `wrong` says why some cannot start. The `bare` have neither guard nor sidecar, and are not started where the
    schedule cannot be armed.
    """
    alone = f"{', '.join(bare)}: neither guard nor sidecar"
    unstarted = [f"{alone}, and it is not started without the schedule: {'; '.join(schedule_problems)}"]
    refusing = [*wrong, *(unstarted if bare and schedule_problems else [])]
    if refusing:
        return findings.report_refusal("one-shots", "; ".join(refusing))
    problem = f"{alone}: only the schedule ends it once no controller waits for it" if bare else ""
    return findings.report_problem("one-shots", problem, "each has a guard or a sidecar", required=False)


def judge_lease_ttl(plan: plans.Plan, least_seconds: float) -> findings.Finding:
    """Whether a lease on S3 lasts as long as a heartbeat may take to be seen."""
    ttl_seconds = plan.layers.lease_ttl
    problem = (
        f"layers.lease_ttl is {ttl_seconds:g} s, and a heartbeat that is slow at every step is seen after "
        f"{least_seconds:.1f} s; allowed: {math.ceil(least_seconds)}s or more"
    )
    summary = f"{ttl_seconds:g} s for a heartbeat that is seen after {least_seconds:.1f} s at the latest"
    return findings.report_problem("lease-ttl", problem if ttl_seconds < least_seconds else "", summary, required=False)


def judge_disk(folder: str, free_bytes: int) -> findings.Finding:
    """Whether the runs folder has room for a run."""
    problem = f"{folder} has too little space: {free_bytes >> 20} MiB free, a run needs {LEAST_FREE_BYTES >> 20} MiB"
    return findings.report_problem(
        "runs-folder",
        "" if free_bytes >= LEAST_FREE_BYTES else problem,
        f"{folder} can be written, {free_bytes >> 20} MiB free",
    )


def longest_run_seconds(plan: plans.Plan) -> float:
    """Seconds a controller may need from now on: start, cap, grace and counting."""
    budget = plan.budget
    return budget.start_timeout + budget.cap_seconds + budget.stop_grace + plan.receipts.count_timeout


def judge_halt(halt: halts.Halt | None, address: str, lift_command: str) -> findings.Finding:
    """Whether a run may begin: not while its run control is halted."""
    if halt is None:
        return findings.report_pass("halt", f"no halt stands at {address}")
    since = instants.text(halt.at_utc)
    return findings.report_refusal(
        "halt", f"halted by {halt.by} since {since} ({address}): {halt.reason}; once that is over: {lift_command}"
    )


def judge_stop_signs(answers: Sequence[stop_signs.SignAnswer]) -> Iterator[findings.Finding]:
    """Whether every stop sign answers and none wants a stop; a warning for those that have nothing to say yet."""
    problems = [f"{answer.sign} is {answer.value} already: {answer.detail}" for answer in answers if answer.met]
    problems += [f"{answer.sign} cannot be read: {answer.detail}" for answer in answers if answer.unread]
    silent = [f"{answer.sign}: {answer.detail}" for answer in answers if answer.met is None and not answer.unread]
    if problems:
        yield findings.report_refusal("stop-when", "; ".join(problems))
    if silent:
        yield findings.report_warning("stop-when", "; ".join(silent))
    if not problems and not silent:
        yield findings.report_pass("stop-when", f"{', '.join(answer.sign for answer in answers)} want no stop")
