"""The preflight document: every finding before the launch, the estimated cost and the canary event."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import entry_answers, models


class FindingEntry(models.Model):
    """One finding of preflight. `why` and `mend` are empty where it passed."""

    check: str
    """The id of the finding, as the page of preflight findings lists it."""
    status: Literal["passed", "warning", "refused"]
    """`refused` launches nothing; `warning` launches, and is told."""
    title: models.Words
    """What is so where the check passes, in words."""
    seen: models.Words
    """What the check saw."""
    why: models.Words = ""
    """Why it matters; empty where it passed."""
    mend: models.Words = ""
    """What to do about it; empty where it passed, or where another finding explains it."""
    runbook: str = ""
    """The file of the page about it, or about the finding that explains it."""


Factor = Annotated[float, pydantic.Field(gt=0, le=1e6)]
"""Of a cost: bounded, so that a product of them always has bytes."""


class CostEntry(models.Model):
    """The most that the tasks cost, and its factors; prices are of one hour."""

    vcpu: Factor
    """The vCPUs of one task."""
    memory_gb: Factor
    """The memory of one task, in GB."""
    vcpu_hour_usd: Factor
    """The price of one vCPU for one hour, in USD."""
    gb_hour_usd: Factor
    """The price of one GB for one hour, in USD."""
    price_source: str
    """Where the prices are from: a list and its day, an assumption where no list has them, or the plan."""
    at_cap_usd: Annotated[float, pydantic.Field(ge=0)]
    """What all tasks cost in USD where each runs until the deadline."""


class CanaryEntry(models.Model):
    """The one event sent before the burst; it precedes every window."""

    event_id: str
    """The id that the canary was sent under; the freshness check knows it by its beginning."""
    sent_utc: models.Instant
    """When it was sent, by the controller's clock."""
    receipt_utc: models.Instant
    """The instant of its receipt, by the clock of the ingest; GO is given after it."""


class StorePolicyEntry(models.Model):
    """How the evidence of the run is kept, and whether its environment allows that."""

    environment: str
    """The environment of the plan."""
    store_mode: str
    """How documents are kept: `folder` or `s3`, with `+object-lock` and `+signed`."""
    decision: Literal["allowed", "refused"]
    """Whether the environment allows that; `refused` launches nothing."""
    reason: models.Words
    """What the environment demands, and what of it is missing."""


class Preflight(models.Model):
    """`{slug}_preflight.json`: the findings before the launch, and the most that the tasks may cost."""

    schema_: Annotated[Literal["burst.preflight/v1"], pydantic.Field(alias="schema")] = "burst.preflight/v1"
    execution_id: str
    platform_run_id: str
    checked_utc: models.Instant
    """When the checks had been asked, by the controller's clock."""
    passed: bool
    """Whether no finding refuses the launch."""
    findings: list[FindingEntry]
    """Every finding, those that passed too."""
    cost: CostEntry | None = None
    """What the tasks cost at most; None where nobody bills them, or their size is not known."""
    canary: CanaryEntry | None = None
    """The canary that was admitted; None where none was sent, or it got no receipt. Of several hosts the last."""
    machine: dict[str, str | int | float | None] | None = None
    """The machine of the tasks: figures of unlike machines are not to be compared. None: not known before they run."""
    entry_gates: list[entry_answers.EntryAnswer] = []
    """The last answer of each entry of `requires`."""
    store_policy: StorePolicyEntry | None = None
    """How the evidence is kept, and whether that is allowed; None where the check was not asked."""

    @property
    def refused(self) -> tuple[str, ...]:
        """The checks that refused the launch."""
        return tuple(finding.check for finding in self.findings if finding.status == "refused")
