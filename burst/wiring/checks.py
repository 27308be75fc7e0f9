"""Which preflight checks a plan is held to, by target, and what each of them asks.

A check is a name and a question; what is seen is judged in `domain.launchable`. Whatever questions share (receipts,
task definition, the caller, clients) is made by the first that wants it, so that they can all be asked at once.
"""

import contextlib
import dataclasses
import functools
import secrets as randomness
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from burst import aws, ports
from burst.adapters import account, ingest, s3, secrets, services, system_clock
from burst.control import preflight
from burst.domain import ecsdefinition, errors, findings, launchable
from burst.domain import plan as plans
from burst.domain import services as scaling
from burst.wiring import cloud, counting, doctor, inputs, local, preparing, program

CONNECTIONS = 2
"""How many connections the checks of a preflight share: making one takes longer than most questions, and with two a
question that is slow on a large table holds up no other."""
DEFAULT_STOP_TIMEOUT_SECONDS = 30.0
"""What ECS gives a container that says none."""

T = TypeVar("T")
Stored = Callable[[str], Callable[[], secrets.Secret]]
"""The secret behind a task definition's `valueFrom`, read once however many checks want it."""


def run(
    prepared: preparing.Prepared, clock: ports.Clock, observer: preflight.Observer = preflight.UNSEEN
) -> tuple[findings.Finding, ...]:
    """Every preflight check's findings; `observer` is shown how far they are."""
    with contextlib.ExitStack() as asked:

        def source() -> ports.ReceiptSource:
            made = counting.source(prepared.plan, clock, kept_connections=CONNECTIONS)
            asked.callback(counting.close, made)
            return made

        made = of(
            prepared.plan,
            problems=prepared.problems,
            required_admits_per_second=prepared.required_admits_per_second,
            source=source,
            signer=inputs.signer(prepared.plan, clock),
            clock=clock,
        )
        seconds = preflight.patience_seconds(prepared.plan) + preflight.OVERTIME_SECONDS
        return preflight.run(made, observer=observer, seconds=seconds)


def cost(plan: plans.Plan) -> findings.Finding:
    """What the plan's burst costs at most, as far as that can be known from here."""
    if plan.target.kind == "local":
        return launchable.affordable(plan, None, "")
    if not account.configured():
        return findings.warning("cost", "unknown: the task's size is AWS's to say, which is not configured here")
    try:
        size = cloud.definition(plan, system_clock.SystemClock()).size
        return launchable.affordable(plan, size, aws.region())
    except errors.BurstError as exc:
        return findings.warning("cost", f"unknown: {exc}")


def of(
    plan: plans.Plan,
    *,
    problems: Mapping[str, errors.BurstError],
    required_admits_per_second: float | None,
    source: Callable[[], ports.ReceiptSource],
    signer: Callable[[], ports.Signer] | None,
    clock: ports.Clock,
) -> tuple[preflight.Check, ...]:
    """Every check of a plan. `problems`: what was found wrong with the inputs when the plan was resolved, by check."""
    there = account.Account()
    counter = _once(lambda: _counter(there, plan, clock)) if plan.receipts.via == "task" else None
    receipts = preflight.Receipts(plan, _once(lambda: _answering(source, counter)), clock)
    made = [
        preflight.Check(name="baseline", ask=lambda: _baseline(plan, problems)),
        preflight.Check(name="prior", ask=lambda: _prior(plan, problems)),
        preflight.Check(name="rate", ask=lambda: launchable.rate(plan, required_admits_per_second)),
        preflight.Check(name="source", ask=lambda: launchable.source(plan, required_admits_per_second)),
        preflight.Check(name="runs-folder", ask=lambda: doctor.try_folder(Path(plan.evidence.local))),
        preflight.Check(name="secrets", ask=lambda: _secrets(plan)),
        preflight.Check(name="host", ask=lambda: launchable.host(plan)),
        *receipts.checks(),
    ]
    if signer is not None:
        made.append(preflight.Check(name="signing", ask=functools.partial(_signing, signer)))
    if counter is not None:
        made.append(preflight.Check(name="counter", ask=counter))
    made += _on_ecs(plan, there, receipts, clock) if plan.target.kind == "ecs" else _here(plan, receipts)
    return tuple(made)


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """The same thing for whoever asks, made by the first; what making it raised, raised again."""
    lock = threading.Lock()
    made: list[T] = []
    failed: list[errors.BurstError] = []

    def get() -> T:
        with lock:
            if failed:
                raise failed[0]
            if not made:
                try:
                    made.append(make())
                except errors.BurstError as exc:
                    failed.append(exc)
                    raise
            return made[0]

    return get


def _answering(
    source: Callable[[], ports.ReceiptSource], counter: Callable[[], findings.Finding] | None
) -> ports.ReceiptSource:
    """The receipts. Raises `errors.Refused` where a task counts them and is known to be unable to: ECS would take the
    better part of a minute to start it, or to say that it cannot.
    """
    if counter is not None and counter().refused:
        raise errors.Refused(f"nothing was asked: {counter().seen}")
    return source()


def _baseline(plan: plans.Plan, problems: Mapping[str, errors.BurstError]) -> findings.Finding:
    if "baseline" in problems:
        raise problems["baseline"]
    return findings.passed("baseline", "it can be used" if plan.baseline else "the plan names none")


def _prior(plan: plans.Plan, problems: Mapping[str, errors.BurstError]) -> findings.Finding:
    if "prior" in problems:
        raise problems["prior"]
    if plan.rerun is None or plan.rerun.prior is None:
        return findings.passed("prior", "the plan names none")
    if inputs.run_behind(plan) is None:
        return findings.warning(
            "prior",
            f"{plan.rerun.prior} is a snapshot without its run's evidence: what is carried from it is taken on its "
            "word, and verifying this run will say that nobody can tell (9)",
        )
    return findings.passed("prior", "its evidence holds")


def _signing(signer: Callable[[], ports.Signer]) -> findings.Finding:
    return findings.passed("signing", f"key {signer().key_id[:16]} can be used")


def _secrets(plan: plans.Plan) -> findings.Finding:
    """Resolves every reference whose value is used on this machine."""
    load = plan.load
    wanted = [] if plan.receipts.via == "task" else [str(plan.receipts.dsn)]
    if plan.target.kind == "local":
        wanted += [
            value for value in (load.api_key, *load.environment.values()) if value and secrets.is_reference(value)
        ]
    wrong = []
    for reference in wanted:
        try:
            secrets.resolve(reference)
        except errors.BurstError as exc:
            wrong.append(str(exc))
    shown = f"resolved, none to a placeholder: {', '.join(wanted) or 'none'}"
    return findings.judged("secrets", "; ".join(wrong), shown)


# On this machine


def _here(plan: plans.Plan, receipts: preflight.Receipts) -> list[preflight.Check]:
    made = [
        preflight.Check(
            name="program", ask=lambda: findings.passed("program", local.program_there(plan)), elsewhere=True
        ),
        preflight.Check(name="cost", ask=lambda: launchable.affordable(plan, None, "")),
    ]
    if plan.load.host is None:
        return made
    there = ingest.Ingest(plan.load.host)
    made.append(preflight.Check(name="host-reachable", ask=lambda: findings.passed("host-reachable", there.reach())))
    return [*made, _canary(plan, receipts, there, lambda: _key(plan))]


def _key(plan: plans.Plan) -> str | None:
    return secrets.resolve(plan.load.api_key).reveal() if plan.load.api_key else None


def _canary(
    plan: plans.Plan, receipts: preflight.Receipts, there: ingest.Ingest, key: Callable[[], str | None]
) -> preflight.Check:
    if plan.load.canary:
        return receipts.canary(lambda event: there.push(event, key()), there.url)
    words = "load.canary is false: nothing shows that an event becomes a receipt"
    return preflight.Check(name="canary", ask=lambda: findings.warning("canary", words))


# On ECS


def _on_ecs(
    plan: plans.Plan, there: account.Account, receipts: preflight.Receipts, clock: ports.Clock
) -> list[preflight.Check]:
    caller = _once(lambda: there.caller(clock))
    found = _once(lambda: cloud.definition(plan, clock, client=there.client("ecs")))
    stored = functools.cache(lambda source: _once(lambda: secrets.from_store(source)))
    opener = cloud.opener(plan, clock.now(), clock.now())
    made = [
        preflight.Check(name="cluster", ask=lambda: _cluster(there, plan)),
        preflight.Check(name="task-definition", ask=lambda: _definition(plan, found())),
        preflight.Check(
            name="program", ask=lambda: findings.passed("program", cloud.program_there(plan, found(), clock))
        ),
        preflight.Check(name="task-logs", ask=lambda: _logs(there, found())),
        preflight.Check(name="task-secrets", ask=lambda: _task_secrets(stored, found())),
        preflight.Check(name="network", ask=lambda: _network(there, plan)),
        preflight.Check(name="schedule-layer", ask=lambda: _schedule(there, plan, caller().account)),
        preflight.Check(
            name="lease-ttl", ask=lambda: launchable.lease_ttl(plan, cloud.slowest_heartbeat_seconds(plan))
        ),
        preflight.Check(name="quota", ask=lambda: _quota(there, plan, found())),
        preflight.Check(name="cost", ask=lambda: launchable.affordable(plan, found().size, aws.region())),
    ]
    if "sweeper" in plan.layers.require:
        made.append(preflight.Check(name="sweeper", ask=lambda: _sweeper(there, plan, clock)))
    if plan.before or plan.after:
        made.append(preflight.Check(name="one-shots", ask=lambda: _one_shots(there, plan, clock, caller)))
    if plan.services:
        made.append(preflight.Check(name="services", ask=lambda: _services(there, plan, clock)))
    made += [
        preflight.Check(name="evidence-write-once", ask=functools.partial(_write_once, opener, plan, place))
        for place in (*plan.evidence.control_places, *plan.evidence.scoped_places)
    ]
    made.append(preflight.Check(name="evidence-place", ask=lambda: _places_free(opener, plan)))
    who = preflight.Check(name="account", ask=lambda: _account(caller(), plan))
    expiry = preflight.Check(
        name="credentials-expiry",
        ask=lambda: launchable.expiry(account.credentials_expiry(), clock.now(), launchable.last_of_run(plan)),
    )
    made = [who, expiry, *(_told_once(check, caller, found) for check in made)]
    if plan.load.host is None:
        return made
    host = ingest.Ingest(plan.load.host)
    reached = _once(host.reach)
    made.append(preflight.Check(name="host-reachable", ask=lambda: _reachable_from_afar(reached)))
    sent = _canary(plan, receipts, host, lambda: _task_key(stored, plan, found()))
    return [*made, preflight.Check(name="canary", ask=lambda: _canary_from_afar(reached, sent))]


def _told_once(
    check: preflight.Check, caller: Callable[[], object], definition: Callable[[], object]
) -> preflight.Check:
    """The check, which says no more than whose reason it is where another one says why it fails: `account`, where AWS
    does not know who asks or does not answer at all, or `task-definition`, where it needs that one too.
    """

    def ask() -> findings.Finding | Iterable[findings.Finding]:
        try:
            found = check.ask()
            return found if isinstance(found, findings.Finding) else tuple(found)
        except errors.BurstError as exc:
            nobody = _failure(caller)
            if nobody is not None and (
                isinstance(exc, errors.Unavailable) or not isinstance(nobody, errors.Unavailable)
            ):
                return findings.unasked(check.name, "account")
            if check.name != "task-definition" and exc is _failure(definition):
                return findings.unasked(check.name, "task-definition")
            raise

    return dataclasses.replace(check, ask=ask)


def _failure(need: Callable[[], object]) -> errors.BurstError | None:
    try:
        need()
    except errors.BurstError as exc:
        return exc
    return None


def _account(who: account.Caller, plan: plans.Plan) -> Iterator[findings.Finding]:
    named = {str(name) for name in (plan.target.cluster, plan.target.task_definition) if str(name).startswith("arn:")}
    wrong = [name for name in sorted(named) if name.split(":")[3:5] != [who.region, who.account]]
    shown = f"{who.arn} in {who.region}"
    yield findings.judged("account", f"{shown}; not of it: {', '.join(wrong)}" if wrong else "", shown)
    yield launchable.aws_skew(who.least_skew_seconds, plan.receipts.max_skew)


def _cluster(there: account.Account, plan: plans.Plan) -> findings.Finding:
    status = there.cluster_status(str(plan.target.cluster))
    shown = f"{plan.target.cluster} is {status}"
    return findings.judged("cluster", "" if status == "ACTIVE" else shown, shown)


def _definition(plan: plans.Plan, found: ecsdefinition.Definition) -> Iterator[findings.Finding]:
    shown = f"{found.arn} is {found.status}"
    yield findings.judged("task-definition", "" if found.status == "ACTIVE" else shown, shown)
    stop_timeout_seconds = dict(found.stop_timeouts).get(found.container, DEFAULT_STOP_TIMEOUT_SECONDS)
    yield from launchable.task_definition(
        plan, guarded=found.guarded, sidecar=found.sidecar, stop_timeout_seconds=stop_timeout_seconds
    )


def _logs(there: account.Account, found: ecsdefinition.Definition) -> findings.Finding:
    if found.log_group is None:
        return findings.warning("task-logs", f"container {found.container} logs to no CloudWatch log group")
    problem = "" if there.has_log_group(found.log_group) else f"log group {found.log_group} is not there"
    return findings.judged("task-logs", problem, f"log group {found.log_group} is there")


def _counter(there: account.Account, plan: plans.Plan, clock: ports.Clock) -> findings.Finding:
    """Whether the task that counts can start and be heard, told before it is started."""
    found = counting.definition(plan, clock, client=there.client("ecs"))
    problem = "" if found.status == "ACTIVE" else f"{found.arn} is {found.status}"
    problem = problem or counting.problem(found)
    if not problem and not there.has_log_group(str(found.log_group)):
        problem = f"log group {found.log_group} is not there: the task would not start"
    if problem:
        return findings.refused("counter", problem)
    mode = found.log_mode or "the default, which is non-blocking"
    lossy = "" if found.log_mode == "blocking" else f"{found.arn} logs with mode {mode}: lines of an answer may be lost"
    return findings.judged("counter", lossy, f"{found.arn} can answer", required=False)


def _task_secrets(stored: Stored, found: ecsdefinition.Definition) -> findings.Finding:
    """Reads what the tasks will be given; what may not be read from here is said to be unknown."""
    wrong, unseen = [], []
    for name, source in found.secret_sources:
        try:
            stored(source)()
        except aws.Absent as exc:
            wrong.append(f"{name}: {exc}")
        except errors.Refused as exc:
            unseen.append(f"{name}: {exc}")
        except errors.BurstError as exc:
            wrong.append(f"{name}: {exc}")
    if wrong:
        return findings.refused("task-secrets", "; ".join(wrong))
    shown = f"resolved, none to a placeholder: {', '.join(name for name, _ in found.secret_sources) or 'none'}"
    return findings.judged("task-secrets", "; ".join(unseen), shown, required=False)


def _network(there: account.Account, plan: plans.Plan) -> findings.Finding:
    subnets, groups = plan.target.subnets or [], plan.target.security_groups or []
    wrong = [there.missing_subnets(subnets), there.missing_security_groups(groups)]
    shown = f"{', '.join((*subnets, *groups))} are there"
    return findings.judged("network", "; ".join(problem for problem in wrong if problem), shown)


def _one_shots(
    there: account.Account, plan: plans.Plan, clock: ports.Clock, caller: Callable[[], account.Caller]
) -> findings.Finding:
    """They can be started, and end by themselves or by the schedule."""
    shots, wrong, bare = cloud.one_shots(plan, clock.now(), clock, client=there.client("ecs")), list[str](), list[str]()
    for shot in program.one_shots(plan, (*plan.before, *plan.after)):
        try:
            found = shots.definition(shot)
        except errors.UsageError as exc:
            wrong.append(f"{shot.name}: {exc}")
            continue
        if found.status != "ACTIVE":
            wrong.append(f"{shot.name}: {found.arn} is {found.status}")
        elif not shots.ends(shot):
            bare.append(shot.name)
    return launchable.one_shots(wrong, bare, _schedule_problems(there, plan, caller().account) if bare else ())


def _schedule_problems(there: account.Account, plan: plans.Plan, account_id: str) -> Sequence[str]:
    reaper = plan.reaper(account_id)
    return there.schedule_problems(reaper.group, reaper.role_arn, reaper.task_definition)


def _schedule(there: account.Account, plan: plans.Plan, account_id: str) -> findings.Finding:
    reaper, problems = plan.reaper(account_id), _schedule_problems(there, plan, account_id)
    shown = f"group {reaper.group}, its role and {reaper.task_definition} are there"
    return findings.judged("schedule-layer", "; ".join(problems), shown, required="schedule" in plan.layers.require)


def _services(there: account.Account, plan: plans.Plan, clock: ports.Clock) -> findings.Finding:
    """They are there, and no other run holds them: whoever puts them back for it would do so under this burst."""
    scaled = services.EcsServices(str(plan.target.cluster), clock=clock, client=there.client("ecs"))
    wanted = {service.name: service.desired for service in plan.services}
    standing = scaled.look(list(wanted))
    stand = scaling.changes(wanted, standing)
    held = cloud.services_held(plan, standing)
    if held:
        runs = ", ".join(sorted(set(held.values())))
        return findings.refused(
            "services", f"{', '.join(held)} scaled by {runs}, which has not put them back; burst resume {runs}"
        )
    return findings.passed("services", ", ".join(f"{one.name} wants {one.before}" for one in stand))


def _sweeper(there: account.Account, plan: plans.Plan, clock: ports.Clock) -> findings.Finding:
    return findings.passed("sweeper", cloud.find_sweeper(plan, clock, client=there.client("scheduler")))


def _quota(there: account.Account, plan: plans.Plan, found: ecsdefinition.Definition) -> findings.Finding:
    """A role that may not ask, or a region without the answer, keeps nobody from launching."""
    providers = plan.target.capacity or ["FARGATE"]
    try:
        allowed_vcpu = there.vcpu_quota(spot=providers[0] == "FARGATE_SPOT")
    except errors.BurstError as exc:
        return findings.warning("quota", f"the vCPU quota cannot be told: {exc}")
    return launchable.quota(plan, found.size, allowed_vcpu)


def _places_free(opener: Callable[[str], s3.S3Store], plan: plans.Plan) -> findings.Finding:
    """Whether no other run's documents stand where this run's are to go."""
    folders = plan.folders(plan.execution_id)
    taken = [folder for folder in folders if opener(folder).names()]
    seen = f"documents of another run stand in {', '.join(taken)}" if taken else ""
    return findings.judged("evidence-place", seen, f"free: {', '.join(folders)}")


def _write_once(opener: Callable[[str], s3.S3Store], plan: plans.Plan, place: str) -> findings.Finding:
    """Puts one key twice. The probe is left: whoever publishes evidence must not be able to delete it."""
    store = opener(f"{place}/preflight")
    name = f"{plan.execution_id}-{randomness.token_hex(4)}.json"
    store.put_once(name, b'{"burst_preflight_probe":1}')
    try:
        store.put_once(name, b'{"burst_preflight_probe":2}')
    except errors.Conflict:
        return launchable.probed(place, True, store.versioning())
    return launchable.probed(place, False, "")


def _task_key(stored: Stored, plan: plans.Plan, found: ecsdefinition.Definition) -> str | None:
    """The key the tasks will send with, from where they get it; where that may not be read, the plan's own reference.

    Raises `errors.Refused` where neither can be read.
    """
    source = dict(found.secret_sources).get(program.API_KEY_VARIABLE)
    try:
        return stored(source)().reveal() if source else _key(plan)
    except errors.Refused:
        if plan.load.api_key is None:
            raise
        return _key(plan)


def _reachable_from_afar(reached: Callable[[], str]) -> findings.Finding:
    """An ingest inside the tasks' network need not be reachable from here: that is no pass, and no refusal."""
    try:
        return findings.passed("host-reachable", reached())
    except errors.Unavailable as exc:
        return findings.warning("host-reachable", f"from here {exc}; whether the tasks reach it is not known")


def _canary_from_afar(
    reached: Callable[[], str], sent: preflight.Check
) -> findings.Finding | Iterable[findings.Finding]:
    try:
        reached()
    except errors.Unavailable as exc:
        return findings.warning("canary", f"not sent, for {exc}: nothing shows that an event becomes a receipt")
    return sent.ask()
