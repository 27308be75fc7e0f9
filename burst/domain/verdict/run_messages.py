"""Run messages: what outlets are told of a run. A message is a copy of what the evidence says, and never evidence.

Its id is that of the run and the kind, so that one that is told twice is known as the same.
"""

import enum
from datetime import datetime
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import canonical, instants, wording
from burst.domain.documents import document_names, models
from burst.domain.plan import plans
from burst.domain.verdict import snapshots

STILL_RUNNING, UNPUBLISHED = 6, 5
"""The exit codes of a run that a person has to act on at once, and of one whose verdict stands on one machine only."""


class MessageKind(enum.StrEnum):
    """What became of a run."""

    STARTED = "started"
    VERDICT = "verdict"
    HALTED = "halted"
    UNPUBLISHED = "unpublished"
    ACT_NOW = "act-now"


class Span(models.Model):
    """A stretch of a run: the run itself, its counted window, a task."""

    name: str
    """`run`, `counted window`, or `task` and its id."""
    start_utc: models.Instant
    """When the stretch begins."""
    end_utc: models.Instant
    """When it ends."""


class EvidenceAddress(models.Model):
    """The snapshot that the message copies."""

    name: str
    """The file name of the snapshot."""
    sha256: models.Digest
    """SHA-256 of the snapshot's bytes."""
    places: list[str]
    """The folders of the run under run control, in which the snapshot stands, the authority first."""


class RunMessage(models.Model):
    """One message. Figures have their unit in their name; one that is not known is left out."""

    schema_: Annotated[Literal["burst.message/v1"], pydantic.Field(alias="schema")] = "burst.message/v1"
    id: str
    """The execution id and the kind: a message that is told twice has one id."""
    kind: Annotated[MessageKind, pydantic.Field(strict=False)]
    """What the message is about; `act-now` says that a task may still run."""
    execution_id: str
    phase: str
    """The phase of the run's plan."""
    phase_kind: str
    """The kind of that phase."""
    platform_run_id: str
    environment: str
    """The environment of the run's plan."""
    at_utc: models.Instant
    """When the message was made, by the controller's clock; told again by a resume, when the run finished."""
    words: models.Words
    """The news in words, such as the reason of the exit code."""
    verdict: Literal["PASS", "HOLD"] | None
    """The verdict of the run; None where it has none yet, or none was published."""
    exit_code: int | None
    """The exit code of the run; None where it has just begun."""
    blockers: list[str]
    """The ids of the open blockers; none on PASS, and before the verdict."""
    figures: dict[str, float]
    """The figures of the verdict by name; one that is not known is absent."""
    spans: list[Span]
    """The run, its counted window and its tasks in time; a stretch without both ends is left out."""
    evidence: EvidenceAddress | None
    """The snapshot that the message copies; None where there is none yet."""

    @property
    def title(self) -> str:
        """The message in a few words."""
        news = self.verdict or self.kind.value
        if self.kind in (MessageKind.ACT_NOW, MessageKind.HALTED):
            news = f"{self.kind}, {news}" if self.verdict else self.kind.value
        return f"burst {news}: {self.phase}, run {self.execution_id}"

    @classmethod
    def announce_start(cls, plan: plans.Plan, at: datetime) -> Self:
        """A run has its folder, and its tasks are about to be launched."""
        tasks = wording.format_count(plan.target.tasks, "task")
        return cls._make(plan, MessageKind.STARTED, at, f"{tasks} on {plan.target.kind}")

    @classmethod
    def announce_failure(cls, plan: plans.Plan, exit_code: int, words: str, at: datetime) -> Self:
        """A run without a published verdict."""
        kind = MessageKind.ACT_NOW if exit_code == STILL_RUNNING else MessageKind.UNPUBLISHED
        return cls._make(plan, kind, at, words).model_copy(update={"exit_code": exit_code})

    @classmethod
    def announce_end(cls, plan: plans.Plan, verdict: snapshots.Verdict, at: datetime, *, urgent: str = "") -> Self:
        """A run with a verdict; `urgent`: what a person has to do at once."""
        snapshot = verdict.snapshot
        unfilled = cls._make(plan, _name_kind(snapshot), at, urgent or snapshot.exit_reason or "")
        return unfilled.model_copy(
            update={
                "verdict": "PASS" if snapshot.overall_pass else "HOLD",
                "exit_code": snapshot.exit_code,
                "blockers": list(snapshot.blockers),
                "figures": _list_figures(snapshot),
                "spans": _list_spans(snapshot),
                "evidence": EvidenceAddress(
                    name=document_names.snapshot_name(plan.slug, plan.kind),
                    sha256=canonical.digest(verdict.content),
                    places=[f"{place}/{plan.execution_id}" for place in plan.evidence.control_places],
                ),
            }
        )

    @classmethod
    def _make(cls, plan: plans.Plan, kind: MessageKind, at: datetime, words: str) -> Self:
        return cls(
            id=f"{plan.execution_id}-{kind}",
            kind=kind,
            execution_id=str(plan.execution_id),
            phase=plan.phase,
            phase_kind=plan.kind.value,
            platform_run_id=plan.scope,
            environment=plan.environment,
            at_utc=at,
            words=words,
            verdict=None,
            exit_code=None,
            blockers=[],
            figures={},
            spans=[],
            evidence=None,
        )

    def content(self) -> bytes:
        """The canonical bytes."""
        return canonical.encode(self.document())


def _name_kind(snapshot: snapshots.Snapshot) -> MessageKind:
    if snapshot.exit_code == STILL_RUNNING:
        return MessageKind.ACT_NOW
    halted = any(gate.name == "not_halted" and gate.status != "PASS" for gate in snapshot.gates)
    return MessageKind.HALTED if halted else MessageKind.VERDICT


def _list_figures(snapshot: snapshots.Snapshot) -> dict[str, float]:
    checks, window = snapshot.burst_load_checks, snapshot.burst_execution_window
    counts = checks.counts.counts if checks.counts is not None else None
    measured = {
        "admits": counts.admit if counts else None,
        "duplicates": counts.duplicate if counts else None,
        "multiplier": checks.achieved_multiplier.value,
        "admit_ratio": checks.admit_ratio.value,
        "elapsed_seconds": window.elapsed_seconds,
        "cost_usd": snapshot.cost.estimated_usd if snapshot.cost else None,
        "open_blockers": len(snapshot.blockers),
        **{gate.name: gate.measured for gate in snapshot.gates if gate.name in _LATENCIES},
    }
    return {
        name: float(value) for name, value in measured.items() if isinstance(value, int | float) and value is not True
    }


_LATENCIES = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")


def _list_spans(snapshot: snapshots.Snapshot) -> list[Span]:
    """The run first, then what lies in it. A stretch without both of its ends is left out."""
    window = snapshot.burst_execution_window
    counted = window.counted_window
    stretches = [("run", window.start_utc, window.end_utc)]
    stretches += [("counted window", counted.start_utc, counted.end_utc)] if counted is not None else []
    stretches += [(f"task {task.id}", task.started_utc, task.stopped_utc) for task in window.tasks]
    return [
        Span(name=name, start_utc=instants.utc(start), end_utc=instants.utc(end))
        for name, start, end in stretches
        if start is not None and end is not None and start <= end
    ]
