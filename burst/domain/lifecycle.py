"""Lifecycle: what a run should do next, decided from its journal alone.

`fold` turns journal events into a `Run`; `decide` turns a run and an instant into the next act. Neither does
anything. The controller performs the act and journals it, which changes the run, and so on until Finish. Because
nothing but the journal is remembered, another process can continue from any line of it.

A resumed run never launches anything: it is continued when the burst is under way, and settled when it is not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from burst.domain import documents, errors, instants, oneshots, receipts, sequential, services, tasks, wording
from burst.domain import plan as plans
from burst.domain import window as windows

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
class Terms:
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
    sequential: sequential.Terms
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
    def shot_patience(self) -> oneshots.Patience:
        """How long the end of a one-shot may take."""
        return oneshots.Patience(
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
) -> Terms:
    """The terms of a resolved plan; `layers` are those the target can arm, the one-shots as they are to be started."""
    rate = plan.load.rate
    return Terms(
        tasks=plan.target.tasks,
        least_tasks=plan.target.least_tasks,
        layers=layers,
        required_layers=frozenset(plan.layers.require),
        cap_seconds=plan.budget.cap_seconds,
        window_seconds=plan.budget.window_seconds,
        start_timeout_seconds=plan.budget.start_timeout,
        grace_seconds=plan.budget.stop_grace,
        early_stop=early_stop,
        sequential=sequential.Terms(
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
class Scaling:
    """What became of the services scaled for a burst. `changes` says how they stood before."""

    changes: tuple[services.Change, ...]
    at: datetime
    up: bool = False
    tries: tuple[datetime, ...] = ()
    """When it was tried to put them back."""
    back: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Service to how it was left, for those that are no longer as the burst left them."""
    problems: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Service to why it could not be put back, by the last try."""

    @property
    def settled(self) -> bool:
        """Whether none of them is as the burst left it."""
        return not self.left

    @property
    def left(self) -> tuple[services.Change, ...]:
        """Those that nobody was seen to put back."""
        return tuple(change for change in self.changes if change.name not in self.back)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the journal."""

    sequence: int
    at: datetime
    name: str
    fields: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """That the run is ending, since when and why."""

    at: datetime
    reason: str
    forced_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One launch: which capacity it asked for, and why it started fewer tasks than asked. None: not answered yet."""

    at: datetime
    capacity: str | None = None
    failures: tuple[tasks.LaunchFailure, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything a journal says of a run so far."""

    execution_id: str = ""
    created_at: datetime | None = None
    deadline: datetime | None = None
    early_stop_allowed: bool = True
    barrier: bool = True
    """Whether this run's tasks wait for GO."""
    layers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Layer to how it stands: armed, or why not."""
    launching_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    """Every launch so far, the last one last."""
    launch_failed: str | None = None
    unaccounted: bool = False
    """A launch was begun, and nobody could tell yet what it started."""
    truths: Mapping[str, tasks.TaskTruth] = field(default_factory=dict, hash=False)
    """Task id to the last truth seen."""
    ready: frozenset[int] = frozenset()
    go_at: datetime | None = None
    polls: tuple[sequential.Poll, ...] = ()
    counted_to: datetime | None = None
    interruptions: tuple[tuple[str, datetime], ...] = ()
    operator_stop: str | None = None
    resumed_at: datetime | None = None
    stopping: Stopping | None = None
    early_stop: documents.EarlyStop | None = None
    outages: tuple[documents.Outage, ...] = ()
    measured: bool = False
    settled_counts: receipts.Counts | None = None
    """Receipts of the whole attempt window, once they were counted; None before, and where they could not be."""
    count_problem: str | None = None
    """Why they could not be."""
    journal_size: int | None = None
    """How many bytes of the journal were recovered from a place: no more of it can be published."""
    published: bool = False
    exit_code: int | None = None
    shots: Mapping[str, oneshots.Shot] = field(default_factory=dict, hash=False)
    """One-shots that were asked for, by name."""
    scaling: Scaling | None = None
    scaling_failed: str | None = None
    """Why the services are not as the burst needs them."""

    @property
    def ended(self) -> bool:
        """Whether no task can be running: all that was started is known, and was seen to stop."""
        return not self.alive and not self.unaccounted

    @property
    def stopped(self) -> bool:
        """Whether the run is over for its tasks: it stops them, and none can be running any more."""
        return self.stopping is not None and self.ended

    @property
    def settled(self) -> bool:
        """Whether nothing of the run is left anywhere: no task, no one-shot, no service as the burst left it."""
        shots_ended = all(shot.ended for shot in self.shots.values())
        return self.ended and shots_ended and (self.scaling is None or self.scaling.settled)

    @property
    def alive(self) -> tuple[tasks.TaskTruth, ...]:
        """Tasks nobody has seen stop."""
        return tuple(truth for truth in self.truths.values() if truth.status is not tasks.Status.STOPPED)

    @property
    def counts(self) -> receipts.Counts:
        """Receipts of the attempt window once they are settled, those counted live before."""
        if self.settled_counts is not None:
            return self.settled_counts
        return sum((poll.counts for poll in self.polls), receipts.Counts())

    @property
    def counted_seconds(self) -> float:
        """Seconds of the attempt in which `counts` were received."""
        if self.settled_counts is not None and self.attempt_window is not None:
            return self.attempt_window.seconds
        return instants.seconds_between(self.go_at, self.counted_to) if self.go_at and self.counted_to else 0.0

    @property
    def attempt_window(self) -> windows.Window | None:
        """From GO to the last task's stop; None before both are known."""
        stops = [truth.stopped_at for truth in self.truths.values() if truth.stopped_at is not None]
        if self.go_at is None or not stops or max(stops) <= self.go_at:
            return None
        return windows.Window(self.go_at, max(stops))

    @property
    def blind_since(self) -> datetime | None:
        """Since when the tasks cannot be seen, None while they can."""
        return self.outages[-1].blind_since_utc if self.outages and not self.outages[-1].sight_regained_utc else None

    @property
    def shots_alive(self) -> tuple[tasks.TaskTruth, ...]:
        """One-shots nobody has seen stop, of those that are known to have started."""
        return tuple(shot.truth for shot in self.shots.values() if shot.truth is not None and not shot.ended)

    def sight_regained_since(self, moment: datetime) -> bool:
        """Whether tasks that could not be seen could be seen again after `moment`: what was sent before may be lost."""
        regained = self.outages[-1].sight_regained_utc if self.outages else None
        return regained is not None and regained > moment


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
    early_stop: documents.EarlyStop | None = None


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


def decide(run: Run, now: datetime, terms: Terms) -> Decision:
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


def _advance(run: Run, now: datetime, terms: Terms) -> Decision:
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


def _prepare(run: Run, now: datetime, terms: Terms) -> Decision | None:
    """What is still to be done before the launch; None when all of it is."""
    if terms.scales and run.scaling is None:
        return ScaleUp()
    if run.scaling is not None and not run.scaling.up:
        return AwaitServices(until=instants.later(run.scaling.at, terms.start_timeout_seconds))
    return _run_shots(run, terms.before, now, terms)


def _run_shots(run: Run, shots: Shots, now: datetime, terms: Terms) -> Decision | None:
    """The next act of one-shots that run in order; None when all are over, or one did not do what it was for."""
    for shot in shots:
        act = oneshots.run_act(run.shots.get(shot.name), now, terms.shot_patience)
        if act is not None:
            return _shot_decision(shot.name, act, shot)
        if oneshots.problem(run.shots.get(shot.name), shot.exit_code):
            return None
    return None


def _shot_decision(name: str, act: oneshots.Act, shot: tasks.OneShot | None = None) -> Decision:
    match act.next:
        case oneshots.Next.START if shot is not None:
            return StartShot(shot=shot)
        case oneshots.Next.STOP | oneshots.Next.FORCE:
            return StopShot(name=name, force=act.next is oneshots.Next.FORCE)
        case oneshots.Next.WAIT:
            return Wait(until=act.until, what=f"{name} to end")
        case _:
            return FindShot(name=name)


def _settle(run: Run, now: datetime, terms: Terms) -> Decision | None:
    """What is still to be done once every task has stopped, or all was tried: one-shots, then services.

    Services stay up for what runs after the burst: it may have to wait until they have caught up.
    """
    after = {shot.name for shot in terms.after}
    cut_short = len(run.interruptions) > 1
    for name, seen in run.shots.items():
        act = oneshots.end_act(seen, now, terms.shot_patience) if cut_short or name not in after else None
        if act is not None:
            return _shot_decision(name, act)
    if run.go_at is not None and run.ended and not cut_short:
        following = _run_shots(run, terms.after, now, terms)
        if following is not None:
            return following
    return _put_back(run.scaling, now, terms, patient=not cut_short)


def _put_back(scaling: Scaling | None, now: datetime, terms: Terms, *, patient: bool) -> Decision | None:
    if scaling is None or scaling.settled:
        return None
    if not scaling.tries:
        return ScaleBack()
    due_at = instants.later(scaling.tries[-1], RESTORE_PAUSE_SECONDS)
    if not patient or due_at >= instants.later(scaling.tries[0], terms.give_up_seconds):
        return None
    return ScaleBack() if now >= due_at else Wait(until=due_at, what="services to be put back")


def _all_ready(run: Run, terms: Terms) -> bool:
    if not terms.barrier:
        return len(run.alive) >= terms.least_tasks and all(truth.started_at for truth in run.alive)
    shards = {truth.task.shard_index for truth in run.truths.values()}
    ready = len(run.ready) >= len(run.truths) if terms.claims else shards <= run.ready
    return len(shards) >= terms.least_tasks and ready


def _launch_again(run: Run, now: datetime, terms: Terms) -> Launch | Wait | None:
    """The next attempt at what the last one did not start; None when there is nothing to try.

    Where capacity is short the next provider is asked at once; where there is no other, or the trouble may pass, the
    same one after a pause, a few times in all.
    """
    last = run.attempts[-1] if run.attempts else None
    missing = missing_shards(run, terms)
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


def missing_shards(run: Run, terms: Terms) -> tuple[int, ...]:
    """The shards no known task was launched for."""
    launched = {truth.task.shard_index for truth in run.truths.values()}
    return tuple(shard for shard in range(terms.tasks) if shard not in launched)


def _stop(run: Run, now: datetime, terms: Terms) -> Stop | None:
    reason = _reason(run, now, terms)
    if reason is not None:
        return Stop(reason=reason)
    early = _hopeless(run, now, terms)
    return Stop(reason="early-stop", early_stop=early) if early else None


def _reason(run: Run, now: datetime, terms: Terms) -> str | None:
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
        over = seen is not None and oneshots.run_act(seen, now, terms.shot_patience) is None
        problem = oneshots.problem(seen, shot.exit_code) if over else None
        if problem is not None:
            return f"before-failed: {shot.name}: {problem}"
    if run.launch_failed is not None:
        return "launch-failed"
    if run.launching_at is None and instants.later(now, terms.window_seconds) >= run.deadline:
        return "no-time-left-for-the-window"
    return _reason_by_tasks(run, now, run.deadline, terms) if run.launching_at is not None else None


def _reason_by_tasks(run: Run, now: datetime, deadline: datetime, terms: Terms) -> str | None:
    if run.go_at is not None:
        if now >= instants.later(run.go_at, terms.window_seconds):
            return "window-complete"
        return None if run.alive else "tasks-ended"
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


def _hopeless(run: Run, now: datetime, terms: Terms) -> documents.EarlyStop | None:
    if not (terms.early_stop and run.early_stop_allowed) or run.go_at is None:
        return None
    elapsed = instants.seconds_between(run.go_at, now)
    why = sequential.hopeless(run.polls, elapsed, terms.sequential)
    if why is None and len(run.alive) < terms.least_tasks:
        left = wording.counted(len(run.alive), "task")
        why = sequential.Hopeless(rule="task-lost", detail=f"{left} left, {terms.least_tasks} needed")
    if why is None:
        return None
    return documents.EarlyStop(
        rule=why.rule,
        at_utc=now,
        receipts_seen=run.counts.total,
        seconds_saved=round(max(0.0, terms.window_seconds - elapsed), 3),
        detail=why.detail,
    )


def _end_tasks(run: Run, stopping: Stopping, now: datetime, terms: Terms) -> Decision | None:
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


def fold(events: Iterable[Event], run: Run | None = None) -> Run:
    """The run that journal events describe, continuing from `run` where given.

    Raises `errors.EvidenceCorrupt` for an event that lacks what its name promises.
    """
    folded = Run() if run is None else run
    for event in events:
        try:
            folded = apply(folded, event)
        except (LookupError, TypeError, ValueError, AttributeError) as exc:
            where = f"event {event.sequence} ({event.name})"
            raise errors.EvidenceCorrupt(f"{where} cannot be understood: {exc!r}") from exc
    return folded


def apply(run: Run, event: Event) -> Run:
    """The run after one more event. Events this version does not know change nothing."""
    change = _CHANGES.get(event.name)
    return run if change is None else change(run, event)


def _created(run: Run, event: Event) -> Run:
    return replace(
        run,
        execution_id=event.fields["execution_id"],
        created_at=event.at,
        deadline=instants.parse(event.fields["deadline"]),
        early_stop_allowed=event.fields["early_stop"],
        barrier=event.fields.get("barrier", True),
    )


def _layer(run: Run, event: Event) -> Run:
    state = "armed" if event.name == "layer-armed" else str(event.fields["why"])
    return replace(run, layers={**run.layers, event.fields["layer"]: state})


def _launching(run: Run, event: Event) -> Run:
    attempt = Attempt(at=event.at, capacity=event.fields.get("capacity"))
    return replace(run, launching_at=event.at, unaccounted=True, attempts=(*run.attempts, attempt))


def _answered(run: Run, event: Event) -> Run:
    failures = tuple(
        tasks.LaunchFailure(shortage=tasks.Shortage(entry["shortage"]), reason=entry["reason"])
        for entry in event.fields.get("failures", ())
    )
    attempts = (*run.attempts[:-1], *(replace(last, failures=failures) for last in run.attempts[-1:]))
    return replace(_launched(run, event), attempts=attempts)


def _launched(run: Run, event: Event) -> Run:
    """What a launch started, as answered or as found: PENDING until seen. The launch is accounted for then, unless it
    was looked for too early to be sure that all of it can be seen."""
    truths = dict(run.truths)
    for entry in event.fields["tasks"]:
        task = tasks.Task(task_id=entry["task_id"], shard_index=entry["shard_index"])
        truths.setdefault(task.task_id, tasks.TaskTruth(task=task, status=tasks.Status.PENDING))
    return replace(run, truths=truths, unaccounted=run.unaccounted and not event.fields.get("accounted", True))


def _seen(run: Run, event: Event) -> Run:
    truth = truth_from_fields(event.fields)
    return replace(run, truths={**run.truths, truth.task.task_id: truth})


def _counted(run: Run, event: Event) -> Run:
    window = windows.Window(instants.parse(event.fields["start"]), instants.parse(event.fields["end"]))
    poll = sequential.Poll(seconds=window.seconds, counts=receipts.Counts(**event.fields["counts"]))
    return replace(run, polls=(*run.polls, poll), counted_to=window.end)


def _measured(run: Run, event: Event) -> Run:
    counts = event.fields.get("counts")
    return replace(run, measured=True, settled_counts=None if counts is None else receipts.Counts(**counts))


def _stop_intended(run: Run, event: Event) -> Run:
    if event.fields["force"]:
        stopping = run.stopping or Stopping(at=event.at, reason=event.fields["reason"])
        return replace(run, stopping=replace(stopping, forced_at=event.at))
    early = event.fields.get("early_stop")
    return replace(
        run,
        stopping=Stopping(at=event.at, reason=event.fields["reason"]),
        early_stop=documents.EarlyStop.model_validate(early) if early else None,
    )


def _blind(run: Run, event: Event) -> Run:
    outage = documents.Outage(blind_since_utc=event.at, detail=event.fields["why"])
    return replace(run, outages=(*run.outages, outage))


def _sighted(run: Run, event: Event) -> Run:
    ended = run.outages[-1].model_copy(update={"sight_regained_utc": event.at})
    return replace(run, outages=(*run.outages[:-1], ended))


def _interrupted(run: Run, event: Event) -> Run:
    return replace(run, interruptions=(*run.interruptions, (event.fields["signal"], event.at)))


def _scaling_up(run: Run, event: Event) -> Run:
    """Services are about to be scaled, or were found to have been: how they stood before is known from here on."""
    changes = tuple(services.Change(**entry) for entry in event.fields["services"])
    return replace(run, scaling=Scaling(changes=changes, at=event.at))


def _scaled(run: Run, event: Event) -> Run:
    return run if run.scaling is None else replace(run, scaling=replace(run.scaling, up=True))


def _putting_back(run: Run, event: Event) -> Run:
    if run.scaling is None:
        return run
    return replace(run, scaling=replace(run.scaling, tries=(*run.scaling.tries, event.at)))


def _put_back_seen(run: Run, event: Event) -> Run:
    if run.scaling is None:
        return run
    back = {**run.scaling.back, **event.fields["back"]}
    return replace(run, scaling=replace(run.scaling, back=back, problems=event.fields["problems"]))


def _shot_asked(run: Run, event: Event) -> Run:
    """Asked for again, it keeps the deadline it had."""
    name = event.fields["name"]
    asked = oneshots.Shot(asked_at=event.at, deadline=instants.later(event.at, event.fields["timeout_seconds"]))
    return replace(run, shots={**run.shots, name: run.shots.get(name, asked)})


def _shot_started(run: Run, event: Event) -> Run:
    task = tasks.Task(task_id=event.fields["task_id"], shard_index=0)
    return _with_shot(run, event, truth=tasks.TaskTruth(task=task, status=tasks.Status.PENDING))


def _shot_stopping(run: Run, event: Event) -> Run:
    first = run.shots[event.fields["name"]].stopping_at or event.at
    return _with_shot(run, event, stopping_at=first, forced_at=event.at if event.fields["force"] else None)


def _with_shot(run: Run, event: Event, **changed: Any) -> Run:
    name = event.fields["name"]
    return replace(run, shots={**run.shots, name: replace(run.shots[name], **changed)})


_CHANGES: Mapping[str, Callable[[Run, Event], Run]] = {
    "run-created": _created,
    "layer-armed": _layer,
    "layer-failed": _layer,
    "launch-intended": _launching,
    "taken-over": lambda run, event: replace(
        run, launching_at=instants.parse(event.fields["created_at"]), unaccounted=True
    ),
    "journal-recovered": lambda run, event: replace(run, journal_size=event.fields["size"]),
    "launch-failed": lambda run, event: replace(run, launch_failed=event.fields["why"]),
    "launch-answered": _answered,
    "tasks-found": _launched,
    "task-ready": lambda run, event: replace(run, ready=run.ready | {event.fields["shard_index"]}),
    "task-seen": _seen,
    "go-given": lambda run, event: replace(run, go_at=instants.parse(event.fields["go_at"])),
    "counted": _counted,
    "blind": _blind,
    "sight-regained": _sighted,
    "services-intended": _scaling_up,
    "services-found": _scaling_up,
    "services-up": _scaled,
    "services-failed": lambda run, event: replace(run, scaling_failed=event.fields["why"]),
    "services-restoring": _putting_back,
    "services-restored": _put_back_seen,
    "one-shot-intended": _shot_asked,
    "one-shot-started": _shot_started,
    "one-shot-refused": lambda run, event: _with_shot(run, event, not_started=event.fields["why"]),
    "one-shot-seen": lambda run, event: _with_shot(run, event, truth=truth_from_fields(event.fields["truth"])),
    "one-shot-stop-intended": _shot_stopping,
    "interrupted": _interrupted,
    "operator-stop": lambda run, event: replace(run, operator_stop=event.fields["reason"]),
    "resumed": lambda run, event: replace(run, resumed_at=event.at),
    "stop-intended": _stop_intended,
    "measured": _measured,
    "measure-failed": lambda run, event: replace(run, measured=True, count_problem=event.fields["why"]),
    "published": lambda run, event: replace(run, published=True),
    "run-finished": lambda run, event: replace(run, exit_code=event.fields["exit_code"]),
}


def truth_fields(truth: tasks.TaskTruth) -> dict[str, Any]:
    """A truth as the journal holds it."""
    return {
        "task_id": truth.task.task_id,
        "shard_index": truth.task.shard_index,
        "status": truth.status.value,
        "started_at": instants.text(truth.started_at) if truth.started_at else None,
        "stopped_at": instants.text(truth.stopped_at) if truth.stopped_at else None,
        "exit_code": truth.exit_code,
        "stop_code": truth.stop_code,
        "stopped_by": truth.stopped_by.value if truth.stopped_by else None,
        "detail": truth.detail,
    }


def truth_from_fields(fields: Mapping[str, Any]) -> tasks.TaskTruth:
    """The truth the journal holds."""
    return tasks.TaskTruth(
        task=tasks.Task(task_id=fields["task_id"], shard_index=fields["shard_index"]),
        status=tasks.Status(fields["status"]),
        started_at=instants.parse(fields["started_at"]) if fields["started_at"] else None,
        stopped_at=instants.parse(fields["stopped_at"]) if fields["stopped_at"] else None,
        exit_code=fields["exit_code"],
        stop_code=fields["stop_code"],
        stopped_by=tasks.Layer(fields["stopped_by"]) if fields["stopped_by"] else None,
        detail=fields["detail"],
    )
