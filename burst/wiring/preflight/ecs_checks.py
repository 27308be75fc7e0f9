"""The preflight checks of the ECS target: what each asks of AWS, from this machine and for the tasks.

A warning says what this machine may not ask or cannot reach. Several checks need the caller, the task definition, or a
secret of the tasks: the first check that needs one asks for all.
"""

import dataclasses
import functools
import secrets as randomness
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures

from burst import ports
from burst.adapters import secrets
from burst.adapters.aws import account, ecs_tasks, scheduler, vpc_networks
from burst.control import preflight
from burst.domain.basics import errors
from burst.domain.plan import plans, run_commands
from burst.domain.preflight import (
    findings,
    judgements,
    master_ports,
    networks,
    sending,
    session_keys,
    vcpu_quotas,
    write_conditions,
)
from burst.domain.tasks import services
from burst.kit import aws
from burst.wiring.preflight import halt_checks, shared_answers
from burst.wiring.targets import ecs_adapters, ecs_places, kept_services, load_program, receipt_sources

Ask = Callable[[], findings.Finding | Iterable[findings.Finding]]


class EcsChecks:
    """The checks of one plan, with one AWS session (`session`) for all of them."""

    def __init__(
        self,
        plan: plans.Plan,
        session: account.AwsAccount,
        receipts: preflight.ReceiptChecks,
        clock: ports.Clock,
        *,
        safe_lease_ttl_seconds: float,
    ) -> None:
        self._plan = plan
        self._session = session
        self._receipts = receipts
        self._clock = clock
        self._safe_lease_ttl_seconds = safe_lease_ttl_seconds
        self._adapters = ecs_adapters.EcsAdapters(plan, clock, session.client)
        self._opener = ecs_places.PlaceOpener(plan, clock.now(), clock.now())
        self._caller = shared_answers.make_once(lambda: session.identify_caller(clock))
        self._definition = shared_answers.make_once(self._adapters.describe_definition)
        cluster = str(plan.target.cluster)
        self._cluster_status = shared_answers.make_once(lambda: session.cluster_status(cluster))
        self._subnets = shared_answers.make_once(self._describe_subnets)
        self._secret = functools.cache(
            lambda source: shared_answers.make_once(lambda: secrets.resolve_from_store(source))
        )
        """Reads the secret behind a task definition's `valueFrom`, once for all checks."""

    def list_all(self) -> list[preflight.PreflightCheck]:
        """Every check, in the order in which findings are shown."""
        return [
            preflight.PreflightCheck(name="account", ask=self._check_account),
            preflight.PreflightCheck(name="credentials-expiry", ask=self._check_expiry),
            *(self._name_shared_cause(check) for check in (*self._of_every_plan(), *self._of_some_plans())),
            *self._of_the_host(),
        ]

    def _of_every_plan(self) -> list[preflight.PreflightCheck]:
        halt = ecs_places.halt_switch(ecs_places.run_control_folder(self._plan))
        questions: dict[str, Ask] = {
            "halt": lambda: halt_checks.ask_switch(halt),
            "cluster": self._check_cluster,
            "earlier-tasks": self._check_earlier_tasks,
            "task-definition": self._check_definition,
            "program": self._check_program,
            "task-logs": self._check_logs,
            "task-secrets": self._check_task_secrets,
            "network": self._check_network,
            "subnet-addresses": lambda: networks.judge_addresses(self._plan, self._subnets()),
            "way-out": self._check_way_out,
            "schedule-layer": self._check_schedule,
            "lease-ttl": lambda: judgements.judge_lease_ttl(self._plan, self._safe_lease_ttl_seconds),
            "quota": self._check_quota,
            "start-timeout": lambda: judgements.judge_start_timeout(self._plan, guarded=self._definition().guarded),
            "task-size": lambda: judgements.judge_task_size(self._plan, self._definition()),
            "cost": lambda: judgements.judge_cost(self._plan, self._definition(), aws.region()),
        }
        return [preflight.PreflightCheck(name=name, ask=ask) for name, ask in questions.items()]

    def _of_some_plans(self) -> list[preflight.PreflightCheck]:
        plan, checks = self._plan, list[preflight.PreflightCheck]()
        if "sweeper" in plan.layers.require:
            checks.append(preflight.PreflightCheck(name="sweeper", ask=self._check_sweeper))
        if plan.load.is_distributed:
            checks.append(preflight.PreflightCheck(name="master-port", ask=self._check_master_port))
        if plan.before or plan.after:
            checks.append(preflight.PreflightCheck(name="one-shots", ask=self._check_one_shots))
        if plan.services or any(drill.restart is not None for drill in plan.drills):
            checks.append(preflight.PreflightCheck(name="services", ask=self._check_services))
        checks += [
            preflight.PreflightCheck(name="evidence-write-once", ask=functools.partial(self._check_write_once, place))
            for place in (*plan.evidence.control_places, *plan.evidence.scoped_places)
        ]
        return [*checks, preflight.PreflightCheck(name="evidence-place", ask=self._check_places_free)]

    def _of_the_host(self) -> list[preflight.PreflightCheck]:
        """An ingest inside the tasks' network need not be reachable from here: then neither check passes or refuses."""
        if self._plan.load.host is None:
            return []
        ingests = shared_answers.list_ingests(self._plan)
        reach = shared_answers.make_once(lambda: shared_answers.reach_all(ingests))
        canary = shared_answers.check_canary(self._plan, self._receipts, ingests, self._read_task_key)
        sum_up = self._receipts.judge_sending(lambda: sending.describe_ecs_host(self._definition()))
        return [
            preflight.PreflightCheck(name="host-reachable", ask=lambda: _check_reachable(reach)),
            preflight.PreflightCheck(name="canary", ask=lambda: self._check_canary(reach, canary)),
            self._name_shared_cause(sum_up),
        ]

    def _check_canary(
        self, reach: Callable[[], str], canary: preflight.PreflightCheck
    ) -> findings.Finding | Iterable[findings.Finding]:
        try:
            reach()
        except errors.Unavailable as exc:
            self._receipts.end_canary()
            words = f"not sent, for {exc}: nothing shows that an event becomes a receipt"
            return findings.report_warning("canary", words)
        return canary.ask()

    def _name_shared_cause(self, check: preflight.PreflightCheck) -> preflight.PreflightCheck:
        """The check, which names another check where that one says why both fail.

        That is `account` where AWS does not know the caller or does not answer at all, and `task-definition` or
        `network` where the check needs the definition or the subnets too.
        """

        def ask() -> findings.Finding | Iterable[findings.Finding]:
            try:
                answer = check.ask()
                return answer if isinstance(answer, findings.Finding) else tuple(answer)
            except errors.BurstError as exc:
                of_caller = _failure(self._caller)
                if of_caller is not None and (
                    isinstance(exc, errors.Unavailable) or not isinstance(of_caller, errors.Unavailable)
                ):
                    return findings.report_unasked(check.name, "account")
                for cause, shared in (("task-definition", self._definition), ("network", self._subnets)):
                    if check.name != cause and exc is _failure(shared):
                        return findings.report_unasked(check.name, cause)
                raise

        return dataclasses.replace(check, ask=ask)

    # The account

    def _check_account(self) -> Iterator[findings.Finding]:
        caller, target = self._caller(), self._plan.target
        arns = {str(name) for name in (target.cluster, target.task_definition) if str(name).startswith("arn:")}
        foreign = [arn for arn in sorted(arns) if arn.split(":")[3:5] != [caller.region, caller.account]]
        description = f"{caller.arn} in {caller.region}"
        problem = f"{description} is not where the plan's names belong: {', '.join(foreign)}" if foreign else ""
        yield findings.report_problem("account", problem, f"{description}, where the plan's names belong")
        yield judgements.judge_aws_skew(caller.least_skew_seconds, self._plan.receipts.max_skew)

    def _check_expiry(self) -> findings.Finding:
        keys = account.read_session_keys()
        if keys is None:
            return findings.report_unasked("credentials-expiry", "account")
        return session_keys.judge_expiry(keys, self._clock.now(), judgements.longest_run_seconds(self._plan))

    def _check_quota(self) -> findings.Finding:
        """Whether the vCPUs fit; a warning where the role may not ask, or the region does not answer."""
        providers = [name for name in self._plan.target.capacity or ["FARGATE"] if name in account.QUOTAS]
        if not providers:
            return findings.report_warning(
                "quota", "target.capacity names no provider of Fargate, so no quota is known"
            )
        size, now = self._definition().size, self._clock.now()
        try:
            with futures.ThreadPoolExecutor(len(providers)) as pool:
                rooms = list(pool.map(lambda provider: self._session.vcpu_room(provider, now), providers))
        except errors.BurstError as exc:
            return findings.report_warning("quota", f"cannot read the vCPU quota: {exc}")
        return vcpu_quotas.judge_quota(self._plan, size.vcpu if size else None, rooms)

    # The network

    def _describe_subnets(self) -> list[networks.Subnet]:
        return vpc_networks.describe_subnets(self._session.client("ec2"), self._plan.target.subnets or [])

    def _check_network(self) -> findings.Finding:
        subnets, groups = self._plan.target.subnets or [], self._plan.target.security_groups or []
        problems = [self._session.missing_security_groups(groups)]
        try:
            vpcs = sorted({subnet.vpc for subnet in self._subnets()})
            problems.append(f"the subnets lie in {', '.join(vpcs)}; allowed: one VPC" if len(vpcs) > 1 else "")
        except errors.UsageError as exc:
            problems.append(str(exc))
        description = f"{', '.join((*subnets, *groups))} are there"
        return findings.report_problem("network", "; ".join(problem for problem in problems if problem), description)

    def _check_way_out(self) -> findings.Finding:
        """Whether every subnet has a way out; a warning where EC2 does not tell. Endpoints are asked for only where a
        route alone does not decide."""
        subnets, definition, ec2 = self._subnets(), self._definition(), self._session.client("ec2")
        vpcs, public = [subnet.vpc for subnet in subnets], bool(self._plan.target.assign_public_ip)
        needed = {store: store in definition.stores for store in ("logs", "ssm", "secretsmanager")}
        needed |= {"s3": True, "ecs": "schedule" in self._plan.layers.require}
        outward = networks.read_outward(needed, definition.images)
        try:
            tables = vpc_networks.describe_route_tables(ec2, vpcs)
            undecided = networks.needs_endpoints(subnets, tables, public=public)
            endpoints = vpc_networks.describe_endpoints(ec2, vpcs) if undecided else []
        except errors.BurstError as exc:
            return findings.report_warning("way-out", f"cannot be told: {exc}")
        return networks.judge_ways(subnets, tables, endpoints, outward, public=public)

    def _check_master_port(self) -> findings.Finding:
        """Whether workers reach the master of another task; a warning where EC2 does not tell."""
        subnets, groups = self._subnets(), self._plan.target.security_groups or []
        try:
            rules = vpc_networks.describe_group_rules(self._session.client("ec2"), groups)
        except errors.BurstError as exc:
            return findings.report_warning("master-port", f"cannot be told: {exc}")
        return master_ports.judge_master_port(groups, rules, subnets)

    # The cluster and its tasks

    def _check_earlier_tasks(self) -> findings.Finding:
        """Whether tasks of other runs are alive. A cluster that is not there has its own finding."""
        if self._cluster_status() != "ACTIVE":
            return findings.report_unasked("earlier-tasks", "cluster")
        cluster = str(self._plan.target.cluster)
        living = ecs_tasks.EcsTasks(cluster, clock=self._clock, client=self._session.client("ecs")).find_marked()
        return judgements.judge_earlier_tasks(self._plan, living, self._clock.now())

    def _check_cluster(self) -> findings.Finding:
        status = self._cluster_status()
        problem = "" if status == "ACTIVE" else f"{self._plan.target.cluster} is {status}, not ACTIVE"
        return findings.report_problem("cluster", problem, f"{self._plan.target.cluster} is ACTIVE")

    def _check_definition(self) -> Iterator[findings.Finding]:
        definition = self._definition()
        problem = "" if definition.status == "ACTIVE" else f"{definition.arn} is {definition.status}, not ACTIVE"
        yield findings.report_problem("task-definition", problem, f"{definition.arn} is ACTIVE")
        yield from judgements.judge_task_definition(
            self._plan,
            guarded=definition.guarded,
            sidecar=definition.sidecar,
            stop_timeout_seconds=dict(definition.stop_timeouts)[definition.container],
        )
        yield judgements.judge_root(definition, waits_for_go=self._plan.load.holds_barrier)

    def _check_program(self) -> findings.Finding:
        words, files = ecs_adapters.describe_program(self._plan, self._definition()), self._definition().variable_files
        return judgements.judge_program(words, files)

    def _check_logs(self) -> findings.Finding:
        definition = self._definition()
        if definition.log_group is None:
            return findings.report_warning(
                "task-logs", f"container {definition.container} logs to no CloudWatch log group"
            )
        exists = self._session.has_log_group(definition.log_group)
        problem = "" if exists else f"log group {definition.log_group} is not there"
        return findings.report_problem("task-logs", problem, f"log group {definition.log_group} is there")

    def _check_task_secrets(self) -> findings.Finding:
        """Reads the secrets that the tasks will get; a warning for those that this machine may not read."""
        sources, refused, unread = self._definition().secret_sources, list[str](), list[str]()
        for name, source in sources:
            try:
                self._secret(source)()
            except aws.Absent as exc:
                refused.append(f"{name}: {exc}")
            except errors.Refused as exc:
                unread.append(f"{name}: {exc}")
            except errors.BurstError as exc:
                refused.append(f"{name}: {exc}")
        if refused:
            return findings.report_refusal("task-secrets", "; ".join(refused))
        names = ", ".join(name for name, _ in sources) or "none"
        return findings.report_problem(
            "task-secrets", "; ".join(unread), f"resolved, none to a placeholder: {names}", required=False
        )

    def _read_task_key(self) -> str | None:
        """The key the tasks will send with, from where they get it; where it may not be read, the plan's own reference.

        Raises `errors.Refused` where neither can be read.
        """
        source = dict(self._definition().secret_sources).get(load_program.API_KEY_VARIABLE)
        try:
            return self._secret(source)().reveal() if source else shared_answers.resolve_api_key(self._plan)
        except errors.Refused:
            if self._plan.load.api_key is None:
                raise
            return shared_answers.resolve_api_key(self._plan)

    # Layers and errands

    def _check_schedule(self) -> findings.Finding:
        reaper, problems = self._plan.reaper(self._caller().account), self._schedule_problems()
        description = f"group {reaper.group}, its role and {reaper.task_definition} are there"
        required = "schedule" in self._plan.layers.require
        return findings.report_problem("schedule-layer", "; ".join(problems), description, required=required)

    def _schedule_problems(self) -> Sequence[str]:
        reaper = self._plan.reaper(self._caller().account)
        return self._session.schedule_problems(reaper.group, reaper.role_arn, reaper.task_definition)

    def _check_sweeper(self) -> findings.Finding:
        client = self._session.client("scheduler")
        layer = scheduler.SweeperLayer(self._plan, clock=self._clock, client=client)
        return findings.report_pass("sweeper", layer.check())

    def _check_one_shots(self) -> findings.Finding:
        """Whether they can start, and end by themselves or by the schedule."""
        one_shots = self._adapters.one_shots(self._clock.now())
        problems, unguarded = list[str](), list[str]()
        for shot in load_program.one_shots(self._plan, (*self._plan.before, *self._plan.after)):
            try:
                definition = one_shots.definition(shot)
            except errors.UsageError as exc:
                problems.append(f"{shot.name}: {exc}")
                continue
            if definition.status != "ACTIVE":
                problems.append(f"{shot.name}: {definition.arn} is {definition.status}")
            elif not one_shots.ends_by_itself(shot):
                unguarded.append(shot.name)
        return judgements.judge_one_shots(problems, unguarded, self._schedule_problems() if unguarded else ())

    def _check_services(self) -> findings.Finding:
        """Whether they exist and no other run holds them: putting them back for it would scale them down in this
        burst."""
        drilled = [drill.restart.service for drill in self._plan.drills if drill.restart is not None]
        names = list(dict.fromkeys([*(service.name for service in self._plan.services), *drilled]))
        present = self._adapters.services().look(names)
        counts = {service.name: service.desired for service in present}
        desired = {name: counts.get(name, 0) for name in names}
        desired |= {each.name: each.desired for each in self._plan.services if each.desired is not None}
        changes = services.plan_changes(desired, present)
        holders = kept_services.find_holders(self._plan, present)
        if holders:
            runs = ", ".join(sorted(set(holders.values())))
            return findings.report_refusal(
                "services",
                f"{', '.join(holders)} scaled by {runs}, which has not put them back; "
                f"{run_commands.resume(runs, self._plan)}",
            )
        return findings.report_pass("services", ", ".join(f"{change.name} wants {change.before}" for change in changes))

    # Places of evidence

    def _check_places_free(self) -> findings.Finding:
        """Whether no other run's documents lie where this run's will."""
        folders = self._plan.folders(self._plan.execution_id)
        taken = [folder for folder in folders if self._opener.open(folder).names()]
        problem = f"documents of another run stand in {', '.join(taken)}" if taken else ""
        return findings.report_problem("evidence-place", problem, f"free: {', '.join(folders)}")

    def _check_write_once(self, place: str) -> findings.Finding:
        """Tries the conditions on which evidence rests, and where the lease will lie also those of the lease.

        The probes stay: a role that publishes evidence must not be able to delete it.
        """
        store = self._opener.open(f"{place}/preflight")
        name = f"{self._plan.execution_id}-{randomness.token_hex(4)}"
        creates = store.try_creates(f"{name}.json")
        if creates.problem:
            return write_conditions.judge_write_once(place, creates, None, "")
        swap = store.beneath(name).try_swap("control.json") if place in self._plan.evidence.control_places else None
        return write_conditions.judge_write_once(place, creates, swap, store.versioning())


def check_counter(plan: plans.Plan, session: account.AwsAccount, clock: ports.Clock) -> findings.Finding:
    """Whether the task that counts can start, and its answers be read, before it is started."""
    definition = receipt_sources.describe_definition(plan, clock, client=session.client("ecs"))
    problem = "" if definition.status == "ACTIVE" else f"{definition.arn} is {definition.status}"
    problem = problem or receipt_sources.find_problem(definition)
    if not problem and not session.has_log_group(str(definition.log_group)):
        problem = f"log group {definition.log_group} is not there: the task would not start"
    if problem:
        return findings.report_refusal("counter", problem)
    mode = definition.log_mode or "the default, which is non-blocking"
    blocking = definition.log_mode == "blocking"
    warning = "" if blocking else f"{definition.arn} logs with mode {mode}: lines of an answer may be lost"
    return findings.report_problem("counter", warning, f"{definition.arn} can answer", required=False)


def _failure(ask: Callable[[], object]) -> errors.BurstError | None:
    try:
        ask()
    except errors.BurstError as exc:
        return exc
    return None


def _check_reachable(reach: Callable[[], str]) -> findings.Finding:
    try:
        return findings.report_pass("host-reachable", reach())
    except errors.Unavailable as exc:
        return findings.report_warning("host-reachable", f"from here {exc}; whether the tasks reach it is not known")
