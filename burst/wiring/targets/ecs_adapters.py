"""The adapters of one ECS plan: its task definition, launcher, one-shots and services."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from burst import ports
from burst.adapters.aws import ecs_services, ecs_tasks, s3_leases
from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.tasks import ecs_definitions, ecs_requests
from burst.kit import aws
from burst.load import load_settings
from burst.load.playback import playback_settings
from burst.wiring.targets import ecs_places, load_program

_SECRET_SCHEMES = ("env:", "file:", "ssm:", "secretsmanager:")


class EcsAdapters:
    """Makes the adapters of one plan, each when it is needed, because making a client may take its time.

    `client` gives the client of an AWS service: preflight shares one client a service.
    """

    def __init__(self, plan: plans.Plan, clock: ports.Clock, client: Callable[[str], Any] = aws.client) -> None:
        self._plan = plan
        self._clock = clock
        self._client = client

    def describe_definition(self) -> ecs_definitions.Definition:
        """The plan's pinned task definition. Asks ECS."""
        target = self._plan.target
        cluster_tasks = ecs_tasks.EcsTasks(str(target.cluster), clock=self._clock, client=self._client("ecs"))
        return cluster_tasks.describe_definition(str(target.task_definition), container=target.container)

    def launcher(self, deadline: datetime) -> ecs_tasks.EcsLauncher:
        """The launcher of one run."""
        records = s3_leases.S3GuardRecords(ecs_places.lease_store(self._plan).records_uri).read
        run, client = self._run_context(deadline), self._client("ecs")
        return ecs_tasks.EcsLauncher(self._plan.target, run=run, clock=self._clock, records=records, client=client)

    def one_shots(self, deadline: datetime, *, arm: ecs_tasks.Arm | None = None) -> ecs_tasks.EcsOneShots:
        """The one-shot tasks of one run; `arm` arms the schedule that ends one at its own deadline."""
        return ecs_tasks.EcsOneShots(
            self._plan.target,
            run=self._run_context(deadline),
            grace_seconds=self._plan.budget.stop_grace,
            clock=self._clock,
            arm=arm,
            client=self._client("ecs"),
        )

    def services(self) -> ecs_services.EcsServices:
        """The services of the plan's cluster."""
        return ecs_services.EcsServices(str(self._plan.target.cluster), clock=self._clock, client=self._client("ecs"))

    def _run_context(self, deadline: datetime) -> ecs_requests.RunContext:
        lease = ecs_places.lease_store(self._plan)
        return ecs_requests.RunContext(
            execution_id=str(self._plan.execution_id),
            phase=self._plan.phase,
            deadline=deadline,
            control_uri=lease.uri,
            record_uri=lease.records_uri,
            secrets=frozenset(list_secret_variables(self._plan)),
        )


def task_environment(plan: plans.Plan) -> dict[str, str]:
    """The plan's part of every task's environment. Secrets come from the task definition, never from here.

    Raises `errors.UsageError` for a reference to a secret: every role that may describe tasks can read overrides.
    """
    environment = load_program.variables(plan)
    for name, value in plan.load.environment.items():
        if value.startswith(_SECRET_SCHEMES):
            raise errors.UsageError(f"load.environment.{name}: give it to the secrets of the task definition")
        environment[name] = value
    return environment


def list_secret_variables(plan: plans.Plan) -> list[str]:
    """The variables that the task definition has to hold as secrets."""
    checkpoint = plan.load.playback.checkpoint_variable if plan.load.playback else None
    return [name for name in (load_program.API_KEY_VARIABLE if plan.load.api_key else None, checkpoint) if name]


def _changes_load(name: str) -> bool:
    """Whether a variable is a setting of Locust or of burst's load programs."""
    own = (load_settings.HOST, playback_settings.PLAYBACK)
    return name.startswith("LOCUST_") or name in load_settings.SETTINGS or name in own


def describe_program(plan: plans.Plan, definition: ecs_definitions.Definition) -> str:
    """What the tasks will run. Raises `errors.Refused` where the task definition cannot run it."""
    for name in list_secret_variables(plan):
        if name not in definition.secrets:
            raise errors.Refused(f"container {definition.container} of {definition.arn} has no secret {name}")
    if plan.load.needs_guard and not definition.guarded:
        raise errors.Refused(
            f"container {definition.container} of {definition.arn} does not start burst's guard, and only that starts "
            "the processes of load.processes and load.topology; take them out of the plan, or let the entry point be "
            "burst guard --"
        )
    by_plan = task_environment(plan)
    variables = definition.variables | definition.secrets
    foreign = sorted(name for name in variables if _changes_load(name) and name not in by_plan)
    if foreign:
        raise errors.Refused(
            f"{definition.arn} sets {', '.join(foreign)}, which would change the load beside the plan; "
            "take it out of the task definition, or say it in the plan"
        )
    return f"{definition.arn}, {'under guard' if definition.guarded else 'without our guard'}"
