"""Campaigns, joined: the folder, the journal, the lock and the steps of one campaign.

The lock of the folder comes first, the journal after it. Where the campaign's evidence has a run control on S3, the
journal and everything that another machine needs stand there too, under `campaigns/{campaign_id}`.
"""

import contextlib
import secrets as randomness
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from burst import ports
from burst.adapters import secrets
from burst.adapters.aws import s3_store
from burst.adapters.local import course_journal_file, folder_store, run_lock, system_clock
from burst.control import campaigning, course_mirror, ownership
from burst.domain.basics import canonical, errors, instants, redaction
from burst.domain.course import (
    campaign_files,
    campaign_journals,
    course_decisions,
    course_events,
    courses,
)
from burst.domain.documents import campaign_records, models
from burst.kit import files
from burst.report import runbook_pages
from burst.wiring import (
    campaign_bounds,
    campaign_commands,
    campaign_databases,
    campaign_plans,
    campaign_rollups,
    campaign_steps,
    driving,
    halting,
)

CAMPAIGNS = "campaigns"
"""The folder of all campaigns, beside the runs and under run control."""
STOP_PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRequest:
    """The operator, and the words of the command line."""

    operator: str | None = None
    said_yes: bool = False
    until: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """The step to be taken again: bounded to blockers where some are named, with these changes of its plan."""

    step: str
    only: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignAddress:
    """A campaign by its folder here, and by the run control that may hold it."""

    folder: Path
    run_control: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """A campaign as its folder shows it. `at_work`: whether a process drives it on this machine."""

    folder: Path
    file: campaign_files.CampaignFile
    course: courses.Course
    at_work: bool


def begin(
    content: str, source: str, runs_dir: str | None, request: CampaignRequest, reporter: driving.Reporter
) -> CampaignView:
    """Begins the campaign of a file, and drives it to its end or a pause.

    Raises `errors.UsageError` for a bad file or plan: nothing was begun then.
    """
    file = campaign_files.parse(content, source=source)
    if runs_dir:
        value = file.document()
        value["evidence"] = value.get("evidence", {}) | {"local": runs_dir}
        file = campaign_files.parse(canonical.encode(value).decode(), source=source)
    _refuse_unknown_step(file, request.until)
    clock = system_clock.SystemClock()
    campaign_id = f"{file.name}_{instants.stamp(clock.now())}_{randomness.token_hex(3)}"
    documents = {campaign_records.FILE: campaign_files.freeze(file), **_read_plans(file)}
    store = folder_store.FolderStore.create(Path(file.evidence.local) / CAMPAIGNS, campaign_id)
    _spread(documents, store, _open_place(file, campaign_id))
    campaign_bounds.make_terms(file, store.folder, reporter)  # a bad plan is refused before anything is journalled
    began = course_events.CampaignBegan(
        schema=course_events.SCHEMA,
        minor=campaign_journals.MINOR,
        campaign_id=campaign_id,
        file_sha256=canonical.digest(documents[campaign_records.FILE]),
        plans={name: canonical.digest(content) for name, content in documents.items() if name.startswith("plan_")},
        operator=_name_operator(request),
        until=request.until,
    )
    reporter.say(f"campaign {campaign_id} in {store.folder}")
    with _hold_lock(store.folder, clock):
        course_journal_file.CourseJournalFile.create(
            store.folder / campaign_journals.NAME, clock.now, campaign_journals.FORM
        ).close()
        with _open_runner(file, store.folder, request, reporter, campaign_id) as runner:
            runner.note(began)
            runner.drive()
    return look(store.folder)


def resume(
    address: CampaignAddress, request: CampaignRequest, reporter: driving.Reporter, reopen: Reopen | None = None
) -> CampaignView:
    """Goes on with a campaign: after a pause, or where a process died.

    Raises `errors.ControllerAtWork` while another process drives it, `errors.EvidenceIncomplete` where there is none.
    """
    folder = _find_folder(address)
    view = look(folder)
    _refuse_unknown_step(view.file, request.until)
    if view.course.ended_at is not None:
        if reopen is not None:
            raise errors.Refused(f"campaign {view.course.campaign_id} has ended; begin a new one")
        return view
    with _hold_lock(folder, system_clock.SystemClock()):
        view = look(folder)
        if reopen is not None:
            reopen = _expand_reopening(view, reopen, reporter)
        with _open_runner(view.file, folder, request, reporter, view.course.campaign_id) as runner:
            if _read_stop(folder_store.FolderStore(folder), _open_place(view.file, view.course.campaign_id)) is None:
                _refuse_waiting(runner.course, reopen)
            runner.note(
                course_events.CampaignResumed(
                    operator=_name_operator(request),
                    until=request.until,
                    reopen=reopen.step if reopen else None,
                    only=reopen.only if reopen else (),
                    settings=reopen.settings if reopen else (),
                )
            )
            runner.drive()
    return look(folder)


def stop(address: CampaignAddress, reason: str, reporter: driving.Reporter) -> CampaignView:
    """Ends a campaign: stops what runs, settles it, puts back what was overridden, and undoes its steps.

    A living process does that by itself, and is waited for a while; without one it is done here. Raises
    `errors.StillRunning` where a task may run on.
    """
    clock = system_clock.SystemClock()
    folder = _find_folder(address)
    view = look(folder)
    if view.course.ended_at is not None:
        return view
    order = campaign_records.CampaignStop(
        by=halting.name_operator(), reason=redaction.Redactor(secrets.RESOLVED).text(reason), at_utc=clock.now()
    )
    for store in (folder_store.FolderStore(folder), _open_place(view.file, view.course.campaign_id)):
        if store is not None:
            with contextlib.suppress(errors.Conflict):  # the first order stands
                store.put_once(campaign_records.STOP, order.content())
    if view.at_work:
        return _wait_for_driver(view, reporter, clock)
    return resume(address, CampaignRequest(), reporter)


def _wait_for_driver(view: CampaignView, reporter: driving.Reporter, clock: ports.Clock) -> CampaignView:
    """Stops the tasks of the step that runs, and waits until the process at work has done the rest."""
    for step in view.file.steps:
        attempts = view.course.step(step.name).attempts
        if step.plan is not None and attempts and attempts[-1].is_open:
            plan_steps = campaign_plans.PlanSteps(file=view.file, folder=view.folder, reporter=reporter, command=())
            plan_steps.stop_tasks(step, attempts[-1], view.course)
    give_up_at = instants.later(clock.now(), STOP_PATIENCE_SECONDS)
    while clock.now() < give_up_at:
        view = look(view.folder)
        if view.course.ended_at is not None or not view.at_work:
            break
        clock.sleep(POLL_SECONDS)
    return view


def look(folder: Path) -> CampaignView:
    """A campaign from its folder alone. Raises `errors.EvidenceIncomplete` where there is none, and
    `errors.EvidenceCorrupt` where file or plans are not those that the journal names."""
    lines = course_journal_file.read_lines(folder / campaign_journals.NAME, campaign_journals.FORM)
    course = campaign_journals.fold(lines)
    if not course.campaign_id:
        raise errors.NothingBegun(f"{folder}: no campaign began here, and nothing was launched; begin it again")
    store = folder_store.FolderStore(folder)
    for name, sha256 in {campaign_records.FILE: course.file_sha256, **course.plans}.items():
        if canonical.digest(store.read(name)) != sha256:
            raise errors.EvidenceCorrupt(f"{folder / name} is not the one that the journal names")
    content = store.read(campaign_records.FILE)
    file = campaign_files.parse(content.decode(), source=str(folder / campaign_records.FILE))
    return CampaignView(folder=folder, file=file, course=course, at_work=run_lock.is_held(folder))


def look_anywhere(address: CampaignAddress) -> CampaignView:
    """A campaign as its folder shows it, or as run control does where it is not on this machine. Changes nothing."""
    if address.folder.is_dir() or address.run_control is None:
        return look(address.folder)
    place = _open_run_control(address.run_control, address.folder.name)
    content = course_mirror.read_lines(place)
    course = campaign_journals.fold(campaign_journals.FORM.parse_lines(content, place.place))
    content = place.read(campaign_records.FILE)
    if canonical.digest(content) != course.file_sha256:
        raise errors.EvidenceCorrupt(f"{place.place}/{campaign_records.FILE} is not the one that the journal names")
    file = campaign_files.parse(content.decode(), source=campaign_records.FILE)
    return CampaignView(folder=address.folder, file=file, course=course, at_work=False)


def find_campaign(content: str, source: str, runs_dir: str | None) -> Path:
    """The newest campaign of exactly this file. Raises `errors.EvidenceIncomplete` where there is none."""
    file = campaign_files.parse(content, source=source)
    parent = Path(runs_dir or file.evidence.local) / CAMPAIGNS
    for folder in sorted(parent.glob(f"{file.name}_*"), reverse=True):
        with contextlib.suppress(errors.BurstError):
            view = look(folder)
            if view.course.ended_at is None and view.file.steps == file.steps:
                return folder
    raise errors.EvidenceIncomplete(f"no campaign of {source} that has not ended lies in {parent}; name its id")


def _read_plans(file: campaign_files.CampaignFile) -> dict[str, bytes]:
    """The plan of each step, as it stands now: a later change is no part of this campaign."""
    return {
        campaign_plans.make_plan_name(step.name): files.read_named(
            runbook_pages.find_plan(Path(step.plan)), f"step {step.name}: plan"
        )
        for step in file.steps
        if step.plan is not None
    }


def _spread(documents: dict[str, bytes], *stores: ports.EvidenceStore | None) -> None:
    for store in stores:
        if store is not None:
            for name, content in documents.items():
                store.put_once(name, content)


@contextlib.contextmanager
def _hold_lock(folder: Path, clock: ports.Clock) -> Iterator[None]:
    lock = run_lock.RunLock(folder, ownership.make_owner(clock))
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _open_runner(
    file: campaign_files.CampaignFile,
    folder: Path,
    request: CampaignRequest,
    reporter: driving.Reporter,
    campaign_id: str,
) -> Iterator[campaigning.CampaignRunner]:
    clock, store = system_clock.SystemClock(), folder_store.FolderStore(folder)
    place = _open_place(file, campaign_id)
    journal_file = course_journal_file.CourseJournalFile.open(
        folder / campaign_journals.NAME, clock.now, campaign_journals.FORM
    )
    try:
        journal: ports.CourseJournal[course_events.CampaignEvent] = journal_file
        if place is not None:
            journal = course_mirror.MirroredJournal(journal_file, campaign_journals.FORM, place)
        steps = _make_steps(file, folder, request, reporter, campaign_id)
        yield campaigning.CampaignRunner(
            campaign_bounds.make_terms(file, folder, reporter),
            campaigning.CampaignParts(
                driver=steps,
                journal=journal,
                documents=store,
                clock=clock,
                read_stop=lambda: _read_stop(store, place),
                say=reporter.say,
                redactor=redaction.Redactor(secrets.RESOLVED),
            ),
        )
    finally:
        journal_file.close()


def _make_steps(
    file: campaign_files.CampaignFile,
    folder: Path,
    request: CampaignRequest,
    reporter: driving.Reporter,
    campaign_id: str,
) -> campaign_steps.CampaignSteps:
    return campaign_steps.CampaignSteps(
        plan_steps=campaign_plans.PlanSteps(file=file, folder=folder, reporter=reporter, command=request.command),
        command_steps=campaign_commands.CommandSteps(folder, campaign_id, system_clock.SystemClock()),
        database_steps=campaign_databases.DatabaseSteps(
            file=file, folder=folder, operator=_name_operator(request), said_yes=request.said_yes, say=reporter.say
        ),
        rollup_steps=campaign_rollups.RollupSteps(file=file, folder=folder),
    )


def _read_stop(store: ports.EvidenceStore, place: ports.EvidenceStore | None) -> courses.StopOrder | None:
    """The order to stop, here or under run control; one that cannot be read stops as well."""
    for each in (store, place):
        if each is not None and campaign_records.STOP in each.names():
            try:
                stop_order = models.read(campaign_records.CampaignStop, each.read(campaign_records.STOP))
            except errors.BurstError as exc:
                return courses.StopOrder(by="unknown", reason=f"{campaign_records.STOP} cannot be read: {exc}")
            return courses.StopOrder(by=stop_order.by, reason=stop_order.reason)
    return None


def _open_place(file: campaign_files.CampaignFile, campaign_id: str) -> s3_store.S3Store | None:
    """Where another machine finds the campaign; None where its evidence has no run control on S3."""
    authority = file.evidence.authority
    return None if authority is None else _open_run_control(authority, campaign_id)


def _open_run_control(run_control: str, campaign_id: str) -> s3_store.S3Store:
    return s3_store.S3Store(f"{run_control.rstrip('/')}/{CAMPAIGNS}/{campaign_id}")


def _find_folder(address: CampaignAddress) -> Path:
    """The folder of a campaign, made from run control where it is not on this machine."""
    if address.folder.is_dir() or address.run_control is None:
        return address.folder
    place = _open_run_control(address.run_control, address.folder.name)
    content = course_mirror.read_lines(place)
    course = campaign_journals.fold(campaign_journals.FORM.parse_lines(content, place.place))
    if not course.campaign_id:
        raise errors.EvidenceIncomplete(f"{place.place}: no campaign began here")
    documents = {name: place.read(name) for name in (campaign_records.FILE, *course.plans)}
    store = folder_store.FolderStore.create(address.folder.parent, address.folder.name)
    _spread({**documents, campaign_databases.RECOVERED: b"from run control\n"}, store)
    store.put_once(campaign_journals.NAME, content)
    return store.folder


def _refuse_unknown_step(file: campaign_files.CampaignFile, name: str | None) -> None:
    if name is not None:
        try:
            file.step(name)
        except LookupError as exc:
            raise errors.UsageError(f"--until {name}: {exc.args[0]}") from None


def _expand_reopening(view: CampaignView, reopen: Reopen, reporter: driving.Reporter) -> Reopen:
    """The order with whole blocker ids: `B1` is the one of the step's phase. Raises where the step cannot be taken."""
    course_decisions.refuse_reopening(view.course, view.file, reopen.step, reopen.only)
    step = view.file.step(reopen.step)
    if step.plan is None:
        return reopen
    plan_steps = campaign_plans.PlanSteps(file=view.file, folder=view.folder, reporter=reporter, command=())
    plan = plan_steps.read_plan(step, ())
    only = tuple(name if name in plan.blockers else plan.blocker(name) for name in reopen.only)
    return Reopen(step=reopen.step, only=only, settings=reopen.settings)


def _refuse_waiting(course: courses.Course, reopen: Reopen | None) -> None:
    """Raises `errors.Refused` where a step is on HOLD and the operator does not say how to go on."""
    pause = course.pause
    if pause is None or pause.kind != "hold" or reopen is not None or course.stop is not None:
        return
    raise errors.Refused(
        f"step {pause.step} is on HOLD: {pause.reason}; take it again with --reopen {pause.step}, bounded with "
        "--only ID,..., or end the campaign with burst campaign stop"
    )


def _name_operator(request: CampaignRequest) -> str:
    named = redaction.Redactor(secrets.RESOLVED).text(request.operator or halting.name_operator()).strip()
    if not named or len(named) > 200:
        raise errors.UsageError("--operator: allowed: a name of 1 to 200 characters")
    return named
