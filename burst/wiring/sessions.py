"""Sessions: a run with everything it needs to be driven.

`begin` makes the session of a new run from a prepared plan, `reopen` that of an old run from its folder. Both decide
which adapter stands behind which port; the target of the plan decides for its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters import secrets
from burst.adapters.local import folder_store, journal_file, run_lock, system_clock
from burst.control import attempting, controller, ownership, preflight, recorder, run_documents
from burst.domain.basics import canonical, errors, instants, redaction
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.run import run_terms
from burst.domain.run.events import launch_events
from burst.domain.tasks import leases
from burst.domain.verdict import baselines, contract_terms, rules
from burst.report import html
from burst.wiring import attempt_places, halting, inputs, preparing, series_probes, signers
from burst.wiring.targets import load_program, receipt_sources, targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run with everything it needs to be driven, held against other controllers until `close`."""

    plan: plans.Plan
    folder: Path
    controller: controller.Controller
    record: recorder.Recorder
    launcher: ports.Launcher
    clock: system_clock.SystemClock
    lock: run_lock.RunLock
    source: ports.ReceiptSource | None
    """None where the session only stops tasks."""
    lease: ownership.RunLease

    def interrupt(self, signal: str) -> None:
        """Asks the run to end. A signal handler may call it."""
        self.controller.interrupt(signal)
        self.clock.wake()

    def close(self) -> None:
        """Releases the run for other controllers, and ends the task that counts, where there is one."""
        self.lock.release()
        if self.source is not None:
            self.source.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """The base of a session: a folder with its inputs frozen and its journal begun, locked by this process."""

    plan: plans.Plan
    baseline: baselines.Baseline | None
    store: folder_store.FolderStore
    lock: run_lock.RunLock
    record: recorder.Recorder
    clock: system_clock.SystemClock
    source: ports.ReceiptSource | None
    target: targets.Target
    owner: leases.Owner | None

    @property
    def deadline(self) -> datetime:
        return self.record.run.deadline or self.clock.now()

    @property
    def lease(self) -> ownership.RunLease:
        return self.target.run_lease(self.record.run.created_at or self.clock.now(), self.deadline)


def begin(
    prepared: preparing.Prepared, checked: Sequence[findings.Finding], *, early_stop: bool, observe: controller.Observe
) -> Session:
    """A session for a new run: its folder made, its inputs and preflight's findings frozen, its journal begun.

    Nothing is launched yet. Raises `errors.Refused` where a finding refuses or run control is halted, `errors.Conflict`
    where the execution id has a folder already.
    """
    findings.refuse_launch(checked)
    switch = targets.choose(prepared.plan, system_clock.SystemClock()).halt_switch()
    findings.refuse_launch([halting.check(switch)])  # asked again: the other checks may have taken a minute since
    ground = _break_ground(prepared, checked)
    source, deadline = ground.source, instants.later(ground.clock.now(), ground.plan.budget.cap_seconds)
    _create_run(ground, deadline, prepared.command, early_stop=early_stop)
    session = _open_session(ground, observe, to_launch=True)
    if source is not None:
        source.open(deadline)  # a counting task then runs when the burst begins
    return session


def reopen(
    folder: Path, *, observe: controller.Observe, own: ownership.Ownership | None = None, to_count: bool = True
) -> Session:
    """A session that continues a run from its journal; without `to_count` one that can only stop its tasks.

    The run is claimed by `own`; without it this session drives nothing that two controllers must not both drive: it
    stops tasks, or finishes a publication that was committed. Raises `errors.UsageError` where the database's secret
    does not resolve (nothing is frozen without it), `errors.ControllerAtWork` while another controller holds the run,
    `errors.EvidenceIncomplete` where no run began.
    """
    clock = system_clock.SystemClock()
    journal_file.read(folder / document_names.JOURNAL)
    plan = inputs.frozen_plan(folder)
    source = receipt_sources.make_source(plan, clock) if to_count else None
    owner = None if own is None else own.owner
    lock = run_lock.RunLock(folder, owner or ownership.make_owner(clock))
    try:
        store = folder_store.FolderStore(folder)
        baseline = inputs.frozen_baseline(plan, store)
        journal = journal_file.FileJournal.open(folder / document_names.JOURNAL, clock.now)
        ground = _Ground(
            plan=plan,
            baseline=baseline,
            store=store,
            lock=lock,
            record=recorder.Recorder(journal, redaction.Redactor(secrets.RESOLVED)),
            clock=clock,
            source=source,
            target=targets.choose(plan, clock, folder),
            owner=owner,
        )
        if own is not None and not own.claimed and ground.record.run.exit_code is None:
            own.claim(ground.lease, predecessors=lock.predecessors)
        session = _open_session(ground, observe, to_launch=False, to_count=to_count)
        if ground.record.run.exit_code is None:
            session.controller.catch_up()
    except BaseException:
        lock.release()
        raise
    return session


def _break_ground(prepared: preparing.Prepared, checked: Sequence[findings.Finding]) -> _Ground:
    """Makes the folder of a new run, and freezes in it the run's inputs and the findings of its preflight."""
    plan, clock = prepared.plan, system_clock.SystemClock()
    if plan.execution_id is None:
        raise errors.UsageError("the plan is not resolved: it has no execution_id")
    store = folder_store.FolderStore.create(Path(plan.evidence.local), plan.execution_id)
    owner = ownership.make_owner(clock)
    lock = run_lock.RunLock(store.folder, owner)
    redactor = redaction.Redactor(secrets.RESOLVED)
    prior, prior_plan = (prepared.prior.snapshot, prepared.prior.plan) if prepared.prior else (None, None)
    reference = prepared.reference
    for name, content in run_documents.input_documents(
        plan,
        prepared.baseline_content,
        prior,
        prior_plan,
        prepared.gate_records,
        reference=reference.snapshot if reference else None,
        reference_plan=reference.plan if reference else None,
    ):
        store.put_once(name, content)
    preflight_document = preflight.build_document(plan, checked, clock.now(), prepared.machine)
    store.put_once(
        document_names.preflight_name(plan.slug), run_documents.redact_document(preflight_document, redactor)
    )
    _claim_attempt(prepared, store, clock.now())
    journal = journal_file.FileJournal.create(store.folder / document_names.JOURNAL, clock.now)
    return _Ground(
        plan=plan,
        baseline=prepared.baseline,
        store=store,
        lock=lock,
        record=recorder.Recorder(journal, redactor),
        clock=clock,
        source=receipt_sources.make_source(plan, clock),
        target=targets.choose(plan, clock, store.folder),
        owner=owner,
    )


def _claim_attempt(prepared: preparing.Prepared, store: folder_store.FolderStore, now: datetime) -> None:
    """Claims the number of the run among the attempts of its phase, and freezes it as a document of the run."""
    plan = prepared.plan
    deadline = instants.later(now, plan.budget.cap_seconds)
    own_terms = contract_terms.from_plan(plan, rules.CURRENT.version, prepared.baseline)
    attempt = attempting.claim(plan, own_terms.sha256, now, attempt_places.open_places(plan, deadline, now))
    store.put_once(document_names.attempt_name(plan.slug), attempt.content())


def _create_run(ground: _Ground, deadline: datetime, command: Sequence[str], *, early_stop: bool) -> None:
    """Announces the run to other machines, and writes its first event."""
    plan, barrier = ground.plan, ground.target.waits_for_go()
    words = [ground.record.redactor.text(word) for word in command]
    plan_sha256 = canonical.digest(ground.store.read(document_names.PLAN))
    announcement = run_records.Announcement(
        execution_id=str(plan.execution_id),
        created_utc=ground.clock.now(),
        deadline_utc=deadline,
        early_stop=early_stop,
        barrier=barrier,
        plan_sha256=plan_sha256,
        command=words,
    )
    ground.target.announce(ground.store, announcement)
    ground.record.note(
        launch_events.RunCreated(
            schema=document_names.JOURNAL_SCHEMA,
            minor=document_names.JOURNAL_MINOR,
            execution_id=str(plan.execution_id),
            scope=plan.scope,
            plan_sha256=plan_sha256,
            deadline=deadline,
            early_stop=early_stop,
            barrier=barrier,
            command=tuple(words),
            attempt_sha256=canonical.digest(ground.store.read(document_names.attempt_name(plan.slug))),
        )
    )


def _open_session(ground: _Ground, observe: controller.Observe, *, to_launch: bool, to_count: bool = True) -> Session:
    plan, record, clock, deadline = ground.plan, ground.record, ground.clock, ground.deadline
    run_target = ground.target.run_target(deadline, to_launch=to_launch, owner=ground.owner)
    driver = controller.Controller(
        plan=plan,
        terms=_run_terms(ground, run_target.appears_seconds, to_count=to_count),
        target=run_target,
        sources=controller.RunSources(
            receipts=ground.source,
            read_document=inputs.document,
            outside_probes=series_probes.open_probes(plan, clock),
        ),
        outputs=controller.RunOutputs(record=record, documents=_open_documents(ground), observe=observe),
        clock=clock,
    )
    return Session(
        plan=plan,
        folder=ground.store.folder,
        controller=driver,
        record=record,
        launcher=run_target.launcher,
        clock=clock,
        lock=ground.lock,
        source=ground.source,
        lease=ground.lease,
    )


def _open_documents(ground: _Ground) -> run_documents.RunDocuments:
    """The documents of the run, with the places that they are published to."""
    return run_documents.RunDocuments(
        plan=ground.plan,
        record=ground.record,
        store=ground.store,
        render=html.render,
        places=ground.target.places(ground.deadline),
        signer=signers.find_signer(ground.plan, ground.clock),
    )


def _run_terms(ground: _Ground, appears_seconds: float, *, to_count: bool) -> run_terms.RunTerms:
    """The terms of the run on its target."""
    plan, run, target = ground.plan, ground.record.run, ground.target
    return run_terms.make_terms(
        plan,
        run_terms.TargetLimits(
            layers=target.layers,
            claims=target.claims_shards,
            give_up_seconds=target.give_up_seconds,
            appears_seconds=appears_seconds,
        ),
        required_admits_per_second=preparing.required_rate(plan, ground.baseline),
        early_stop=run.early_stop_allowed,
        barrier=run.barrier,
        shots=load_program.plan_shots(plan, to_count=to_count),
    )
