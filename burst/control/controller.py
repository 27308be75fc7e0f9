"""The controller: performs what `lifecycle.decide` decides, and journals every intent before its act.

Read `drive` aloud: decide, arm, launch, go, wait, stop, measure, publish, finish. It remembers nothing the journal
does not say, so a crash at any line leaves a run that another controller can continue.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.control import errands, facts, pausing, recorder, run_documents, watching
from burst.domain.basics import errors, instants, windows
from burst.domain.documents import task_results
from burst.domain.plan import plans
from burst.domain.run import lifecycle, runs
from burst.domain.tasks import leases, tasks
from burst.domain.verdict import snapshots
from burst.kit import measure

LOOK_SECONDS = 60.0
"""How long one act may hold up the loop while tasks live by its heartbeat, before the loop is taken for dead: as long
as an adapter tries any call, and no longer, because the tasks of a dead loop live on for it."""
SETTLING_SECONDS = 600.0
"""The same where none does: only another machine, which would take the run over, waits for it."""

Observe = Callable[[runs.Run, lifecycle.Decision, datetime], None]
"""Told after every decision what the run looks like now; progress is shown with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is particular to where tasks run: how to start them, and how to arm the layers that need arming."""

    launcher: ports.Launcher
    lease: ports.LeaseStore
    arm: Mapping[str, Callable[[datetime], str]]
    """Layer to the act that arms it for a deadline and says how; raises `errors.BurstError` when it cannot."""
    disarm: Callable[[], None]
    """Stands down what would fire later, once every task was seen to stop."""
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    child_waits: bool
    appears_seconds: float = 0.0
    """How long after its launch a task may not be seen yet: only then is what is found all there is."""
    one_shots: ports.OneShots | None = None
    services: ports.Services | None = None
    place: ports.EvidenceStore | None = None
    """Where the counts services had are kept for other machines; they cannot be scaled without it."""


class Controller:
    """One run, driven from its journal to its snapshot."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        terms: lifecycle.RunTerms,
        record: recorder.Recorder,
        target: Target,
        source: ports.ReceiptSource,
        documents_: run_documents.RunDocuments,
        clock: ports.Clock,
        observe: Observe,
        follow: watching.Follow | None = None,
        read_document: facts.ReadDocument = facts.refuse_documents,
    ) -> None:
        self._plan = plan
        self._terms = terms
        self._record = record
        self._target = target
        self._source = source
        self._evidence = documents_
        self._read_document = read_document
        self._clock = clock
        self._observe = observe
        self._watch = watching.Watch(
            plan=plan,
            record=record,
            launcher=target.launcher,
            lease=target.lease,
            source=source,
            clock=clock,
            follow=follow,
        )
        self._errands = errands.Errands(
            plan=plan,
            terms=terms,
            record=record,
            one_shots=target.one_shots,
            services=target.services,
            place=target.place,
            clock=clock,
        )
        self._signals: list[str] = []
        self.verdict: snapshots.Verdict | None = None

    def interrupt(self, signal: str) -> None:
        """Asks the run to end, from a signal handler: it only notes the name; the loop acts on it."""
        self._signals.append(signal)

    def ask_to_stop(self, reason: str) -> None:
        """Has the run stop for the operator, also where its lease could not be told so."""
        if self._record.run.operator_stop is None:
            self._record.note("operator-stop", reason=reason)

    def drive(self, *, until_stopped: bool = False) -> runs.Run:
        """Performs decisions until the run is finished, or with `until_stopped` until its tasks are.

        Raises `errors.PublicationFailed` when the verdict could not be made durable.
        """
        with self._watch.heart.beating():
            while True:
                self._note_signals()
                decision = self._decide()
                self._observe(self._record.run, decision, self._clock.now())
                if isinstance(decision, lifecycle.Finish):
                    return self._record.run
                if until_stopped and isinstance(decision, lifecycle.Measure):
                    return self._record.run
                self._watch.heart.allow(self._longest_seconds(decision))
                self._perform(decision)

    def _longest_seconds(self, decision: lifecycle.Decision) -> float:
        """How long an act may take before the loop is taken for dead."""
        run = self._record.run
        if isinstance(decision, lifecycle.Launch):
            return LOOK_SECONDS + self._terms.start_timeout_seconds  # after which there is nothing to go on with
        if run.stopping is None and not run.ended:
            return LOOK_SECONDS
        return SETTLING_SECONDS + self._plan.receipts.patience_seconds

    def _decide(self) -> lifecycle.Decision:
        """The next act; before a stop is called not proven, the tasks are looked at once more."""
        decision = lifecycle.decide(self._record.run, self._clock.now(), self._terms)
        if not self._record.run.alive or not isinstance(decision, lifecycle.Measure | lifecycle.Publish):
            return decision
        self._watch.inspect()
        return lifecycle.decide(self._record.run, self._clock.now(), self._terms)

    def catch_up(self) -> None:
        """Journals what happened behind a dead controller's back: GO given, STOP written, tasks launched."""
        with self._watch.heart.beating():
            self._watch.heart.allow(LOOK_SECONDS)
            self._catch_up()

    def _catch_up(self) -> None:
        self._record.note("resumed")
        try:
            standing = self._target.lease.read()
        except errors.Unavailable as exc:
            self._record.note("lease-unreadable", why=str(exc))
            standing = None
        if standing is not None:
            if standing.go_at is not None and self._record.run.go_at is None:
                self._record.note("go-given", go_at=instants.text(standing.go_at))
            if standing.state is leases.LeaseState.STOP and self._record.run.stopping is None:
                self._record.note("operator-stop", reason=standing.reason or "STOP in the lease")
        self._adopt()
        self._errands.catch_up()

    def abandon(self) -> list[str]:
        """Ends every task at once and puts the services back when the run cannot go on.

        What fails here is left to the other layers; returns what a person has to do about services.
        """
        run = self._record.run
        known = {truth.task.task_id: truth.task for truth in run.alive}
        with contextlib.suppress(errors.BurstError, OSError):  # what was launched last may not be journalled
            known |= {task.task_id: task for task in self._target.launcher.find(run.execution_id)}
        for task in known.values():
            with contextlib.suppress(errors.BurstError, OSError):
                self._target.launcher.stop(task, by=tasks.Layer.CONTROLLER, force=True)
        return self._errands.abandon()

    def _perform(self, decision: lifecycle.Decision) -> None:
        match decision:
            case lifecycle.Arm(layer=layer):
                self._arm(layer)
            case lifecycle.Launch():
                self._launch(decision)
            case lifecycle.Go():
                self._go()
            case lifecycle.Wait(until=until):
                self._wait(until)
            case lifecycle.Stop():
                self._stop(decision)
            case lifecycle.ScaleUp() | lifecycle.AwaitServices() | lifecycle.ScaleBack():
                self._errands.scale(decision)
                self._beat_meanwhile()
            case lifecycle.StartShot() | lifecycle.FindShot() | lifecycle.StopShot():
                self._errands.shoot(decision)
                self._beat_meanwhile()
            case lifecycle.Measure(window=window):
                with _filed():
                    self._measure(window is not None)
            case lifecycle.Publish():
                with _filed():
                    self._publish()

    def _note_signals(self) -> None:
        while self._signals:
            self._record.note("interrupted", signal=self._signals.pop(0))

    def _arm(self, layer: str) -> None:
        deadline = self._record.run.deadline
        self._record.note("layer-arming", layer=layer)
        try:
            if deadline is None:
                raise errors.Refused("the run has no deadline to arm for")
            detail = self._target.arm[layer](deadline)
        except errors.BurstError as exc:
            self._record.note("layer-failed", layer=layer, why=str(exc))
        else:
            self._record.note("layer-armed", layer=layer, detail=detail)

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
        )
        self._record.note(
            "launch-intended", token=request.token, shards=list(decision.shards), capacity=decision.capacity
        )
        try:
            launched = self._target.launcher.launch(request)
        except errors.BurstError as exc:
            self._adopt()
            self._record.note("launch-failed", why=str(exc))
            return
        failures = [
            {"shortage": failure.shortage.value, "reason": failure.reason}
            for failure in self._target.launcher.last_failures
        ]
        self._record.note("launch-answered", tasks=[_task_fields(task) for task in launched], failures=failures)

    def _adopt(self) -> None:
        """Journals tasks of this run that are alive and that the journal does not know."""
        run = self._record.run
        try:
            found = self._target.launcher.find(run.execution_id)
        except errors.Unavailable as exc:
            if run.blind_since is None:
                self._record.note("blind", why=str(exc))
            return
        if run.blind_since is not None:
            self._record.note("sight-regained")
        unknown = [task for task in found if task.task_id not in run.truths]
        began = run.launching_at or self._clock.now()
        accounted = self._clock.now() >= instants.later(began, self._target.appears_seconds)
        if unknown or (run.unaccounted and accounted):
            entries = [_task_fields(task) for task in unknown]
            self._record.note("tasks-found", tasks=entries, accounted=accounted)

    def _go(self) -> None:
        """Opens the barrier. The instant is taken before the write, so no receipt can precede its window."""
        run, now = self._record.run, self._clock.now()
        if run.deadline is None:
            raise errors.Refused("the run has no deadline to go for")
        if not self._terms.barrier:
            now = min((truth.started_at for truth in run.truths.values() if truth.started_at), default=now)
        self._record.note("go-intended")
        wanted = leases.Lease(
            execution_id=run.execution_id,
            state=leases.LeaseState.GO,
            deadline=run.deadline,
            beat=0,
            heartbeat_at=now,
            go_at=now,
        )
        try:
            standing = self._written(wanted)
        except errors.BurstError as exc:
            self._record.note("launch-failed", why=f"GO could not be given: {exc}")
            return
        if standing.state is leases.LeaseState.STOP:
            self._record.note("operator-stop", reason=standing.reason or "STOP in the lease")
        else:
            self._record.note("go-given", go_at=instants.text(now))

    def _written(self, wanted: leases.Lease) -> leases.Lease:
        """What stands after GO was written, again where its answer was lost: it is the same GO, of the same instant."""
        try:
            return self._target.lease.write(wanted)
        except errors.Unavailable:
            return self._target.lease.write(wanted)

    def _beat_meanwhile(self) -> None:
        """Keeps the lease alive, and hears the operator, while something else than the tasks is waited for."""
        if self._record.run.layers.get("lease") == "armed":
            self._watch.look()

    def _wait(self, until: datetime | None) -> None:
        if self._record.run.unaccounted:
            self._adopt()
        self._watch.look()
        self._errands.look()
        if not self._signals:
            pausing.until_next_look(self._clock, until)

    def _stop(self, decision: lifecycle.Stop) -> None:
        early = decision.early_stop.model_dump(mode="json") if decision.early_stop else None
        self._record.note("stop-intended", reason=decision.reason, force=decision.force, early_stop=early)
        self._watch.beat()  # first: the lease is heard while the control plane that is asked next is not
        self._adopt()
        for truth in self._record.run.alive:
            try:
                self._target.launcher.stop(truth.task, by=tasks.Layer.CONTROLLER, force=decision.force)
            except errors.BurstError as exc:
                self._record.note("stop-unsent", task_id=truth.task.task_id, why=str(exc))
            else:
                self._record.note("stop-sent", task_id=truth.task.task_id, force=decision.force)

    def _measure(self, countable: bool) -> None:
        window = self._record.run.attempt_window if countable else None
        self._record.note("measure-intended", window=str(window) if window else None)
        self._disarm()
        if window is None:
            self._record.note("measure-failed", why="there is no attempt window to count")
            return
        give_up_at = instants.later(self._clock.now(), self._plan.receipts.patience_seconds)
        try:
            measured = self._counted(window, give_up_at)
            self._evidence.freeze_metrics(measured)
            answers = facts.ask_facts(self._plan, self._source, self._read_document, self._clock, give_up_at)
            self._evidence.freeze_facts(answers)
        except errors.PublicationFailed:
            raise
        except errors.BurstError as exc:
            self._record.note("measure-failed", why=str(exc))
            return
        self._record.note("measured", **_count_fields(measured))

    def _counted(self, window: windows.Window, give_up_at: datetime) -> measure.Measurement:
        """Counts a window; a database that does not answer is asked again until `give_up_at` or a signal."""
        while True:
            try:
                return measure.measure(
                    self._source,
                    window=window,
                    scope=self._plan.scope,
                    bucket_seconds=self._plan.receipts.bucket,
                    settle_seconds=self._plan.receipts.settle,
                    clock=self._clock,
                    give_up_at=give_up_at,
                )
            except errors.Unavailable:
                if self._signals or instants.later(self._clock.now(), pausing.RETRY_SECONDS) >= give_up_at:
                    raise
                self._clock.sleep(pausing.RETRY_SECONDS)

    def _disarm(self) -> None:
        if not self._record.run.settled:
            return  # what may still fire must stay armed
        try:
            self._target.disarm()
        except errors.BurstError as exc:
            self._record.note("disarm-failed", why=str(exc))

    def _publish(self) -> None:
        self._record.note("publish-intended")
        self.verdict = self._evidence.publish(layers=self._layers())
        snapshot = self.verdict.snapshot
        self._record.note("published", sha256=self.verdict.sha256)
        self._record.note("run-finished", exit_code=snapshot.exit_code, why=snapshot.exit_reason)

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
def _filed() -> Iterator[None]:
    """Once nothing is left to be stopped, a file that cannot be had keeps the verdict from being published, no more."""
    try:
        yield
    except OSError as exc:
        raise errors.PublicationFailed(f"a file of the run cannot be had: {exc.strerror or exc}") from exc


def _task_fields(task: tasks.Task) -> dict[str, Any]:
    return {"task_id": task.task_id, "shard_index": task.shard_index}


def _count_fields(measured: measure.Measurement) -> dict[str, Any]:
    counts = dataclasses.asdict(measured.count.counts)
    return {"counts": counts, "rounds": len(measured.rounds), "settled": measured.settled}
