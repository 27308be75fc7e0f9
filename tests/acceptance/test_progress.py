"""Progress as lines, where there is no terminal to draw on: what a line says, and how often there is one."""

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from burst.cli import progress_lines
from burst.domain.receipts import early_stops, receipts
from burst.domain.run import journals, lifecycle, runs
from burst.domain.run.events import ending_events
from burst.domain.tasks import tasks
from burst.report import live_views, run_states
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


class Lines:
    """The lines that were said, and their figures."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.fields: list[dict[str, Any]] = []

    def __call__(self, words: str, **fields: Any) -> None:
        self.words.append(words)
        self.fields.append(fields)


def watch(run: runs.Run) -> live_views.Situation:
    return live_views.Situation(plan=PLAN, run=run, baseline_per_second=10.0)


def test_a_line_says_the_rate_of_now_beside_the_needed_one_and_what_is_due() -> None:
    said = Lines()

    progress_lines.ProgressLines(said).observe(watch(RUN), WAIT, NOW)

    assert said.words[0] == (
        "bursting · 400 s of 1200 s cap, 5400 s budget · ADMIT 12000 DUPLICATE 3 · ratio 0.9998 · "
        "multiplier so far 3.00 · now 1,800 a minute of 1,800 needed · next: window complete in 500 s"
    )
    assert said.fields[0]["rates_per_minute"]["needed"] == 1800.0
    assert said.fields[0]["counts"]["ADMIT"] == 12000


def test_what_was_counted_in_the_end_is_shown_and_not_what_was_counted_live() -> None:
    stopped = tasks.TaskTruth(
        task=tasks.Task(task_id="t", shard_index=0),
        status=tasks.TaskStatus.STOPPED,
        stopped_at=GO + timedelta(seconds=500),
    )
    whole = dataclasses.replace(
        RUN, truths={"t": stopped}, measured=True, settled_counts=receipts.Counts(admit=15000, duplicate=4)
    )

    shown = progress_lines.show(whole, None, NOW, PLAN, 10.0)

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
    assert run_states.describe(stopping(412, 500)) == "stopping: window-complete, 412 of 500 stopped"


def test_without_a_terminal_a_stop_makes_a_line_at_once_and_then_no_more_than_one_a_second() -> None:
    said = Lines()
    shown = progress_lines.ProgressLines(said)

    began = time.monotonic()
    for stopped in range(100):
        shown.observe(watch(stopping(stopped, 500)), lifecycle.StopEach(), NOW)

    assert said.words[0].startswith("stopping: window-complete, 0 of 500 stopped")
    assert len(said.words) <= 1 + (time.monotonic() - began) / progress_lines.MOVING_SECONDS
