"""The ECS target: burst tasks as Fargate tasks of one cluster, their lease and documents on S3."""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

from burst import ports
from burst.adapters.aws import account, alarms, definition_layers, ecs_tasks, s3_halts, s3_leases, s3_store, scheduler
from burst.control import controller, layers, ownership, preflight, reaping, watching
from burst.domain.basics import errors
from burst.domain.documents import run_records
from burst.domain.plan import plans
from burst.domain.preflight import findings, judgements
from burst.domain.tasks import ecs_truths, leases, tasks, worst_ends
from burst.kit import aws
from burst.task import s3_link
from burst.wiring import announcements
from burst.wiring.preflight import ecs_checks, shared_answers
from burst.wiring.targets import ecs_adapters, ecs_places, load_program

LAYERS = ("guard", "lease", "sidecar", "schedule", "sweeper", "controller")
STOP_PATIENCE_SECONDS = 150.0
"""Longer than the longest stopTimeout (120 s) and what ECS takes to clear up: there is no harder stop than StopTask."""

LEASE_CALL_SECONDS = s3_leases.CONNECT_SECONDS + s3_leases.READ_SECONDS
BEAT_SEEN_SECONDS = s3_link.LONGEST_POLL_SECONDS + LEASE_CALL_SECONDS + leases.GUARD_POLL_SECONDS
"""How long a written heartbeat may take to be seen by a guard: S3 is read, and the guard looks at the last reading."""


class EcsTarget:
    """`targets.Target` for a plan whose tasks run on ECS."""

    def __init__(self, plan: plans.Plan, clock: ports.Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._adapters = ecs_adapters.EcsAdapters(plan, clock)
        self._account = account.AwsAccount()
        self._definition = shared_answers.make_once(self._adapters.describe_definition)
        self.layers = LAYERS
        self.give_up_seconds = STOP_PATIENCE_SECONDS
        self.claims_shards = True
        self.appears_seconds = ecs_truths.APPEARS_SECONDS
        self.simulated_by_rehearsal = True

    @property
    def safe_lease_ttl_seconds(self) -> float:
        """How long the heartbeat may look unchanged to a task, where every call to S3 takes as long as its client
        waits, and none fails: the next beat is read and swapped, then the guard pauses and reads."""
        return self._slowest_beat_seconds + BEAT_SEEN_SECONDS

    @property
    def _slowest_beat_seconds(self) -> float:
        """How far two beats lie apart where every call takes as long as its client waits: a beat is a read and a
        swap."""
        return watching.beat_seconds(self._plan.layers.lease_ttl) + 2 * LEASE_CALL_SECONDS

    def require_valid(self) -> None:
        """Raises `errors.UsageError` without run control: the lease lies there."""
        ecs_places.run_control_folder(self._plan)

    # Preflight

    def fingerprint(self) -> None:
        """None: a baseline keeps the machine on which it was made, and the tasks run elsewhere."""

    def secret_references(self) -> Sequence[str]:
        """None: the task definition names the secrets, and ECS resolves them."""
        return ()

    def counter_check(self) -> Callable[[], findings.Finding] | None:
        """Asks whether the task that counts receipts can start, where the plan has one."""
        if self._plan.receipts.via != "task":
            return None
        return lambda: ecs_checks.check_counter(self._plan, self._account, self._clock)

    def checks(self, receipts: preflight.ReceiptChecks) -> Sequence[preflight.PreflightCheck]:
        """The checks of AWS, all with one session."""
        checks = ecs_checks.EcsChecks(
            self._plan, self._account, receipts, self._clock, safe_lease_ttl_seconds=self.safe_lease_ttl_seconds
        )
        return checks.list_all()

    def cost(self) -> findings.Finding:
        """The cost by the size in the task definition. Asks ECS, where AWS is configured on this machine."""
        if not account.has_configured_credentials():
            return findings.report_warning(
                "cost", "unknown: the task's size is AWS's to say, which is not configured here"
            )
        try:
            return judgements.judge_cost(self._plan, self._definition(), aws.region())
        except errors.BurstError as exc:
            return findings.report_warning("cost", f"unknown: {exc}")

    def worst_ends(self) -> Sequence[worst_ends.WorstEnd]:
        """With the stopTimeout of the task definition, which ECS is asked for where AWS is configured on this machine;
        the longest that Fargate allows where it is not known."""
        stop_timeout_seconds = worst_ends.LONGEST_STOP_TIMEOUT_SECONDS
        if account.has_configured_credentials():
            with contextlib.suppress(errors.BurstError):
                stop_timeout_seconds = self._definition().longest_stop_timeout_seconds
        return _list_ends(self._plan, stop_timeout_seconds)

    # A run

    def waits_for_go(self) -> bool:
        """Whether the task definition starts the guard, which holds tasks at the barrier. Asks ECS."""
        return self._adapters.describe_definition().guarded

    def announce(self, store: ports.EvidenceStore, announcement: run_records.Announcement) -> None:
        """Puts what a takeover needs under run control."""
        announcements.announce(self._plan, store, announcement)

    def run_target(
        self, deadline: datetime, *, to_launch: bool, owner: leases.Owner | None = None
    ) -> controller.RunTarget:
        """The adapters of one run, with its deadline in the environment of each task."""
        plan, launcher, store = self._plan, self.launcher(deadline), self.lease_store()
        lease = ownership.hold(store, owner)
        schedule = scheduler.ScheduleLayer(plan, clock=self._clock)
        place = ecs_places.services_place(ecs_places.run_control_folder(plan)) if plan.services else None
        return controller.RunTarget(
            # With the longest stopTimeout: a run that is resumed while ECS is away asks it nothing here.
            worst_end_seconds=worst_ends.sum_up(_list_ends(plan, worst_ends.LONGEST_STOP_TIMEOUT_SECONDS)),
            launcher=launcher,
            lease=lease,
            layers=self._hard_stop_layers(launcher, lease, schedule),
            command=load_program.command(plan, python="python"),
            environment=tuple((ecs_adapters.task_environment(plan) | load_program.guard_variables(plan)).items()),
            child_waits=plan.load.holds_barrier,
            appears_seconds=self.appears_seconds,
            looks_are_calls=True,
            accounts=s3_leases.S3LoadAccounts(store.records_uri),
            one_shots=self._adapters.one_shots(deadline, arm=schedule.arm_one_shot),
            services=self._adapters.services() if plan.services or plan.drills else None,
            services_place=place,
            drills_place=ecs_places.drills_place(ecs_places.run_control_folder(plan)) if plan.drills else None,
            halt=self.halt_switch(),
            alarms=alarms.CloudWatchAlarms(),
        )

    def _hard_stop_layers(
        self, launcher: ecs_tasks.EcsLauncher, lease: ports.LeaseStore, schedule: scheduler.ScheduleLayer
    ) -> dict[str, ports.HardStopLayer]:
        lease_layer = layers.LeaseLayer(
            lease,
            execution_id=str(self._plan.execution_id),
            ttl_seconds=self._plan.layers.lease_ttl,
            clock=self._clock,
            name=self.lease_store().uri,
        )
        return {
            "guard": definition_layers.GuardLayer(launcher),
            "lease": definition_layers.GuardedLayer(launcher, lease_layer, problem="nothing in the task reads a lease"),
            "sidecar": definition_layers.SidecarLayer(launcher),
            "schedule": schedule,
            "sweeper": scheduler.SweeperLayer(self._plan, clock=self._clock),
            "controller": layers.StatedLayer(load_program.CONTROLLER_LAYER),
        }

    def launcher(self, deadline: datetime) -> ecs_tasks.EcsLauncher:
        """The launcher of one run."""
        return self._adapters.launcher(deadline)

    def lease_store(self) -> s3_leases.S3LeaseStore:
        """The lease of one run, under run control."""
        return ecs_places.lease_store(self._plan)

    def halt_switch(self) -> s3_halts.S3HaltSwitch:
        """The switch under run control, for the runs of every machine."""
        return ecs_places.halt_switch(ecs_places.run_control_folder(self._plan))

    def run_lease(self, begun_at: datetime, deadline: datetime) -> ownership.RunLease:
        """The lease of one run, to be claimed."""
        return ownership.RunLease(
            store=self.lease_store(),
            execution_id=str(self._plan.execution_id),
            deadline=deadline,
            begun_at=begun_at,
            ttl_seconds=self._plan.layers.lease_ttl,
            slowest_beat_seconds=self._slowest_beat_seconds,
        )

    def places(self, deadline: datetime) -> Sequence[s3_store.S3Store]:
        """The folders of the plan's S3 places, the authority last."""
        return ecs_places.publication_places(self._plan, deadline, self._clock.now())

    def living_tasks(self) -> list[reaping.LivingTask]:
        """Every task of the run in the plan's cluster that has not stopped."""
        return find_living_tasks(self._clock, str(self._plan.target.cluster), self._plan.execution_id)

    def list_living_runs(self) -> list[str]:
        """The other runs of the cluster under this run control. A task that names no lease may be one of theirs."""
        place = f"{ecs_places.run_control_folder(self._plan)}/"
        living = find_living_tasks(self._clock, str(self._plan.target.cluster), None)
        runs = {
            tasks.run_of(each.execution_id)
            for each in living
            if each.control_uri is None or each.control_uri.startswith(place)
        }
        return sorted(runs - {str(self._plan.execution_id)})


def find_living_tasks(clock: ports.Clock, cluster: str, execution_id: str | None) -> list[reaping.LivingTask]:
    """Every burst task of a cluster that was not seen stopped, of one run where one is named."""
    return list_living_tasks(ecs_tasks.EcsTasks(cluster, clock=clock), execution_id)


def list_living_tasks(cluster_tasks: ecs_tasks.EcsTasks, execution_id: str | None) -> list[reaping.LivingTask]:
    """As `find_living_tasks`, on the tasks of a cluster."""
    return [
        reaping.LivingTask(
            execution_id=marked.execution_id,
            task=marked.task,
            deadline=marked.deadline,
            launcher=cluster_tasks,
            by=tasks.Layer.SCHEDULE if execution_id else tasks.Layer.SWEEPER,
            patience_seconds=STOP_PATIENCE_SECONDS,
            stopping=marked.stopping,
            control_uri=marked.control_uri,
            absence_proves=False,
        )
        for marked in cluster_tasks.find_marked()
        if execution_id in (None, tasks.run_of(marked.execution_id))
    ]


def _list_ends(plan: plans.Plan, stop_timeout_seconds: float) -> Sequence[worst_ends.WorstEnd]:
    """The worst end by each layer, with the longest stopTimeout of a task's containers."""
    budget = plan.budget
    times = worst_ends.EndTimes(
        grace_seconds=budget.stop_grace,
        lease_ttl_seconds=plan.layers.lease_ttl,
        beat_seen_seconds=BEAT_SEEN_SECONDS,
        look_seconds=ecs_tasks.CALL_PATIENCE_SECONDS,
    )
    fargate = worst_ends.FargateTimes(
        tasks=plan.target.tasks,
        cap_seconds=budget.cap_seconds,
        start_timeout_seconds=budget.start_timeout,
        stop_timeout_seconds=stop_timeout_seconds,
    )
    return worst_ends.list_ends(LAYERS, times, fargate)
