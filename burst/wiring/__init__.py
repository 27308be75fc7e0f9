"""Wiring: the one place that knows both the controller and what is outside, and joins them for a plan.

`begin` turns a plan into a session about to launch; `reopen` turns a run folder into one about to continue. Both are
short lists of decisions about which adapter stands behind which port.
"""

import contextlib
import dataclasses
import os
import platform
import secrets as randomness
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import burst
from burst import aws, files, ports
from burst.adapters import (
    account,
    journal_file,
    lease_file,
    postgres,
    processes,
    run_lock,
    secrets,
    signing,
    system_clock,
    task_receipts,
)
from burst.adapters import files as folders
from burst.control import controller, evidence, preflight, reaping, recorder, watching
from burst.domain import baseline as baselines
from burst.domain import (
    canonical,
    control,
    documents,
    errors,
    findings,
    instants,
    launchable,
    lifecycle,
    receipts,
    redaction,
    runs,
    tasks,
)
from burst.domain import journal as journals
from burst.domain import plan as plans
from burst.report import html
from burst.wiring import checks, cloud, counting, inputs, local, program, takeover

CHECKING_CONNECTIONS = 2
"""How many connections the checks of a preflight share: making one takes longer than most questions, and with two a
question that is slow on a large table holds up no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks of a run."""

    plan_file: Path
    overrides: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    prior: str | None = None
    execution_id: str | None = None
    early_stop: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan read and resolved, the documents it starts from, and its baseline."""

    plan: plans.Plan
    baseline_content: bytes | None
    prior_content: bytes | None
    baseline: baselines.Baseline | None
    problems: Mapping[str, errors.BurstError] = dataclasses.field(default_factory=dict)
    """What is wrong with its inputs, by preflight check; nothing may be launched then."""

    @property
    def required_admits_per_second(self) -> float | None:
        """The rate the multiplier gate asks for."""
        return _required_rate(self.plan, self.baseline)


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
        _close(self.source)


def read_plan(request: Request) -> plans.Plan:
    """The plan with the command line's changes in it. Raises `errors.UsageError`."""
    plan = plans.parse(
        files.given_text(request.plan_file, "plan"), source=str(request.plan_file), overrides=request.overrides
    )
    if not request.only and request.prior is None and request.execution_id is None:
        return plan
    changed = plan.document()
    if request.only or request.prior is not None:
        rerun = changed.get("rerun", {})
        rerun |= {"only": list(request.only)} if request.only else {}
        rerun |= {"prior": request.prior} if request.prior is not None else {}
        changed["rerun"] = rerun
    if request.execution_id is not None:
        changed["execution_id"] = request.execution_id
    return plans.parse(canonical.encode(changed).decode(), source=f"{request.plan_file} with the command line's words")


def prepare(request: Request, now: datetime) -> Prepared:
    """The plan resolved for a run starting now: ids made, `fresh` and `auto` replaced, inputs named by digest.

    Raises `errors.Refused` where an input is missing or cannot be trusted.
    """
    prepared = examine(request, now)
    for problem in prepared.problems.values():
        raise problem
    return prepared


def examine(request: Request, now: datetime) -> Prepared:
    """As `prepare`, but what is wrong with baseline and prior stands in `problems`, for preflight to find."""
    plan = read_plan(request)
    _refuse_unbuilt(plan)
    problems: dict[str, errors.BurstError] = {}
    baseline_content, baseline, prior_content = None, None, None
    with _noted(problems, "baseline"):
        baseline_content, baseline = inputs.baseline(plan, now)
    with _noted(problems, "prior"):
        prior_content = inputs.prior(plan)
    resolved = plan.document()
    unique = randomness.token_hex(3)
    if plan.execution_id is None:
        resolved["execution_id"] = f"{plan.group}_{instants.stamp(now)}_{unique}"
    if plan.scope == "fresh":
        resolved["scope"] = f"platform_{instants.stamp(now)}_{unique}"
    if plan.load.rate == "auto" and baseline is not None and plan.gates.multiplier is not None:
        resolved["load"]["rate"] = plan.gates.multiplier * baseline.rate_per_minute * plan.load.headroom
    if baseline_content is not None:
        resolved["baseline"]["sha256"] = canonical.digest(baseline_content)
    if prior_content is not None:
        resolved["rerun"]["prior_sha256"] = canonical.digest(prior_content)
    return Prepared(
        plan=plans.parse(canonical.encode(resolved).decode(), source=str(request.plan_file)),
        baseline_content=baseline_content,
        prior_content=prior_content,
        baseline=baseline,
        problems=problems,
    )


@contextlib.contextmanager
def _noted(problems: dict[str, errors.BurstError], name: str) -> Iterator[None]:
    """Keeps what is wrong with an input for preflight to find; what is wrong with the words themselves is raised."""
    try:
        yield
    except errors.UsageError:
        raise
    except errors.BurstError as exc:
        problems[name] = exc


def layers(plan: plans.Plan) -> tuple[str, ...]:
    """The layers of the hard stop that are armed before a launch, in order, where they can be."""
    return cloud.LAYERS if plan.target.kind == "ecs" else local.LAYERS


def _refuse_unbuilt(plan: plans.Plan) -> None:
    kind, places = plan.target.kind, (plan.evidence.run_control, plan.evidence.run_scoped)
    if kind == "ecs" and plan.evidence.authority is None:
        raise errors.UsageError("target.kind ecs needs evidence.run_control: the lease of its tasks lies there")
    if kind == "local" and any(places):
        raise errors.UsageError("evidence.run_control and run_scoped belong to the ecs target; leave them out")
    unknown = set(plan.layers.require).difference(layers(plan))
    if unknown:
        allowed = ", ".join(layers(plan))
        raise errors.UsageError(
            f"layers.require: kind {kind} cannot arm {', '.join(sorted(unknown))}; allowed: {allowed}"
        )
    if kind == "local" and plan.receipts.via == "task":
        raise errors.UsageError("receipts.via task belongs to the ecs target; allowed here: direct")


def _required_rate(plan: plans.Plan, baseline: baselines.Baseline | None) -> float | None:
    if baseline is None or plan.gates.multiplier is None:
        return None
    return plan.gates.multiplier * baseline.rate_per_second


def receipt_source(
    plan: plans.Plan, clock: ports.Clock, *, kept_connections: int = 0
) -> postgres.PostgresReceipts | task_receipts.TaskReceipts:
    """The receipts of a plan. Raises `errors.UsageError` where its secret does not resolve."""
    if plan.receipts.via == "task":
        return counting.source(plan, clock)
    columns = plan.receipts.columns
    return postgres.PostgresReceipts(
        secrets.resolve(str(plan.receipts.dsn)),
        table=plan.receipts.table,
        columns={"decision": columns.decision, "at": columns.at, "scope": columns.scope},
        application_name=f"burst/{plan.execution_id or 'preflight'}",
        kept_connections=kept_connections,
        now=clock.now,
    )


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


def _signer(plan: plans.Plan, clock: ports.Clock) -> Callable[[], ports.Signer] | None:
    """How to get at the key that signs, None where the plan asks for no signature."""
    if plan.evidence.sign is None:
        return None
    reference = plan.evidence.sign.key
    return lambda: signing.signer(reference, clock)


def check(
    prepared: Prepared, clock: ports.Clock, observe: preflight.Observe | None = None
) -> tuple[findings.Finding, ...]:
    """Every preflight check's findings; `observe` is shown each as it comes."""
    with contextlib.ExitStack() as asked:

        def source() -> ports.ReceiptSource:
            made = receipt_source(prepared.plan, clock, kept_connections=CHECKING_CONNECTIONS)
            asked.callback(_close, made)
            return made

        made = checks.of(
            prepared.plan,
            problems=prepared.problems,
            required_admits_per_second=prepared.required_admits_per_second,
            source=source,
            signer=_signer(prepared.plan, clock),
            clock=clock,
        )
        seconds = preflight.patience_seconds(prepared.plan) + preflight.OVERTIME_SECONDS
        return preflight.run(made, observe=observe or preflight.unseen, seconds=seconds)


def _close(source: ports.ReceiptSource) -> None:
    if isinstance(source, postgres.PostgresReceipts | task_receipts.TaskReceipts):
        source.close()


def cost(plan: plans.Plan) -> findings.Finding:
    """What the plan's burst costs at most, as far as that can be known from here."""
    if plan.target.kind == "local":
        return launchable.affordable(plan, None, "")
    if not account.configured():
        return findings.warning("cost", "unknown: the task's size is AWS's to say, which is not configured here")
    try:
        size = cloud.definition(plan, system_clock.SystemClock()).size
        return launchable.affordable(plan, size, aws.region())
    except errors.BurstError as exc:
        return findings.warning("cost", f"unknown: {exc}")


def begin(
    prepared: Prepared, found: Sequence[findings.Finding], *, early_stop: bool, observe: controller.Observe
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
    store = folders.FolderStore.create(Path(plan.evidence.local), plan.execution_id)
    lock = run_lock.RunLock(store.folder)
    for name, content in evidence.input_documents(plan, prepared.baseline_content, prepared.prior_content):
        store.put_once(name, content)
    redactor = redaction.Redactor(secrets.resolved)
    checked = preflight.document(plan, found, clock.now())
    store.put_once(documents.preflight_name(plan.slug), evidence.redacted(checked, redactor))
    journal = journal_file.FileJournal.create(store.folder / documents.JOURNAL, clock.now)
    record = recorder.Recorder(journal, redactor)
    deadline = instants.later(clock.now(), plan.budget.cap_seconds)
    barrier = plan.target.kind == "local" or cloud.guarded(plan, clock)
    plan_sha256 = canonical.digest(store.read(documents.PLAN))
    if plan.target.kind == "ecs":
        announcement = documents.Announcement(
            execution_id=plan.execution_id,
            created_utc=clock.now(),
            deadline_utc=deadline,
            early_stop=early_stop,
            barrier=barrier,
            plan_sha256=plan_sha256,
        )
        takeover.announce(plan, store, announcement)
    record.note(
        "run-created",
        schema=documents.JOURNAL_SCHEMA,
        execution_id=plan.execution_id,
        scope=plan.scope,
        plan_sha256=plan_sha256,
        deadline=instants.text(deadline),
        early_stop=early_stop,
        barrier=barrier,
    )
    source = receipt_source(plan, clock)
    session = _session(plan, prepared.baseline, store, lock, record, clock, observe, source, secrets_resolved=True)
    if isinstance(source, task_receipts.TaskReceipts):
        source.open(deadline)  # it is there when the burst begins
    return session


def reopen(folder: Path, *, observe: controller.Observe, to_count: bool = True) -> Session:
    """A session that continues a run from its journal; without `to_count` one that can only stop its tasks.

    Raises `errors.UsageError` where the database's secret does not resolve (nothing is frozen without it),
    `errors.Conflict` while another controller is at work, `errors.EvidenceIncomplete` where no run began.
    """
    clock = system_clock.SystemClock()
    store = folders.FolderStore(folder)
    journal_file.read(folder / documents.JOURNAL)
    plan = plans.parse(store.read(documents.PLAN).decode(), source=str(folder / documents.PLAN))
    source = receipt_source(plan, clock) if to_count else _Uncounted()
    lock = run_lock.RunLock(folder)
    baseline = _frozen_baseline(plan, store)
    journal = journal_file.FileJournal.open(folder / documents.JOURNAL, clock.now)
    record = recorder.Recorder(journal, redaction.Redactor(secrets.resolved))
    session = _session(
        plan, baseline, store, lock, record, clock, observe, source, secrets_resolved=False, to_count=to_count
    )
    if record.run.exit_code is None:
        session.controller.catch_up()
    return session


def _frozen_baseline(plan: plans.Plan, store: folders.FolderStore) -> baselines.Baseline | None:
    if plan.baseline is None or documents.BASELINE not in store.names():
        return baselines.from_inline(plan.baseline) if plan.baseline else None
    try:
        return baselines.from_document(baselines.read(store.read(documents.BASELINE)))
    except errors.BurstError:
        return None  # adjudication says so; the tasks still have to be settled


def _session(
    plan: plans.Plan,
    baseline: baselines.Baseline | None,
    store: folders.FolderStore,
    lock: run_lock.RunLock,
    record: recorder.Recorder,
    clock: system_clock.SystemClock,
    observe: controller.Observe,
    source: ports.ReceiptSource,
    *,
    secrets_resolved: bool,
    to_count: bool = True,
) -> Session:
    on_ecs = plan.target.kind == "ecs"
    if on_ecs:
        target = cloud.target(plan, record.run.deadline or clock.now(), clock)
    else:
        target = local.target(plan, store.folder, record.run.deadline, clock, secrets_resolved=secrets_resolved)
    terms = lifecycle.terms(
        plan,
        layers=layers(plan),
        required_admits_per_second=_required_rate(plan, baseline),
        early_stop=record.run.early_stop_allowed,
        barrier=record.run.barrier,
        claims=on_ecs,
        give_up_seconds=cloud.STOP_PATIENCE_SECONDS if on_ecs else lifecycle.GIVE_UP_AFTER_FORCE_SECONDS,
        before=program.one_shots(plan, plan.before),
        after=program.one_shots(plan, plan.after) if to_count else (),
        appears_seconds=target.appears_seconds,
    )
    driver = controller.Controller(
        plan=plan,
        terms=terms,
        record=record,
        target=target,
        source=source,
        documents_=evidence.Evidence(
            plan=plan,
            record=record,
            store=store,
            render=html.render,
            places=cloud.places(plan, record.run.deadline or clock.now(), clock.now()),
            signer=_signer(plan, clock),
        ),
        clock=clock,
        observe=observe,
        follow=_follow(plan, source, record.run.deadline, clock),
        read_document=inputs.document,
    )
    return Session(
        plan=plan,
        folder=store.folder,
        controller=driver,
        record=record,
        launcher=target.launcher,
        clock=clock,
        lock=lock,
        source=source,
    )


def _follow(
    plan: plans.Plan, source: ports.ReceiptSource, deadline: datetime | None, clock: ports.Clock
) -> watching.Follow | None:
    """What counts the burst while it runs, where that is a task; None: the controller asks the database itself."""
    if not isinstance(source, task_receipts.TaskReceipts):
        return None
    return counting.follow(plan, source, deadline or clock.now())


def living(clock: ports.Clock, cluster: str | None, execution_id: str | None) -> list[reaping.Found]:
    """Every living burst task of a cluster, or of this machine where none is named; of one run where one is named.

    Naming a run is what the schedule of the hard stop does; the sweeper looks at all.
    """
    if cluster:
        return cloud.marked(clock, cluster, execution_id)
    return [
        reaping.Found(
            execution_id=marked.execution_id,
            task=marked.task,
            deadline=marked.deadline,
            launcher=_launcher_of(marked),
        )
        for marked in processes.marked_tasks()
        if execution_id in (None, tasks.run_of(marked.execution_id))
    ]


def tasks_of(plan: plans.Plan, clock: ports.Clock) -> list[reaping.Found]:
    """Every living task of one run, to be ended whatever its deadline."""
    found = living(clock, plan.target.cluster if plan.target.kind == "ecs" else None, plan.execution_id)
    return [dataclasses.replace(one, by=tasks.Layer.CONTROLLER) for one in found]


def stop_elsewhere(
    execution_id: str, run_control: str, clock: ports.Clock, reason: str, say: Callable[[str], None]
) -> tuple[reaping.Outcome, ...]:
    """Stops a run that another machine launched: STOP into its lease first, which needs no ECS, then every task.

    Raises `errors.EvidenceIncomplete` where no such run was announced.
    """
    plan = takeover.announced_plan(execution_id, run_control)
    _write_stop(cloud.run_control(plan), clock, reason)
    return reaping.reap(tasks_of(plan, clock), clock, say)


def take_over(execution_id: str, run_control: str, runs_dir: Path) -> Path:
    """The folder of a run launched on another machine, made here from run control; see `takeover.take_over`."""
    return takeover.take_over(execution_id, run_control, runs_dir, system_clock.SystemClock())


def _launcher_of(marked: processes.MarkedTask) -> processes.LocalLauncher:
    uri = marked.control_uri or None
    leased = uri is not None and uri.startswith("file://")
    folder = Path(lease_file.from_uri(str(uri)).path).parent if leased else Path("runs") / marked.execution_id
    return processes.LocalLauncher(folder, execution_id=marked.execution_id, control_uri=uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run as its folder and its processes show it, without touching either."""

    run: runs.Run
    plan: plans.Plan
    baseline: baselines.Baseline | None
    truths: tuple[tasks.TaskTruth, ...]
    controller_alive: bool

    @property
    def left(self) -> list[str]:
        """The tasks that were not seen to stop, and of a run that goes on what a lost launch may have started."""
        lost = self.run.unaccounted and self.run.exit_code is None
        unseen = ["what the last launch started, which nobody could look for yet"] if lost else []
        return [*(one.task.task_id for one in self.truths if one.status is not tasks.Status.STOPPED), *unseen]


def _launcher(plan: plans.Plan, folder: Path, deadline: datetime, clock: ports.Clock) -> ports.Launcher:
    if plan.target.kind == "ecs":
        return cloud.launcher(plan, deadline, clock)
    return local.launcher(folder, str(plan.execution_id))


def _plan_of(folder: Path) -> plans.Plan:
    content = folders.FolderStore(folder).read(documents.PLAN)
    return plans.parse(content.decode(), source=str(folder / documents.PLAN))


def written(folder: Path) -> Standing:
    """How a run stands by its folder alone; asks nobody. Raises `errors.EvidenceIncomplete` where none began."""
    store = folders.FolderStore(folder)
    run = journals.fold(journal_file.read(folder / documents.JOURNAL))
    if not run.execution_id:
        raise errors.EvidenceIncomplete(f"{folder} holds no run that began; nothing was launched")
    plan = _plan_of(folder)
    return Standing(
        run=run,
        plan=plan,
        baseline=_frozen_baseline(plan, store),
        truths=tuple(run.truths.values()),
        controller_alive=run_lock.held(folder),
    )


def look(folder: Path) -> Standing:
    """How a run stands, and its tasks now. Raises as `written`, and `errors.Unavailable` where it is blind."""
    standing, clock = written(folder), system_clock.SystemClock()
    run = standing.run
    launcher = _launcher(standing.plan, folder, run.deadline or clock.now(), clock)
    known = {truth.task.task_id: truth.task for truth in run.truths.values()}
    known |= {task.task_id: task for task in launcher.find(run.execution_id)}
    alive = [task for task in known.values() if task.task_id not in run.truths or run.truths[task.task_id] in run.alive]
    settled = [truth for truth in run.truths.values() if truth not in run.alive]
    return dataclasses.replace(standing, truths=(*settled, *launcher.inspect(alive)))


def ask_to_stop(folder: Path, clock: ports.Clock, reason: str) -> None:
    """Writes STOP into a run's lease, where it has one: tasks and controller obey it by themselves."""
    plan = _plan_of(folder)
    _write_stop(cloud.run_control(plan) if plan.target.kind == "ecs" else local.run_control(folder), clock, reason)


def _write_stop(lease: ports.RunControl, clock: ports.Clock, reason: str) -> None:
    standing = lease.read()
    if standing is not None:
        lease.write(dataclasses.replace(standing, state=control.State.STOP, heartbeat_at=clock.now(), reason=reason))


def environment() -> dict[str, str | int | float | None]:
    """The fingerprint of this machine that a baseline keeps: rates of unlike machines are not to be compared."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "burst": burst.__version__,
    }


def seen_alive(launcher: ports.Launcher, execution_id: str) -> list[str]:
    """The tasks of a run that its launcher does not see stopped; needs nothing of the run's folder."""
    truths = launcher.inspect(launcher.find(execution_id))
    return [truth.task.task_id for truth in truths if truth.status is not tasks.Status.STOPPED]
