"""What preflight decides, as pure functions from what was seen to a finding: the shell asks, this judges."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.receipts import receipts
from burst.domain.tasks import costs

REPLAY_PROFILE = "replay"
STRICT_ENVIRONMENTS = ("staging", "pilot", "prod")
"""Where a role that could write receipts is refused; elsewhere it is warned of."""
CANARY_PREFIX = "burst-canary-"
ROUTE = "/v1/ingest/push"
OLDEST_POSTGRES = 14
LEAST_FREE_BYTES = 64 << 20


def rate(plan: plans.Plan, required_admits_per_second: float | None) -> findings.Finding:
    """Whether the plan sends fast enough to pass."""
    sent = plan.load.rate
    if required_admits_per_second is None or not isinstance(sent, float):
        return findings.passed("rate", "no multiplier is asked" if sent is not None else "the program decides")
    required = required_admits_per_second * 60
    shown = f"{sent:.3f} events a minute for {required:.3f} admits a minute required"
    return findings.judged_value("rate", "" if sent >= required else f"{shown}: it cannot pass", shown)


def source(plan: plans.Plan, required_admits_per_second: float | None) -> findings.Finding:
    """Whether the profile has events enough for what is required over the window."""
    events = plan.load.source_events
    if events is None or required_admits_per_second is None:
        return findings.passed("source", "no limit is declared")
    required = required_admits_per_second * plan.budget.window_seconds
    shown = f"{events} events for the {required:.0f} admits the window needs"
    return findings.judged_value("source", "" if events >= required else f"load.source_events: only {shown}", shown)


def database_skew(worst_seconds: float, allowed_seconds: float) -> findings.Finding:
    """Whether this clock and the database's agree."""
    problem = f"they may differ by {worst_seconds:.3f} s; allowed {allowed_seconds:g} s"
    return findings.judged_value(
        "clock-skew",
        "" if worst_seconds <= allowed_seconds else problem,
        f"they differ by at most {worst_seconds:.3f} s",
    )


def aws_skew(least_seconds: float, allowed_seconds: float) -> findings.Finding:
    """Whether this clock and AWS's agree, as far as whole seconds tell."""
    problem = f"they differ by {least_seconds:.1f} s at least; allowed {allowed_seconds:g} s"
    return findings.judged_value(
        "aws-clock",
        "" if least_seconds <= allowed_seconds else problem,
        "they agree, as far as answers that name whole seconds tell",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InScope:
    """What lies in a scope before the burst, canaries left out. `admissions` None: there is no such table."""

    counts: receipts.Counts
    admissions: int | None


def freshness(plan: plans.Plan, there: InScope) -> findings.Finding:
    """Whether the scope can still take a burst, with the best admit ratio that is left."""
    known = max(there.counts.total, there.admissions or 0)
    shown = (
        f"{wording.counted(there.counts.total, 'receipt')} of {plan.scope} already there "
        f"(ADMIT {there.counts.admit}, DUPLICATE {there.counts.duplicate})"
    )
    if there.admissions is not None:
        shown += f", and {wording.counted(there.admissions, 'admission')}"
    if plan.load.profile == REPLAY_PROFILE:
        words = f"{shown}; a replay sends them again, and its admit ratio is 0 of {plan.gates.admit_ratio:g} required"
        return findings.warning("scope-freshness", words)
    if not known:
        return findings.passed("scope-freshness", f"no receipt of {plan.scope} yet")
    return findings.refused("scope-freshness", f"{shown}{_best_ratio(plan, known)}")


def _best_ratio(plan: plans.Plan, known: int) -> str:
    """The arithmetic: the first events of a scope are the same each time, so those known are sent as duplicates."""
    sent = plan.load.rate * plan.budget.window_seconds / 60 if isinstance(plan.load.rate, float) else None
    known_events = [count for count in (plan.load.source_events, sent) if count]
    if not known_events:
        return "; events sent again are DUPLICATE"
    events = int(min(known_events))
    best = max(0, events - known) / events
    return (
        f"; of {events} events at most {max(0, events - known)} can be new: "
        f"a ratio of {best:.4f} at best, required {plan.gates.admit_ratio:g}"
    )


def database(version_number: int, standby: bool) -> findings.Finding:
    """Whether burst can count in this server."""
    major = version_number // 10000
    if major < OLDEST_POSTGRES:
        return findings.refused("database", f"PostgreSQL {major}; needed is {OLDEST_POSTGRES} or later")
    problem = f"PostgreSQL {major} is a standby: it may lag behind what was admitted" if standby else ""
    return findings.judged_value("database", problem, f"PostgreSQL {major}, not a standby", required=False)


def role(plan: plans.Plan, privileges: str, read_only: bool) -> findings.Finding:
    """Whether the role can write the table it counts. `privileges`: what it may do there beside reading."""
    if not privileges or read_only:
        return findings.passed("database-role", "its sessions are read-only" if privileges else "it can only read")
    return findings.judged_value(
        "database-role",
        f"the role may {privileges} {plan.receipts.table}; burst never does, and needs SELECT alone",
        "",
        required=plan.environment in STRICT_ENVIRONMENTS,
    )


def timestamps(plan: plans.Plan, odd: int, seen: int, textual: bool) -> findings.Finding:
    """Whether the sampled receipts' times say their offset."""
    column = plan.receipts.columns.at
    if not odd:
        return findings.passed("timestamps", f"all of {seen} sampled in {column} say their offset")
    problem = f"{odd} of {seen} sampled in {column} have no offset, and are taken for UTC"
    return findings.judged_value("timestamps", problem, "", required=textual)


def doubled_route(host: str) -> str:
    """The part of the route that the host has already, empty where it has none."""
    path = "/" + host.partition("://")[2].partition("/")[2].strip("/")
    parts = ROUTE.strip("/").split("/")
    for length in range(len(parts), 0, -1):
        beginning = "/" + "/".join(parts[:length])
        if path == beginning or path.endswith(beginning):
            return beginning
    return ""


def host(plan: plans.Plan) -> findings.Finding:
    """Whether the host would double the route."""
    if plan.load.host is None:
        return findings.passed("host", "the plan names no host")
    doubled = doubled_route(plan.load.host)
    problem = f"{plan.load.host} ends in {doubled}, and the profile adds {ROUTE}" if doubled else ""
    return findings.judged_value("host", problem, f"{plan.load.host}{ROUTE}")


def canary_event(scope: str, event_id: str) -> bytes:
    """The body of the one event sent before a burst, as the profile's own events are."""
    event = {
        "event_id": event_id,
        "event_type": "burst.canary",
        "event_class": "traffic",
        "platform_run_id": scope,
        "payload": {"purpose": "preflight"},
    }
    return json.dumps(event, separators=(",", ":")).encode()


def pushed(status: int, url: str) -> findings.Finding | None:
    """What an answer to the canary means by itself; None where it was taken and its receipt is to be looked for."""
    if 200 <= status < 300:
        return None
    if status in (404, 405):
        return findings.refused("canary-route", f"POST {url} was answered {status}")
    if status in (401, 403):
        return findings.refused("canary-unauthorised", f"POST {url} was answered {status}")
    return findings.refused("canary", f"POST {url} was answered {status}")


def canary_receipt(event_id: str, decision: str, at: datetime, sent_at: datetime) -> findings.Finding:
    """What the canary's receipt means. It precedes GO, so no window holds it."""
    if decision != receipts.DECISIONS[0]:
        return findings.refused("canary-not-admitted", f"the receipt of {event_id} says {decision}")
    return findings.passed(
        "canary",
        f"{event_id} was admitted at {instants.text(at)}, before any window begins",
        event_id=event_id,
        sent_utc=instants.text(sent_at),
        receipt_utc=instants.text(at),
    )


def expiry(expires_at: datetime | None, now: datetime, needed_seconds: float) -> findings.Finding:
    """Whether the credentials in use outlive the run. `expires_at` None: they say no end."""
    if expires_at is None:
        return findings.passed("credentials-expiry", "they name no end, or renew themselves")
    left = instants.seconds_between(now, expires_at)
    shown = f"they end in {left:.0f} s, and the run may take {needed_seconds:.0f} s"
    return findings.judged_value("credentials-expiry", "" if left > needed_seconds else shown, shown)


def quota(plan: plans.Plan, size: costs.Size | None, allowed_vcpu: float) -> findings.Finding:
    """Whether the account's Fargate vCPUs cover the tasks. What runs there already is not known, so not subtracted."""
    if size is None:
        words = "the task definition says no cpu and memory: whether its tasks fit into"
        return findings.warning("quota", f"{words} {allowed_vcpu:g} vCPU allowed cannot be told")
    wanted = plan.target.tasks * size.vcpu
    tasks = wording.counted(plan.target.tasks, "task")
    shown = f"{tasks} of {size.vcpu:g} vCPU: {wanted:g} of {allowed_vcpu:g} vCPU allowed"
    return findings.judged_value("quota", "" if wanted <= allowed_vcpu else shown, shown)


def longest_seconds(plan: plans.Plan) -> float:
    """How long a task may be billed: to the deadline, and through the grace."""
    return plan.budget.cap_seconds + plan.budget.stop_grace


def at_cap_usd(plan: plans.Plan, size: costs.Size, region: str) -> tuple[float, costs.Price]:
    """What the burst costs at most, and the price that was taken."""
    own = plan.target.price
    price = (
        costs.Price(vcpu_hour_usd=own.vcpu_hour_usd, gb_hour_usd=own.gb_hour_usd, source="target.price of the plan")
        if own
        else costs.price_in(region)
    )
    return costs.usd(size, price, [longest_seconds(plan)] * plan.target.tasks), price


def affordable(plan: plans.Plan, size: costs.Size | None, region: str) -> findings.Finding:
    """Whether the cost at the cap stays under the plan's; without a size it is not known, and a cap then refuses."""
    cap = plan.budget.cost_cap_usd
    if plan.target.kind == "local":
        return findings.passed("cost", "nothing: tasks are processes of this machine")
    if size is None:
        return findings.judged_value("cost", "the task definition says no cpu and memory", "", required=cap is not None)
    most_usd, price = at_cap_usd(plan, size, region)
    tasks = wording.counted(plan.target.tasks, "task")
    shown = (
        f"{most_usd:.4f} USD at most: {tasks} of {size.vcpu:g} vCPU and {size.memory_gb:g} GB for "
        f"{longest_seconds(plan):.0f} s ({price.source})"
    )
    problem = f"{shown}; budget.cost_cap_usd is {cap:g}" if cap is not None and most_usd > cap else ""
    details: dict[str, findings.Json] = {
        "vcpu": size.vcpu,
        "memory_gb": size.memory_gb,
        "vcpu_hour_usd": price.vcpu_hour_usd,
        "gb_hour_usd": price.gb_hour_usd,
        "price_source": price.source,
        "at_cap_usd": most_usd,
    }
    return dataclasses.replace(findings.judged_value("cost", problem, shown), details=details)


def task_definition(
    plan: plans.Plan, *, guarded: bool, sidecar: bool, stop_timeout_seconds: float
) -> tuple[findings.Finding, ...]:
    """What a task definition has of the hard stop, against what the plan requires."""
    required = plan.layers.require
    grace = plan.budget.stop_grace
    return (
        findings.judged_value(
            "task-guard",
            "" if guarded else "its entry point is not burst guard",
            "it starts under burst guard",
            required=bool({"guard", "lease"}.intersection(required)),
        ),
        findings.judged_value(
            "task-sidecar",
            "" if sidecar else "it has no essential container named lifespan",
            "the essential container lifespan ends the task after budget and grace",
            required="sidecar" in required,
        ),
        findings.judged_value(
            "task-stop-timeout",
            ""
            if stop_timeout_seconds >= grace
            else f"stopTimeout is {stop_timeout_seconds:g} s, budget.stop_grace {grace:g} s",
            f"{stop_timeout_seconds:g} s for a grace of {grace:g} s",
        ),
    )


def one_shots(wrong: Sequence[str], bare: Sequence[str], schedule_problems: Sequence[str]) -> findings.Finding:
    """Whether commands before and after end by themselves. `wrong`: what keeps some from starting; `bare`: those with
    neither guard nor sidecar, which are not started where the schedule cannot be armed."""
    alone = f"{', '.join(bare)}: neither guard nor sidecar"
    unstarted = [f"{alone}, and it is not started without the schedule: {'; '.join(schedule_problems)}"]
    refusing = [*wrong, *(unstarted if bare and schedule_problems else [])]
    if refusing:
        return findings.refused("one-shots", "; ".join(refusing))
    problem = f"{alone}: only the schedule ends it where nobody waits for it any more" if bare else ""
    return findings.judged_value("one-shots", problem, "each has a guard or a sidecar", required=False)


def lease_ttl(plan: plans.Plan, least_seconds: float) -> findings.Finding:
    """Whether a lease on S3 lasts as long as one heartbeat may need to be seen."""
    ttl_seconds = plan.layers.lease_ttl
    problem = (
        f"layers.lease_ttl is {ttl_seconds:g} s, and a heartbeat that is slow at every step is seen after "
        f"{least_seconds:.1f} s; allowed: {math.ceil(least_seconds)}s or more"
    )
    shown = f"{ttl_seconds:g} s for a heartbeat that is seen after {least_seconds:.1f} s at the latest"
    return findings.judged_value("lease-ttl", problem if ttl_seconds < least_seconds else "", shown, required=False)


def probed(place: str, second_refused: bool, versioning: str) -> findings.Finding:
    """What trying a place twice showed: the second write of a key must be refused."""
    if not second_refused:
        return findings.refused(
            "evidence-write-once", f"{place} took a second write of one key, though If-None-Match was sent"
        )
    problem = "" if versioning == "Enabled" else f"{place} is write-once; its bucket's versioning is {versioning}"
    return findings.judged_value(
        "evidence-write-once", problem, f"{place} is write-once, versioning on", required=False
    )


def disk(folder: str, free_bytes: int) -> findings.Finding:
    """Whether the runs folder has room for a run."""
    shown = f"{folder} can be written, {free_bytes >> 20} MiB free"
    return findings.judged_value("runs-folder", "" if free_bytes >= LEAST_FREE_BYTES else shown, shown)


def last_of_run(plan: plans.Plan) -> float:
    """Seconds a controller may need from now on: start, cap, grace and counting."""
    return plan.budget.start_timeout + longest_seconds(plan) + plan.receipts.count_timeout
