"""Lifecycle: what a run should do next, decided from what its journal says and an instant.

`decide` turns a run, as `journals.fold` made it, and an instant into the next act, and does nothing itself. The
controller performs the act and journals it, which changes the run, and so on until Finish:

    Arm … ScaleUp, AwaitServices … one-shots before … Launch … (see `starts`) … Go … StrikeDrill … Wait
    Stop … Wait … StopEach … Wait … Stop by force … Wait … drills undone … one-shots after … ScaleBack … Measure …
    Publish … Finish

A resumed run never launches anything: a burst that is under way is continued, any other run is stopped and settled.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants, windows, wording
from burst.domain.documents import holding, task_results
from burst.domain.receipts import early_stops
from burst.domain.run import appearances, run_terms, runs, starts, task_result_builder
from burst.domain.tasks import drills, leases, one_shots, tasks, worst_ends

LAUNCH_ATTEMPTS = 4
LAUNCH_PAUSE_SECONDS = 1.0
"""The pause before the second attempt with the same capacity; each further one is twice as long."""
RESTORE_PAUSE_SECONDS = 2.0
"""The pause before services that could not be put back are tried again."""
AGAIN_SECONDS = 3.0
"""The pause before a call to stop that was not taken is made again, once tasks are killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Arm one layer of the hard stop."""

    layer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Launch these shards. `attempt` counts from 1; a later attempt asks only for the shards that are missing.

    `replaces` are the failed tasks in whose places they are launched, and `claimed` the shards that these had claimed.
    """

    shards: tuple[int, ...]
    attempt: int = 1
    capacity: str | None = None
    replaces: tuple[str, ...] = ()
    claimed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Open the start barrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again a little later. `due` says in words what is due at `until`, however the tasks stand then."""

    until: datetime | None
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End the run: STOP in the lease; or with `force` kill the tasks that still run."""

    reason: str
    force: bool = False
    early_stop: task_results.EarlyStop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopEach:
    """Stop each task that still runs by a call of its own: it does not obey the lease, or there is none to obey.

    With `force` once more by killing, because an earlier call was not taken.
    """

    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Count the attempt window and ask the facts; without a `window` do neither."""

    window: windows.Window | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Adjudicate, and write the documents, the snapshot last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Nothing is left to do."""

    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleUp:
    """Give each service the count that the burst needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitServices:
    """Look whether every service runs at its count, no longer than to `until`."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBack:
    """Put the services back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeDrill:
    """Cause the fault of a drill, or find out whether it was caused before; not `in_time`, only find out."""

    drill: drills.Drill
    in_time: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpDrill:
    """Cause the fault of a drill no more: the rest of the window is too short to show a recovery."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartShot:
    """Start a one-shot, or adopt the task that an unanswered start left."""

    shot: tasks.OneShot


@dataclass(frozen=True, slots=True, kw_only=True)
class FindShot:
    """Find out whether the start of a one-shot started anything."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopShot:
    """Stop a one-shot, or with `force` kill it."""

    name: str
    force: bool = False


Decision = (
    Arm | ScaleUp | AwaitServices | StrikeDrill | GiveUpDrill
    | StartShot | FindShot | StopShot | Launch | starts.Withdraw | starts.ReadClaims
    | starts.FreeShards | Go | Wait | Stop | StopEach | ScaleBack | Measure | Publish | Finish
)  # fmt: skip


def decide(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Decision:
    """The next act of a run."""
    if run.exit_code is not None:
        return Finish(exit_code=run.exit_code)
    if run.stopping is None:
        return _decide_stop(run, now, terms) or _decide_progress(run, now, terms)
    act = _decide_ending(run, run.stopping, now, terms)
    if act is None and not run.measured:
        act = _decide_errands(run, now, terms)
        if act is None:
            return Measure(window=None if _in_a_hurry(run) else run.attempt_window)
    return act or Publish()


def _in_a_hurry(run: runs.Run) -> bool:
    """Whether a person asked twice for the end: then nothing is waited for that can be left to others."""
    return len(run.interruptions) > 1


def _decide_progress(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Decision:
    """The next act of a run that is not stopping: arm, prepare, launch, GO, wait for the window's end."""
    for layer in terms.layers:
        if layer not in run.layers:
            return Arm(layer=layer)
    if run.launching_at is None:
        shards, capacity = tuple(range(terms.tasks)), terms.capacity[0] if terms.capacity else None
        return _decide_preparation(run, now, terms) or Launch(shards=shards, capacity=capacity)
    if run.go_at is not None:
        return _decide_drills(run, run.go_at, now, terms)
    again = _decide_relaunch(run, now, terms)
    if again is not None:
        return again
    due_at = instants.later(run.launching_at, terms.start_timeout_seconds)
    return _decide_start(run, now, terms) or Wait(until=due_at, due="giving up on tasks that do not start")


def _decide_drills(run: runs.Run, go_at: datetime, now: datetime, terms: run_terms.RunTerms) -> Decision:
    """The next act of a burst: the fault of a drill that is due, a step of its command, or the wait for the next."""
    ends_at = instants.later(go_at, terms.window_seconds)
    wait = Wait(until=ends_at, due="window complete")
    for drill in terms.planned_drills:
        act = drills.decide_strike(drill, run.strikes.get(drill.name), go_at, ends_at, now)
        match act:
            case drills.DrillAct(next=drills.DrillActKind.STRIKE, in_time=in_time):
                return StrikeDrill(drill=drill, in_time=in_time)
            case drills.DrillAct(next=drills.DrillActKind.GIVE_UP):
                return GiveUpDrill(name=drill.name)
            case drills.DrillAct(until=datetime() as due_at) if wait.until is None or due_at < wait.until:
                wait = Wait(until=due_at, due=f"drill {drill.name}")
        shot_act = _decide_drill_command(run, drill, now, terms)
        if shot_act is not None and not isinstance(shot_act, Wait):
            return shot_act
    return wait


def _decide_drill_command(
    run: runs.Run, drill: drills.Drill, now: datetime, terms: run_terms.RunTerms
) -> Decision | None:
    """The next step of a drill's command once it was begun; None where there is none, or nothing is due."""
    shot = drill.command
    if shot is None or not drills.was_caused(run.strikes.get(drill.name)):
        return None
    act = one_shots.run_act(run.shots.get(shot.name), now, terms.shot_patience)
    return None if act is None else _shot_decision(shot.name, act, shot)


def _decide_undo(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Decision | None:
    """The next step towards taking back every fault that may have been caused; None once all was tried. One that
    cannot be taken back holds up no other."""
    for drill in terms.planned_drills:
        if drill.undo is None or not drills.was_caused(run.strikes.get(drill.name)):
            continue
        act = one_shots.run_act(run.shots.get(drill.undo.name), now, terms.shot_patience)
        if act is not None:
            return _shot_decision(drill.undo.name, act, drill.undo)
    return None


def _decide_start(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Decision | None:
    """The next act between launch and GO; None where the run waits for its tasks."""
    times = _start_times(run, terms)
    act = starts.decide_start(run, now, terms.start, times) if times else None
    match act:
        case starts.Begin():
            return Go()
        case starts.Replace():
            return _decide_replacement(run, act, now)
        case _:
            return act


def _decide_replacement(run: runs.Run, act: starts.Replace, now: datetime) -> Launch | Wait:
    """The launch of replacements, a pause after another one that the launcher did not start whole."""
    last = run.attempts[-1] if run.attempts else None
    if last is not None and last.failures:
        due_at = instants.later(last.at, LAUNCH_PAUSE_SECONDS)
        if now < due_at:
            return Wait(until=due_at, due="the next launch")
    return Launch(
        shards=act.shards,
        attempt=len(run.attempts) + 1,
        capacity=last.capacity if last else None,
        replaces=act.replaces,
        claimed=act.claimed,
    )


def _start_times(run: runs.Run, terms: run_terms.RunTerms) -> starts.StartTimes | None:
    """When the start of a run's tasks began, and when it ends; None before the launch."""
    if run.launching_at is None or run.deadline is None:
        return None
    times_out_at = instants.later(run.launching_at, terms.start_timeout_seconds)
    last_go_at = instants.later(run.deadline, -terms.window_seconds)
    return starts.StartTimes(begun_at=run.launching_at, ends_at=min(times_out_at, last_go_at))


def _decide_preparation(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Decision | None:
    """The next act before the launch: services up, then the one-shots; None once all is prepared."""
    if terms.scales and run.scaling is None:
        return ScaleUp()
    if run.scaling is not None and not run.scaling.up:
        return AwaitServices(until=instants.later(run.scaling.at, terms.start_timeout_seconds))
    return _decide_shots(run, terms.before, now, terms)


def _decide_shots(run: runs.Run, shots: run_terms.Shots, now: datetime, terms: run_terms.RunTerms) -> Decision | None:
    """The next act of one-shots that run in order; None once all are over, or one of them failed."""
    for shot in shots:
        act = one_shots.run_act(run.shots.get(shot.name), now, terms.shot_patience)
        if act is not None:
            return _shot_decision(shot.name, act, shot)
        if one_shots.problem(run.shots.get(shot.name), shot.exit_code):
            return None
    return None


def _shot_decision(name: str, act: one_shots.Act, shot: tasks.OneShot | None = None) -> Decision:
    match act.next:
        case one_shots.Next.START if shot is not None:
            return StartShot(shot=shot)
        case one_shots.Next.STOP | one_shots.Next.FORCE:
            return StopShot(name=name, force=act.next is one_shots.Next.FORCE)
        case one_shots.Next.WAIT:
            return Wait(until=act.until, due=f"{name} to end")
        case _:
            return FindShot(name=name)


def _decide_relaunch(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Launch | Wait | None:
    """The next attempt at the shards that the last launch did not start; None where no attempt would help.

    Where capacity is short, the next provider is tried at once. Where there is no other provider, or the trouble may
    pass, the same one is tried after a pause, a few times in all.
    """
    last = run.attempts[-1] if run.attempts else None
    missing = _missing_shards(run, terms)
    if last is None or not last.failures or not missing or run.resumed_at is not None:
        return None
    shortages = {failure.shortage for failure in last.failures}
    if not shortages <= {tasks.Shortage.CAPACITY, tasks.Shortage.PASSING}:
        return None
    untried = terms.capacity[terms.capacity.index(last.capacity) + 1 :] if last.capacity in terms.capacity else ()
    if tasks.Shortage.CAPACITY in shortages and untried:
        return Launch(shards=missing, attempt=len(run.attempts) + 1, capacity=untried[0])
    if len(run.attempts) >= max(LAUNCH_ATTEMPTS, len(terms.capacity) + 1):
        return None
    due_at = instants.later(last.at, LAUNCH_PAUSE_SECONDS * 2 ** (len(run.attempts) - 1))
    if now < due_at:
        return Wait(until=due_at, due="the next launch")
    return Launch(shards=missing, attempt=len(run.attempts) + 1, capacity=last.capacity)


def _missing_shards(run: runs.Run, terms: run_terms.RunTerms) -> tuple[int, ...]:
    """The shards for which no task was ever started. Failed tasks are replaced, and not launched again."""
    launched = {truth.task.shard_index for truth in run.truths.values()}
    return tuple(shard for shard in range(terms.tasks) if shard not in launched)


# Why a run stops


def _decide_stop(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Stop | None:
    reason = _stop_reason(run, now, terms)
    if reason is not None:
        return Stop(reason=reason)
    early_stop = _early_stop(run, now, terms)
    return Stop(reason="early-stop", early_stop=early_stop) if early_stop else None


def _stop_reason(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> str | None:
    """Why the run must end now, the first reason that holds; None: it goes on."""
    if run.interruptions:
        return "interrupted"
    if run.halt is not None:
        return task_results.HALTED
    if run.stop_sign is not None:
        return task_results.ALARM
    if run.operator_stop is not None:
        return "operator"
    if _ended_before_due(run, terms):
        return task_results.TASKS_ENDED
    if run.deadline is None or now >= run.deadline:
        return "deadline"
    if run.resumed_at is not None and None in (run.launching_at, run.go_at):
        return "resumed-before-go"
    failed = [layer for layer, state in run.layers.items() if state != "armed" and layer in terms.required_layers]
    if failed:
        return f"layer-not-armed: {', '.join(failed)}"
    reason = _errand_stop_reason(run, now, terms)
    if reason is not None:
        return reason
    if run.launch_failed is not None:
        return "launch-failed"
    if run.launching_at is not None:
        return _task_stop_reason(run, run.launching_at, now, run.deadline, terms)
    return "no-time-left-for-the-window" if instants.later(now, terms.window_seconds) >= run.deadline else None


def _errand_stop_reason(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> str | None:
    """Why the errands before the launch failed; None while they may still succeed."""
    if run.scaling_failed is not None:
        return f"services-not-up: {run.scaling_failed}"
    scaling = run.scaling if run.launching_at is None else None
    if scaling and not scaling.up and now >= instants.later(scaling.at, terms.start_timeout_seconds):
        return f"services-not-up: not all of them run after {terms.start_timeout_seconds:g} s"
    for one_shot in terms.before:
        shot = run.shots.get(one_shot.name)
        over = shot is not None and one_shots.run_act(shot, now, terms.shot_patience) is None
        problem = one_shots.problem(shot, one_shot.exit_code) if over else None
        if problem is not None:
            return f"before-failed: {one_shot.name}: {problem}"
    return None


def _task_stop_reason(
    run: runs.Run, launching_at: datetime, now: datetime, deadline: datetime, terms: run_terms.RunTerms
) -> str | None:
    """Why a run whose launch began must end now: its window is complete, or its tasks cannot fill one."""
    if run.go_at is not None:
        if now >= instants.later(run.go_at, terms.window_seconds):
            return "window-complete"
        return None if run.carriers else task_results.TASKS_ENDED
    times = _start_times(run, terms)
    prospects = starts.count_prospects(run, now, terms.start, times) if times else 0
    short = len(run.carriers) + prospects < terms.least_tasks and _decide_relaunch(run, now, terms) is None
    failures = run.attempts[-1].failures if run.attempts else None
    if short and failures:
        return f"too-few-tasks: {failures[0].reason}"
    if short and run.withdrawn and not run.unaccounted:
        return "not-ready-in-time"
    if short and run.has_ended_task and not run.unaccounted:
        return "task-ended-before-go"
    if now >= instants.later(launching_at, terms.start_timeout_seconds):
        needed = max(terms.least_tasks, len(run.carriers))
        waited_for_series = run.silent_series and starts.count_ready(run, terms.start) >= needed
        return f"series-silent: {', '.join(run.silent_series)}" if waited_for_series else "not-ready-in-time"
    if instants.later(now, terms.window_seconds) >= deadline:
        return "no-time-left-for-the-window"
    return None


def _early_stop(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> task_results.EarlyStop | None:
    """The rule by which no continuation of the burst can pass; None while one can, and where early stop is off."""
    if not (terms.early_stop and run.early_stop_allowed) or run.go_at is None:
        return None
    elapsed = instants.seconds_between(run.go_at, now)
    # A generator that withholds comes first: nothing else can be told of the system under load then.
    hopeless = _find_withheld(run, terms) or early_stops.find_reason_to_stop(run.polls, elapsed, terms.sequential)
    holdable = _count_holdable(run, now, terms)
    if hopeless is None and holdable < terms.least_tasks:
        tasks_left = wording.format_count(holdable, "task")
        hopeless = early_stops.Hopeless(
            rule=task_results.TASK_LOST, detail=f"{tasks_left} left, {terms.least_tasks} needed"
        )
    if hopeless is None:
        return None
    return task_results.EarlyStop(
        rule=hopeless.rule,
        at_utc=now,
        receipts_seen=run.counts.total,
        seconds_saved=round(max(0.0, terms.window_seconds - elapsed), 3),
        detail=hopeless.detail,
    )


def _find_withheld(run: runs.Run, terms: run_terms.RunTerms) -> early_stops.Hopeless | None:
    """Whether the load accounts of all tasks say that too much was not sent in time."""
    load, tasks_needed = run.load, terms.tasks if run.go_tasks is None else run.go_tasks
    if load is None or load.tasks < tasks_needed:
        return None
    return early_stops.find_withheld(load.due, load.in_time, terms.sequential)


def _count_holdable(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> int:
    """How many tasks the gate may still count as held: those that live, and those that held though they ended.

    It is the gate's own question, asked as if the run were to be stopped now because of its tasks: no later stop that
    can pass would be kinder to a task that has ended.
    """
    course = holding.BurstCourse(began_at=run.go_at, asked_at=now, ended_by_tasks=True, deadline=run.deadline)
    entries = [task_result_builder.task_entry(run, truth) for truth in run.truths.values()]
    judged = holding.judge_tasks([task for task in entries if not task.dropped], course, terms.holding)
    alive = {truth.task.task_id for truth in run.carriers}
    return sum(ending.task.id in alive or (ending.held and ending.task.stopped_utc is not None) for ending in judged)


def _ended_before_due(run: runs.Run, terms: run_terms.RunTerms) -> bool:
    """Whether the tasks of a burst had all ended before its window was complete and before its deadline.

    A controller that comes back late learns so at its first look. That is why the burst ended then, and not the instant
    that has passed since.
    """
    stops = [truth.stopped_at for truth in run.truths.values() if truth.stopped_at is not None]
    if run.go_at is None or not run.ended or not stops:
        return False
    due_at = instants.later(run.go_at, terms.window_seconds)
    return max(stops) < (due_at if run.deadline is None else min(due_at, run.deadline))


# How a run ends


def _decide_ending(run: runs.Run, stopping: runs.Stopping, now: datetime, terms: run_terms.RunTerms) -> Decision | None:
    """The next act about tasks that still run; None once they are gone, or were given up."""
    if run.ended:
        return None
    if stopping.forced_at is None:
        return _decide_round(run, stopping, now, terms)
    return _decide_after_force(run, stopping, stopping.forced_at, now, terms)


def _decide_round(run: runs.Run, stopping: runs.Stopping, now: datetime, terms: run_terms.RunTerms) -> Decision:
    """The next round of a stop: tasks obey the lease, then each is stopped by a call, then killed."""
    force_at = instants.later(stopping.at, terms.grace_seconds + worst_ends.FORCE_AFTER_GRACE_SECONDS)
    if now >= force_at or _in_a_hurry(run):
        return Stop(reason=stopping.reason, force=True)
    if stopping.each_at is not None:
        return Wait(until=force_at, due="killing tasks that do not stop")
    obeyed_at = instants.later(stopping.at, terms.grace_seconds * leases.OBEYING_SHARE if run.obeys_lease else 0.0)
    return StopEach() if now >= obeyed_at else Wait(until=obeyed_at, due="stopping tasks that do not obey the lease")


def _decide_after_force(
    run: runs.Run, stopping: runs.Stopping, forced_at: datetime, now: datetime, terms: run_terms.RunTerms
) -> Decision | None:
    """The next act about tasks that were to be killed; None once they are given up."""
    # By then the layers of the tasks themselves must have ended them: sight that comes and goes proves nothing more.
    layers_done_at = instants.later(run.deadline or stopping.at, terms.grace_seconds + terms.give_up_seconds)
    found_late = run.found_at is not None and run.found_at > forced_at
    if found_late or (run.sight_regained_since(forced_at) and now < layers_done_at):
        return Stop(reason=stopping.reason, force=True)
    give_up_at, due = instants.later(forced_at, terms.give_up_seconds), "giving up on tasks that do not die"
    if run.blind_since is not None and not _in_a_hurry(run):
        give_up_at = max(give_up_at, layers_done_at)
    if run.unaccounted and not _in_a_hurry(run):
        give_up_at = max(give_up_at, appearances.appear_by(run, terms.appears_seconds))
        due = "giving up on tasks that an unanswered launch may have started"
    if now >= give_up_at:
        return None
    if stopping.unsent.intersection(truth.task.task_id for truth in run.alive):
        again_at = instants.later(max(forced_at, stopping.each_at or forced_at), AGAIN_SECONDS)
        if now >= again_at:
            return StopEach(force=True)
        give_up_at, due = min((give_up_at, due), (again_at, "sending stops again that were not taken"))
    return Wait(until=give_up_at, due=due)


def _decide_errands(run: runs.Run, now: datetime, terms: run_terms.RunTerms) -> Decision | None:
    """The next errand once the tasks are gone, or were given up: drills are undone, then one-shots, then services; None
    once all are over.

    Services stay up for the one-shots after the burst, which may have to wait until the services have caught up.
    A fault is taken back whatever hurry a person is in: nobody else does it.
    """
    after, undoing = (
        {shot.name for shot in terms.after},
        {drill.undo.name for drill in terms.planned_drills if drill.undo},
    )
    for name, shot in run.shots.items():
        to_be_ended = name not in undoing and (_in_a_hurry(run) or name not in after)
        act = one_shots.end_act(shot, now, terms.shot_patience) if to_be_ended else None
        if act is not None:
            return _shot_decision(name, act)
    undo = _decide_undo(run, now, terms)
    if undo is not None:
        return undo
    if run.go_at is not None and run.ended and not _in_a_hurry(run):
        decision = _decide_shots(run, terms.after, now, terms)
        if decision is not None:
            return decision
    return _decide_restoring(run.scaling, now, terms, patient=not _in_a_hurry(run))


def _decide_restoring(
    scaling: runs.Scaling | None, now: datetime, terms: run_terms.RunTerms, *, patient: bool
) -> ScaleBack | Wait | None:
    """The next try to put services back; None once they are back, or were given up. Not `patient`: one try only."""
    if scaling is None or scaling.settled:
        return None
    if not scaling.tries:
        return ScaleBack()
    due_at = instants.later(scaling.tries[-1], RESTORE_PAUSE_SECONDS)
    if not patient or due_at >= instants.later(scaling.tries[0], terms.give_up_seconds):
        return None
    return ScaleBack() if now >= due_at else Wait(until=due_at, due="services to be put back")
