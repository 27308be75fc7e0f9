"""Snapshot parts: the sections of a snapshot as models, so that its schema says what its consumers may rely on.

Every field of version 1 is required. A field that a later minor version adds has a default here, because the documents
of every released version stay readable (`tests/fixtures/documents`).
"""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models, task_results, window_metrics

SCHEMA = "burst.snapshot/v1"


class BurstTarget(models.Model):
    """`burst_target`: what had to be reached. A reference run has no multiplier."""

    ingest_multiplier: float | None
    duration_minutes: float
    min_successful_admit_ratio: float


class BaselineExtract(models.Model):
    """`baseline_extract`: the reference rate that was divided by."""

    admits: models.Count
    seconds: float
    admits_per_minute: float
    source: str
    checksum: models.Digest | None


class ExecutionWindow(models.Model):
    """`burst_execution_window`: first task start to last task stop, and the window that was counted."""

    start_utc: models.Instant | None
    end_utc: models.Instant | None
    elapsed_seconds: float | None
    counted_window: window_metrics.WindowEntry | None
    tasks: list[task_results.TaskEntry]


class LoadCheck(models.Model):
    """One measured figure, what was asked of it, and whether it was reached; all None where nothing was asked."""

    value: float | None
    threshold: float | None
    pass_: Annotated[bool | None, pydantic.Field(alias="pass")]


class LoadChecks(models.Model):
    """`burst_load_checks`: the figures behind B1."""

    achieved_multiplier: LoadCheck
    admit_ratio: LoadCheck
    duration_seconds: LoadCheck
    counts: window_metrics.CountsEntry | None
    admits_per_minute: float | None
    no_data: bool


class RuntimeBudget(models.Model):
    """`runtime_budget`: what was allowed and what was used. `stopped_by` None: no layer ended the last task."""

    budget_seconds: float
    elapsed_seconds: float | None
    budget_pass: bool
    operator_cap_seconds: float
    overshoot_seconds: float | None
    stopped_by: str | None
    layers: list[task_results.LayerEntry]
    outages: list[task_results.Outage]


class Cost(models.Model):
    """`cost`: what the tasks cost, estimated at list prices; None where preflight did not know their size."""

    estimated_usd: float | None
    at_cap_usd: float
    cost_cap_usd: float | None
    price_source: str


Comparison = Literal["at_least", "at_most", "equals"] | None
"""How what was measured has to stand to what is required; None where that is told in words, or not told."""


class CheckEntry(models.Model):
    """One question and its answer."""

    name: str
    value: models.Value
    expected: models.Value
    comparison: Comparison = None
    pass_: Annotated[bool, pydantic.Field(alias="pass")]


class Checks(models.Model):
    """The questions behind one blocker; `pass` only where something was asked and all of it held."""

    checks: list[CheckEntry]
    pass_: Annotated[bool, pydantic.Field(alias="pass")]


class PriorRef(models.Model):
    """The snapshot a bounded rerun rests on, by digest; `key` is where the plan found it."""

    execution_id: str
    sha256: models.Digest
    key: str | None


class SourceRefs(models.Model):
    """`source_snapshot_refs`: the snapshots this one was made on."""

    prior: PriorRef | None
    baseline_snapshot_sha256: models.Digest | None


class EvidenceRef(models.Model):
    """One document by digest. `prefix`: only its first `size` bytes are meant."""

    name: str
    sha256: models.Digest
    size: models.Count
    media_type: str
    keys: list[str]
    prefix: bool = False


class GateEntry(models.Model):
    """One gate and its answer."""

    name: str
    blocker: str
    status: Literal["PASS", "FAIL", "INVALID"]
    measured: models.Value
    required: models.Value
    comparison: Comparison = None
    unit: str | None = None
    """Of what is measured and required; None where they have none."""
    why: str


class RegisterEntry(models.Model):
    """One blocker of the phase and where it stands."""

    blocker: str
    title: str
    state: Literal["open", "cleared", "carried", "not-evaluated"]
    open: bool
    why: str
    gates: list[str]
    prior_state: str | None


class Decision(models.Model):
    """`decision`: why the burst ended, and the early stop where there was one."""

    stop_reason: str | None
    early_stop: task_results.EarlyStop | None


Verifier = Annotated[
    dict[str, str],
    pydantic.WithJsonSchema(
        {
            "type": "object",
            "title": "Verifier",
            "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
            "required": ["name", "version"],
        }
    ),
]
"""What reached the verdict, kept as it stands: it is part of the bytes that are reached again."""
