"""The program of a plan's tasks, the same on every target: its command, its variables, the one-shots beside it."""

from collections.abc import Sequence
from pathlib import Path

from burst.domain.plan import plans
from burst.domain.tasks import tasks

USERS_PER_TASK = 32
API_KEY_VARIABLE = "IG_API_KEY"
CONTROLLER_LAYER = "this process stops tasks one by one and watches them end"
"""How the controller's own layer holds, on every target."""


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
    """The plan in the environment of every task, for the load profile to read."""
    load = plan.load
    values = {"BURST_SCOPE": plan.scope, "BURST_PROFILE": load.profile}
    if load.host is not None:
        values["BURST_HOST"] = load.host
    if isinstance(load.rate, float):
        values["BURST_RATE_PER_MINUTE"] = repr(load.rate)
    if load.source_events is not None:
        values["BURST_SOURCE_EVENTS"] = str(load.source_events)
    return values


def waits_for_go(plan: plans.Plan) -> bool:
    """Whether the program itself waits for GO; otherwise the guard starts it only then."""
    return plan.load.locustfile is not None or plan.load.waits_for_go


def one_shots(plan: plans.Plan, sections: Sequence[plans.OneShotSection]) -> tuple[tasks.OneShot, ...]:
    """The plan's one-shots as they are started, with the variables of its tasks."""
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
        for shot in sections
    )
