"""The controller: performs the decisions of `lifecycle.decide`, and journals every intent before its act.

Read `drive` aloud: decide, arm, launch, go, wait, stop, measure, publish, finish. It remembers nothing that is not in
the journal, so a crash at any line leaves a run that another controller can continue.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from burst import ports
from burst.control import (
    database_ceiling,
    drilling,
    driver_watch,
    errands,
    facts,
    load_watch,
    measuring,
    observing,
    pausing,
    probes,
    reaping,
    recorder,
    run_documents,
    sign_watch,
    starting,
    task_search,
    watching,
)
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, task_results
from burst.domain.plan import plans
from burst.domain.run import appearances, lifecycle, run_terms, runs, starts
from burst.domain.run.events import ending_events, launch_events, watch_events
from burst.domain.tasks import leases, tasks
from burst.domain.verdict import snapshots
from burst.kit import side_by_side

LOOK_SECONDS = 60.0
"""How long one act may hold up the loop while tasks live by its heartbeat, before the loop is taken for dead: as long
as an adapter tries any call, and no longer, because the tasks of a dead loop live on for it."""
SETTLING_SECONDS = 600.0
"""The same while no task runs: only another machine waits for the heartbeat, to take the run over."""

_SOLE_ACTS = (lifecycle.Launch, lifecycle.Measure, lifecycle.Publish)
"""The acts that no superseded controller may begin. GO and STOP begin with a write of the lease anyway."""

Observe = Callable[[runs.Run, lifecycle.Decision, datetime], None]
"""Called after every decision with the run as it is now; progress is shown with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTarget:
    """The target of one run, as the controller needs it: ports, and what the tasks are started with.

    It holds adapters and values alone, so that no call of the controller goes back to the module that joined them.
    """

    launcher: ports.Launcher
    lease: ports.LeaseStore
    layers: Mapping[str, ports.HardStopLayer]
    """The layers of the hard stop by name, in the order in which they are armed."""
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    child_waits: bool
    appears_seconds: float = 0.0
    """For how long after its launch a task may be missing from `Launcher.find`."""
    looks_are_calls: bool = False
    """Whether `Launcher.inspect` costs calls of a bucket that others share: then looks are fewer the more tasks run."""
    accounts: ports.LoadAccounts | None = None
    """What the programs count of their load; without it nobody asks."""
    one_shots: ports.OneShots | None = None
    services: ports.Services | None = None
    services_place: ports.EvidenceStore | None = None
    """Where the earlier counts of services are kept for other machines; without it no service is scaled."""
    drills_place: ports.EvidenceStore | None = None
    """Where faults are kept for other machines before they are caused; None: no other takes the run over."""
    halt: ports.HaltSwitch | None = None
    """The switch that stops every run under the same run control; without it nobody asks."""
    alarms: ports.Alarms | None = None
    """Asked for the alarms of `stop_when`, where the plan names one."""
    worst_end_seconds: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Of each layer by name, when the last process has ended at the latest, in seconds after the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSources:
    """Where the controller of a run reads what it counts and judges."""

    receipts: ports.ReceiptSource | None
    """None: the controller can only stop the run's tasks."""
    read_document: facts.ReadDocument = facts.refuse_documents
    """Reads a document that a fact of the plan names."""
    outside_probes: probes.Probes = field(default_factory=dict)
    """The observed series that an adapter asks for, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutputs:
    """Where the controller of a run puts what it did: the journal, the documents, and whoever is shown its progress."""

    record: recorder.Recorder
    documents: run_documents.RunDocuments
    observe: Observe


class Controller:
    """One run, driven from its journal to its snapshot. Without a receipt source it can only stop the run's tasks."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        terms: run_terms.RunTerms,
        target: RunTarget,
        sources: RunSources,
        outputs: RunOutputs,
        clock: ports.Clock,
    ) -> None:
        source, record = sources.receipts, outputs.record
        self._plan = plan
        self._terms = terms
        self._record = record
        self._target = target
        self._driver = driver_watch.DriverWatch(source, record, clock)
        live_source = None
        if source is not None:
            live_source = database_ceiling.limit_live(source, plan, self._driver.read)
            source = database_ceiling.limit_source(source, plan, self._driver.read)
        self._source = source
        self._documents = outputs.documents
        self._read_document = sources.read_document
        self._clock = clock
        self._observe = outputs.observe
        self._stop_signs = self._build_stop_signs(live_source)
        self._observing = self._build_observing(live_source, sources.outside_probes)
        self._load_watch = self._build_load_watch()
        self._watch = self._build_watch(live_source)
        self._errands = self._build_errands()
        self._drilling = self._build_drilling()
        self._starting = starting.Starting(
            record=record, launcher=target.launcher, lease=target.lease, shard_count=terms.tasks
        )
        self._finder = self._build_finder()
        self._signals: list[str] = []
        self.verdict: snapshots.Verdict | None = None

    def _build_stop_signs(self, live_source: ports.ReceiptSource | None) -> sign_watch.StopSigns:
        target = self._target
        return sign_watch.StopSigns(
            plan=self._plan,
            record=self._record,
            outside=sign_watch.Outside(
                halt=target.halt, alarms=target.alarms, source=live_source, read_document=self._read_document
            ),
            clock=self._clock,
            beat_seconds=watching.beat_seconds(self._plan.layers.lease_ttl),
        )

    def _build_observing(
        self, live_source: ports.ReceiptSource | None, outside_probes: probes.Probes
    ) -> observing.Observing:
        series_probes: probes.Probes = {}
        if live_source is not None:  # a controller without a receipt source only stops tasks
            series_probes = probes.build_probes(self._plan, live_source, self._read_document, outside_probes)
        return observing.Observing(plan=self._plan, record=self._record, series_probes=series_probes, clock=self._clock)

    def _build_load_watch(self) -> load_watch.LoadWatch:
        plan, accounts = self._plan, self._target.accounts
        return load_watch.LoadWatch(
            accounts=accounts, record=self._record, clock=self._clock, scope=plan.scope, tasks=plan.target.tasks
        )

    def _build_watch(self, live_source: ports.ReceiptSource | None) -> watching.Watch:
        target = self._target
        return watching.Watch(
            plan=self._plan,
            record=self._record,
            view=watching.TaskView(
                launcher=target.launcher, lease=target.lease, looks_are_calls=target.looks_are_calls
            ),
            source=live_source,
            clock=self._clock,
            find_halt=self._stop_signs.find_halt,
        )

    def _build_errands(self) -> errands.Errands:
        target = self._target
        return errands.Errands(
            plan=self._plan,
            terms=self._terms,
            record=self._record,
            one_shots=target.one_shots,
            services=target.services,
            place=target.services_place,
            clock=self._clock,
        )

    def _build_finder(self) -> task_search.TaskFinder:
        target = self._target
        return task_search.TaskFinder(
            record=self._record,
            launcher=target.launcher,
            lease=target.lease,
            clock=self._clock,
            terms=appearances.TaskSearchTerms(planned_tasks=self._terms.tasks, appears_seconds=target.appears_seconds),
        )

    def _build_drilling(self) -> drilling.Drilling:
        target = self._target
        return drilling.Drilling(
            terms=self._terms,
            record=self._record,
            errands_=self._errands,
            one_shots=target.one_shots,
            services=target.services,
            place=target.drills_place,
            clock=self._clock,
        )

    def interrupt(self, signal: str) -> None:
        """Asks the run to end, from a signal handler: it only notes the name; the loop acts on it."""
        self._signals.append(signal)

    def ask_to_stop(self, reason: str) -> None:
        """Makes the run stop for the operator, also where STOP could not be written into its lease."""
        if self._record.run.operator_stop is None:
            self._record.note(watch_events.OperatorStop(reason=reason))

    def drive(self, *, until_stopped: bool = False) -> runs.Run:
        """Performs decisions until the run is finished, or with `until_stopped` until its tasks are.

        Raises `errors.PublicationFailed` when the verdict could not be made durable, and `errors.ControllerAtWork` once
        another controller claimed the run: nothing is done in it from then on.
        """
        with self._watch.heart.beating(), self._noting_successor():
            while True:
                self._note_signals()
                self._stop_signs.look()
                self._load_watch.look()
                self._observing.look()
                self._driver.look()
                decision = self._decide()
                self._observe(self._record.run, decision, self._clock.now())
                if isinstance(decision, lifecycle.Finish):
                    return self._record.run
                if until_stopped and isinstance(decision, lifecycle.Measure):
                    self._drilling.note_back()
                    return self._record.run
                self._watch.require_owner()
                self._watch.heart.allow(self._longest_seconds(decision))
                self._perform(decision)

    @contextlib.contextmanager
    def _noting_successor(self) -> Iterator[None]:
        """Journals that another controller claimed the run, and by that ends this one."""
        try:
            yield
        except errors.ControllerAtWork as exc:
            self._record.note(watch_events.Superseded(why=str(exc)))
            raise

    def _longest_seconds(self, decision: lifecycle.Decision) -> float:
        """How long an act may take before the loop is taken for dead."""
        run = self._record.run
        if isinstance(decision, lifecycle.Launch):
            return LOOK_SECONDS + self._terms.start_timeout_seconds  # a later start of the tasks ends the run anyway
        if run.stopping is None and not run.ended:
            return LOOK_SECONDS
        return SETTLING_SECONDS + self._plan.receipts.patience_seconds

    def _decide(self) -> lifecycle.Decision:
        """The next act. Tasks are inspected before a further round of a stop; before its end counts as unproven, they
        are searched for as well."""
        decision = lifecycle.decide(self._record.run, self._clock.now(), self._terms)
        further = isinstance(decision, lifecycle.StopEach) or (isinstance(decision, lifecycle.Stop) and decision.force)
        over = isinstance(decision, lifecycle.Measure | lifecycle.Publish)
        if self._record.run.ended or not (further or over):
            return decision
        if over and self._record.run.unaccounted:
            self._finder.search()
        self._watch.inspect()
        return lifecycle.decide(self._record.run, self._clock.now(), self._terms)

    def catch_up(self) -> None:
        """Journals events that a dead controller could not write: GO given, STOP written, tasks launched."""
        with self._watch.heart.beating():
            self._watch.heart.allow(LOOK_SECONDS)
            self._catch_up()

    def _catch_up(self) -> None:
        self._record.note(launch_events.Resumed(minor=document_names.JOURNAL_MINOR))
        try:
            lease = self._target.lease.read()
        except errors.Unavailable as exc:
            self._record.note(watch_events.LeaseUnreadable(why=str(exc)))
            lease = None
        if lease is not None:
            if lease.go_at is not None and self._record.run.go_at is None:
                self._record.note(launch_events.GoGiven(go_at=lease.go_at))
            if lease.state is leases.LeaseState.STOP and self._record.run.stopping is None:
                self._record.note(watch_events.OperatorStop(reason=lease.reason or "STOP in the lease"))
        self._finder.search()
        if self._record.run.go_at is not None and self._record.run.stopping is None:
            self._watch.inspect()  # before the reason of the stop is decided: every task may have ended meanwhile
        self._errands.catch_up()
        self._drilling.catch_up()

    def abandon(self) -> list[str]:
        """Ends every task at once and puts the services back when the run cannot go on.

        A failure here is left to the other layers. Returns the commands that put services back by hand.
        """
        run = self._record.run
        by_id = {truth.task.task_id: truth.task for truth in run.alive}
        with contextlib.suppress(errors.BurstError, OSError):  # the last launch may not be journalled
            by_id |= {task.task_id: task for task in self._target.launcher.find(run.execution_id)}
        side_by_side.call_all(self._kill, by_id.values(), threads=reaping.STOPS_AT_ONCE)
        return [*self._drilling.abandon(), *self._errands.abandon()]

    def _perform(self, decision: lifecycle.Decision) -> None:
        if isinstance(decision, _SOLE_ACTS) and self._record.run.layers.get("lease") == "armed":
            self._watch.beat()  # a controller that was held up learns here that the run is no longer its own
        match decision:
            case lifecycle.Arm(layer=layer):
                self._arm(layer)
            case lifecycle.Launch():
                self._launch(decision)
            case starts.Withdraw() | starts.ReadClaims() | starts.FreeShards():
                self._starting.perform(decision)
                self._wait(None)
            case lifecycle.Go():
                if self._observing.awaits_first():
                    self._wait(None)
                else:
                    self._go()
            case lifecycle.Wait(until=until):
                self._wait(until)
            case lifecycle.Stop():
                self._stop(decision)
            case lifecycle.StopEach(force=force):
                self._record.note(ending_events.StopEachIntended())
                self._stop_each(decision, force=force)
            case lifecycle.ScaleUp() | lifecycle.AwaitServices() | lifecycle.ScaleBack():
                self._errands.scale(decision)
                self._beat_meanwhile()
            case lifecycle.StrikeDrill() | lifecycle.GiveUpDrill():
                self._drilling.perform(decision)
                self._beat_meanwhile()
            case lifecycle.StartShot() | lifecycle.FindShot() | lifecycle.StopShot():
                self._errands.shoot(decision)
                self._beat_meanwhile()
            case lifecycle.Measure(window=window):
                with _file_errors_unpublished():
                    self._finish_observing(decision)
                    self._measure(window is not None)
            case lifecycle.Publish():
                with _file_errors_unpublished():
                    self._publish()

    def _note_signals(self) -> None:
        while self._signals:
            self._record.note(watch_events.Interrupted(signal=self._signals.pop(0)))

    def _arm(self, layer: str) -> None:
        deadline = self._record.run.deadline
        self._record.note(launch_events.LayerArming(layer=layer))
        try:
            if deadline is None:
                raise errors.Refused("the run has no deadline to arm for")
            detail = self._target.layers[layer].arm(deadline)
        except errors.ControllerAtWork:
            raise
        except errors.BurstError as exc:
            self._record.note(launch_events.LayerFailed(layer=layer, why=str(exc)))
        else:
            self._record.note(launch_events.LayerArmed(layer=layer, detail=detail))

    def _launch(self, decision: lifecycle.Launch) -> None:
        run, now = self._record.run, self._clock.now()
        if run.deadline is None:
            raise errors.Refused("the run has no deadline to launch for")
        request = tasks.LaunchRequest(
            execution_id=run.execution_id,
            token=f"{run.execution_id}|{decision.attempt}",
            shards=decision.shards,
            shard_count=self._terms.tasks,
            command=self._target.command,
            environment=self._target.environment,
            budget_seconds=instants.seconds_between(now, run.deadline),
            grace_seconds=self._terms.grace_seconds,
            child_waits=self._target.child_waits,
            lease_ttl_seconds=self._plan.layers.lease_ttl,
            capacity=decision.capacity,
            replaces=decision.replaces,
            claimed=decision.claimed,
        )
        self._record.note(
            launch_events.LaunchIntended(
                token=request.token,
                shards=decision.shards,
                capacity=decision.capacity,
                replaces=decision.replaces,
                values=self._list_shard_values(decision.shards),
            )
        )
        try:
            launched = self._target.launcher.launch(request, lambda started: self._follow_launch(decision, started))
        except errors.BurstError as exc:
            self._note_failed_launch(request, exc)
            return
        failures = tuple(self._target.launcher.last_failures)
        self._record.note(launch_events.LaunchAnswered(tasks=tuple(launched), failures=failures))

    def _list_shard_values(self, shards: Sequence[int]) -> tuple[launch_events.ShardValue, ...]:
        """The per-shard values of these shards."""
        return tuple(
            launch_events.ShardValue(shard_index=shard, name=name, value=value)
            for shard in shards
            for name, value in self._plan.load.find_shard_values(shard).items()
        )

    def _note_failed_launch(self, request: tasks.LaunchRequest, failure: errors.BurstError) -> None:
        """Journals a launch that was refused, or not answered. A later launch that is refused ends no run: the tasks
        of an earlier one may be enough."""
        refused = isinstance(failure, errors.Refused | errors.UsageError)
        if refused:
            failures = (tasks.LaunchFailure(shortage=tasks.Shortage.OTHER, reason=str(failure)),) * len(request.shards)
            self._record.note(launch_events.LaunchAnswered(tasks=(), failures=failures))
        self._finder.search()
        if not (refused and self._record.run.truths):
            self._record.note(launch_events.LaunchFailed(why=str(failure)))

    def _follow_launch(self, decision: lifecycle.Launch, started: Sequence[tasks.Task]) -> bool:
        """Journals tasks as soon as they are started, and shows them; whether the launch goes on."""
        if started:
            self._record.note(launch_events.TasksLaunched(tasks=tuple(started)))
        self._observe(self._record.run, decision, self._clock.now())
        return not self._signals

    def _go(self) -> None:
        """Opens the barrier. The instant is taken before the write, so no receipt can precede its window."""
        run, now = self._record.run, self._clock.now()
        if run.deadline is None:
            raise errors.Refused("the run has no deadline to go for")
        if not self._terms.barrier:
            now = min((truth.started_at for truth in run.truths.values() if truth.started_at), default=now)
        self._record.note(launch_events.GoIntended(**self._declare_window()))
        go = leases.Lease(
            execution_id=run.execution_id,
            state=leases.LeaseState.GO,
            deadline=run.deadline,
            beat=0,
            heartbeat_at=now,
            go_at=now,
        )
        try:
            lease = self._write_go(go)
        except errors.ControllerAtWork:
            raise
        except errors.BurstError as exc:
            self._record.note(launch_events.LaunchFailed(why=f"GO could not be given: {exc}"))
            return
        if lease.state is leases.LeaseState.STOP:
            self._record.note(watch_events.OperatorStop(reason=lease.reason or "STOP in the lease"))
        else:
            burst_tasks = len(self._record.run.carriers)
            self._record.note(launch_events.GoGiven(go_at=now, tasks=burst_tasks, planned_tasks=self._terms.tasks))

    def _declare_window(self) -> dict[str, float]:
        """The counted window in seconds from GO on, where it is not the whole load."""
        counted_from = self._plan.lead_seconds
        if not counted_from and self._plan.rate_plan is None:
            return {}
        counted_to = counted_from + self._plan.budget.window_seconds
        return {"counted_from_seconds": counted_from, "counted_to_seconds": counted_to}

    def _write_go(self, go: leases.Lease) -> leases.Lease:
        """Writes GO, twice where the answer was lost (it is the same GO of the same instant); returns the lease."""
        try:
            return self._target.lease.write(go)
        except errors.Unavailable:
            return self._target.lease.write(go)

    def _beat_meanwhile(self) -> None:
        """Keeps the lease alive, and obeys a STOP in it, while the run waits for services or one-shots."""
        if self._record.run.layers.get("lease") == "armed":
            self._watch.look()

    def _wait(self, until: datetime | None) -> None:
        self._finder.search_if_due()
        self._watch.look()
        self._errands.look()
        self._drilling.look()
        if not self._signals:
            pausing.until_next_look(self._clock, until, self._watch.pause_seconds)

    def _stop(self, decision: lifecycle.Stop) -> None:
        self._record.note(
            ending_events.StopIntended(reason=decision.reason, force=decision.force, early_stop=decision.early_stop)
        )
        self._watch.beat()  # first: tasks read STOP in the lease even where the control plane does not answer
        run = self._record.run
        if not decision.force or run.unaccounted or run.blind_since is not None:
            self._finder.search()
        if decision.force:
            self._stop_each(decision, force=True)

    def _stop_each(self, decision: lifecycle.Stop | lifecycle.StopEach, *, force: bool) -> None:
        """Stops each task that is not seen stopped when its turn comes, several at a time; looks and beats meanwhile.

        A signal ends the round, because the next decision may be to kill.
        """

        def stop(task: tasks.Task) -> bool:
            ended = self._record.run.truths[task.task_id].status is tasks.TaskStatus.STOPPED
            return not ended and self._target.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=force)

        living = [truth.task for truth in self._record.run.alive]
        outcomes = side_by_side.call_each(
            stop, living, threads=reaping.STOPS_AT_ONCE, every_seconds=pausing.POLL_SECONDS
        )
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                if outcome is not None and outcome.failure is not None:
                    why = str(outcome.failure)
                    self._record.note(ending_events.StopUnsent(task_id=outcome.item.task_id, why=why))
                elif outcome is not None and outcome.result:
                    self._record.note(ending_events.StopSent(task_id=outcome.item.task_id, force=force))
                self._attend(decision)
                if self._signals and not force:
                    return

    def _attend(self, decision: lifecycle.Decision) -> None:
        """Keeps the run alive and in sight while one act takes long: looks, beats and shows whatever is due."""
        self._watch.heart.allow(self._longest_seconds(decision))
        self._observing.look()
        if self._watch.look_if_due():
            self._observe(self._record.run, decision, self._clock.now())

    def _finish_observing(self, decision: lifecycle.Decision) -> None:
        """Takes the terminal samples, at or after the end of the attempt window."""

        def attend() -> bool:
            self._watch.heart.allow(self._longest_seconds(decision))
            self._observe(self._record.run, decision, self._clock.now())
            return not self._signals

        self._observing.finish(attend)

    def _kill(self, task: tasks.Task) -> None:
        with contextlib.suppress(OSError):
            self._target.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)

    def _measure(self, countable: bool) -> None:
        source = self._require_source()
        attempt = self._record.run.attempt_window if countable else None
        window = None if attempt is None else self._plan.cut_counted(attempt)
        self._record.note(ending_events.MeasureIntended(window=str(window) if window else None))
        self._driver.note()
        self._drilling.note_back()
        self._disarm()
        if window is None:
            why = "there is no attempt window to count" if attempt is None else "it ended before the counted window"
            self._record.note(ending_events.MeasureFailed(why=why))
            return
        measuring.Measuring(
            plan=self._plan,
            record=self._record,
            source=source,
            driver=self._driver,
            documents=self._documents,
            read_document=self._read_document,
            clock=self._clock,
        ).freeze_figures(window, self._freeze_load, lambda: bool(self._signals))

    def _require_source(self) -> ports.ReceiptSource:
        if self._source is None:
            raise errors.Refused("this controller has no receipt source and only stops tasks; `burst resume` counts")
        return self._source

    def _disarm(self) -> None:
        if not self._record.run.settled:
            return  # a task may still run: every layer stays armed
        for layer in self._target.layers.values():
            try:
                layer.disarm()
            except errors.BurstError as exc:
                self._record.note(ending_events.DisarmFailed(why=str(exc)))

    def _freeze_load(self) -> None:
        if self._target.accounts is not None:
            self._documents.freeze_load(self._target.accounts)

    def _publish(self) -> None:
        self._freeze_load()
        self._record.note(ending_events.PublishIntended())
        self.verdict = self._documents.publish(layers=self._layers(), worst_end_seconds=self._target.worst_end_seconds)
        snapshot = self.verdict.snapshot
        self._record.note(ending_events.Published(sha256=self.verdict.sha256))
        self._record.note(ending_events.RunFinished(exit_code=snapshot.exit_code, why=snapshot.exit_reason))

    def _layers(self) -> list[task_results.LayerEntry]:
        layers = self._record.run.layers
        return [
            task_results.LayerEntry.model_validate(
                {
                    "name": name,
                    "state": "armed" if layers.get(name) == "armed" else "not-armed",
                    "detail": "" if layers.get(name) == "armed" else layers.get(name, "the run ended before it"),
                }
            )
            for name in self._terms.layers
        ]


@contextlib.contextmanager
def _file_errors_unpublished() -> Iterator[None]:
    """Raises `errors.PublicationFailed` for an error of a file: no task runs any more, only the verdict is missing."""
    try:
        yield
    except OSError as exc:
        raise errors.PublicationFailed(f"a file of the run cannot be had: {exc.strerror or exc}") from exc
