"""The journal on a file: cut anywhere by a crash it is continued, broken anywhere else it is refused."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from burst.adapters.local import journal_file
from burst.domain.basics import errors
from burst.domain.run.events import base, launch_events
from tests import cases, fakes, waiting

EVENTS: tuple[base.Event, ...] = (
    cases.run_created(),
    launch_events.LayerArmed(layer="guard", detail="größer"),
    launch_events.LaunchIntended(token="größer|1", shards=(0, 1), capacity="FARGATE_SPOT"),
)
NAMES = [event.wire_name for event in EVENTS]


def now() -> datetime:
    return fakes.START


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write(path: Path, *events: base.Event) -> bytes:
    journal = journal_file.FileJournal.create(path, now)
    for event in events:
        journal.append(event)
    journal.close()
    return path.read_bytes()


def names(path: Path) -> list[str]:
    return [entry.event.wire_name for entry in journal_file.read(path)]


def line(
    sequence: object, name: object = "go-intended", at: object = "2026-02-21T02:00:00Z", **fields: object
) -> bytes:
    return json.dumps({"sequence": sequence, "at": at, "event": name, **fields}).encode() + b"\n"


def test_cut_at_any_byte_of_its_last_line_it_is_continued_and_loses_nothing_before(path: Path) -> None:
    content = write(path, *EVENTS)
    whole = content.rindex(b"\n", 0, -1) + 1
    wrong = []
    for end in range(whole, len(content)):
        path.write_bytes(content[:end])
        kept = list(NAMES) if end == len(content) - 1 else list(NAMES[:2])
        seen_cut = names(path)
        journal = journal_file.FileJournal.open(path, now)
        journal.append(launch_events.Resumed(minor=1))
        journal.close()
        seen_continued, standing = names(path), path.read_bytes()
        if seen_cut != kept or seen_continued != [*kept, "resumed"] or not standing.startswith(content[:end]):
            wrong.append((content[whole:end], seen_cut, seen_continued))

    assert len(content) - whole > 80
    assert wrong == []


@pytest.mark.parametrize("rest", [1, 5, 20])
@pytest.mark.parametrize("second_rest", [0, 1, 12, 30])
def test_a_crash_while_resuming_from_a_crash_is_continued_too(path: Path, rest: int, second_rest: int) -> None:
    content = write(path, *EVENTS)
    whole = content.rindex(b"\n", 0, -1) + 1
    path.write_bytes(content[: whole + rest] + b"\n" + line(3, "resumed")[:second_rest])

    for _ in range(2):
        journal = journal_file.FileJournal.open(path, now)
        journal.append(launch_events.Resumed(minor=1))
        journal.close()

    assert names(path) == [*NAMES[:2], "resumed", "resumed"]


def test_a_crash_between_the_new_line_and_the_resumption_is_continued(path: Path) -> None:
    path.write_bytes(write(path, *EVENTS)[:-5])
    journal_file.FileJournal.open(path, now).close()
    journal_file.FileJournal.open(path, now).close()

    journal = journal_file.FileJournal.open(path, now)
    journal.append(launch_events.Resumed(minor=1))

    assert names(path) == [*NAMES[:2], "resumed"]


BROKEN = {
    "half a line": b'{"sequence": 2, "at"\n',
    "not UTF-8": b'{"sequence": 2, "at": "2026-02-21T02:00:00Z", "event": "\xff"}\n',
    "zeros": b"\0" * 40 + b"\n",
    "no object": b"[2]\n",
    "a number": b"2\n",
    "no sequence": b'{"at": "2026-02-21T02:00:00Z", "event": "b"}\n',
    "no instant": b'{"sequence": 2, "event": "b"}\n',
    "naive instant": line(2, "b", "2026-02-21T02:00:00"),
    "instant no text": line(2, "b", 5),
    "name no text": line(2, ["b"]),
    "sequence no number": line("2", "b"),
    "sequence a truth": line(True, "b"),
    "sequence a fraction": line(2.0, "b"),
    "too deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_in_the_middle_is_refused_and_named(path: Path, broken: bytes) -> None:
    path.write_bytes(line(1) + broken + line(2, "go-intended") + line(3, "go-intended"))

    with pytest.raises(errors.EvidenceCorrupt, match=r"journal\.jsonl:2"):
        journal_file.FileJournal.open(path, now)


@pytest.mark.parametrize("sequence", [1, 3, 0, -1, 4])
def test_a_gap_or_a_repetition_is_refused(path: Path, sequence: int) -> None:
    path.write_bytes(line(1) + line(sequence))

    with pytest.raises(errors.EvidenceCorrupt, match=rf"journal\.jsonl:2: event {sequence} follows event 1"):
        journal_file.read(path)


def test_a_gap_across_a_cut_line_is_refused(path: Path) -> None:
    path.write_bytes(line(1) + b'{"sequence": 2, \n' + line(3, "resumed"))

    with pytest.raises(errors.EvidenceCorrupt):
        journal_file.read(path)


@pytest.mark.parametrize("cut", [b'{"seq\n', b'{"seq\n{"se\n'], ids=["one", "two"])
def test_after_cut_lines_only_a_resumption_may_follow(path: Path, cut: bytes) -> None:
    path.write_bytes(line(1) + cut + line(2, "go-intended"))

    with pytest.raises(errors.EvidenceCorrupt, match=r"journal\.jsonl:2"):
        journal_file.read(path)


def test_a_new_journal_never_replaces_one(path: Path) -> None:
    content = write(path, *EVENTS)

    with pytest.raises(errors.Conflict, match="nothing was overwritten"):
        journal_file.FileJournal.create(path, now)

    assert path.read_bytes() == content


def test_a_journal_that_is_not_there_is_not_made_by_opening_it(path: Path) -> None:
    with pytest.raises(errors.EvidenceIncomplete, match="never started"):
        journal_file.FileJournal.open(path, now)

    assert not path.exists()


def test_a_journal_that_cannot_be_read_is_unknown_and_not_absent(path: Path) -> None:
    path.mkdir()

    with pytest.raises(errors.EvidenceUnknown, match="cannot be read"):
        journal_file.read(path)


def test_an_empty_journal_is_of_a_run_that_did_nothing(path: Path) -> None:
    path.touch()

    assert journal_file.read(path) == ()
    assert journal_file.FileJournal.open(path, now).append(launch_events.Resumed(minor=1)).sequence == 1


def test_opening_a_whole_journal_changes_nothing(path: Path) -> None:
    content = write(path, *EVENTS)

    journal_file.FileJournal.open(path, now).close()

    assert path.read_bytes() == content


WRITER = """
import os, sys
from pathlib import Path
from burst.adapters.local import journal_file
from burst.domain.run.events import launch_events
from tests import fakes
journal = journal_file.FileJournal.create(Path(sys.argv[1]), lambda: fakes.START)
journal.append(launch_events.GoIntended())
os.kill(os.getpid(), 9)
"""


def test_an_event_that_was_appended_survives_a_kill_at_once(path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False, timeout=waiting.PROCESS_SECONDS)

    assert names(path) == ["go-intended"]


def test_a_full_disk_fails_the_append_and_never_passes_for_written(path: Path) -> None:
    journal = journal_file.FileJournal.create(path, now)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)

    with pytest.raises(OSError, match="No space"):
        journal.append(EVENTS[2])

    assert names(path) == []
