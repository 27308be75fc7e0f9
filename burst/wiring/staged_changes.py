"""Staged changes, joined: the folder, the journal, the database and the programs of one staging.

The database's lock comes first, the journal after it: a process without the lock writes nothing.
"""

import functools
import secrets as randomness
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import burst
from burst import ports
from burst.adapters import secrets
from burst.adapters.local import course_journal_file, folder_store, kept_programs, system_clock
from burst.adapters.postgres import staged_database
from burst.control import staging
from burst.domain.basics import canonical, errors, instants, redaction
from burst.domain.documents import database_stages
from burst.domain.staging import (
    changes,
    foreign_changes,
    own_sessions,
    stage_decisions,
    stage_events,
    stage_files,
    stage_journals,
    stagings,
    way_back,
)
from burst.kit import own_programs
from burst.wiring import halting

BURST_WORDS = own_programs.start_words("burst")
_TRACES = (database_stages.NAME, "snapshot_*.json")
"""The documents of stages that were at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingRequest:
    """The operator, and the words of the command line. `dsn_reference` names the DSN and never is one."""

    operator: str | None
    said_yes: bool
    dsn_reference: str | None
    rolls_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingView:
    """A staging as its folder shows it."""

    folder: Path
    file: stage_files.StageFile
    staging: stagings.Staging


def begin(content: str, source: str, folder: Path | None, request: StagingRequest, say: staging.Say) -> StagingView:
    """Begins the staged changes of a file, and drives them to their end or a pause.

    Raises `errors.UsageError` for a bad file, `errors.Refused` where somebody has to be named, where a change could not
    be applied, or where others are at work: nothing was applied then.
    """
    file = stage_files.parse(content, source=source)
    operator = _require_operator(file, request)
    reference = _require_reference(request.dsn_reference)
    if folder is not None and folder.exists():
        raise errors.Conflict(
            f"{folder} exists; nothing was applied; name another --folder, or: burst db resume {folder}"
        )
    with _locked_database(reference) as database:
        identity = database.identify()
        _refuse_obstacles(file, database)
        clock = system_clock.SystemClock()
        staging_id = f"stage_{instants.stamp(clock.now())}_{randomness.token_hex(3)}"
        parent, name = (folder.parent, folder.name) if folder is not None else (Path("stages"), staging_id)
        store = folder_store.FolderStore.create(parent, name)
        frozen = stage_files.freeze(file)
        store.put_once(database_stages.STAGE_FILE, frozen)
        journal = course_journal_file.CourseJournalFile.create(
            store.folder / database_stages.JOURNAL, clock.now, stage_journals.FORM
        )
        say(f"stages in {store.folder}; where this process ends before they do: burst db resume {store.folder}")
        try:
            runner = staging.StageRunner(file, _make_parts(database, journal, store, reference, say))
            began = _describe_beginning(file, identity, frozen)
            with _say_how_far(runner, file, store.folder):
                runner.note(began(staging_id=staging_id, dsn_reference=reference, operator=operator))
                return StagingView(folder=store.folder, file=file, staging=runner.drive())
        finally:
            journal.close()


def _describe_beginning(
    file: stage_files.StageFile, identity: stagings.StagedIdentity, frozen: bytes
) -> Callable[..., stage_events.StagingBegan]:
    """The first event, but for what the caller gives it."""
    return functools.partial(
        stage_events.StagingBegan,
        schema=stage_events.SCHEMA,
        minor=stage_journals.MINOR,
        stage_file_name=database_stages.STAGE_FILE,
        stage_file_sha256=canonical.digest(frozen),
        environment=file.environment,
        system_identifier=identity.system_identifier,
        database=identity.database,
        role=identity.role,
        version_number=identity.version_number,
        server_started_utc=identity.server_started_at,
    )


def resume(folder: Path, request: StagingRequest, say: staging.Say) -> StagingView:
    """Goes on with staged changes: after a pause, or where a process died. Raises as `begin`."""
    view = look(folder)
    operator = _require_operator(view.file, request, resumes=True)
    _refuse_passed(folder, view.file, view.staging, request)
    if view.staging.ended:
        return view
    reference = _require_reference(request.dsn_reference or view.staging.dsn_reference)
    programs = kept_programs.LocalKeptPrograms(folder)
    if programs.list_names():
        with _locked_database(reference):  # a program that restarts the server takes this lock away
            programs.await_earlier(say)
    with _locked_database(reference) as database:
        programs.await_earlier(say)
        identity = database.identify()
        clock = system_clock.SystemClock()
        journal = course_journal_file.CourseJournalFile.open(
            folder / database_stages.JOURNAL, clock.now, stage_journals.FORM
        )
        try:
            store = folder_store.FolderStore(folder)
            runner = staging.StageRunner(view.file, _make_parts(database, journal, store, reference, say))
            _refuse_passed(
                folder, view.file, runner.staging, request
            )  # again: another process may have gone on meanwhile
            if runner.staging.ended:
                return StagingView(folder=folder, file=view.file, staging=runner.staging)
            _refuse_other_database(runner.staging, identity)
            if runner.staging.pause is not None:
                _refuse_unready(runner, runner.staging.pause, identity, request)
                _refuse_foreign_changes(runner, database, view.file, request)
            with _say_how_far(runner, view.file, folder):
                runner.note(stage_events.StagingResumed(operator=operator, rolls_back=request.rolls_back))
                return StagingView(folder=folder, file=view.file, staging=runner.drive())
        finally:
            journal.close()


@contextmanager
def _say_how_far(runner: staging.StageRunner, file: stage_files.StageFile, folder: Path) -> Iterator[None]:
    """Lets no failure and no signal end the work without a word on what is in the database."""
    try:
        yield
    except (errors.Refused, errors.Unavailable) as exc:
        words = stage_decisions.describe_cut(runner.staging, file, str(folder))
        raise errors.StagingCut(f"{exc}\n{words}") from exc
    except BaseException as exc:
        exc.add_note(stage_decisions.describe_cut(runner.staging, file, str(folder)))
        raise


def _refuse_passed(
    folder: Path, file: stage_files.StageFile, folded: stagings.Staging, request: StagingRequest
) -> None:
    if request.rolls_back and folded.roll_back is None and all(folded.stage(name).passed for name in file.stages):
        raise errors.Refused(
            f"{folder}: every stage passed and stays; nothing was rolled back; take a change back by a stage of its own"
        )


def look(folder: Path) -> StagingView:
    """A staging from its folder alone. Raises `errors.EvidenceIncomplete` where there is none, and
    `errors.EvidenceCorrupt` where the file of the stages is not the one that the journal names."""
    try:
        folded = stage_journals.fold(
            course_journal_file.read_lines(folder / database_stages.JOURNAL, stage_journals.FORM)
        )
    except errors.NothingBegun:
        _refuse_traces(folder, "is not there")
        raise
    if folded.stage_file is None:
        _refuse_traces(folder, "has no event")
        raise errors.NothingBegun(f"{folder}: nothing was begun, and nothing was applied; stage the file again")
    content = _read_stage_file(folder)
    if canonical.digest(content) != folded.stage_file.sha256:
        raise errors.EvidenceCorrupt(f"{folder / database_stages.STAGE_FILE} is not the file that the journal names")
    file = stage_files.parse(content.decode(), source=str(folder / database_stages.STAGE_FILE))
    return StagingView(folder=folder, file=file, staging=folded)


def _refuse_traces(folder: Path, seen: str) -> None:
    """Raises `errors.EvidenceCorrupt` where a folder without a journal holds what only stages at work leave."""
    traces = sorted(path.name for pattern in _TRACES for path in folder.glob(pattern))
    if traces:
        raise errors.EvidenceCorrupt(
            f"{folder / database_stages.JOURNAL} {seen}, and {traces[0]} is there: stages were at work, and THE "
            "DATABASE MAY BE CHANGED; put the journal back from a copy of the folder; without one, put back by hand "
            "what differs from the snapshots of the folder"
        )


def _read_stage_file(folder: Path) -> bytes:
    """The file of the stages. Raises `errors.EvidenceCorrupt` where it is gone, though the journal names it."""
    try:
        return folder_store.FolderStore(folder).read(database_stages.STAGE_FILE)
    except errors.EvidenceIncomplete as exc:
        raise errors.EvidenceCorrupt(
            f"{exc}, and the journal names it: THE DATABASE MAY BE CHANGED; put it back from a copy of the folder; "
            f"without one, put back by hand the changes that {folder / database_stages.JOURNAL} lists"
        ) from exc


def _make_parts(
    database: ports.StagedDatabase,
    journal: ports.CourseJournal[stage_events.StageEvent],
    store: folder_store.FolderStore,
    reference: str,
    say: staging.Say,
) -> staging.StagingParts:
    return staging.StagingParts(
        database=database,
        journal=journal,
        documents=store,
        programs=kept_programs.LocalKeptPrograms(store.folder),
        burst_words=BURST_WORDS,
        dsn_reference=reference,
        written_by=f"burst {burst.__version__}",
        say=say,
        redactor=redaction.Redactor(secrets.RESOLVED),
    )


@contextmanager
def _locked_database(reference: str) -> Iterator[staged_database.PostgresStages]:
    database = staged_database.PostgresStages(_make_resolver(reference))
    try:
        database.take_lock()
        yield database
    finally:
        database.close()


def _make_resolver(reference: str) -> Callable[[], redaction.Secret]:
    return lambda: secrets.resolve(reference)


def _require_reference(reference: str | None) -> str:
    if reference is None or not secrets.is_reference(reference):
        raise errors.UsageError(
            "--dsn: not a reference (hidden, it may be the secret itself); allowed: env:NAME, file:PATH, ssm:NAME or "
            "secretsmanager:ARN, because the journal names it and has to hold no secret"
        )
    return reference


def _require_operator(file: stage_files.StageFile, request: StagingRequest, *, resumes: bool = False) -> str:
    """The person who asks; who resumes may be another than the one that the file names.

    Raises `errors.Refused` in a guarded environment where nobody is named, or says yes.
    """
    if file.is_guarded:
        missing = [] if request.operator else ["--operator NAME"]
        missing += [] if request.said_yes else ["--yes"]
        if missing:
            raise errors.Refused(
                f"environment {file.environment}: staged changes need {' and '.join(missing)} beside the file; "
                "nothing was applied"
            )
    named = request.operator or file.operator or halting.name_operator()
    if not resumes and file.operator is not None and request.operator not in (None, file.operator):
        raise errors.UsageError(
            f"--operator {request.operator}: the file names {file.operator}; let both name one person, or leave it out "
            "of the file"
        )
    words = redaction.Redactor(secrets.RESOLVED).text(named).strip()
    if not words or len(words) > 200:
        raise errors.UsageError("--operator: allowed: a name of 1 to 200 characters")
    return words


def _refuse_obstacles(file: stage_files.StageFile, database: ports.StagedDatabase) -> None:
    present = database.read_snapshot(file.tables)
    independent = changes.leave_out_dependent(file.all_changes)
    obstacles = [
        *database.find_obstacles(independent),
        *way_back.find_unheld(present, independent),
        *way_back.find_unreturnable(present, file.all_changes),
        *way_back.find_installed(present, file.all_changes),
        *own_sessions.find_cutting(present, file.all_changes),
        *own_sessions.find_unmeasured(present, file.stages),
        *_find_restarts(file, present.settings),
        *_find_pending(file, database),
    ]
    if obstacles:
        lines = "\n".join(f"  {obstacle}" for obstacle in obstacles)
        raise errors.Refused(f"these changes cannot be applied here; nothing was applied:\n{lines}")


def _find_restarts(file: stage_files.StageFile, settings: Sequence[object]) -> list[str]:
    """The settings that change at a restart, in a stage that does not pause for one."""
    contexts = {getattr(row, "name", ""): getattr(row, "context", "") for row in settings}
    return [
        f"stage {name}: {change.name} changes at a restart alone; give the stage restart: true"
        for name, stage in file.stages.items()
        if not stage.restart
        for change in stage.changes
        if isinstance(change, changes.SetParameter)
        and change.place.is_system
        and contexts.get(change.name) == "postmaster"
    ]


def _find_pending(file: stage_files.StageFile, database: ports.StagedDatabase) -> Iterator[str]:
    """What somebody else configured and a restart would put in effect: the restart of a stage would do it, and no way
    back would undo it."""
    pending = database.list_pending() if any(stage.restart for stage in file.stages.values()) else ()
    if pending:
        yield (
            f"{', '.join(pending)} waits for a restart of the server already, and the restart of a stage would put in "
            "effect what somebody else set; restart the server before, or take that back"
        )


def _refuse_other_database(folded: stagings.Staging, identity: stagings.StagedIdentity) -> None:
    if folded.identity is None or not folded.identity.is_same(identity):
        raise errors.Refused(
            f"the DSN leads to database {identity.database} as role {identity.role}, which is not the one that the "
            "journal began on; name that one with --dsn"
        )
    if identity.standby:
        raise errors.Refused("this server is a standby now, which takes no change; let the DSN name the primary")


def _refuse_unready(
    runner: staging.StageRunner,
    pause: stagings.StagingPause,
    identity: stagings.StagedIdentity,
    request: StagingRequest,
) -> None:
    """Refuses to go on from a pause for a restart that did not happen."""
    if pause.kind not in ("restart", "restart-back") or request.rolls_back:
        return
    if identity.server_started_at == pause.server_started_at:
        raise errors.Refused(
            f"stage {pause.stage} waits for a restart of the server, which runs since "
            f"{instants.text(identity.server_started_at)} without one; restart it, then give the command again"
        )


def _refuse_foreign_changes(
    runner: staging.StageRunner, database: ports.StagedDatabase, file: stage_files.StageFile, request: StagingRequest
) -> None:
    """Refuses to go on where somebody else changed the configuration during the pause, and to go back where the way
    back could not end at its snapshot."""
    last, pause = runner.staging.last_snapshot, runner.staging.pause
    if last is None or pause is None:
        return
    before, present = runner.read_snapshot(last), database.read_snapshot(file.tables)
    if request.rolls_back and runner.staging.roll_back is None:
        back = stagings.RollBackState(stage=pause.stage, reason="")
        target, touched = stage_decisions.find_way_back(runner.staging, back, file)
        goal = before if target is None else runner.read_snapshot(target)
        foreign = foreign_changes.find_in_the_way(goal, before, present, touched)
    else:
        begun: tuple[changes.Change, ...] = ()
        if pause.kind == "restart":  # the one pause with changes of the stage behind its last snapshot
            begun = stage_decisions.list_begun(runner.staging, pause.stage, file)
        foreign = foreign_changes.find_foreign(before, present, begun)
    if foreign:
        raise errors.Refused(
            f"the database was changed by somebody else during the pause: {'; '.join(foreign)}; put that back, then "
            "give the command again"
        )
