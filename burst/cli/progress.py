"""Progress: how a run goes, as one live line on a terminal and one line per change elsewhere. Always on stderr.

The live line is never longer than the terminal is wide: a line that wraps cannot be drawn over.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from burst.cli import common, observed_progress
from burst.domain.basics import instants
from burst.domain.plan import budget_sections, plans
from burst.domain.receipts import receipts
from burst.domain.run import lifecycle, runs

QUIET_SECONDS = 10.0
"""How often counts alone make a line where there is no terminal."""
MOVING_SECONDS = 1.0
"""How often the figures of one state make a line there: tasks ready, tasks stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look shows of a run: the state in a word, and the figures beside it."""

    state: str
    next_event: str
    figures: str
    brief: str
    """The look in the fewest words, for a terminal too narrow for `line`."""

    @property
    def line(self) -> str:
        """The look as one line."""
        return " · ".join(part for part in (self.state, self.figures, self.next_event) if part)

    def fit(self, columns: int) -> str:
        """The look as one line of at most so many columns."""
        line = self.line if len(self.line) <= columns else self.brief
        return line if len(line) <= columns else f"{line[: columns - 1]}…"


def show(
    run: runs.Run,
    decision: lifecycle.Decision | None,
    now: datetime,
    plan: plans.Plan,
    baseline_rate: float | None,
) -> Look:
    """One look at a run. `baseline_rate` is per second."""
    progress, seconds_left = _measure_progress(run, now, baseline_rate), _seconds_left(run, decision, now)
    due = decision.due if isinstance(decision, lifecycle.Wait) else ""
    quorum = _describe_quorum(run, plan.target.tasks) if run.stopping is None else ""
    return Look(
        state=", ".join(part for part in (state(run), quorum) if part),
        next_event="" if seconds_left is None else f"next: {due} in {seconds_left:.0f} s",
        figures=_add_observed(run, _figures(progress, plan.budget) if progress else ""),
        brief=_brief(state(run), progress, plan.budget, seconds_left),
    )


def _add_observed(run: runs.Run, words: str) -> str:
    """The figures with the last answer of each observed series."""
    return " · ".join(part for part in (words, observed_progress.describe_last(run)) if part)


def state(run: runs.Run) -> str:
    """The run's state in a word or two."""
    if run.exit_code is not None:
        return f"finished (exit {run.exit_code})"
    if run.measured:
        return "publishing"
    if run.stopping is not None:
        stopped = len(run.truths) - len(run.alive)
        return f"stopping: {run.stopping.reason}, {stopped} of {len(run.truths)} stopped" if run.alive else "counting"
    if run.count_blindness is not None:
        doubt_of_counts = f", count blind since {instants.text(run.count_blindness.since_utc)}"
        return f"{_course(run)}{doubt_of_counts}: early stop cannot act ({run.count_blindness.why})"
    doubt = f", {drilling}" if (drilling := _describe_drills(run)) else ""
    doubt += f", cannot read {', '.join(run.signs_in_doubt)}" if run.signs_in_doubt else ""
    return f"{_course(run)}{doubt}"


def _describe_drills(run: runs.Run) -> str:
    """The last drill that the run came to, and how far its fault is; empty before the first."""
    if not run.strikes or run.go_at is None:
        return ""
    name, strike = list(run.strikes.items())[-1]
    shot = run.shots.get(name)
    if strike.refused is not None:
        return f"drill {name} was not caused: {strike.refused}"
    if shot is not None:
        return f"drill {name}: its command {'has ended' if shot.ended else 'runs'}"
    if strike.over_at is not None:
        return f"drill {name}: {strike.replaced} tasks replaced"
    if strike.struck_at is not None:
        return f"drill {name}: {strike.replaced} of {len(strike.tasks_before)} tasks replaced"
    return f"drill {name} is being caused"


def _course(run: runs.Run) -> str:
    """The state of a run that is not stopping."""
    if run.blind_since is not None:
        return f"blind since {instants.text(run.blind_since)}"
    if run.go_at is not None:
        return "bursting"
    if run.launching_at is not None:
        return _describe_start(run)
    return "arming"


def _describe_start(run: runs.Run) -> str:
    """How many tasks are ready of those that may still come, and how many failed."""
    failed = len(run.truths) - len(run.carriers)
    words = f"starting, {min(run.ready_count, len(run.carriers))} of {len(run.carriers)} tasks ready"
    return f"{words}, {failed} failed to start" if failed else words


def _describe_quorum(run: runs.Run, planned: int) -> str:
    """That GO was given to fewer tasks than planned; empty where it was not."""
    return f"GO with {run.go_tasks} of {planned} tasks" if run.go_tasks and run.go_tasks < planned else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _BurstProgress:
    """The figures of a burst that has begun. `multiplier` is None where there is no baseline or no count yet."""

    elapsed_seconds: float
    counts: receipts.Counts
    multiplier: float | None


def _measure_progress(run: runs.Run, now: datetime, baseline_rate: float | None) -> _BurstProgress | None:
    if run.go_at is None:
        return None
    end = run.attempt_window.end if run.attempt_window and not run.alive else now
    multiplier = None
    if baseline_rate and run.counted_seconds > 0:
        multiplier = run.counts.admit / run.counted_seconds / baseline_rate
    return _BurstProgress(
        elapsed_seconds=instants.seconds_between(run.go_at, end), counts=run.counts, multiplier=multiplier
    )


def _seconds_left(run: runs.Run, decision: lifecycle.Decision | None, now: datetime) -> float | None:
    """Seconds to the next event that is due, None where none is."""
    if isinstance(decision, lifecycle.Wait) and decision.until is not None and run.exit_code is None:
        return max(0.0, instants.seconds_between(now, decision.until))
    return None


def _figures(progress: _BurstProgress, budget: budget_sections.BudgetSection) -> str:
    ratio = receipts.admit_ratio(progress.counts)
    parts = [
        f"{progress.elapsed_seconds:.0f} s of {budget.cap_seconds:.0f} s cap, {budget.max:.0f} s budget",
        f"ADMIT {progress.counts.admit} DUPLICATE {progress.counts.duplicate}",
        "ratio -" if ratio is None else f"ratio {ratio:.4f}",
    ]
    if progress.multiplier is not None:
        parts.append(f"multiplier so far {progress.multiplier:.2f}")
    return " · ".join(parts)


def _brief(
    state: str, progress: _BurstProgress | None, budget: budget_sections.BudgetSection, seconds_left: float | None
) -> str:
    """State, elapsed/cap/budget, counts, ratio, multiplier, seconds to the next event."""
    parts = [state]
    if progress is not None:
        ratio = receipts.admit_ratio(progress.counts)
        parts += [
            f"{progress.elapsed_seconds:.0f}/{budget.cap_seconds:.0f}/{budget.max:.0f} s",
            f"ADMIT {progress.counts.admit} DUP {progress.counts.duplicate}",
            "ratio -" if ratio is None else f"ratio {ratio:.4f}",
            *([] if progress.multiplier is None else [f"{progress.multiplier:.2f}x"]),
        ]
    if seconds_left is not None:
        parts.append(f"next {seconds_left:.0f} s")
    return "  ".join(parts)


class Progress:
    """Observes every decision and writes the changes. `say` writes a line of words."""

    def __init__(
        self, plan: plans.Plan, baseline_rate: float | None, say: Callable[[str], None], *, live: bool | None = None
    ) -> None:
        self._plan = plan
        self._baseline_rate = baseline_rate
        self._say = say
        self._live = sys.stderr.isatty() if live is None else live
        self._last: Look | None = None
        self._said_at = 0.0
        self._width = 0

    def __call__(self, run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
        """One look."""
        look = show(run, decision, now, self._plan, self._baseline_rate)
        if self._live:
            self._redraw(look)
        elif self._worth_a_line(look):
            self._say(look.line)
            self._said_at = time.monotonic()
        else:
            return
        self._last = look

    def _worth_a_line(self, look: Look) -> bool:
        if self._last is None or _name(look) != _name(self._last):
            return True
        quiet_seconds = time.monotonic() - self._said_at
        if look.state != self._last.state:
            return quiet_seconds >= MOVING_SECONDS
        return look.figures != self._last.figures and quiet_seconds >= QUIET_SECONDS

    def _redraw(self, look: Look) -> None:
        if self._last is not None and _name(look) != _name(self._last):
            sys.stderr.write("\n")
            self._width = 0
        line = look.fit(_columns() - 1)
        sys.stderr.write("\r" + common.strip_controls(line).ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def end(self) -> None:
        """Leaves the live line standing and goes on below it."""
        if self._live and self._last is not None:
            sys.stderr.write("\n")


def _name(look: Look) -> str:
    """The name of a state, without the figures that follow it."""
    return look.state.split(",")[0]


def _columns() -> int:
    """Columns of the terminal; 80 where it does not say, and never so few that nothing can be shown."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        columns = 0
    return max(20, columns or 80)
