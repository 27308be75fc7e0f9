"""The program of a plan's tasks, the same on every target: its command, its variables, the one-shots beside it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from burst.domain.plan import drill_sections, load_sections, plans, playback_sections, target_sections
from burst.domain.tasks import drills, tasks
from burst.load import kept_files, load_settings, rate_plans, shard_values, task_processes
from burst.load.playback import playback_settings

LOCUST = "burst.load.locust_start"
USERS_PER_TASK = 32
API_KEY_VARIABLE = "IG_API_KEY"
CONTROLLER_LAYER = "this process stops tasks one by one and watches them end"
"""How the controller's own layer holds, on every target."""


def command(plan: plans.Plan, *, python: str, locustfiles: Sequence[Path] = ()) -> tuple[str, ...]:
    """The program of one task; `locustfiles` are the files to run, where they are not the paths in the plan.

    Locust starts without the settings of its surroundings (`burst.load.locust_start`). Its exit code and totals are
    never believed, so its failures do not become its exit code.
    """
    load = plan.load
    if load.command is not None:
        return tuple(load.command)
    files = ",".join(map(str, locustfiles or load.locustfiles))
    # The names of users come where no option before them would take them for its own.
    start = (python, "-m", LOCUST, "-f", files, "--headless", "--only-summary", *(load.user_classes or ()))
    end = ("--stop-timeout", "1", "--exit-code-on-error", "0")
    has_own_hosts = shard_values.HOST in (load.per_shard or {})  # by a variable, which an option would outdo
    host = () if has_own_hosts else ("--host", str(load.host))
    return (*start, *_list_users(plan), *host, *end, *(load.arguments or ()), *_list_tags(load))


def _list_users(plan: plans.Plan) -> Iterator[str]:
    """How many users Locust starts, and how fast. A locustfile of the plan's own keeps its defaults."""
    load = plan.load
    users, spawn_rate = load.users, load.spawn_rate
    if load.runs_own_profile or load.runs_playback:
        # Its senders: it raises their number itself, up to the plan's, which is for a task. A master starts those of
        # all tasks.
        users = max(load.processes_per_task, min(USERS_PER_TASK, load.users or USERS_PER_TASK))
        users *= plan.target.tasks if load.is_distributed else 1
        spawn_rate = users if spawn_rate is None else spawn_rate
    if users is not None:
        yield from ("-u", str(users))
    if spawn_rate is not None:
        yield from ("-r", f"{spawn_rate:g}")


def _list_tags(load: load_sections.LoadSection) -> Iterator[str]:
    """The tags, last: Locust takes every word behind them for one."""
    if load.tags:
        yield from ("--tags", *load.tags)


def variables(plan: plans.Plan) -> dict[str, str]:
    """The plan in the environment of every task, for the load profile to read."""
    load = plan.load
    values = {"BURST_SCOPE": plan.scope, "BURST_PROFILE": "steady" if load.named_profile else load.profile}
    if load.host is not None:
        values["BURST_HOST"] = load.host
    steps = plan.rate_plan
    if steps is not None:
        values["BURST_RATE_PLAN"] = rate_plans.write_plan(steps)
    elif isinstance(load.rate, float):
        values["BURST_RATE_PER_MINUTE"] = repr(float(load.rate))
    values |= _list_event_variables(load)
    if load.source_events is not None:
        values["BURST_SOURCE_EVENTS"] = str(load.source_events)
    if load.arrivals is not None:
        values["BURST_ARRIVALS"] = load.arrivals
    if load.keep is not None:
        values[kept_files.KEEP] = ",".join(load.keep)
    if load.per_shard is not None:
        values[shard_values.PER_SHARD] = shard_values.write_values(load.per_shard)
    if load.playback is not None:
        values[playback_settings.PLAYBACK] = _write_playback(load.playback, continues=bool(load.continues))
    if load.users is not None or load.processes_per_task > 1:
        most_senders = load.users or int(load_settings.SETTINGS[load_settings.MOST_SENDERS][0] or 1)
        values[load_settings.MOST_SENDERS] = str(max(1, most_senders // load.processes_per_task))
    return values


def guard_variables(plan: plans.Plan) -> dict[str, str]:
    """What the guard of a burst task reads beside the variables of its program. A one-shot's guard may not: it would
    start as many."""
    values = {}
    if plan.load.processes_per_task > 1:
        values[task_processes.PROCESSES] = str(plan.load.processes_per_task)
    if plan.load.is_distributed:
        values[task_processes.TOPOLOGY] = task_processes.DISTRIBUTED
    return values


def _write_playback(playback: playback_sections.PlaybackSection, *, continues: bool) -> str:
    return playback_settings.write_settings(
        playback_settings.PlaybackSettings(
            source=playback.source,
            key=playback.key,
            at=playback.at,
            speed_up=playback.speed_up,
            template=playback.template or {},
            max_events=playback.max_events,
            checkpoint=playback.task_checkpoint,
            continues=continues,
        )
    )


def _list_event_variables(load: load_sections.LoadSection) -> dict[str, str]:
    """The variables that tell a profile its events and its route."""
    values = {"BURST_EVENTS": load.events.write()} if load.events is not None else {}
    optional = {"BURST_ROUTE": load.route, "BURST_KEY_HEADER": load.key_header}
    return values | {name: value for name, value in optional.items() if value is not None}


def one_shots(plan: plans.Plan, sections: Sequence[target_sections.OneShotSection]) -> tuple[tasks.OneShot, ...]:
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


def plan_shots(plan: plans.Plan, *, to_count: bool) -> drills.PlannedShots:
    """The plan's one-shots and drills. A run that is only stopped starts no one-shot after its tasks."""
    return drills.PlannedShots(
        before=one_shots(plan, plan.before),
        after=one_shots(plan, plan.after) if to_count else (),
        drills=plan_drills(plan),
    )


def plan_drills(plan: plans.Plan) -> tuple[drills.Drill, ...]:
    """The plan's drills as they are caused, their commands with the variables of its tasks."""
    environment = tuple(variables(plan).items())

    def make_shot(drill: drill_sections.DrillSection, name: str, command: list[str] | None) -> tasks.OneShot | None:
        if command is None:
            return None
        return tasks.OneShot(
            name=name,
            command=tuple(command),
            timeout_seconds=drill.timeout,
            exit_code=0 if name == drill.undo_name else drill.required_exit_code,
            environment=environment,
            task_definition=drill.task_definition,
            container=drill.container,
        )

    return tuple(
        drills.Drill(
            name=drill.name,
            at_seconds=drill.at,
            service=drill.restart.service if drill.restart else None,
            command=make_shot(drill, drill.name, drill.command),
            undo=make_shot(drill, drill.undo_name, drill.undo),
            sustained_seconds=drill.recovered_when.sustained,
        )
        for drill in plan.drills
    )
