"""Progress: how a run goes, as one line per change, where there is no terminal to draw the live view on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from burst.cli import observed_progress
from burst.domain.basics import instants
from burst.domain.plan import budget_sections, plans
from burst.domain.receipts import receipts
from burst.domain.run import lifecycle, runs
from burst.report import live_gates, live_views, run_states

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

    @property
    def line(self) -> str:
        """The look as one line."""
        return " · ".join(part for part in (self.state, self.figures, self.next_event) if part)


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
        state=", ".join(part for part in (run_states.describe(run), quorum) if part),
        next_event="" if seconds_left is None else f"next: {due} in {seconds_left:.0f} s",
        figures=_join(
            _figures(progress, plan.budget) if progress else "",
            _describe_rates(run, now, plan, baseline_rate),
            observed_progress.describe_last(run),
        ),
    )


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _describe_rates(run: runs.Run, now: datetime, plan: plans.Plan, baseline_rate: float | None) -> str:
    """The ADMIT a minute of the last counts, beside those that are needed; empty before the first count."""
    rates = live_views.find_rates(live_gates.Reckoning(plan=plan, run=run, baseline_per_second=baseline_rate, now=now))
    if rates.now is None:
        return ""
    needed = "" if rates.needed is None else f" of {rates.needed:,.0f} needed"
    return f"now {rates.now:,.0f} a minute{needed}"


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


class ProgressLines:
    """Observes every look and says the changes: with `say` a line of words, and its figures for machines."""

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self._last: Look | None = None
        self._said_at = 0.0
        self._notes: tuple[str, ...] = ()

    def observe(self, situation: live_views.Situation, decision: lifecycle.Decision | None, now: datetime) -> None:
        """One look at a run whose plan is known."""
        run, plan = situation.run, situation.plan
        if run is None or plan is None:
            return
        notes = (*situation.warnings, *situation.notes)
        for note in notes:
            if note not in self._notes:
                self._say(note)
        self._notes = notes
        look = show(run, decision, now, plan, situation.baseline_per_second)
        if self._worth_a_line(look):
            self._say(look.line, **live_views.list_fields(live_views.build(situation, now)))
            self._said_at = time.monotonic()
            self._last = look

    def _worth_a_line(self, look: Look) -> bool:
        if self._last is None or _name(look) != _name(self._last):
            return True
        quiet_seconds = time.monotonic() - self._said_at
        if look.state != self._last.state:
            return quiet_seconds >= MOVING_SECONDS
        return look.figures != self._last.figures and quiet_seconds >= QUIET_SECONDS


def _name(look: Look) -> str:
    """The name of a state, without the figures that follow it."""
    return look.state.split(",")[0]
