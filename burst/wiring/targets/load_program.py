"""The program of a plan's tasks, the same on every target: its command, its variables, the one-shots beside it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from burst.domain.plan import plans
from burst.domain.tasks import tasks

LOCUST = "burst.load.locust_start"
USERS_PER_TASK = 32
API_KEY_VARIABLE = "IG_API_KEY"
CONTROLLER_LAYER = "this process stops tasks one by one and watches them end"
"""How the controller's own layer holds, on every target."""


def command(plan: plans.Plan, *, python: str, locustfile: Path | None = None) -> tuple[str, ...]:
    """The program of one task; `locustfile` is the file to run, where it is not the path in the plan.

    Locust starts without the settings of its surroundings (`burst.load.locust_start`). Its exit code and totals are
    never believed, so its failures do not become its exit code.
    """
    load = plan.load
    if load.command is not None:
        return tuple(load.command)
    start = (python, "-m", LOCUST, "-f", str(locustfile or load.locustfile), "--headless", "--only-summary")
    end = ("--stop-timeout", "1", "--exit-code-on-error", "0")
    return (*start, *_list_users(load), "--host", str(load.host), *end, *(load.arguments or ()), *_list_tags(load))


def _list_users(load: plans.LoadSection) -> Iterator[str]:
    """How many users Locust starts, and how fast. A locustfile of the plan's own keeps its defaults."""
    users = USERS_PER_TASK if load.runs_own_profile and load.users is None else load.users
    spawn_rate = users if load.runs_own_profile and load.spawn_rate is None else load.spawn_rate
    if users is not None:
        yield from ("-u", str(users))
    if spawn_rate is not None:
        yield from ("-r", f"{spawn_rate:g}")


def _list_tags(load: plans.LoadSection) -> Iterator[str]:
    """The tags, last: Locust takes every word behind them for one."""
    if load.tags:
        yield from ("--tags", *load.tags)


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
