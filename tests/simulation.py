"""A run in simulated time: the real controller on fakes, in a world where tasks get ready, send and die as scripted.

Time passes only when somebody sleeps. A crash raises out of the journal or the store; `finish` then continues the run
with another controller on what is left, as `burst resume` does, until there is a snapshot.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from burst import ports
from burst.control import controller, layers, ownership, recorder, run_documents
from burst.domain.basics import canonical, errors, instants, windows
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.receipts import receipts
from burst.domain.run import journals, lifecycle, run_terms, runs
from burst.domain.run.events import launch_events
from burst.domain.tasks import leases, tasks
from burst.domain.verdict import cases as given_cases
from burst.domain.verdict import snapshots
from burst.wiring.targets import load_program, local_terms
from tests import cases, fakes, fakes_evidence, fakes_journal, fakes_receipts, fakes_stop_signs

CAP_SECONDS = 40.0
GRACE_SECONDS = 2.0
WINDOW_SECONDS = 10.0
START_TIMEOUT_SECONDS = 5.0
LAUNCH_SECONDS = 0.1
SEND_PER_SECOND = 2.0
"""By each task. Two of them reach four times the baseline of one a second."""
LONGEST_SECONDS = CAP_SECONDS + 60.0
"""No run lasts longer than this, whatever happens: cap, grace, giving up, counting."""


def plan(**changes: Any) -> plans.Plan:
    """A plan of two tasks for ten seconds at three times one admit a second, resolved."""
    return cases.plan(
        **{
            "execution_id": cases.EXECUTION_ID,
            "load": {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 240},
            "budget": {
                "max": "60s",
                "operator_cap": instants.duration_text(CAP_SECONDS),
                "min_window": instants.duration_text(WINDOW_SECONDS),
                "start_timeout": instants.duration_text(START_TIMEOUT_SECONDS),
                "stop_grace": instants.duration_text(GRACE_SECONDS),
            },
            "receipts": {"dsn": "env:BURST_TEST_DSN", "settle": "1s", "count_timeout": "20s", "bucket": "5s"},
            "baseline": {"admits": 600, "seconds": 600, "source": "a test"},
            **changes,
        }
    )


@dataclass(slots=True)
class Launcher(fakes.FakeLauncher):
    """A launcher that takes a moment to answer, and starts shards `left_out` of its answer."""

    left_out: frozenset[int] = frozenset()
    refusal: errors.BurstError | None = None
    """Raised by every launch but the first."""
    lease_stop_at: datetime | None = None
    """Since when STOP stands in the lease."""
    looks: int = 0

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        self.looks += 1
        return super(Launcher, self).inspect(known)

    def _truth(self, task_id: str) -> tasks.TaskTruth:
        truth = super(Launcher, self)._truth(task_id)
        seconds = self.scripts.get(truth.task.shard_index, fakes.Script()).obeys_lease_after
        if truth.status is tasks.TaskStatus.STOPPED or seconds is None or self.lease_stop_at is None:
            return truth
        ends_at = instants.later(self.lease_stop_at, seconds)
        if ends_at > self.clock.now():
            return truth
        self.launched[task_id] = replace(
            truth, status=tasks.TaskStatus.STOPPED, stopped_at=ends_at, exit_code=124, stopped_by=tasks.Layer.LEASE,
            stop_code=tasks.StopCode.ESSENTIAL_EXITED,
        )  # fmt: skip
        return self.launched[task_id]

    def launch(self, request: tasks.LaunchRequest, goes_on: ports.GoesOn = ports.go_on) -> Sequence[tasks.Task]:
        try:
            if self.refusal is not None and self.requests:
                raise self.refusal
            # The two arguments say which class, because slots make another one of this.
            launched = super(Launcher, self).launch(request, goes_on)
            return [task for task in launched if task.shard_index not in self.left_out]
        finally:
            self.clock.sleep(LAUNCH_SECONDS)


@dataclass(slots=True)
class Lease(fakes.MemoryLeaseStore):
    """The lease, in which tasks get ready by themselves; out of reach during `outages`."""

    clock: fakes.TickingClock = field(default_factory=fakes.TickingClock)
    launcher: Launcher | None = None
    ready_after: Mapping[int, float | None] = field(default_factory=dict)
    """Seconds from its start until a shard is ready, None: never; half a second unless said."""
    outages: Sequence[windows.Window] = ()
    freed_at: dict[int, datetime] = field(default_factory=dict)

    def free_shard(self, shard_index: int) -> None:
        super(Lease, self).free_shard(shard_index)
        self.freed_at[shard_index] = self.clock.now()

    def write(self, wanted: leases.Lease) -> leases.Lease:
        standing = super(Lease, self).write(wanted)
        if standing.state is leases.LeaseState.STOP and self.launcher and self.launcher.lease_stop_at is None:
            self.launcher.lease_stop_at = self.clock.now()
        return standing

    def ready(self) -> frozenset[int]:
        self._require_up()
        now, launched = self.clock.now(), self.launcher.launched.values() if self.launcher else ()
        for truth in launched:
            after, started_at = self.ready_after.get(truth.task.shard_index, 0.5), truth.started_at
            if started_at is None or started_at < self.freed_at.get(truth.task.shard_index, started_at):
                continue
            if after is not None and instants.later(started_at, after) <= now:
                self.shards_ready.add(truth.task.shard_index)
        return frozenset(self.shards_ready)

    def _require_up(self) -> None:
        if self.down or any(outage.holds(self.clock.now()) for outage in self.outages):
            raise errors.Unavailable("the lease is down")


class Receipts(fakes_receipts.MemoryReceiptSource):
    """What running tasks have sent since GO, answered by `decide`; away during `outages`."""

    def __init__(self, world: "World") -> None:
        answers = {"select 0": [[0]], "select 3": [[3]]}
        super().__init__(now=world.clock.now, answers=answers)
        self._world = world
        self.outages: list[windows.Window] = []
        self.decide: Callable[[int], str | None] = lambda number: "ADMIT"
        self.slow_after_end: float | None = None
        """The database time of a question that is asked once the tasks have ended."""

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        self.rows = self._sent()
        return super().count(window, scope=scope, bucket_seconds=bucket_seconds, give_up_at=give_up_at)

    def _sent(self) -> list[fakes_receipts.Receipt]:
        standing, now, rows = self._world.lease.standing, self._world.clock.now(), []
        if standing is None or standing.go_at is None:
            return []
        for truth in self._world.launcher.launched.values():
            end = min(now, truth.stopped_at or now)
            number = 0
            while (at := instants.later(standing.go_at, number / SEND_PER_SECOND)) < end:
                decision = self.decide(number)
                if decision:
                    rows.append(fakes_receipts.Receipt(decision=decision, at=at, scope=self._world.plan.scope))
                number += 1
        return rows

    def _answer(self, give_up_at: datetime) -> None:
        if any(outage.holds(self._world.clock.now()) for outage in self.outages):
            self._world.clock.sleep(1.0)
            raise errors.Unavailable("the database is away")
        if self.slow_after_end is not None and self._world.outcome.stopped:
            self.seconds_each = self.slow_after_end
        super()._answer(give_up_at)


class Store(fakes_evidence.MemoryEvidenceStore):
    """A store whose writer dies before or after it writes the document named."""

    def __init__(self) -> None:
        super().__init__()
        self.crash_before = ""
        self.crash_after = ""

    def put_once(self, name: str, content: bytes) -> None:
        if name == self.crash_before:
            raise fakes_journal.Crashed(f"before {name}")
        super().put_once(name, content)
        if name == self.crash_after:
            raise fakes_journal.Crashed(f"after {name}")


@dataclass(slots=True)
class Layer:
    """A layer of the hard stop that fails while the world says so, and counts how often it is disarmed."""

    world: "World"
    name: str
    layer: ports.HardStopLayer

    def arm(self, deadline: datetime) -> str:
        if self.name in self.world.layers_failing:
            raise errors.Unavailable(f"{self.name} cannot be armed")
        return self.layer.arm(deadline)

    def disarm(self) -> None:
        if self.name in self.world.layers_undisarmable:
            raise errors.Unavailable(f"{self.name} cannot be disarmed")
        self.world.disarmed[self.name] += 1


class World:
    """Everything a run touches, and what becomes of it."""

    def __init__(self, plan_: plans.Plan | None = None, *, early_stop: bool = True) -> None:
        self.plan = plan_ or _usual_plan()
        self.clock = fakes.TickingClock()
        self.launcher = Launcher(self.clock)
        self.lease = Lease(clock=self.clock, launcher=self.launcher)
        self.source = Receipts(self)
        self.store = Store()
        self.place = Store()
        """Where the documents are published to, where the plan signs them."""
        self.signer: Callable[[], ports.Signer] | None = None
        self.one_shots = fakes.FakeOneShots(self.clock, str(self.plan.execution_id))
        self.services = fakes.FakeServices(self.clock)
        self.kept = fakes_evidence.MemoryEvidenceStore()
        self.kept_drills = fakes_evidence.MemoryEvidenceStore()
        self.halt: ports.HaltSwitch | None = None
        self.alarms = fakes_stop_signs.FakeAlarms()
        self.owner = fakes.OWNER
        """The controller that drives next."""
        self.journal = fakes_journal.MemoryJournal(self.clock.now)
        self.accounts = fakes.MemoryLoadAccounts()
        self.early_stop = early_stop
        self.appears_seconds = 0.0
        """For how long after its launch a task may be missing from the launcher's list."""
        self.layers_failing: frozenset[str] = frozenset()
        self.layers_undisarmable: frozenset[str] = frozenset()
        self.disarmed = Counter[str]()
        """How often each layer was disarmed."""
        self.crashes = 0
        self.away_seconds = 0.0
        self.decisions: list[lifecycle.Decision] = []
        self.driver: controller.Controller
        self.on_decision: Callable[[int, controller.Controller], None] = lambda number, driver: None

    def begin(self) -> None:
        """Freezes the inputs and writes the first event, as `sessions.begin` does."""
        for name, content in run_documents.input_documents(self.plan, None, None):
            self.store.put_once(name, content)
        recorder.Recorder(self.journal).note(
            cases.run_created(
                execution_id=str(self.plan.execution_id),
                deadline=instants.later(self.clock.now(), self.plan.budget.cap_seconds),
                early_stop=self.early_stop,
                plan_sha256=canonical.digest(self.store.read(document_names.PLAN)),
            )
        )

    def drive(self, *, resumed: bool = False, until_stopped: bool = False) -> controller.Controller:
        """One controller, driven until the run is finished, or it dies; or as `burst stop` drives one."""
        record = recorder.Recorder(self.journal)
        driver = self.driver = self._controller(record, to_count=not until_stopped)
        if resumed and record.run.exit_code is None:
            driver.catch_up()
        if until_stopped:
            driver.ask_to_stop("burst stop")
        driver.drive(until_stopped=until_stopped)
        return driver

    def run(self) -> "World":
        """The whole run from its beginning, with a controller that lives."""
        self.begin()
        self.drive()
        return self

    def finish(self, *, after_seconds: float = 3.0, crashes_again: int = 0) -> "World":
        """The whole run; whoever dies is followed by another controller so many seconds later."""
        resumed = False
        for _ in range(crashes_again + 2):
            try:
                if not resumed:
                    self.begin()
                self.drive(resumed=resumed)
                return self
            except fakes_journal.Crashed:
                self.crashes += 1
                self.clock.sleep(after_seconds)
                self.away_seconds += after_seconds
                resumed = True
                if self.crashes > crashes_again:
                    self.journal.revive()
                    self.store.crash_before = self.store.crash_after = ""
        raise AssertionError("the run did not end")

    def at(self, start_seconds: float, end_seconds: float) -> windows.Window:
        """A window of the run's time."""
        return windows.Window(instants.later(fakes.START, start_seconds), instants.later(fakes.START, end_seconds))

    @property
    def elapsed_seconds(self) -> float:
        """Simulated seconds since the beginning."""
        return instants.seconds_between(fakes.START, self.clock.now())

    @property
    def outcome(self) -> runs.Run:
        """The run the journal describes."""
        return journals.fold(self.journal.entries())

    @property
    def document(self) -> dict[str, Any]:
        """The snapshot."""
        value: dict[str, Any] = json.loads(
            self.store.documents[document_names.snapshot_name(self.plan.slug, self.plan.kind)]
        )
        return value

    @property
    def blockers(self) -> set[str]:
        """Short ids of open blockers."""
        return {blocker.rpartition("-")[2] for blocker in self.document["blockers"]}

    @property
    def reason(self) -> str | None:
        """Why the run was stopped."""
        stopping = self.outcome.stopping
        return stopping.reason if stopping else None

    def running(self) -> list[str]:
        """Tasks that run now, whatever anybody believes."""
        found = self.launcher._truth
        return [task for task in self.launcher.launched if found(task).status is tasks.TaskStatus.RUNNING]

    def readjudicated(self) -> bytes:
        """The snapshot anybody makes again from the documents."""
        contents = {
            name: self.store.documents[name]
            for name in document_names.adjudicated_names(self.plan.slug)
            if name in self.store.documents
        }
        return snapshots.adjudicate(
            given_cases.from_documents(self.plan, self.store.documents[document_names.PLAN], contents)
        ).content

    def _controller(self, record: recorder.Recorder, *, to_count: bool = True) -> controller.Controller:
        made: list[controller.Controller] = []

        def observe(run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
            self.decisions.append(decision)
            driven = self.elapsed_seconds - self.away_seconds
            assert driven < LONGEST_SECONDS + self.appears_seconds, f"the run does not end: {decision} at {now}"
            self.on_decision(len(self.decisions), made[0])

        made.append(
            controller.Controller(
                plan=self.plan,
                terms=replace(
                    terms(self.plan, early_stop=record.run.early_stop_allowed, to_count=to_count),
                    appears_seconds=self.appears_seconds,
                ),
                target=self._target(),
                sources=controller.RunSources(receipts=self.source if to_count else None),
                outputs=controller.RunOutputs(record=record, documents=self._documents(record), observe=observe),
                clock=self.clock,
            )
        )
        return made[0]

    def _documents(self, record: recorder.Recorder) -> run_documents.RunDocuments:
        return run_documents.RunDocuments(
            plan=self.plan,
            record=record,
            store=self.store,
            render=lambda verdict, contents: b"<html></html>",
            places=[self.place] if self.signer else [],
            signer=self.signer,
        )

    def _target(self) -> controller.RunTarget:
        lease = ownership.hold(self.lease, self.owner)
        lease_layer = layers.LeaseLayer(
            lease,
            execution_id=str(self.plan.execution_id),
            ttl_seconds=self.plan.layers.lease_ttl,
            clock=self.clock,
        )
        return controller.RunTarget(
            launcher=self.launcher,
            lease=lease,
            layers={
                name: Layer(self, name, lease_layer if name == "lease" else layers.StatedLayer("armed"))
                for name in local_terms.LAYERS
            },
            command=("push-events",),
            environment=(),
            child_waits=True,
            one_shots=self.one_shots,
            services=self.services,
            services_place=self.kept,
            drills_place=self.kept_drills,
            halt=self.halt,
            alarms=self.alarms,
            accounts=self.accounts,
            appears_seconds=self.appears_seconds,
        )


@functools.cache
def _usual_plan() -> plans.Plan:
    return plan()


def terms(plan_: plans.Plan, *, early_stop: bool = True, to_count: bool = True) -> run_terms.RunTerms:
    """The terms of a plan on a local target with the inline baseline."""
    return run_terms.make_terms(
        plan_,
        run_terms.TargetLimits(layers=local_terms.LAYERS),
        required_admits_per_second=3.0,
        early_stop=early_stop,
        shots=load_program.plan_shots(plan_, to_count=to_count),
    )


def sound(world: World) -> None:
    """What holds of every finished run, whatever happened to it."""
    run, found = world.outcome, world.document
    kinds = world.journal.kinds
    assert (
        world.readjudicated() == world.store.documents[document_names.snapshot_name(world.plan.slug, world.plan.kind)]
    )
    assert run.exit_code == found["exit_code"]
    not_answered_for = world.launcher.refused_shards | world.launcher.left_out
    again = [request for request in world.launcher.requests[1:] if not request.replaces]
    assert all(set(request.shards) <= not_answered_for for request in again)
    attempts = lifecycle.LAUNCH_ATTEMPTS if not_answered_for else 1
    assert kinds.count(launch_events.LaunchIntended) <= attempts + world.plan.target.most_replacements
    assert len(world.launcher.launched) <= world.plan.target.tasks + world.plan.target.most_replacements
    if launch_events.GoGiven in kinds:
        assert launch_events.LaunchIntended not in kinds[kinds.index(launch_events.GoGiven) :]
    assert kinds.count(launch_events.GoGiven) <= 1
    assert all(request.budget_seconds <= CAP_SECONDS for request in world.launcher.requests)
    assert found["overall_pass"] == (found["blockers"] == [])
    assert (found["exit_code"] == 0) <= found["overall_pass"]
    if world.running():
        assert found["exit_code"] == 6
        assert "B8" in world.blockers
    if found["overall_pass"]:
        assert run.attempt_window is not None
        assert run.attempt_window.seconds >= WINDOW_SECONDS
