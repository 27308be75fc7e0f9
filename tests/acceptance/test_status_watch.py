"""`burst status --watch`: a run is followed by its journal alone, from another process, until it is finished."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.domain.basics import canonical
from burst.domain.run import journals
from burst.domain.run.events import ending_events
from tests import live_situations, waiting

LINES = [*live_situations.start(), *live_situations.burst(38)]
RUN_ID = str(live_situations.PLAN.execution_id)


def write_lines(lines: list[live_situations.Line]) -> list[bytes]:
    """The lines of a journal, in their order."""
    ordered = sorted(lines, key=lambda line: line.seconds)
    return [
        journals.line(journals.Entry(sequence=number, at=live_situations.at(line.seconds), event=line.event))
        for number, line in enumerate(ordered, start=1)
    ]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The journal of a run in the middle of its burst, in its folder."""
    folder = tmp_path / "runs" / RUN_ID
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(canonical.encode(live_situations.PLAN.document()))
    path = folder / "journal.jsonl"
    path.write_bytes(b"".join(write_lines(LINES)))
    return path


Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "burst", "status", RUN_ID, "--watch", *words]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        started.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def read_line(watching: "subprocess.Popen[str]", word: str) -> dict[str, Any]:
    """The next line that holds a word."""
    assert watching.stderr is not None
    lines = (json.loads(line) for line in watching.stderr if word in line)
    found: dict[str, Any] = next(lines)
    return found


def end_run(journal: Path) -> None:
    """Writes the rest of the journal, as its controller would."""
    stop = ending_events.StopIntended(reason="window-complete", force=False, early_stop=None)
    finish = ending_events.RunFinished(exit_code=3, why="M10F-B1 is open")
    ends = [live_situations.Line(seconds=80, event=stop), live_situations.Line(seconds=90, event=finish)]
    with journal.open("ab") as file:
        file.writelines(write_lines([*LINES, *ends])[-len(ends) :])


def test_a_run_is_followed_until_it_is_finished(watch: Watch, journal: Path) -> None:
    watching = watch("--log-format", "json")
    first = read_line(watching, "rates_per_minute")

    end_run(journal)
    rest, told = watching.communicate(timeout=waiting.PROCESS_SECONDS)[::-1]

    assert first["rates_per_minute"]["now"] is None  # nobody drives it, so nobody knows what goes on now
    assert first["counts"]["ADMIT"] > 0
    assert first["gates"][0]["name"] == "multiplier"
    last = json.loads(rest.splitlines()[-1])
    assert last["state"] == "finished (exit 3)"
    assert "finished (exit 3)" in told
    assert watching.returncode == 0


def test_ctrl_c_ends_the_watching_and_changes_nothing(watch: Watch, journal: Path) -> None:
    before = journal.read_bytes()
    watching = watch()
    assert watching.stderr is not None
    watching.stderr.readline()

    watching.send_signal(2)
    watching.communicate(timeout=waiting.PROCESS_SECONDS)

    assert watching.returncode == 130
    assert journal.read_bytes() == before


def test_a_watch_gives_no_single_document(watch: Watch, journal: Path) -> None:
    watching = watch("--json")

    told, words = watching.communicate(timeout=waiting.PROCESS_SECONDS)

    assert (watching.returncode, json.loads(told)["exit_code"]) == (2, 2)
    assert "--log-format json" in words


def test_what_cannot_be_read_for_a_while_is_tried_again(watch: Watch, journal: Path) -> None:
    watching = watch("--log-format", "json")
    read_line(watching, "rates_per_minute")
    away = journal.with_name("away")

    journal.rename(away)
    read_line(watching, "trying again")
    away.rename(journal)
    end_run(journal)
    watching.communicate(timeout=waiting.PROCESS_SECONDS)

    assert watching.returncode == 0
