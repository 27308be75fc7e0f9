"""What is the same on every target: the program a task runs, the variables it is told, the lease it waits on."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.domain.plan import plans
from burst.domain.tasks import leases, tasks

USERS_PER_TASK = 32
API_KEY_VARIABLE = "IG_API_KEY"


def command(plan: plans.Plan, *, python: str, locustfile: Path | None = None) -> tuple[str, ...]:
    """The program of one task; `locustfile` is the file to run, where it is not the path in the plan.

    Locust's exit code and totals are never believed, so its failures do not become its exit code.
    """
    if plan.load.command is not None:
        return tuple(plan.load.command)
    locust = (python, "-m", "locust", "-f", str(locustfile or plan.load.locustfile), "--headless", "--only-summary")
    users = ("-u", str(USERS_PER_TASK), "-r", str(USERS_PER_TASK))
    return (*locust, *users, "--host", str(plan.load.host), "--stop-timeout", "1", "--exit-code-on-error", "0")


def variables(plan: plans.Plan) -> dict[str, str]:
    """What every task is told of the plan, for whoever wrote the profile."""
    load = plan.load
    given = {"BURST_SCOPE": plan.scope, "BURST_PROFILE": load.profile}
    if load.host is not None:
        given["BURST_HOST"] = load.host
    if isinstance(load.rate, float):
        given["BURST_RATE_PER_MINUTE"] = repr(load.rate)
    if load.source_events is not None:
        given["BURST_SOURCE_EVENTS"] = str(load.source_events)
    return given


def waits_for_go(plan: plans.Plan) -> bool:
    """Whether the program itself waits for GO; otherwise the guard starts it only then."""
    return plan.load.locustfile is not None or plan.load.waits_for_go


def hold(plan: plans.Plan, lease: ports.LeaseStore, deadline: datetime, clock: ports.Clock) -> str:
    """Writes the first control of the run, unless there is one already, and says how the lease holds."""
    if lease.read() is None:
        lease.create(
            leases.Lease(
                execution_id=str(plan.execution_id),
                state=leases.LeaseState.WAIT,
                deadline=deadline,
                beat=0,
                heartbeat_at=clock.now(),
            )
        )
    return f"tasks hold, and quit when it is {plan.layers.lease_ttl:g} s stale"


def one_shots(plan: plans.Plan, wanted: Sequence[plans.OneShotSection]) -> tuple[tasks.OneShot, ...]:
    """The plan's one-shots as they are started. They are told of the run what its tasks are told."""
    environment = tuple(variables(plan).items())
    return tuple(
        tasks.OneShot(
            name=shot.name,
            command=tuple(shot.command),
            timeout_seconds=shot.timeout,
            exit_code=shot.exit_code,
            environment=environment,
            task_definition=shot.task_definition,
            container=shot.container,
        )
        for shot in wanted
    )
