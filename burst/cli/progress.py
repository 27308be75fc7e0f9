"""Progress: how a run goes, as one live line on a terminal and one line per change elsewhere. Always on stderr."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from burst.domain import instants, lifecycle, receipts
from burst.domain import plan as plans

QUIET_SECONDS = 10.0
"""How often counts alone make a line where there is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one look shows of a run: the state in a word, and the figures beside it."""

    state: str
    next_event: str
    figures: str

    @property
    def line(self) -> str:
        """The look as one line."""
        return " · ".join(part for part in (self.state, self.figures, self.next_event) if part)


def show(
    run: lifecycle.Run,
    decision: lifecycle.Decision | None,
    now: datetime,
    plan: plans.Plan,
    baseline_rate: float | None,
) -> Shown:
    """What there is to see of a run now. `baseline_rate` is per second."""
    return Shown(
        state=state(run), next_event=_next(run, decision, now), figures=_figures(run, now, plan, baseline_rate)
    )


def state(run: lifecycle.Run) -> str:
    """The run's state in a word or two."""
    if run.exit_code is not None:
        return f"finished (exit {run.exit_code})"
    if run.measured:
        return "publishing"
    if run.stopping is not None:
        return f"stopping: {run.stopping.reason}" if run.alive else "counting"
    if run.blind_since is not None:
        return f"blind since {instants.text(run.blind_since)}"
    if run.go_at is not None:
        return "bursting"
    if run.launching_at is not None:
        return f"starting, {len(run.ready)} of {len(run.truths)} tasks ready"
    return "arming"


def _next(run: lifecycle.Run, decision: lifecycle.Decision | None, now: datetime) -> str:
    if isinstance(decision, lifecycle.Wait) and decision.until is not None and run.exit_code is None:
        return f"next: {decision.what} in {max(0.0, instants.seconds_between(now, decision.until)):.0f} s"
    return ""


def _figures(run: lifecycle.Run, now: datetime, plan: plans.Plan, baseline_rate: float | None) -> str:
    if run.go_at is None:
        return ""
    end = run.attempt_window.end if run.attempt_window and not run.alive else now
    elapsed = instants.seconds_between(run.go_at, end)
    counts = run.counts
    ratio = receipts.admit_ratio(counts)
    parts = [f"{elapsed:.0f} s of {plan.budget.cap_seconds:.0f} s cap, {plan.budget.max:.0f} s budget"]
    parts.append(f"ADMIT {counts.admit} DUPLICATE {counts.duplicate}")
    parts.append(f"ratio {ratio:.4f}" if ratio is not None else "ratio -")
    counted = instants.seconds_between(run.go_at, run.counted_to) if run.counted_to else 0.0
    if baseline_rate and counted > 0:
        parts.append(f"multiplier so far {counts.admit / counted / baseline_rate:.2f}")
    return " · ".join(parts)


class Progress:
    """Told of every decision; writes what changed. `say` writes a line of words."""

    def __init__(
        self, plan: plans.Plan, baseline_rate: float | None, say: Callable[[str], None], *, live: bool | None = None
    ) -> None:
        self._plan = plan
        self._baseline_rate = baseline_rate
        self._say = say
        self._live = sys.stderr.isatty() if live is None else live
        self._last: Shown | None = None
        self._said_at = 0.0
        self._width = 0

    def __call__(self, run: lifecycle.Run, decision: lifecycle.Decision, now: datetime) -> None:
        """One look."""
        shown = show(run, decision, now, self._plan, self._baseline_rate)
        if self._live:
            self._redraw(shown)
        elif self._worth_a_line(shown):
            self._say(shown.line)
            self._said_at = time.monotonic()
        else:
            return
        self._last = shown

    def _worth_a_line(self, shown: Shown) -> bool:
        if self._last is None or shown.state != self._last.state:
            return True
        return shown.figures != self._last.figures and time.monotonic() - self._said_at >= QUIET_SECONDS

    def _redraw(self, shown: Shown) -> None:
        if self._last is not None and shown.state.split(",")[0] != self._last.state.split(",")[0]:
            sys.stderr.write("\n")
            self._width = 0
        line = shown.line
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def end(self) -> None:
        """Leaves the live line standing and goes on below it."""
        if self._live and self._last is not None:
            sys.stderr.write("\n")
