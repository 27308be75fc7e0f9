"""Lifecycle: what a run should do next, decided from what its journal says and an instant.

`decide` turns a run, as `journal.fold` made it, and an instant into the next act, and does nothing itself. The
controller performs the act and journals it, which changes the run, and so on until Finish.

A resumed run never launches anything: it is continued when the burst is under way, and settled when it is not.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants, windows, wording
from burst.domain.documents import task_results
from burst.domain.plan import plans
from burst.domain.receipts import early_stops
from burst.domain.run import runs
from burst.domain.tasks import one_shots, tasks

FORCE_AFTER_GRACE_SECONDS = 0.5
"""How long after the grace the controller waits for the guard's own KILL before it kills itself."""
LAUNCH_ATTEMPTS = 4
LAUNCH_PAUSE_SECONDS = 1.0
"""The pause before the second attempt with the same capacity; each further one is twice as long."""
RESTORE_PAUSE_SECONDS = 2.0
"""The pause before services that could not be put back are tried again."""
GIVE_UP_AFTER_FORCE_SECONDS = 10.0
"""How long after a KILL a task may still be seen before its stop is called not proven."""

Shots = tuple[tasks.OneShot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """What the plan says about the run's course. Durations in seconds."""

    tasks: int
    least_tasks: int
    layers: tuple[str, ...]
    """Layers to arm before launch, in order."""
    required_layers: frozenset[str]
    cap_seconds: float
    window_seconds: float
    start_timeout_seconds: float
    grace_seconds: float
    early_stop: bool
    sequential: early_stops.EarlyStopTerms
    capacity: tuple[str, ...] = ()
    """Capacity providers in the order they are tried; none: the target's own default."""
    barrier: bool = True
    """Whether tasks wait for GO. Without a barrier the attempt starts with the first task."""
    claims: bool = False
    """Whether tasks claim their shards themselves, so that only how many are ready can be told beforehand."""
    give_up_seconds: float = GIVE_UP_AFTER_FORCE_SECONDS
    """How long after the last thing that can be done a task may take to be seen stopped."""
    before: Shots = ()
    """One-shots to run in order before the launch."""
    after: Shots = ()
    """One-shots to run in order once every task was seen to stop."""
    scales: bool = False
    """Whether services are scaled for the burst."""
    appears_seconds: float = 0.0
    """How long a task may be missing from what is found after it was started."""

    @property
    def shot_patience(self) -> one_shots.Patience:
        """How long the end of a one-shot may take."""
        return one_shots.Patience(
            grace_seconds=self.grace_seconds,
            give_up_seconds=self.give_up_seconds,
            appears_seconds=self.appears_seconds,
        )


def terms(
    plan: plans.Plan,
    *,
    layers: tuple[str, ...],
    required_admits_per_second: float | None,
    early_stop: bool,
    barrier: bool = True,
    claims: bool = False,
    give_up_seconds: float = GIVE_UP_AFTER_FORCE_SECONDS,
    before: Shots = (),
    after: Shots = (),
    appears_seconds: float = 0.0,
) -> RunTerms:
    """The terms of a resolved plan; `layers` are those the target can arm, the one-shots as they are to be started."""
    rate = plan.load.rate
    return RunTerms(
        tasks=plan.target.tasks,
        least_tasks=plan.target.least_tasks,
        layers=layers,
        required_layers=frozenset(plan.layers.require),
        cap_seconds=plan.budget.cap_seconds,
        window_seconds=plan.budget.window_seconds,
        start_timeout_seconds=plan.budget.start_timeout,
        grace_seconds=plan.budget.stop_grace,
        early_stop=early_stop,
        sequential=early_stops.EarlyStopTerms(
            admit_ratio=plan.gates.admit_ratio,
            window_seconds=plan.budget.window_seconds,
            min_window_seconds=plan.budget.min_window,
            required_admits_per_second=required_admits_per_second,
            offered_per_second=rate / 60 if isinstance(rate, float) and plan.load.locustfile else None,
            source_events=plan.load.source_events,
            no_receipts_seconds=plan.budget.start_timeout,
            tail_seconds=plan.budget.stop_grace,
        ),
        capacity=tuple(plan.target.capacity or ()),
        barrier=barrier,
        claims=claims,
        give_up_seconds=give_up_seconds,
        before=before,
        after=after,
        scales=bool(plan.services),
        appears_seconds=appears_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Arm one layer of the hard stop."""

    layer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Launch these shards; `attempt` counts from 1, a later one asks only for what is missing."""

    shards: tuple[int, ...]
    attempt: int = 1
    capacity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Open the start barrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again a little later; `until` is the next instant at which something is due anyway."""

    until: datetime | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stop every task, or with `force` kill what is left."""

    reason: str
    force: bool = False
    early_stop: task_results.EarlyStop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Count the attempt window and ask the facts. `window` None: there is nothing to count."""

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
    """Give the services the counts the burst needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitServices:
    """Look whether they have them, until `until`."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBack:
    """Put the services back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartShot:
    """Start a one-shot, or adopt it where it was started before."""

    shot: tasks.OneShot


@dataclass(frozen=True, slots=True, kw_only=True)
class FindShot:
    """Tell whether a one-shot that was asked for was started."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopShot:
    """Stop a one-shot, or with `force` kill it."""

    name: str
    force: bool = False


Decision = (
    Arm | ScaleUp | AwaitServices | StartShot | FindShot | StopShot | Launch | Go | Wait | Stop | ScaleBack | Measure
    | Publish | Finish
)  # fmt: skip


def decide(run: runs.Run, now: datetime, terms: RunTerms) -> Decision:
    """The next act of a run."""
    if run.exit_code is not None:
        return Finish(exit_code=run.exit_code)
    if run.stopping is None:
        return _stop(run, now, terms) or _advance(run, now, terms)
    unproven = _end_tasks(run, run.stopping, now, terms)
    if unproven is not None:
        return unproven
    if not run.measured:
        unsettled = _settle(run, now, terms)
        if unsettled is not None:
            return unsettled
        return Measure(window=None if len(run.interruptions) > 1 else run.attempt_window)
    return Publish()


def _advance(run: runs.Run, now: datetime, terms: RunTerms) -> Decision:
    for layer in terms.layers:
        if layer not in run.layers:
            return Arm(layer=layer)
    if run.launching_at is None:
        prepared = _prepare(run, now, terms)
        if prepared is not None:
            return prepared
        return Launch(shards=tuple(range(terms.tasks)), capacity=terms.capacity[0] if terms.capacity else None)
    if run.go_at is None:
        again = _launch_again(run, now, terms)
        if again is not None:
            return again
        if _all_ready(run, terms):
            return Go()
        due_at = instants.later(run.launching_at, terms.start_timeout_seconds)
        return Wait(until=due_at, what="giving up on tasks that do not start")
    return Wait(until=instants.later(run.go_at, terms.window_seconds), what="window complete")


def _prepare(run: runs.Run, now: datetime, terms: RunTerms) -> Decision | None:
    """What is still to be done before the launch; None when all of it is."""
    if terms.scales and run.scaling is None:
        return ScaleUp()
    if run.scaling is not None and not run.scaling.up:
        return AwaitServices(until=instants.later(run.scaling.at, terms.start_timeout_seconds))
    return _run_shots(run, terms.before, now, terms)


def _run_shots(run: runs.Run, shots: Shots, now: datetime, terms: RunTerms) -> Decision | None:
    """The next act of one-shots that run in order; None when all are over, or one did not do what it was for."""
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
            return Wait(until=act.until, what=f"{name} to end")
        case _:
            return FindShot(name=name)


def _settle(run: runs.Run, now: datetime, terms: RunTerms) -> Decision | None:
    """What is still to be done once every task has stopped, or all was tried: one-shots, then services.

    Services stay up for what runs after the burst: it may have to wait until they have caught up.
    """
    after = {shot.name for shot in terms.after}
    cut_short = len(run.interruptions) > 1
    for name, seen in run.shots.items():
        act = one_shots.end_act(seen, now, terms.shot_patience) if cut_short or name not in after else None
        if act is not None:
            return _shot_decision(name, act)
    if run.go_at is not None and run.ended and not cut_short:
        following = _run_shots(run, terms.after, now, terms)
        if following is not None:
            return following
    return _put_back(run.scaling, now, terms, patient=not cut_short)


def _put_back(scaling: runs.Scaling | None, now: datetime, terms: RunTerms, *, patient: bool) -> Decision | None:
    if scaling is None or scaling.settled:
        return None
    if not scaling.tries:
        return ScaleBack()
    due_at = instants.later(scaling.tries[-1], RESTORE_PAUSE_SECONDS)
    if not patient or due_at >= instants.later(scaling.tries[0], terms.give_up_seconds):
        return None
    return ScaleBack() if now >= due_at else Wait(until=due_at, what="services to be put back")


def _all_ready(run: runs.Run, terms: RunTerms) -> bool:
    if not terms.barrier:
        return len(run.alive) >= terms.least_tasks and all(truth.started_at for truth in run.alive)
    shards = {truth.task.shard_index for truth in run.truths.values()}
    ready = len(run.ready) >= len(run.truths) if terms.claims else shards <= run.ready
    return len(shards) >= terms.least_tasks and ready


def _launch_again(run: runs.Run, now: datetime, terms: RunTerms) -> Launch | Wait | None:
    """The next attempt at what the last one did not start; None when there is nothing to try.

    Where capacity is short the next provider is asked at once; where there is no other, or the trouble may pass, the
    same one after a pause, a few times in all.
    """
    last = run.attempts[-1] if run.attempts else None
    missing = _missing_shards(run, terms)
    if last is None or not last.failures or not missing or run.resumed_at is not None:
        return None
    shortages = {failure.shortage for failure in last.failures}
    if not shortages <= {tasks.Shortage.CAPACITY, tasks.Shortage.PASSING}:
        return None
    later = terms.capacity[terms.capacity.index(last.capacity) + 1 :] if last.capacity in terms.capacity else ()
    if tasks.Shortage.CAPACITY in shortages and later:
        return Launch(shards=missing, attempt=len(run.attempts) + 1, capacity=later[0])
    if len(run.attempts) >= max(LAUNCH_ATTEMPTS, len(terms.capacity) + 1):
        return None
    due_at = instants.later(last.at, LAUNCH_PAUSE_SECONDS * 2 ** (len(run.attempts) - 1))
    if now < due_at:
        return Wait(until=due_at, what="the next launch")
    return Launch(shards=missing, attempt=len(run.attempts) + 1, capacity=last.capacity)


def _missing_shards(run: runs.Run, terms: RunTerms) -> tuple[int, ...]:
    launched = {truth.task.shard_index for truth in run.truths.values()}
    return tuple(shard for shard in range(terms.tasks) if shard not in launched)


def _stop(run: runs.Run, now: datetime, terms: RunTerms) -> Stop | None:
    reason = _reason(run, now, terms)
    if reason is not None:
        return Stop(reason=reason)
    early = _hopeless(run, now, terms)
    return Stop(reason="early-stop", early_stop=early) if early else None


def _reason(run: runs.Run, now: datetime, terms: RunTerms) -> str | None:
    if run.interruptions:
        return "interrupted"
    if run.operator_stop is not None:
        return "operator"
    if run.deadline is None or now >= run.deadline:
        return "deadline"
    if run.resumed_at is not None and None in (run.launching_at, run.go_at):
        return "resumed-before-go"
    failed = [layer for layer, state in run.layers.items() if state != "armed" and layer in terms.required_layers]
    if failed:
        return f"layer-not-armed: {', '.join(failed)}"
    if run.scaling_failed is not None:
        return f"services-not-up: {run.scaling_failed}"
    scaling = run.scaling if run.launching_at is None else None
    if scaling and not scaling.up and now >= instants.later(scaling.at, terms.start_timeout_seconds):
        return f"services-not-up: not all of them run after {terms.start_timeout_seconds:g} s"
    for shot in terms.before:
        seen = run.shots.get(shot.name)
        over = seen is not None and one_shots.run_act(seen, now, terms.shot_patience) is None
        problem = one_shots.problem(seen, shot.exit_code) if over else None
        if problem is not None:
            return f"before-failed: {shot.name}: {problem}"
    if run.launch_failed is not None:
        return "launch-failed"
    if run.launching_at is None and instants.later(now, terms.window_seconds) >= run.deadline:
        return "no-time-left-for-the-window"
    return _reason_by_tasks(run, now, run.deadline, terms) if run.launching_at is not None else None


def _reason_by_tasks(run: runs.Run, now: datetime, deadline: datetime, terms: RunTerms) -> str | None:
    if run.go_at is not None:
        if now >= instants.later(run.go_at, terms.window_seconds):
            return "window-complete"
        return None if run.alive else task_results.TASKS_ENDED
    if run.launching_at is None:
        return None
    short = len(run.alive) < terms.least_tasks and _launch_again(run, now, terms) is None
    failures = run.attempts[-1].failures if run.attempts else None
    if short and failures:
        return f"too-few-tasks: {failures[0].reason}"
    if short and run.truths and not run.unaccounted:
        return "task-ended-before-go"
    if now >= instants.later(run.launching_at, terms.start_timeout_seconds):
        return "not-ready-in-time"
    if instants.later(now, terms.window_seconds) >= deadline:
        return "no-time-left-for-the-window"
    return None


def _hopeless(run: runs.Run, now: datetime, terms: RunTerms) -> task_results.EarlyStop | None:
    if not (terms.early_stop and run.early_stop_allowed) or run.go_at is None:
        return None
    elapsed = instants.seconds_between(run.go_at, now)
    why = early_stops.find_reason_to_stop(run.polls, elapsed, terms.sequential)
    if why is None and len(run.alive) < terms.least_tasks:
        left = wording.format_count(len(run.alive), "task")
        why = early_stops.Hopeless(rule=task_results.TASK_LOST, detail=f"{left} left, {terms.least_tasks} needed")
    if why is None:
        return None
    return task_results.EarlyStop(
        rule=why.rule,
        at_utc=now,
        receipts_seen=run.counts.total,
        seconds_saved=round(max(0.0, terms.window_seconds - elapsed), 3),
        detail=why.detail,
    )


def _end_tasks(run: runs.Run, stopping: runs.Stopping, now: datetime, terms: RunTerms) -> Decision | None:
    """What is still to be done about living tasks; None when they are gone, or when all was tried for long enough."""
    if run.ended:
        return None
    if stopping.forced_at is None:
        force_at = instants.later(stopping.at, terms.grace_seconds + FORCE_AFTER_GRACE_SECONDS)
        if now >= force_at or len(run.interruptions) > 1:
            return Stop(reason=stopping.reason, force=True)
        return Wait(until=force_at, what="killing tasks that do not stop")
    # Once their own layers must have ended them, sight that comes and goes proves nothing more.
    layers_done_at = instants.later(run.deadline or stopping.at, terms.grace_seconds + terms.give_up_seconds)
    if run.sight_regained_since(stopping.forced_at) and now < layers_done_at:
        return Stop(reason=stopping.reason, force=True)
    give_up_at = instants.later(stopping.forced_at, terms.give_up_seconds)
    if run.blind_since is not None and len(run.interruptions) < 2:  # who asks twice is not kept that long
        give_up_at = max(give_up_at, layers_done_at)
    return Wait(until=give_up_at, what="giving up on tasks that do not die") if now < give_up_at else None
