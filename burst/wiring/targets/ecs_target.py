"""Wiring of the ECS target: which AWS adapter stands behind which port, and how each layer is armed there."""

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.adapters.aws import ecs_services, ecs_tasks, s3_leases, s3_store
from burst.adapters.aws import scheduler as schedule
from burst.control import controller, errands, reaping, watching
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.tasks import ecs_definitions, tasks
from burst.domain.tasks import services as scaling
from burst.kit import aws
from burst.task import guard as guards
from burst.task import remote
from burst.wiring.targets import load_program

LAYERS = ("guard", "lease", "sidecar", "schedule", "sweeper", "controller")
REAPER_CONTAINER = "reaper"
SCHEDULE_MARGIN_SECONDS = 5.0
"""How long after deadline and grace the schedule is due: only what every nearer layer left over is its to end."""
STOP_PATIENCE_SECONDS = 150.0
"""Longer than the longest stopTimeout (120 s) and what ECS takes to clear up: there is no harder stop than StopTask."""
APPEARS_SECONDS = 20.0
"""A task may be missing from ListTasks this long after RunTask; AWS names no bound, and says to wait from 2 s on."""


def control_uri(plan: plans.Plan) -> str:
    """Where the run's lease lies."""
    return f"{_run_control(plan)}/{plan.execution_id}/control.json"


def _run_control(plan: plans.Plan) -> str:
    if plan.evidence.authority is None:
        raise errors.UsageError("target.kind ecs needs evidence.run_control: the lease of the tasks lies there")
    return plan.evidence.authority


def run_control(plan: plans.Plan) -> s3_leases.S3LeaseStore:
    """The lease of one run."""
    return s3_leases.from_uri(control_uri(plan))


def places(plan: plans.Plan, deadline: datetime, now: datetime) -> tuple[s3_store.S3Store, ...]:
    """Where documents are published, the authority last: its snapshot commits."""
    store = opener(plan, deadline, now)
    return tuple(store(folder) for folder in reversed(plan.folders(plan.execution_id)))


def opener(plan: plans.Plan, deadline: datetime, now: datetime) -> Callable[[str], s3_store.S3Store]:
    """Opens folders in the plan's places, as the plan wants documents kept there; on any thread.

    A lock that would have ended before `now` is not asked for: S3 takes none, and what resumes late is still to be
    published.
    """
    asked = plan.evidence
    until = instants.later(deadline, asked.object_lock.retain) if asked.object_lock else now
    lock = asked.object_lock if until > now else None
    settings = s3_store.StoreSettings(
        execution_id=plan.execution_id,
        kms_key_id=asked.kms_key,
        bucket_owner=asked.bucket_owner,
        lock_mode=lock.mode if lock else None,
        lock_until=until if lock else None,
        checksums=asked.checksums,
    )
    making, clients = threading.Lock(), dict[str | None, Any]()

    def store(folder: str) -> s3_store.S3Store:
        region = asked.regions.get(folder.split("/")[2])
        with making:
            if region not in clients:
                clients[region] = aws.client("s3", checksums=asked.checksums, region_name=region)
        return s3_store.S3Store(folder, settings=settings, client=clients[region])

    return store


def authority(run_control_place: str, execution_id: str) -> s3_store.S3Store:
    """The place of one run under run control, to be read."""
    return s3_store.S3Store(f"{run_control_place}/{execution_id}")


def slowest_heartbeat_seconds(plan: plans.Plan) -> float:
    """How long a heartbeat may stand still in the eyes of a task, where every call to S3 takes as long as its client
    waits for it and none fails: the next beat, read and swapped, then the pause of the reader and what it reads."""
    call_seconds = s3_leases.CONNECT_SECONDS + s3_leases.READ_SECONDS
    written_seconds = watching.beat_seconds(plan.layers.lease_ttl) + 2 * call_seconds
    return written_seconds + remote.LONGEST_POLL_SECONDS + call_seconds + guards.LEASE_POLL_SECONDS


def marked(clock: ports.Clock, cluster: str, execution_id: str | None) -> list[reaping.LivingTask]:
    """Every burst task of a cluster that has not stopped, of one run where one is named."""
    seen = ecs_tasks.EcsTasks(cluster, clock=clock)
    return [
        reaping.LivingTask(
            execution_id=one.execution_id,
            task=one.task,
            deadline=one.deadline,
            launcher=seen,
            by=tasks.Layer.SCHEDULE if execution_id else tasks.Layer.SWEEPER,
            patience_seconds=STOP_PATIENCE_SECONDS,
        )
        for one in seen.marked()
        if execution_id in (None, tasks.run_of(one.execution_id))
    ]


def _arn(plan: plans.Plan, kind: str, name: str) -> str:
    """The ARN of a name in the caller's account and region; an ARN stays as it is."""
    if name.startswith("arn:"):
        return name
    sts = aws.client("sts")
    account = aws.call("sts:GetCallerIdentity", sts.get_caller_identity)["Account"]
    return f"arn:aws:ecs:{sts.meta.region_name}:{account}:{kind}/{name}"


def _reaper_task(plan: plans.Plan) -> tuple[str, schedule.ReaperTask]:
    """The schedule group and the task its entry runs."""
    cluster = _arn(plan, "cluster", str(plan.target.cluster))
    reaper = plan.reaper(cluster.split(":")[4])
    return reaper.group, schedule.ReaperTask(
        cluster_arn=cluster,
        task_definition_arn=_arn(plan, "task-definition", reaper.task_definition),
        container=REAPER_CONTAINER,
        role_arn=reaper.role_arn,
        subnets=tuple(plan.target.subnets or ()),
        security_groups=tuple(plan.target.security_groups or ()),
        dead_letter_arn=reaper.dead_letter_arn,
    )


def definition(plan: plans.Plan, clock: ports.Clock, *, client: Any | None = None) -> ecs_definitions.Definition:
    """What the plan's pinned task definition says. Asks ECS."""
    seen = ecs_tasks.EcsTasks(str(plan.target.cluster), clock=clock, client=client)
    return seen.describe_definition(str(plan.target.task_definition), container=plan.target.container)


def program_there(plan: plans.Plan, found: ecs_definitions.Definition, clock: ports.Clock) -> str:
    """What the tasks will run. Raises `errors.Refused` where the task definition cannot run it."""
    missing = {load_program.API_KEY_VARIABLE} - found.secrets if plan.load.api_key else set()
    if missing:
        raise errors.Refused(
            f"container {found.container} of {found.arn} has no secret {load_program.API_KEY_VARIABLE}"
        )
    environment(plan, clock.now())
    return f"{found.arn}, {'under guard' if found.guarded else 'without our guard'}"


def launcher(plan: plans.Plan, deadline: datetime, clock: ports.Clock) -> ecs_tasks.EcsLauncher:
    """The launcher of one run."""
    records = s3_leases.S3GuardRecords(run_control(plan).records_uri).read
    return ecs_tasks.EcsLauncher(plan.target, run=_run(plan, deadline), clock=clock, records=records)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesLeft:
    """The services of one run that nobody has put back, and who can."""

    kept: run_records.KeptServices
    services: ports.Services
    place: ports.EvidenceStore

    def put_back(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """How each was left, and the command for each that could not be put back."""
        commands = {
            change.name: scaling.restoring_command(self.kept.cluster, change.name, change.before)
            for change in self.kept.changes
        }
        try:
            back, problems = errands.put_back(self.services, self.kept.changes)
            if not problems:
                errands.note_back(self.place, self.kept.execution_id)
        except errors.BurstError as exc:
            return {}, {name: f"{exc}; run: {command}" for name, command in commands.items()}
        return back, {name: f"{why}; run: {commands[name]}" for name, why in problems.items()}


def services_place(run_control_place: str) -> s3_store.S3Store:
    """Where the counts that services had before their runs are kept, of all runs, so that a sweeper finds them."""
    return s3_store.S3Store(f"{run_control_place.rstrip('/')}/services")


def services_left(
    clock: ports.Clock, run_control_place: str, execution_id: str | None, busy: Set[str]
) -> tuple[list[ServicesLeft], dict[str, str]]:
    """The services of runs past their deadline that nobody has put back, and why it cannot be told of other runs.

    Those of a `busy` run are left out: it has tasks that are in time, for which they are up. Raises what the store
    raises where it cannot be told which runs there are.
    """
    left, unknown = list[ServicesLeft](), dict[str, str]()
    place = services_place(run_control_place)
    for name in document_names.runs_with_services(place.names()):
        if name in busy or execution_id not in (None, name):
            continue
        try:
            kept = models.read(run_records.KeptServices, place.read(document_names.services_name(name)))
        except errors.BurstError as exc:
            unknown[name] = f"it cannot be told which services it scaled: {exc}"
            continue
        if clock.now() >= kept.deadline_utc:
            left.append(
                ServicesLeft(kept=kept, services=ecs_services.EcsServices(kept.cluster, clock=clock), place=place)
            )
    return left, unknown


def services_held(plan: plans.Plan, standing: Sequence[scaling.Service]) -> dict[str, str]:
    """Those of the plan's services that stand as another run left them and are its to put back, with that run's id.

    Raises what the store raises, and what reading does.
    """
    place, held = services_place(_run_control(plan)), dict[str, str]()
    there = {service.name for service in standing}
    for name in document_names.runs_with_services(place.names()):
        kept = models.read(run_records.KeptServices, place.read(document_names.services_name(name)))
        if name != plan.execution_id and kept.cluster == plan.target.cluster:
            theirs = scaling.plan_restore([change for change in kept.changes if change.name in there], standing)
            held |= dict.fromkeys(theirs.wanted, name)
    return held


def one_shots(
    plan: plans.Plan,
    deadline: datetime,
    clock: ports.Clock,
    *,
    arm: ecs_tasks.Arm | None = None,
    client: Any | None = None,
) -> ecs_tasks.EcsOneShots:
    """The one-shot tasks of one run."""
    grace_seconds, run = plan.budget.stop_grace, _run(plan, deadline)
    return ecs_tasks.EcsOneShots(plan.target, run=run, grace_seconds=grace_seconds, clock=clock, arm=arm, client=client)


def _run(plan: plans.Plan, deadline: datetime) -> ecs_tasks.RunContext:
    lease = run_control(plan)
    return ecs_tasks.RunContext(
        execution_id=str(plan.execution_id),
        phase=plan.phase,
        deadline=deadline,
        control_uri=lease.uri,
        record_uri=lease.records_uri,
        secrets=frozenset({load_program.API_KEY_VARIABLE} if plan.load.api_key else ()),
    )


def target(plan: plans.Plan, deadline: datetime, clock: ports.Clock) -> controller.Target:
    """The ECS target of one run."""
    started = launcher(plan, deadline, clock)
    lease = run_control(plan)

    def guard(_: datetime) -> str:
        if not started.definition.guarded:
            raise errors.Refused(f"the entry point of {started.definition.arn} is not burst guard")
        return f"every task of {started.definition.arn} starts under burst guard"

    def sidecar(_: datetime) -> str:
        if not started.definition.sidecar:
            raise errors.Refused(f"{started.definition.arn} has no essential container named lifespan")
        return "the essential container lifespan ends the task after budget and grace"

    def hold(until: datetime) -> str:
        if not started.definition.guarded:
            raise errors.Refused("nothing in the task reads a lease")
        return f"{lease.uri}: {load_program.hold(plan, lease, until, clock)}"

    def arm_schedule(until: datetime, one_shot: str = "") -> str:
        group, reaper = _reaper_task(plan)
        due_at = instants.later(until, plan.budget.stop_grace + SCHEDULE_MARGIN_SECONDS)
        scheduler, run = schedule.Scheduler(group, clock=clock), str(plan.execution_id)
        entry = scheduler.arm(run, due_at=due_at, reaper=reaper, one_shot=one_shot)
        return f"schedule {entry.name} runs burst reap at {instants.text(entry.at)}"

    def arm_one_shot(name: str, until: datetime) -> None:
        arm_schedule(until, name)

    def disarm() -> None:
        group = plan.reaper(account="").group  # its name needs no account: an STS that is down leaves no entry behind
        scheduler = schedule.Scheduler(group, clock=clock)
        for one_shot in ("", *(shot.name for shot in (*plan.before, *plan.after))):
            scheduler.disarm(str(plan.execution_id), one_shot=one_shot)

    arms: dict[str, Callable[[datetime], str]] = {
        "guard": guard,
        "lease": hold,
        "sidecar": sidecar,
        "schedule": arm_schedule,
        "sweeper": lambda _: find_sweeper(plan, clock),
        "controller": lambda _: "this process stops tasks one by one and watches them end",
    }
    return controller.Target(
        launcher=started,
        lease=lease,
        arm=arms,
        disarm=disarm,
        command=load_program.command(plan, python="python"),
        environment=environment(plan, deadline),
        child_waits=load_program.waits_for_go(plan),
        appears_seconds=APPEARS_SECONDS,
        one_shots=one_shots(plan, deadline, clock, arm=arm_one_shot),
        services=ecs_services.EcsServices(str(plan.target.cluster), clock=clock) if plan.services else None,
        place=services_place(_run_control(plan)) if plan.services else None,
    )


def sweeper_name(plan: plans.Plan) -> str:
    """The recurring schedule of the plan's environment, as burst's infrastructure calls it."""
    return f"burst-{plan.environment}-sweeper"


def find_sweeper(plan: plans.Plan, clock: ports.Clock, *, client: Any | None = None) -> str:
    """What sweeps the plan's cluster. Raises `errors.Refused` where nothing does, or not as it has to."""
    name, group = sweeper_name(plan), plan.reaper(account="").group
    sweeper = schedule.Scheduler(group, clock=clock, client=client).sweeper(name)
    problem = sweeper.problem(str(plan.target.cluster)) if sweeper else "there is none"
    if sweeper is None or problem:
        raise errors.Refused(f"schedule {name} of group {group}: {problem}; infra/ makes it")
    return f"schedule {name} sweeps {plan.target.cluster} every {sweeper.period_seconds:g} s"


def guarded(plan: plans.Plan, clock: ports.Clock) -> bool:
    """Whether the plan's tasks start under our guard, and so wait for GO. Asks ECS."""
    return launcher(plan, clock.now(), clock).definition.guarded


def environment(plan: plans.Plan, deadline: datetime) -> tuple[tuple[str, str], ...]:
    """The plan's part of every task's environment. Secrets come from the task definition, never from here.

    Raises `errors.UsageError` for a reference to a secret: overrides can be read by whoever may describe tasks.
    """
    given = load_program.variables(plan) | {"BURST_DEADLINE_UTC": instants.text(deadline)}
    for name, value in plan.load.environment.items():
        if value.startswith(("env:", "file:", "ssm:", "secretsmanager:")):
            raise errors.UsageError(f"load.environment.{name}: give it to the secrets of the task definition")
        given[name] = value
    return tuple(given.items())
