"""A run whose journal a newer burst wrote: it is shown, its tasks are stopped, and nothing continues or launches it."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst.adapters.local import folder_store
from burst.cli import main
from burst.control import run_documents
from burst.domain.basics import canonical, instants
from burst.domain.documents import document_names
from burst.domain.run import journals
from burst.domain.run.events import base, launch_events
from burst.kit import process_tree
from tests import cases

EXECUTION_ID = f"m10_newer_{os.getpid()}"  # its tasks are found by their marks, on the whole machine
OURS = document_names.JOURNAL_MINOR
NEWER = f"was written by a newer burst, as burst.journal/v1 minor {OURS + 1}; this version knows minor {OURS}"
COMET = json.dumps({"sequence": 4, "at": cases.at(3), "event": "comet-sighted", "tail": True}).encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run that launched a task at a newer minor, and whose journal then says what is not known here."""
    plan = cases.plan(execution_id=EXECUTION_ID, evidence={"local": str(tmp_path)})
    store = folder_store.FolderStore.create(tmp_path, EXECUTION_ID)
    store.put_once(document_names.PLAN, run_documents.input_documents(plan, None, None)[0][1])
    write(store.folder, minor=OURS + 1, tail=COMET)
    return store.folder


@pytest.fixture
def task() -> Iterator[subprocess.Popen[bytes]]:
    """A living task of the run, marked as tasks are."""
    mark = {process_tree.TASK_MARK: process_tree.format_mark(EXECUTION_ID, 0)}
    with subprocess.Popen(["sleep", "100"], env={**os.environ, **mark}) as living:
        yield living
        living.kill()


def write(folder: Path, *, minor: int, tail: bytes = b"") -> None:
    """A journal of a minor version: a launch that was answered, and then `tail`."""
    deadline = instants.later(datetime.now(UTC), 60)
    plan_sha256 = canonical.digest((folder / document_names.PLAN).read_bytes())
    events: tuple[base.Event, ...] = (
        cases.run_created(execution_id=EXECUTION_ID, deadline=deadline, minor=minor, plan_sha256=plan_sha256),
        launch_events.LaunchIntended(token="a", shards=(0,), capacity=None),
        launch_events.LaunchAnswered(tasks=(), failures=()),
    )
    lines = [
        journals.line(journals.Entry(sequence=number, at=datetime.now(UTC), event=event))
        for number, event in enumerate(events, start=1)
    ]
    (folder / document_names.JOURNAL).write_bytes(b"".join(lines) + tail)


def read(folder: Path) -> bytes:
    return (folder / document_names.JOURNAL).read_bytes()


@pytest.mark.parametrize("command", ["resume", "reconcile"])
@pytest.mark.parametrize("tail", [COMET, b""], ids=["an unknown event", "no unknown event"])
def test_a_newer_run_without_tasks_is_not_continued(
    folder: Path, command: str, tail: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, minor=OURS + 1, tail=tail)
    before = read(folder)

    code = main.main([command, str(folder)])

    said = capsys.readouterr().err
    assert code == 4, said
    assert NEWER in said
    assert ("comet-sighted" in said) is bool(tail)
    assert "continue the run with the burst that wrote it" in said
    assert read(folder) == before


def test_a_newer_run_with_tasks_is_not_resumed_and_its_tasks_are_named_and_left(
    folder: Path, task: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    before = read(folder)

    code = main.main(["resume", str(folder)])

    said = capsys.readouterr().err
    assert code == 6, said
    assert NEWER in said
    assert f"may still be running: local:{task.pid}:" in said
    assert f"End them: burst stop {folder}" in said
    assert task.poll() is None
    assert read(folder) == before


def test_the_status_of_a_newer_run_is_its_tasks_as_they_are_and_no_state(
    folder: Path, task: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.main(["status", str(folder), "--json"])

    said = capsys.readouterr()
    value = json.loads(said.out)
    assert code == 0
    assert NEWER in said.err
    assert value["state"] == "unknown: written by a newer burst"
    assert [entry["task_id"].split(":")[1] for entry in value["tasks"]] == [str(task.pid)]


def test_stop_ends_the_tasks_of_a_newer_run_and_leaves_its_journal(
    folder: Path, task: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    before = read(folder)

    code = main.main(["stop", str(folder)])

    said = capsys.readouterr()
    assert code == 0, said.err
    assert task.poll() is not None
    assert NEWER in said.err
    assert f"every task of {EXECUTION_ID} is stopped" in said.out
    assert "with the burst that wrote its journal" in said.out
    assert read(folder) == before


@pytest.mark.parametrize("spoiled", ["an unknown event at our minor", "half a line in the middle", "another major"])
def test_stop_ends_the_tasks_of_a_run_whose_journal_cannot_be_read_and_says_that_it_cannot(
    folder: Path, task: subprocess.Popen[bytes], spoiled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, minor=OURS, tail={"half a line in the middle": b"{\n" + COMET}.get(spoiled, COMET))
    if spoiled == "another major":
        (folder / document_names.JOURNAL).write_bytes(read(folder).replace(b"burst.journal/v1", b"burst.journal/v2"))

    code = main.main(["stop", str(folder)])

    assert code == 6
    assert "journal" in capsys.readouterr().err
    assert task.poll() is not None


def test_reap_ends_the_tasks_of_a_newer_run(folder: Path, task: subprocess.Popen[bytes]) -> None:
    assert main.main(["reap", "--run", EXECUTION_ID]) == 0

    assert task.poll() is not None
    assert folder.is_dir()
