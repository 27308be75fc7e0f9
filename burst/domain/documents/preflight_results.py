"""The preflight document: every finding before the launch, the estimated cost and the canary event."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import entry_answers, models


class FindingEntry(models.Model):
    """One finding of preflight. `why` and `mend` are empty where it passed."""

    check: str
    status: Literal["passed", "warning", "refused"]
    title: models.Words
    seen: models.Words
    why: models.Words = ""
    mend: models.Words = ""
    runbook: str = ""


Factor = Annotated[float, pydantic.Field(gt=0, le=1e6)]
"""Of a cost: bounded, so that a product of them always has bytes."""


class CostEntry(models.Model):
    """The most that the tasks cost, and its factors; prices are of one hour."""

    vcpu: Factor
    memory_gb: Factor
    vcpu_hour_usd: Factor
    gb_hour_usd: Factor
    price_source: str
    at_cap_usd: Annotated[float, pydantic.Field(ge=0)]


class CanaryEntry(models.Model):
    """The one event sent before the burst; it precedes every window."""

    event_id: str
    sent_utc: models.Instant
    receipt_utc: models.Instant


class StorePolicyEntry(models.Model):
    """How the evidence of the run is kept, and whether its environment allows that."""

    environment: str
    store_mode: str
    decision: Literal["allowed", "refused"]
    reason: models.Words


class Preflight(models.Model):
    """`{slug}_preflight.json`: the findings before the launch, and the most that the tasks may cost."""

    schema_: Annotated[Literal["burst.preflight/v1"], pydantic.Field(alias="schema")] = "burst.preflight/v1"
    execution_id: str
    platform_run_id: str
    checked_utc: models.Instant
    passed: bool
    findings: list[FindingEntry]
    cost: CostEntry | None = None
    canary: CanaryEntry | None = None
    machine: dict[str, str | int | float | None] | None = None
    """The machine of the tasks: figures of unlike machines are not to be compared. None: not known before they run."""
    entry_gates: list[entry_answers.EntryAnswer] = []
    """The last answer of each entry of `requires`."""
    store_policy: StorePolicyEntry | None = None

    @property
    def refused(self) -> tuple[str, ...]:
        """The checks that refused the launch."""
        return tuple(finding.check for finding in self.findings if finding.status == "refused")
