"""Fakes: the ports in memory, simple enough to trust, kept honest by the contract suites of the real adapters.

A fake keeps its state where a test can read it, and its faults are plain attributes a test sets.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from burst import ports
from burst.domain.basics import errors, instants, windows
from burst.domain.tasks import leases, masters, services, tasks

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)


@dataclass(slots=True)
class TickingClock:
    """`ports.Clock` that moves only when somebody sleeps."""

    moment: datetime = START

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment = instants.later(self.moment, max(0.0, seconds))


OWNER = leases.Owner(controller="1f0a", host="runner-1", since=START)
"""The controller that drives a run, where a test has no other."""


@dataclass(slots=True)
class MemoryLeaseStore:
    """`ports.LeaseStore` in memory, for several threads; with `down` set it cannot be reached."""

    standing: leases.Lease | None = None
    shards_ready: set[int] = field(default_factory=set)
    shards_claimed: dict[str, int] = field(default_factory=dict)
    """What tasks claimed, for a run whose tasks claim their shards."""
    closed: bool = False
    master: masters.MasterAddress | None = None
    down: bool = False
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def create(self, first: leases.Lease) -> None:
        self._require_up()
        if self.standing is not None:
            raise errors.Conflict("there is a control already")
        self.standing = first

    def read(self) -> leases.Lease | None:
        self._require_up()
        return self.standing

    def write(self, wanted: leases.Lease) -> leases.Lease:
        self._require_up()
        with self._writing:
            if self.standing is not None and self.standing.execution_id != wanted.execution_id:
                raise errors.Conflict("the control belongs to another run")
            self.standing = leases.merge(self.standing, wanted)
            return self.standing

    def claim(self, last_read: leases.Lease, owner: leases.Owner, at: datetime) -> leases.Lease:
        self._require_up()
        with self._writing:
            if self.standing != last_read:
                raise errors.Conflict("the lease was changed by somebody else since it was read")
            self.standing = leases.give(last_read, owner, at)
            return self.standing

    def mark_ready(self, shard_index: int) -> None:
        self._require_up()
        self.shards_ready.add(shard_index)

    def ready(self) -> frozenset[int]:
        self._require_up()
        return frozenset(self.shards_ready)

    def free_shard(self, shard_index: int) -> None:
        self._require_up()
        self.shards_ready.discard(shard_index)

    def claims(self) -> Mapping[str, int]:
        self._require_up()
        return dict(self.shards_claimed)

    def close_claims(self, count: int) -> None:
        self._require_up()
        self.closed = True

    def tell_master(self, master: masters.MasterAddress) -> None:
        self._require_up()
        self.master = master

    def find_master(self) -> masters.MasterAddress | None:
        self._require_up()
        return self.master

    def _require_up(self) -> None:
        if self.down:
            raise errors.Unavailable("the lease is down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How the task of one shard behaves."""

    runs_seconds: float | None = None
    """It ends by itself after so long, with `exit_code`; None: it runs until it is ended."""
    exit_code: int = 0
    ignores_stop: bool = False
    """Only `force` ends it."""
    ignores_force: bool = False
    obeys_lease_after: float | None = None
    """So long after STOP stands in the lease it ends by itself, where the test's launcher knows the lease."""
    keeps_budget: bool = True
    """Its guard ends it at its budget."""
    pending_seconds: float | None = 0.0
    """It is PENDING for so long before it starts; None: until it is ended."""
    fails_to_start: bool = False
    """Then it ends as TaskFailedToStart in place of a start."""


def _end(truth: tasks.TaskTruth) -> tasks.TaskEnd:
    """How a task ended, by the record of its guard; one that was killed left none."""
    if truth.exit_code is None or truth.started_at is None:
        return tasks.TaskEnd(
            cause=tasks.EndCause.STOP_TASK, load_ended_at=truth.stopped_at, source=tasks.EndSource.STOP_REQUEST
        )
    by_signal = truth.stop_code == tasks.StopCode.USER_INITIATED
    own = tasks.EndCause.BUDGET if truth.stopped_by else tasks.EndCause.PROGRAM_ENDED
    cause = tasks.EndCause.SIGNAL if by_signal else own
    record = tasks.RecordedTask(
        started_at=truth.started_at,
        stopped_at=truth.stopped_at,
        exit_code=truth.exit_code,
        stopped_by=truth.stopped_by,
        cause=cause,
        asked_at=None,
        overshoot_seconds=0.0,
        detail=truth.detail,
    )
    return tasks.TaskEnd(cause=cause, load_ended_at=truth.stopped_at, source=tasks.EndSource.RECORD, record=record)


@dataclass(slots=True)
class FakeLauncher:
    """`ports.Launcher` in memory. What runs stands in `launched`; what can go wrong is set by the test."""

    clock: TickingClock
    scripts: dict[int, Script] = field(default_factory=dict)
    launched: dict[str, tasks.TaskTruth] = field(default_factory=dict)
    requests: list[tasks.LaunchRequest] = field(default_factory=list)
    stops: list[tuple[str, tasks.Layer, bool]] = field(default_factory=list)
    refused_shards: frozenset[int] = frozenset()
    """Never started: a partial launch."""
    last_failures: tuple[tasks.LaunchFailure, ...] = ()
    replacement_scripts: dict[int, Script] = field(default_factory=dict)
    """How the tasks behave that are launched in the places of failed ones, by shard."""
    replacements: dict[str, str] = field(default_factory=dict)
    """Id of a failed task to that of the task in its place."""
    answers_lost: int = 0
    """So many launches start their tasks and then do not say so."""
    stops_lost: int = 0
    """So many stops are not taken."""
    blind: list[windows.Window] = field(default_factory=list)
    """When the control plane does not answer: nothing can be launched, seen or stopped."""

    def launch(self, request: tasks.LaunchRequest, goes_on: ports.GoesOn = ports.go_on) -> Sequence[tasks.Task]:
        self._require_sight()
        self.requests.append(request)
        asked = [self._place(request, shard_index) for shard_index in request.shards]
        for task in asked:
            shard_index = task.shard_index
            if shard_index not in self.refused_shards and task.task_id not in self.launched:
                self.launched[task.task_id] = self._started(task, request)
        if self.answers_lost:
            self.answers_lost -= 1
            raise errors.Unavailable("the launch was not answered")
        return [task for task in asked if task.task_id in self.launched]

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        self._require_sight()
        truths = [self._truth(task_id) for task_id in self.launched if task_id.startswith(f"fake:{execution_id}:")]
        return [truth.task for truth in truths if truth.status is not tasks.TaskStatus.STOPPED]

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        self._require_sight()
        unknown = tasks.TaskStatus.UNKNOWN
        return [
            self._truth(task.task_id) if task.task_id in self.launched else tasks.TaskTruth(task=task, status=unknown)
            for task in known
        ]

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        self._require_sight()
        if self.stops_lost:
            self.stops_lost -= 1
            raise errors.Unavailable("the stop was not answered")
        self.stops.append((task.task_id, by, force))
        script = self._script(task)
        ignored = script.ignores_force if force else script.ignores_stop
        if task.task_id not in self.launched or self._truth(task.task_id).status is tasks.TaskStatus.STOPPED:
            return False
        if ignored:
            return True
        self.launched[task.task_id] = replace(
            self.launched[task.task_id],
            started_at=self._truth(task.task_id).started_at,
            status=tasks.TaskStatus.STOPPED,
            stopped_at=self.clock.now(),
            exit_code=None if force else 143,
            stop_code=tasks.StopCode.USER_INITIATED,
            stopped_by=by,
        )
        return True

    def _require_sight(self) -> None:
        if any(window.holds(self.clock.now()) for window in self.blind):
            raise errors.Unavailable("the control plane does not answer")

    def _started(self, task: tasks.Task, request: tasks.LaunchRequest) -> tasks.TaskTruth:
        """A running task that already knows how it will end, if nobody ends it before."""
        script, now = self._script(task), self.clock.now()
        if script.pending_seconds is None:
            return tasks.TaskTruth(task=task, status=tasks.TaskStatus.PENDING)
        now = instants.later(now, script.pending_seconds)
        if script.fails_to_start:
            failed = tasks.TaskTruth(task=task, status=tasks.TaskStatus.PENDING, stopped_at=now)
            return replace(failed, stop_code=tasks.StopCode.FAILED_TO_START, detail="CannotPullContainerError")
        truth = tasks.TaskTruth(task=task, status=tasks.TaskStatus.RUNNING, started_at=now)
        if script.runs_seconds is not None and script.runs_seconds < request.budget_seconds:
            ends_at = instants.later(now, script.runs_seconds)
            code, layer = script.exit_code, None
        elif script.keeps_budget:
            ends_at, code, layer = instants.later(now, request.budget_seconds), 124, tasks.Layer.GUARD
        else:
            return truth
        stop_code = tasks.StopCode.ESSENTIAL_EXITED
        return replace(truth, stopped_at=ends_at, exit_code=code, stopped_by=layer, stop_code=stop_code)

    def _truth(self, task_id: str) -> tasks.TaskTruth:
        truth = self.launched[task_id]
        if truth.status is tasks.TaskStatus.STOPPED:
            return replace(truth, end=_end(truth))
        if truth.stopped_at is not None and truth.stopped_at <= self.clock.now():
            return replace(truth, status=tasks.TaskStatus.STOPPED, end=_end(truth))
        if truth.started_at is None or truth.started_at > self.clock.now():
            return tasks.TaskTruth(task=truth.task, status=tasks.TaskStatus.PENDING)
        return tasks.TaskTruth(task=truth.task, status=truth.status, started_at=truth.started_at)

    def _place(self, request: tasks.LaunchRequest, shard_index: int) -> tasks.Task:
        """The task of a shard: the newest, or another one in its place where the request replaces it."""
        task_id = _task(request.execution_id, shard_index).task_id
        while task_id in self.replacements:
            task_id = self.replacements[task_id]
        if task_id in request.replaces:
            task_id = self.replacements.setdefault(task_id, f"{task_id}+")
        return tasks.Task(task_id=task_id, shard_index=shard_index)

    def _script(self, task: tasks.Task) -> Script:
        scripts = self.replacement_scripts if task.task_id in self.replacements.values() else self.scripts
        return scripts.get(task.shard_index, Script())


@dataclass(slots=True)
class FakeOneShots:
    """`ports.OneShots` in memory: each runs as scripted under its name, and at once to exit 0 where none is."""

    clock: TickingClock
    execution_id: str
    scripts: dict[str, Script] = field(default_factory=dict)
    tasks_: FakeLauncher = field(init=False)
    started: list[str] = field(default_factory=list)
    """Names in the order of their starts, however often each was asked for."""
    answers_lost: int = 0
    refused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.tasks_ = FakeLauncher(self.clock)

    def start(self, shot: tasks.OneShot, deadline: datetime) -> tasks.Task:
        own_id = tasks.one_shot_id(self.execution_id, shot.name)
        if shot.name in self.refused:
            raise errors.Refused(f"{shot.name} was not started")
        if shot.name not in self.started:
            self.tasks_.scripts[0] = self.scripts.get(shot.name, Script(runs_seconds=0.1))
            self.tasks_.launch(_one_shot_request(own_id, shot, instants.seconds_between(self.clock.now(), deadline)))
            self.started.append(shot.name)
        if self.answers_lost:
            self.answers_lost -= 1
            raise errors.Unavailable("the start was not answered")
        return _task(own_id, 0)

    def find(self, one_shot_id: str) -> Sequence[tasks.Task]:
        return self.tasks_.find(one_shot_id)

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        return self.tasks_.inspect(known)

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        self.tasks_.scripts[0] = self.scripts.get(task.task_id.split("/")[-1].split(":")[0], Script())
        return self.tasks_.stop(task, by=by, force=force)


@dataclass(slots=True)
class FakeServices:
    """`ports.Services` in memory: what is asked for runs `starts_seconds` later. `down` names what cannot be scaled."""

    clock: TickingClock
    desired: dict[str, int] = field(default_factory=dict)
    starts_seconds: float = 0.3
    down: frozenset[str] = frozenset()
    down_as: type[errors.BurstError] = errors.Unavailable
    blind: list[windows.Window] = field(default_factory=list)
    blind_as: type[errors.BurstError] = errors.Unavailable
    asked: list[tuple[str, int]] = field(default_factory=list)
    lags_seconds: float = 0.0
    """How old what is told of desired counts may be."""
    definitions: dict[str, str] = field(default_factory=dict)
    """The task definition of each service; `NAME:1` unless it was rolled."""
    definitions_there: dict[str, dict[str, str]] = field(default_factory=dict)
    """The variables of each task definition."""
    rolled: list[tuple[str, str]] = field(default_factory=list)
    restarts: dict[str, list[datetime]] = field(default_factory=dict)
    """When each service was restarted."""
    restarts_seconds: float = 1.0
    answers_lost: int = 0
    """How many restarts happen without an answer."""
    _set: list[tuple[datetime, str, int]] = field(default_factory=list)
    """When a count was set, of which, and what it was before."""
    _changed: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def look(self, names: Sequence[str]) -> tuple[services.Service, ...]:
        self._require_sight()
        return tuple(
            services.Service(
                name=name, desired=self._told(name), running=self._running(name), definition=self.definition(name)
            )
            for name in names
            if name in self.desired
        )

    def derive_definition(self, base: str, *, container: str | None, environment: Mapping[str, str]) -> str:
        self._require_sight()
        if base not in self.definitions_there:
            raise errors.Refused(f"there is no task definition {base}")
        if not environment:
            return base
        family = base.partition(":")[0]
        revisions = [int(each.partition(":")[2]) for each in self.definitions_there if each.startswith(f"{family}:")]
        derived = f"{family}:{max(revisions) + 1}"
        self.definitions_there[derived] = {**self.definitions_there[base], **environment}
        return derived

    def scale(
        self, wanted: Mapping[str, int], definitions: Mapping[str, str] | None = None
    ) -> Mapping[str, errors.BurstError]:
        failed: dict[str, errors.BurstError] = {}
        for name, count in wanted.items():
            try:
                self._require_sight()
                if name in self.down:
                    raise self.down_as(f"{name} cannot be scaled")
                if name not in self.desired:
                    raise errors.Refused(f"there is no service {name}")
            except errors.BurstError as exc:
                failed[name] = exc
                continue
            self._changed[name] = (self._running(name), instants.later(self.clock.now(), self.starts_seconds))
            self._set.append((self.clock.now(), name, self.desired[name]))
            self.desired[name] = count
            self.asked.append((name, count))
            definition = (definitions or {}).get(name)
            if definition is not None and definition != self.definition(name):
                self.definitions[name] = definition
                self.rolled.append((name, definition))
        return failed

    def look_at_rollout(self, name: str) -> services.Rollout:
        self._require_sight()
        if name not in self.desired:
            raise errors.Refused(f"there is no service {name}")
        restarts = self.restarts.get(name, [])
        done = [at for at in restarts if instants.later(at, self.restarts_seconds) <= self.clock.now()]
        return services.Rollout(
            name=name,
            deployment=f"{name}-deployment-{len(restarts)}",
            complete=len(done) == len(restarts),
            desired=self.desired[name],
            tasks=tuple(f"{name}-task-{len(done)}-{number}" for number in range(self._running(name))),
        )

    def restart(self, name: str) -> str | None:
        self._require_sight()
        if name in self.down:
            raise self.down_as(f"{name} cannot be restarted")
        if name not in self.desired:
            raise errors.Refused(f"there is no service {name}")
        self.restarts.setdefault(name, []).append(self.clock.now())
        if self.answers_lost:
            self.answers_lost -= 1
            raise errors.Unavailable("the restart was not answered")
        return f"{name}-deployment-{len(self.restarts[name])}"

    def definition(self, name: str) -> str:
        """The task definition that the service has."""
        return self.definitions.get(name, f"{name}:1")

    def _told(self, name: str) -> int:
        since = instants.later(self.clock.now(), -self.lags_seconds)
        return next((before for at, one, before in self._set if one == name and at > since), self.desired[name])

    def _running(self, name: str) -> int:
        before, settled_at = self._changed.get(name, (self.desired[name], self.clock.now()))
        return self.desired[name] if self.clock.now() >= settled_at else before

    def _require_sight(self) -> None:
        if any(window.holds(self.clock.now()) for window in self.blind):
            raise self.blind_as("the control plane does not let anybody look")


def _task(execution_id: str, shard_index: int) -> tasks.Task:
    return tasks.Task(task_id=f"fake:{execution_id}:{shard_index}", shard_index=shard_index)


def _one_shot_request(own_id: str, shot: tasks.OneShot, budget_seconds: float) -> tasks.LaunchRequest:
    return tasks.LaunchRequest(
        execution_id=own_id,
        token=own_id,
        shards=(0,),
        shard_count=1,
        command=shot.command,
        environment=shot.environment,
        budget_seconds=budget_seconds,
        grace_seconds=1.0,
        child_waits=False,
        lease_ttl_seconds=30.0,
    )


class MemoryLoadAccounts:
    """`ports.LoadAccounts` of a test: the accounts that it puts there."""

    def __init__(self) -> None:
        self.contents: dict[int, bytes] = {}
        self.down = False

    def read(self) -> Mapping[int, bytes]:
        """The accounts."""
        if self.down:
            raise errors.Unavailable("the accounts are away")
        return dict(self.contents)
