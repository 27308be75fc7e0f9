"""The preflight checks of the ECS target: what each asks of AWS, from this machine and for the tasks.

What may not be asked, or reached, from here is said to be unknown; whatever questions share is made by the first that
wants it.
"""

import dataclasses
import functools
import secrets as randomness
from collections.abc import Callable, Iterable, Iterator, Sequence

from burst import ports
from burst.adapters import ingest_client, secrets
from burst.adapters.aws import account, ecs_services, s3_store
from burst.control import preflight
from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import findings, judgements
from burst.domain.tasks import ecs_definitions
from burst.domain.tasks import services as scaling
from burst.kit import aws
from burst.wiring.preflight import shared_answers
from burst.wiring.targets import ecs_target, load_program, receipt_sources

DEFAULT_STOP_TIMEOUT_SECONDS = 30.0
"""What ECS gives a container that says none."""

Stored = Callable[[str], Callable[[], secrets.Secret]]
"""The secret behind a task definition's `valueFrom`, read once however many checks want it."""


def of(
    plan: plans.Plan, there: account.AwsAccount, receipts: preflight.ReceiptChecks, clock: ports.Clock
) -> list[preflight.PreflightCheck]:
    """Every check of them, for one session (`there`)."""
    caller = shared_answers.once(lambda: there.caller(clock))
    found = shared_answers.once(lambda: ecs_target.definition(plan, clock, client=there.client("ecs")))
    stored = functools.cache(lambda source: shared_answers.once(lambda: secrets.from_store(source)))
    opener = ecs_target.opener(plan, clock.now(), clock.now())
    made = [
        preflight.PreflightCheck(name="cluster", ask=lambda: _cluster(there, plan)),
        preflight.PreflightCheck(name="task-definition", ask=lambda: _definition(plan, found())),
        preflight.PreflightCheck(
            name="program", ask=lambda: findings.passed("program", ecs_target.program_there(plan, found(), clock))
        ),
        preflight.PreflightCheck(name="task-logs", ask=lambda: _logs(there, found())),
        preflight.PreflightCheck(name="task-secrets", ask=lambda: _task_secrets(stored, found())),
        preflight.PreflightCheck(name="network", ask=lambda: _network(there, plan)),
        preflight.PreflightCheck(name="schedule-layer", ask=lambda: _schedule(there, plan, caller().account)),
        preflight.PreflightCheck(
            name="lease-ttl", ask=lambda: judgements.lease_ttl(plan, ecs_target.slowest_heartbeat_seconds(plan))
        ),
        preflight.PreflightCheck(name="quota", ask=lambda: _quota(there, plan, found())),
        preflight.PreflightCheck(name="cost", ask=lambda: judgements.affordable(plan, found().size, aws.region())),
    ]
    if "sweeper" in plan.layers.require:
        made.append(preflight.PreflightCheck(name="sweeper", ask=lambda: _sweeper(there, plan, clock)))
    if plan.before or plan.after:
        made.append(preflight.PreflightCheck(name="one-shots", ask=lambda: _one_shots(there, plan, clock, caller)))
    if plan.services:
        made.append(preflight.PreflightCheck(name="services", ask=lambda: _services(there, plan, clock)))
    made += [
        preflight.PreflightCheck(name="evidence-write-once", ask=functools.partial(_write_once, opener, plan, place))
        for place in (*plan.evidence.control_places, *plan.evidence.scoped_places)
    ]
    made.append(preflight.PreflightCheck(name="evidence-place", ask=lambda: _places_free(opener, plan)))
    who = preflight.PreflightCheck(name="account", ask=lambda: _account(caller(), plan))
    expiry = preflight.PreflightCheck(
        name="credentials-expiry",
        ask=lambda: judgements.expiry(account.credentials_expiry(), clock.now(), judgements.last_of_run(plan)),
    )
    made = [who, expiry, *(_told_once(check, caller, found) for check in made)]
    if plan.load.host is None:
        return made
    host = ingest_client.Ingest(plan.load.host)
    reached = shared_answers.once(host.reach)
    made.append(preflight.PreflightCheck(name="host-reachable", ask=lambda: _reachable_from_afar(reached)))
    sent = shared_answers.canary(plan, receipts, host, lambda: _task_key(stored, plan, found()))
    return [*made, preflight.PreflightCheck(name="canary", ask=lambda: _canary_from_afar(reached, sent))]


def _told_once(
    check: preflight.PreflightCheck, caller: Callable[[], object], definition: Callable[[], object]
) -> preflight.PreflightCheck:
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
    yield findings.judged_value("account", f"{shown}; not of it: {', '.join(wrong)}" if wrong else "", shown)
    yield judgements.aws_skew(who.least_skew_seconds, plan.receipts.max_skew)


def _cluster(there: account.AwsAccount, plan: plans.Plan) -> findings.Finding:
    status = there.cluster_status(str(plan.target.cluster))
    shown = f"{plan.target.cluster} is {status}"
    return findings.judged_value("cluster", "" if status == "ACTIVE" else shown, shown)


def _definition(plan: plans.Plan, found: ecs_definitions.Definition) -> Iterator[findings.Finding]:
    shown = f"{found.arn} is {found.status}"
    yield findings.judged_value("task-definition", "" if found.status == "ACTIVE" else shown, shown)
    stop_timeout_seconds = dict(found.stop_timeouts).get(found.container, DEFAULT_STOP_TIMEOUT_SECONDS)
    yield from judgements.task_definition(
        plan, guarded=found.guarded, sidecar=found.sidecar, stop_timeout_seconds=stop_timeout_seconds
    )


def _logs(there: account.AwsAccount, found: ecs_definitions.Definition) -> findings.Finding:
    if found.log_group is None:
        return findings.warning("task-logs", f"container {found.container} logs to no CloudWatch log group")
    problem = "" if there.has_log_group(found.log_group) else f"log group {found.log_group} is not there"
    return findings.judged_value("task-logs", problem, f"log group {found.log_group} is there")


def counter(there: account.AwsAccount, plan: plans.Plan, clock: ports.Clock) -> findings.Finding:
    """Whether the task that counts can start and be heard, told before it is started."""
    found = receipt_sources.definition(plan, clock, client=there.client("ecs"))
    problem = "" if found.status == "ACTIVE" else f"{found.arn} is {found.status}"
    problem = problem or receipt_sources.problem(found)
    if not problem and not there.has_log_group(str(found.log_group)):
        problem = f"log group {found.log_group} is not there: the task would not start"
    if problem:
        return findings.refused("counter", problem)
    mode = found.log_mode or "the default, which is non-blocking"
    lossy = "" if found.log_mode == "blocking" else f"{found.arn} logs with mode {mode}: lines of an answer may be lost"
    return findings.judged_value("counter", lossy, f"{found.arn} can answer", required=False)


def _task_secrets(stored: Stored, found: ecs_definitions.Definition) -> findings.Finding:
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
    return findings.judged_value("task-secrets", "; ".join(unseen), shown, required=False)


def _network(there: account.AwsAccount, plan: plans.Plan) -> findings.Finding:
    subnets, groups = plan.target.subnets or [], plan.target.security_groups or []
    wrong = [there.missing_subnets(subnets), there.missing_security_groups(groups)]
    shown = f"{', '.join((*subnets, *groups))} are there"
    return findings.judged_value("network", "; ".join(problem for problem in wrong if problem), shown)


def _one_shots(
    there: account.AwsAccount, plan: plans.Plan, clock: ports.Clock, caller: Callable[[], account.Caller]
) -> findings.Finding:
    """They can be started, and end by themselves or by the schedule."""
    shots, wrong, bare = (
        ecs_target.one_shots(plan, clock.now(), clock, client=there.client("ecs")),
        list[str](),
        list[str](),
    )
    for shot in load_program.one_shots(plan, (*plan.before, *plan.after)):
        try:
            found = shots.definition(shot)
        except errors.UsageError as exc:
            wrong.append(f"{shot.name}: {exc}")
            continue
        if found.status != "ACTIVE":
            wrong.append(f"{shot.name}: {found.arn} is {found.status}")
        elif not shots.ends(shot):
            bare.append(shot.name)
    return judgements.one_shots(wrong, bare, _schedule_problems(there, plan, caller().account) if bare else ())


def _schedule_problems(there: account.AwsAccount, plan: plans.Plan, account_id: str) -> Sequence[str]:
    reaper = plan.reaper(account_id)
    return there.schedule_problems(reaper.group, reaper.role_arn, reaper.task_definition)


def _schedule(there: account.AwsAccount, plan: plans.Plan, account_id: str) -> findings.Finding:
    reaper, problems = plan.reaper(account_id), _schedule_problems(there, plan, account_id)
    shown = f"group {reaper.group}, its role and {reaper.task_definition} are there"
    return findings.judged_value(
        "schedule-layer", "; ".join(problems), shown, required="schedule" in plan.layers.require
    )


def _services(there: account.AwsAccount, plan: plans.Plan, clock: ports.Clock) -> findings.Finding:
    """They are there, and no other run holds them: whoever puts them back for it would do so under this burst."""
    scaled = ecs_services.EcsServices(str(plan.target.cluster), clock=clock, client=there.client("ecs"))
    wanted = {service.name: service.desired for service in plan.services}
    standing = scaled.look(list(wanted))
    stand = scaling.changes(wanted, standing)
    held = ecs_target.services_held(plan, standing)
    if held:
        runs = ", ".join(sorted(set(held.values())))
        return findings.refused(
            "services", f"{', '.join(held)} scaled by {runs}, which has not put them back; burst resume {runs}"
        )
    return findings.passed("services", ", ".join(f"{one.name} wants {one.before}" for one in stand))


def _sweeper(there: account.AwsAccount, plan: plans.Plan, clock: ports.Clock) -> findings.Finding:
    return findings.passed("sweeper", ecs_target.find_sweeper(plan, clock, client=there.client("scheduler")))


def _quota(there: account.AwsAccount, plan: plans.Plan, found: ecs_definitions.Definition) -> findings.Finding:
    """A role that may not ask, or a region without the answer, keeps nobody from launching."""
    providers = plan.target.capacity or ["FARGATE"]
    try:
        allowed_vcpu = there.vcpu_quota(spot=providers[0] == "FARGATE_SPOT")
    except errors.BurstError as exc:
        return findings.warning("quota", f"the vCPU quota cannot be told: {exc}")
    return judgements.quota(plan, found.size, allowed_vcpu)


def _places_free(opener: Callable[[str], s3_store.S3Store], plan: plans.Plan) -> findings.Finding:
    """Whether no other run's documents stand where this run's are to go."""
    folders = plan.folders(plan.execution_id)
    taken = [folder for folder in folders if opener(folder).names()]
    seen = f"documents of another run stand in {', '.join(taken)}" if taken else ""
    return findings.judged_value("evidence-place", seen, f"free: {', '.join(folders)}")


def _write_once(opener: Callable[[str], s3_store.S3Store], plan: plans.Plan, place: str) -> findings.Finding:
    """Puts one key twice. The probe is left: whoever publishes evidence must not be able to delete it."""
    store = opener(f"{place}/preflight")
    name = f"{plan.execution_id}-{randomness.token_hex(4)}.json"
    store.put_once(name, b'{"burst_preflight_probe":1}')
    try:
        store.put_once(name, b'{"burst_preflight_probe":2}')
    except errors.Conflict:
        return judgements.probed(place, True, store.versioning())
    return judgements.probed(place, False, "")


def _task_key(stored: Stored, plan: plans.Plan, found: ecs_definitions.Definition) -> str | None:
    """The key the tasks will send with, from where they get it; where that may not be read, the plan's own reference.

    Raises `errors.Refused` where neither can be read.
    """
    source = dict(found.secret_sources).get(load_program.API_KEY_VARIABLE)
    try:
        return stored(source)().reveal() if source else shared_answers.key(plan)
    except errors.Refused:
        if plan.load.api_key is None:
            raise
        return shared_answers.key(plan)


def _reachable_from_afar(reached: Callable[[], str]) -> findings.Finding:
    """An ingest inside the tasks' network need not be reachable from here: that is no pass, and no refusal."""
    try:
        return findings.passed("host-reachable", reached())
    except errors.Unavailable as exc:
        return findings.warning("host-reachable", f"from here {exc}; whether the tasks reach it is not known")


def _canary_from_afar(
    reached: Callable[[], str], sent: preflight.PreflightCheck
) -> findings.Finding | Iterable[findings.Finding]:
    try:
        reached()
    except errors.Unavailable as exc:
        return findings.warning("canary", f"not sent, for {exc}: nothing shows that an event becomes a receipt")
    return sent.ask()
