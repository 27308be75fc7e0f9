"""Courses: the state of a campaign, as its journal describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from burst.domain.basics import instants

PauseKind: TypeAlias = Literal[
    "before", "regression", "until", "entry", "budget", "hold", "failed", "cut", "regression-unknown"
]
PAUSE_WORDS: Mapping[PauseKind, str] = {
    "before": "the step asks for a person before it begins",
    "regression": "the step is worse than the one before it",
    "until": "the operator wanted no further step",
    "entry": "an entry gate does not hold",
    "budget": "the step could not end inside the budget of the campaign",
    "hold": "the step is on HOLD",
    "failed": "the step was refused, or failed before a verdict",
    "cut": "the step has not come to its end",
    "regression-unknown": "nobody can tell whether the step is worse than the one before it",
}
MOST_CUTS = 3
"""How often a step whose controller died before any load is taken again by itself."""
EndWord: TypeAlias = Literal["PASS", "HOLD", "FAILED"]
Outcome: TypeAlias = Literal["done", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedSnapshot:
    """A snapshot by its place and digest."""

    place: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAttempt:
    """One run of a step. It is open until the journal has its end; `lost` where it never began."""

    number: int
    index: int
    """Which value of the sweep; 0 without one."""
    run_id: str
    intended_at: datetime
    settings: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    prior: CitedSnapshot | None = None
    cost_usd: float = 0.0
    """The most that it can cost."""
    end: EndWord | None = None
    lost: bool = False
    exit_code: int | None = None
    snapshot: CitedSnapshot | None = None
    blockers: tuple[str, ...] = ()
    reason: str = ""
    measures: Mapping[str, Any] = field(default_factory=dict)
    ended_at: datetime | None = None
    cut_before_load: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its end is still to come."""
        return self.end is None and not self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopening:
    """The operator's order to take a step again: bounded to blockers where some are named."""

    only: tuple[str, ...]
    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step so far."""

    attempts: tuple[StepAttempt, ...] = ()
    entry_checked: bool = False
    overridden: bool = False
    """Whether settings of a database are, or may be, otherwise than before."""
    override_set: bool = False
    """Whether they are known to be as the step wants them."""
    reopening: Reopening | None = None
    """Set until an attempt of it came to a verdict."""
    tries_again: bool = False
    """Whether a failed attempt is followed by another one."""
    refused: bool = False
    """Whether the last attempt failed, and nobody wants another one yet."""
    regressions: tuple[str, ...] | None = None
    allowed: frozenset[PauseKind] = frozenset()
    table_sha256: str | None = None
    passed: bool = False
    undone: bool = False

    @property
    def last(self) -> StepAttempt | None:
        """The last attempt that was not lost."""
        kept = [attempt for attempt in self.attempts if not attempt.lost]
        return kept[-1] if kept else None

    @property
    def prior(self) -> CitedSnapshot | None:
        """The snapshot that a bounded rerun rests on: of the last attempt that came to its load."""
        snapshots = [attempt.snapshot for attempt in self.attempts if attempt.snapshot and not attempt.cut_before_load]
        return snapshots[-1] if snapshots else None

    @property
    def snapshot(self) -> CitedSnapshot | None:
        """The snapshot of the last attempt."""
        return self.last.snapshot if self.last is not None else None

    @property
    def lost_to_hold_seconds(self) -> float:
        """From the end of the first attempt that held to the end of the one that passed; 0 where none held."""
        ends = [
            (attempt.end, attempt.ended_at)
            for attempt in self.attempts
            if attempt.ended_at is not None and not attempt.cut_before_load
        ]
        held = [at for end, at in ends if end == "HOLD"]
        passed = [at for end, at in ends if end == "PASS" and held and at > held[0]]
        return instants.seconds_between(held[0], passed[0]) if held and passed else 0.0

    def with_last(self, **values: Any) -> "StepState":
        """The state with another last attempt."""
        return replace(self, attempts=(*self.attempts[:-1], replace(self.attempts[-1], **values)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPause:
    """A point at which nothing goes on until the operator says so."""

    kind: PauseKind
    step: str
    reason: str
    exit_code: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """The order to end the campaign: who gave it, and why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A campaign so far."""

    campaign_id: str = ""
    file_sha256: str = ""
    plans: Mapping[str, str] = field(default_factory=dict)
    """The digest of each step's plan, as it stood when the campaign began."""
    operators: tuple[str, ...] = ()
    began_at: datetime | None = None
    until: str | None = None
    steps: Mapping[str, StepState] = field(default_factory=dict)
    pause: CampaignPause | None = None
    paused_seconds: float = 0.0
    """In pauses that are over."""
    stop: StopOrder | None = None
    outcome: Outcome | None = None
    exit_code: int | None = None
    ended_at: datetime | None = None

    def step(self, name: str) -> StepState:
        """The state of a step, also of one that was not reached."""
        return self.steps.get(name, StepState())

    def with_step(self, name: str, state: StepState) -> "Course":
        """The campaign with another state of one step."""
        return replace(self, steps={**self.steps, name: state})

    def worked_seconds(self, now: datetime) -> float:
        """The time since the beginning without that of pauses: at a pause nothing runs."""
        if self.began_at is None:
            return 0.0
        until = self.pause.since if self.pause is not None else now
        return max(0.0, instants.seconds_between(self.began_at, until) - self.paused_seconds)

    @property
    def spent_usd(self) -> float:
        """The most that every attempt so far can have cost."""
        return sum(attempt.cost_usd for state in self.steps.values() for attempt in state.attempts if not attempt.lost)

    def require_attempt(self, step: str) -> StepAttempt:
        """The last attempt of a step. Raises ValueError where it has none."""
        state = self.step(step)
        if not state.attempts:
            raise ValueError(f"step {step} was never begun")
        return state.attempts[-1]
