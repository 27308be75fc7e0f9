"""The shell of staged changes on fakes: every death at every line leads to the same end, restarts included."""

from pathlib import Path

import pytest

from burst.adapters.local import folder_store
from burst.control import staging
from burst.domain.basics import errors, redaction
from burst.domain.course import course_acts
from burst.domain.documents import database_stages, models
from burst.domain.staging import stage_decisions, stage_events, stage_files, stage_journals, stage_results
from tests import fakes, fakes_course, fakes_staging

FILE = """\
environment: dev
stages:
  A:
    apply: ["ALTER SYSTEM SET shared_buffers = '64MB'"]
    restart: true
    confirm: true
  B:
    apply:
      - ALTER SYSTEM SET work_mem = '32MB'
      - CREATE INDEX CONCURRENTLY i ON receipts (platform_run_id)
      - ALTER SYSTEM SET shared_buffers = '32MB'
      - {command: ["true"]}
    restart: true
    check: {command: [echo, '{"p95": 9}']}
    red_line: [{figure: p95, at_most: LIMIT}]
"""


TWO = """\
environment: dev
roll_back_to: GOAL
stages:
  A: {apply: ["ALTER SYSTEM SET work_mem = '32MB'"]}
  B: {apply: ["ALTER SYSTEM SET work_mem = '64MB'"]}
"""


class Died(BaseException):
    """The process is gone."""


class Site:
    """A server, a journal and a folder that outlive every process."""

    def __init__(self, folder: Path, limit: str) -> None:
        self.clock = fakes.TickingClock()
        self.server = fakes_staging.MemoryServer()
        self.journal = fakes_course.MemoryCourseJournal(self.clock.now, stage_journals.FORM)
        self.store = folder_store.FolderStore(folder)
        self.file = stage_files.parse(FILE.replace("LIMIT", limit), source="stages.yaml")
        self.refused: tuple[str, ...] = ()
        self.programs = fakes_staging.MemoryKeptPrograms()

    def work(self, *, begins: bool, rolls_back: bool = False) -> staging.StageRunner:
        """One process: it takes the lock, notes who it is, and drives."""
        database = fakes_staging.MemoryStagedDatabase(self.server, self.refused)
        self.server.holder = None  # the lock of a dead process is free
        database.take_lock()
        runner = staging.StageRunner(
            self.file,
            staging.StagingParts(
                database=database,
                journal=self.journal,
                documents=self.store,
                programs=self.programs,
                burst_words=("burst",),
                dsn_reference="env:D",
                written_by="burst test",
                say=lambda _: None,
                redactor=redaction.Redactor(),
            ),
        )
        identity = database.identify()
        if begins:
            runner.note(
                stage_events.StagingBegan(
                    schema=stage_events.SCHEMA, minor=0, staging_id="stage_1", stage_file_name="stages.json",
                    stage_file_sha256="0" * 64, dsn_reference="env:D", environment="dev", operator="ada",
                    system_identifier=identity.system_identifier, database=identity.database, role=identity.role,
                    version_number=identity.version_number, server_started_utc=identity.server_started_at,
                )
            )  # fmt: skip
        else:
            runner.note(stage_events.StagingResumed(operator="bob", rolls_back=rolls_back))
        runner.drive()
        return runner

    def finish(self) -> database_stages.DatabaseStages:
        """Resumes until the end, with a restart at each pause for one."""
        for _ in range(20):
            folded = stage_journals.fold(self.journal.lines())
            if folded.ended:
                return models.read(database_stages.DatabaseStages, self.store.read(database_stages.NAME))
            if folded.pause is not None and folded.pause.kind in ("restart", "restart-back"):
                self.server.restart()
            self.work(begins=not self.journal.content)
        raise AssertionError("it never ends")


@pytest.fixture(params=["9", "8"], ids=["holds", "breaks"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(tmp_path, request.param)


def state_of(site: Site) -> tuple[object, ...]:
    """What is left on the server."""
    server = site.server
    return server.configured, server.effective, server.indexes, server.extensions, server.role_settings


def test_a_death_after_any_line_and_before_any_line_leads_to_the_same_end(site: Site, tmp_path: Path) -> None:
    expected = site.finish()
    lines = len(site.journal.lines())
    assert expected.outcome == ("passed" if site.file.stages["B"].red_lines[0].at_most == 9 else "rolled-back")

    for last in range(1, lines + 1):
        for durable in (True, False):
            folder = tmp_path / f"{last} {durable}"
            folder.mkdir()
            other = Site(folder, str(site.file.stages["B"].red_lines[0].at_most))
            _kill_at(other, last, durable=durable)
            result = other.finish()

            assert result.outcome == expected.outcome, (last, durable)
            assert [stage.end for stage in result.stages] == [stage.end for stage in expected.stages]
            assert state_of(other) == state_of(site), (last, durable)


def _kill_at(site: Site, last: int, *, durable: bool) -> None:
    """Works until the line of this number, which is lost where it is not durable."""

    def die(line: stage_journals.StageLine) -> None:
        if line.sequence == last:
            if not durable:
                site.journal.content = site.journal.prefix(last - 1)
            raise Died

    site.journal.after = die
    try:
        site.finish()
    except Died:
        site.journal.after = lambda _: None
    else:
        raise AssertionError(f"there is no line {last}")


def test_a_way_back_that_the_server_refuses_is_no_roll_back(tmp_path: Path) -> None:
    site = Site(tmp_path, "8")
    site.refused = ("DROP INDEX CONCURRENTLY public.i",)

    result = site.finish()
    folded = stage_journals.fold(site.journal.lines())

    assert folded.roll_back is not None
    assert stage_results.list_programs(folded, folded.roll_back, site.file) == ("command true",)
    assert (result.outcome, result.exit_code) == ("not-rolled-back", 6)
    assert result.roll_back is not None
    assert "index i: was not there" in result.roll_back.differences
    assert "the way back was refused" in result.roll_back.reason


def test_a_change_that_the_server_refuses_begins_the_way_back(tmp_path: Path) -> None:
    site = Site(tmp_path, "9")
    site.refused = ("CREATE INDEX CONCURRENTLY i ON receipts USING btree (platform_run_id)",)

    result = site.finish()

    assert result.outcome == "rolled-back"
    assert site.server.configured == {"shared_buffers": "64MB"}


def test_a_snapshot_that_was_changed_in_the_folder_undoes_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, "8")
    while not any(isinstance(line.event, stage_events.RedLinesJudged) for line in site.journal.lines()):
        folded = stage_journals.fold(site.journal.lines())
        if folded.pause is not None and folded.pause.kind == "restart" and folded.pause.stage == "B":
            for path in tmp_path.glob("snapshot_*.json"):
                path.write_bytes(path.read_bytes().replace(b"4MB", b"9MB"))
            break
        if folded.pause is not None:
            site.server.restart()
        site.work(begins=not site.journal.content)

    site.server.restart()
    with pytest.raises(errors.WayBackLost, match="is not what the journal says"):
        site.work(begins=False)

    assert site.server.configured["work_mem"] == "32MB"


@pytest.mark.parametrize(
    ("goal", "left", "ends"),
    [("stage", {"work_mem": "32MB"}, ["passed", "not-reached"]), ("start", {}, ["taken-back", "not-reached"])],
)
def test_a_roll_back_between_two_stages_leaves_the_one_that_passed_unless_the_file_says_start(
    tmp_path: Path, goal: str, left: dict[str, str], ends: list[str]
) -> None:
    site = Site(tmp_path, "9")
    site.file = stage_files.parse(TWO.replace("GOAL", goal), source="stages.yaml")
    passed = 5  # began, the snapshot before, a change intended and done, the snapshot after: then it passes
    _kill_at(site, passed + 1, durable=True)
    assert isinstance(site.journal.lines()[-1].event, stage_events.StagePassed)

    site.work(begins=False, rolls_back=True)
    result = site.finish()

    assert (result.outcome, site.server.configured) == ("rolled-back", left)
    assert [stage.end for stage in result.stages] == ends
    assert (result.roll_back is None) == (goal == "stage")
    if result.roll_back is not None:
        assert (result.roll_back.stage, result.roll_back.equal) == ("A", True)
        assert result.roll_back.proof is not None


def test_nothing_is_done_without_the_lock(tmp_path: Path) -> None:
    site = Site(tmp_path, "9")

    def lose(line: stage_journals.StageLine) -> None:
        if isinstance(line.event, stage_events.SnapshotTaken):
            site.server.holder = None

    site.journal.after = lose

    with pytest.raises(errors.Unavailable, match="lock"):
        site.work(begins=True)
    assert site.server.configured == {}


def test_a_staging_that_ended_has_nothing_left(tmp_path: Path) -> None:
    site = Site(tmp_path, "9")
    site.finish()

    folded = stage_journals.fold(site.journal.lines())

    assert isinstance(stage_decisions.decide(folded, site.file), course_acts.NothingLeft)
