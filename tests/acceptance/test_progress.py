"""Progress on a terminal: what the live line shows, that it never wraps, and what it shows once all is counted."""

import dataclasses
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from burst.cli import progress
from burst.domain.receipts import early_stops, receipts
from burst.domain.run import journals, lifecycle, runs
from burst.domain.run.events import ending_events
from burst.domain.tasks import tasks
from tests import cases

GO = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
NOW = GO + timedelta(seconds=400)
PLAN = cases.plan()
RUN = runs.Run(
    execution_id="m10_x",
    go_at=GO,
    polls=(early_stops.Poll(seconds=400.0, counts=receipts.Counts(admit=12000, duplicate=3)),),
    counted_to=NOW,
)
WAIT = lifecycle.Wait(until=NOW + timedelta(seconds=500), due="window complete")


class Terminal:
    """A real terminal of some width, with standard error on it."""

    def __init__(self, columns: int) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream = os.fdopen(theirs, "w")

    def shown(self) -> str:
        """All that was written to it: a terminal hands it on when it likes, so an end mark is read for."""
        self.stream.write("\x1f")
        self.stream.flush()
        seen = b""
        while not seen.endswith(b"\x1f"):
            assert select.select([self._ours], [], [], 10.0)[0], f"only {seen!r} came through the terminal"
            seen += os.read(self._ours, 65536)
        return seen[:-1].decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self._ours)


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    made = Terminal(request.param)
    yield made
    made.close()


def live(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> progress.Progress:
    """Progress that sees the terminal as its standard error."""
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    return progress.Progress(PLAN, 10.0, lambda words: None)


@pytest.mark.parametrize("terminal", [200], indirect=True)
def test_a_wide_terminal_shows_everything(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    live(terminal, monkeypatch)(RUN, WAIT, NOW)

    assert terminal.shown().strip() == (
        "bursting · 400 s of 1200 s cap, 5400 s budget · ADMIT 12000 DUPLICATE 3 · ratio 0.9998 · "
        "multiplier so far 3.00 · next: window complete in 500 s"
    )


@pytest.mark.parametrize("terminal", [80], indirect=True)
def test_eighty_columns_hold_every_figure(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    live(terminal, monkeypatch)(RUN, WAIT, NOW)

    shown = terminal.shown().strip()
    assert shown == "bursting  400/1200/5400 s  ADMIT 12000 DUP 3  ratio 0.9998  3.00x  next 500 s"


@pytest.mark.parametrize("terminal", [80, 40, 1], indirect=True)
def test_the_live_line_is_never_longer_than_the_terminal_is_wide(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = os.get_terminal_size(terminal.stream.fileno()).columns
    stopping = runs.Stopping(at=NOW, reason="too-few-tasks: " + "no capacity " * 20)
    living = tasks.TaskTruth(task=tasks.Task(task_id="t", shard_index=0), status=tasks.TaskStatus.RUNNING)
    shown = live(terminal, monkeypatch)

    shown(RUN, WAIT, NOW)
    shown(dataclasses.replace(RUN, stopping=stopping, truths={"t": living}), WAIT, NOW)

    lines = terminal.shown().replace("\r", "\n").split("\n")
    assert max(map(len, lines)) < max(columns, 21)
    assert any(line.rstrip().endswith("…") for line in lines)


def test_what_was_counted_in_the_end_is_shown_and_not_what_was_counted_live() -> None:
    stopped = tasks.TaskTruth(
        task=tasks.Task(task_id="t", shard_index=0),
        status=tasks.TaskStatus.STOPPED,
        stopped_at=GO + timedelta(seconds=500),
    )
    whole = dataclasses.replace(
        RUN, truths={"t": stopped}, measured=True, settled_counts=receipts.Counts(admit=15000, duplicate=4)
    )

    shown = progress.show(whole, None, NOW, PLAN, 10.0)

    assert "ADMIT 15000 DUPLICATE 4" in shown.figures
    assert "multiplier so far 3.00" in shown.figures


def test_the_journal_says_what_was_counted_in_the_end() -> None:
    counts = receipts.Counts(admit=998, duplicate=2, quarantine=1)
    event = ending_events.Measured(counts=counts, rounds=2, settled=True)

    run = journals.fold([journals.Entry(sequence=9, at=NOW, event=event)], RUN)

    assert run.counts == counts


def stopping(stopped: int, tasks_in_all: int) -> runs.Run:
    """A run that stops, of whose tasks so many were seen to end."""
    status = tasks.TaskStatus
    truths = {
        f"t{shard}": tasks.TaskTruth(
            task=tasks.Task(task_id=f"t{shard}", shard_index=shard),
            status=status.STOPPED if shard < stopped else status.RUNNING,
        )
        for shard in range(tasks_in_all)
    }
    return dataclasses.replace(RUN, truths=truths, stopping=runs.Stopping(at=NOW, reason="window-complete"))


def test_a_stop_says_how_many_tasks_have_stopped() -> None:
    assert progress.state(stopping(412, 500)) == "stopping: window-complete, 412 of 500 stopped"


def test_without_a_terminal_a_stop_makes_a_line_at_once_and_then_no_more_than_one_a_second() -> None:
    lines: list[str] = []
    shown = progress.Progress(PLAN, None, lines.append, live=False)

    began = time.monotonic()
    for stopped in range(100):
        shown(stopping(stopped, 500), lifecycle.StopEach(), NOW)

    assert lines[0].startswith("stopping: window-complete, 0 of 500 stopped")
    assert len(lines) <= 1 + (time.monotonic() - began) / progress.MOVING_SECONDS
