"""Sessions: a run with everything it needs to be driven, newly begun or continued from its folder.

`begin` turns a prepared plan into a session about to launch; `reopen` turns a run folder into one about to continue.
Both are short lists of decisions about which adapter stands behind which port.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters import secrets, task_receipts
from burst.adapters.local import folder_store, journal_file, run_lock, system_clock
from burst.control import controller, preflight, recorder, run_documents
from burst.domain.basics import canonical, errors, instants, redaction
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.receipts import receipts
from burst.domain.run import lifecycle
from burst.domain.verdict import baselines
from burst.report import html
from burst.wiring import inputs, preparing, takeover
from burst.wiring.targets import ecs_target, load_program, local_target, receipt_sources


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
    source: ports.ReceiptSource

    def interrupt(self, signal: str) -> None:
        """Asks the run to end; to be called from a signal handler."""
        self.controller.interrupt(signal)
        self.clock.wake()

    def close(self) -> None:
        """Lets another controller in, and ends the task that counts, where there is one."""
        self.lock.release()
        receipt_sources.close(self.source)


class _Uncounted:
    """The receipt source of a session that only stops tasks: it is never to be asked, and says so when it is."""

    def count(self, *_: object, **__: object) -> receipts.WindowCount:
        """Refuses."""
        raise errors.Refused("this session only stops tasks; `burst resume` counts")

    def clock(self, **_: object) -> receipts.DatabaseClock:
        """Refuses."""
        raise errors.Refused("this session only stops tasks; `burst resume` counts")

    def ask(self, *_: object, **__: object) -> object:
        """Refuses."""
        raise errors.Refused("this session only stops tasks; `burst resume` counts")

    def problems(self, **_: object) -> Sequence[str]:
        """Refuses."""
        raise errors.Refused("this session only stops tasks; `burst resume` counts")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What a session stands on: a folder with its inputs frozen and its journal begun, held by this process."""

    plan: plans.Plan
    baseline: baselines.Baseline | None
    store: folder_store.FolderStore
    lock: run_lock.RunLock
    record: recorder.Recorder
    clock: system_clock.SystemClock
    source: ports.ReceiptSource

    @property
    def on_ecs(self) -> bool:
        return self.plan.target.kind == "ecs"


def begin(
    prepared: preparing.Prepared, found: Sequence[findings.Finding], *, early_stop: bool, observe: controller.Observe
) -> Session:
    """A session for a new run: its folder made, its inputs and preflight's findings frozen, its journal begun.

    Nothing is launched yet. Raises `errors.Refused` where a finding refuses, `errors.Conflict` when the execution id
    has a folder already.
    """
    findings.refuse(found)
    plan = prepared.plan
    clock = system_clock.SystemClock()
    if plan.execution_id is None:
        raise errors.UsageError("the plan is not resolved: it has no execution_id")
    store = folder_store.FolderStore.create(Path(plan.evidence.local), plan.execution_id)
    lock = run_lock.RunLock(store.folder)
    redactor = redaction.Redactor(secrets.resolved)
    _freeze(store, prepared, run_documents.redact_document(preflight.document(plan, found, clock.now()), redactor))
    journal = journal_file.FileJournal.create(store.folder / document_names.JOURNAL, clock.now)
    record = recorder.Recorder(journal, redactor)
    deadline = instants.later(clock.now(), plan.budget.cap_seconds)
    _create(plan, store, record, clock, deadline, early_stop=early_stop)
    source = receipt_sources.source(plan, clock)
    ground = _Ground(
        plan=plan, baseline=prepared.baseline, store=store, lock=lock, record=record, clock=clock, source=source
    )
    session = _session(ground, observe, secrets_resolved=True)
    if isinstance(source, task_receipts.TaskReceipts):
        source.open(deadline)  # it is there when the burst begins
    return session


def reopen(folder: Path, *, observe: controller.Observe, to_count: bool = True) -> Session:
    """A session that continues a run from its journal; without `to_count` one that can only stop its tasks.

    Raises `errors.UsageError` where the database's secret does not resolve (nothing is frozen without it),
    `errors.Conflict` while another controller is at work, `errors.EvidenceIncomplete` where no run began.
    """
    clock = system_clock.SystemClock()
    store = folder_store.FolderStore(folder)
    journal_file.read(folder / document_names.JOURNAL)
    plan = inputs.frozen_plan(folder)
    source = receipt_sources.source(plan, clock) if to_count else _Uncounted()
    lock = run_lock.RunLock(folder)
    baseline = inputs.frozen_baseline(plan, store)
    journal = journal_file.FileJournal.open(folder / document_names.JOURNAL, clock.now)
    record = recorder.Recorder(journal, redaction.Redactor(secrets.resolved))
    ground = _Ground(plan=plan, baseline=baseline, store=store, lock=lock, record=record, clock=clock, source=source)
    session = _session(ground, observe, secrets_resolved=False, to_count=to_count)
    if record.run.exit_code is None:
        session.controller.catch_up()
    return session


def _freeze(store: folder_store.FolderStore, prepared: preparing.Prepared, checked: bytes) -> None:
    """Writes what a run starts from, and what preflight found (`checked`), into its folder."""
    for name, content in run_documents.input_documents(
        prepared.plan, prepared.baseline_content, prepared.prior_content
    ):
        store.put_once(name, content)
    store.put_once(document_names.preflight_name(prepared.plan.slug), checked)


def _create(
    plan: plans.Plan,
    store: folder_store.FolderStore,
    record: recorder.Recorder,
    clock: ports.Clock,
    deadline: datetime,
    *,
    early_stop: bool,
) -> None:
    """The first event of a run; on ECS another machine is told of it before."""
    barrier = plan.target.kind == "local" or ecs_target.guarded(plan, clock)
    plan_sha256 = canonical.digest(store.read(document_names.PLAN))
    if plan.target.kind == "ecs":
        announcement = run_records.Announcement(
            execution_id=str(plan.execution_id),
            created_utc=clock.now(),
            deadline_utc=deadline,
            early_stop=early_stop,
            barrier=barrier,
            plan_sha256=plan_sha256,
        )
        takeover.announce(plan, store, announcement)
    record.note(
        "run-created",
        schema=document_names.JOURNAL_SCHEMA,
        execution_id=plan.execution_id,
        scope=plan.scope,
        plan_sha256=plan_sha256,
        deadline=instants.text(deadline),
        early_stop=early_stop,
        barrier=barrier,
    )


def _session(ground: _Ground, observe: controller.Observe, *, secrets_resolved: bool, to_count: bool = True) -> Session:
    plan, record, clock, deadline = ground.plan, ground.record, ground.clock, ground.record.run.deadline
    if ground.on_ecs:
        target = ecs_target.target(plan, deadline or clock.now(), clock)
    else:
        target = local_target.target(plan, ground.store.folder, deadline, clock, secrets_resolved=secrets_resolved)
    driver = controller.Controller(
        plan=plan,
        terms=_terms(ground, target.appears_seconds, to_count=to_count),
        record=record,
        target=target,
        source=ground.source,
        documents_=run_documents.RunDocuments(
            plan=plan,
            record=record,
            store=ground.store,
            render=html.render,
            places=ecs_target.places(plan, deadline or clock.now(), clock.now()),
            signer=inputs.signer(plan, clock),
        ),
        clock=clock,
        observe=observe,
        follow=receipt_sources.follow(plan, ground.source, deadline, clock),
        read_document=inputs.document,
    )
    return Session(
        plan=plan,
        folder=ground.store.folder,
        controller=driver,
        record=record,
        launcher=target.launcher,
        clock=clock,
        lock=ground.lock,
        source=ground.source,
    )


def _terms(ground: _Ground, appears_seconds: float, *, to_count: bool) -> lifecycle.RunTerms:
    """The terms of the run on its target; where it is only to be stopped, nothing runs after it."""
    plan, run = ground.plan, ground.record.run
    return lifecycle.terms(
        plan,
        layers=preparing.layers(plan),
        required_admits_per_second=preparing.required_rate(plan, ground.baseline),
        early_stop=run.early_stop_allowed,
        barrier=run.barrier,
        claims=ground.on_ecs,
        give_up_seconds=ecs_target.STOP_PATIENCE_SECONDS if ground.on_ecs else lifecycle.GIVE_UP_AFTER_FORCE_SECONDS,
        before=load_program.one_shots(plan, plan.before),
        after=load_program.one_shots(plan, plan.after) if to_count else (),
        appears_seconds=appears_seconds,
    )
