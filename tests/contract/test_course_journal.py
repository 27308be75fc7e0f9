"""The contract of `ports.CourseJournal`, on the fake, on the file, and on the file with its mirror."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from burst import ports
from burst.adapters.local import course_journal_file
from burst.control import course_mirror
from burst.domain.basics import errors
from burst.domain.staging import stage_events, stage_journals
from tests import fakes, fakes_course, fakes_evidence

PORT = ports.CourseJournal
Journal: TypeAlias = ports.CourseJournal[stage_events.StageEvent]
PASSED = stage_events.StagePassed(stage="A")
ODD = stage_events.CheckFailed(stage="A", moment="after", reason='a "quoted" line\nand Umläute \u2028 and \x00')
RESUMED = stage_events.StagingResumed(operator="ada", rolls_back=False)


@pytest.fixture(params=["memory", "file", "mirrored"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    clock = fakes.TickingClock()
    made: dict[str, Callable[[], Journal]] = {
        "memory": lambda: fakes_course.MemoryCourseJournal(clock.now, stage_journals.FORM),
        "file": lambda: course_journal_file.CourseJournalFile.create(
            tmp_path / "journal.jsonl", clock.now, stage_journals.FORM
        ),
        "mirrored": lambda: course_mirror.MirroredJournal(
            course_journal_file.CourseJournalFile.create(tmp_path / "own.jsonl", clock.now, stage_journals.FORM),
            stage_journals.FORM,
            fakes_evidence.MemoryEvidenceStore(),
        ),
    }
    return made[request.param]()


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert list(journal.lines()) == []


def test_an_event_is_given_back_as_it_was_written(journal: Journal) -> None:
    written = [journal.append(ODD), journal.append(PASSED)]

    assert list(journal.lines()) == written
    assert [line.sequence for line in written] == [1, 2]
    assert [line.event for line in written] == [ODD, PASSED]


def test_a_prefix_ends_with_its_line(journal: Journal) -> None:
    first, second = journal.append(ODD), journal.append(PASSED)

    assert journal.prefix(1) == stage_journals.FORM.format_line(first)
    assert journal.prefix(2) == stage_journals.FORM.format_line(first) + stage_journals.FORM.format_line(second)


def test_a_journal_is_never_begun_twice_nor_continued_where_there_is_none(tmp_path: Path) -> None:
    path, now = tmp_path / "journal.jsonl", fakes.TickingClock().now
    course_journal_file.CourseJournalFile.create(path, now, stage_journals.FORM).close()

    with pytest.raises(errors.Conflict):
        course_journal_file.CourseJournalFile.create(path, now, stage_journals.FORM)
    with pytest.raises(errors.EvidenceIncomplete):
        course_journal_file.CourseJournalFile.open(tmp_path / "none", now, stage_journals.FORM)


def test_a_line_that_a_crash_cut_is_passed_over_and_a_resume_begins_a_new_one(tmp_path: Path) -> None:
    path, now = tmp_path / "journal.jsonl", fakes.TickingClock().now
    first = course_journal_file.CourseJournalFile.create(path, now, stage_journals.FORM)
    first.append(ODD)
    first.close()
    path.write_bytes(path.read_bytes() + b'{"sequence": 2, "at": "20')

    second = course_journal_file.CourseJournalFile.open(path, now, stage_journals.FORM)
    second.append(RESUMED)

    assert [line.event for line in second.lines()] == [ODD, RESUMED]
    assert second.prefix(2) == path.read_bytes()
    second.close()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"not a line\n{}\n", errors.EvidenceCorrupt),
        (
            b'{"sequence": 2, "at": "2026-02-21T02:00:00Z", "event": "stage-passed", "stage": "A"}\n',
            errors.EvidenceCorrupt,
        ),
        (b'{"sequence": 1, "at": "2026-02-21T02:00:00Z", "event": "no-event"}\n', errors.EvidenceCorrupt),
        (b'{"sequence": 1, "at": "2026-02-21T02:00:00Z", "event": "stage-passed"}\n', errors.EvidenceCorrupt),
        (
            (
                b'{"sequence": 1, "at": "2026-02-21T02:00:00Z", "event": "staging-began", '
                b'"schema": "burst.stage-journal/v2"}\n'
            ),
            errors.EvidenceUnknown,
        ),
        (
            b'{"sequence": 1, "at": "2026-02-21T02:00:00Z", "event": "staging-began", "minor": 9}\n',
            errors.EvidenceUnknown,
        ),
    ],
)
def test_what_is_no_journal_is_corrupt_and_a_newer_one_is_unknown(
    tmp_path: Path, content: bytes, error: type[errors.BurstError]
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)

    with pytest.raises(error):
        course_journal_file.CourseJournalFile.open(path, fakes.TickingClock().now, stage_journals.FORM)


# The mirror


def test_a_place_holds_the_bytes_of_the_file_and_gets_the_line_that_a_death_kept_from_it(tmp_path: Path) -> None:
    path, now, place = tmp_path / "journal.jsonl", fakes.TickingClock().now, fakes_evidence.MemoryEvidenceStore()
    own = course_journal_file.CourseJournalFile.create(path, now, stage_journals.FORM)
    course_mirror.MirroredJournal(own, stage_journals.FORM, place).append(PASSED)
    own.append(ODD)  # and then the process died

    course_mirror.MirroredJournal(own, stage_journals.FORM, place)

    assert course_mirror.read_lines(place) == path.read_bytes()
    own.close()


def test_of_two_processes_that_go_on_at_once_one_is_told(tmp_path: Path) -> None:
    place, clock = fakes_evidence.MemoryEvidenceStore(), fakes.TickingClock()
    first, second = (
        course_mirror.MirroredJournal(
            fakes_course.MemoryCourseJournal(clock.now, stage_journals.FORM), stage_journals.FORM, place
        )
        for _ in range(2)
    )
    first.append(PASSED)

    with pytest.raises(errors.ControllerAtWork, match="nothing more is done here"):
        second.append(ODD)


def test_a_place_that_lost_a_line_is_corrupt(tmp_path: Path) -> None:
    place, clock = fakes_evidence.MemoryEvidenceStore(), fakes.TickingClock()
    own = fakes_course.MemoryCourseJournal(clock.now, stage_journals.FORM)
    mirrored = course_mirror.MirroredJournal(own, stage_journals.FORM, place)
    mirrored.append(PASSED)
    mirrored.append(ODD)
    del place.documents[course_mirror.make_line_name(1)]

    with pytest.raises(errors.EvidenceCorrupt):
        course_mirror.read_lines(place)
