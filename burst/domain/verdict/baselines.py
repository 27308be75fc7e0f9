"""Baselines: the rate a burst is measured against, with enough beside it to know whether it may be used.

A baseline document carries a checksum over its own canonical bytes, so that an edited one is refused rather than
divided by. A baseline given inline in a plan is covered by the plan's digest instead.
"""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic

from burst.domain.basics import canonical, errors, instants, wording
from burst.domain.documents import models, window_metrics
from burst.domain.plan import load_sections, plans, receipts_sections
from burst.load import rate_plans

SCHEMA = "burst.baseline/v1"


class Provenance(models.Model):
    """The passed run a baseline was made from."""

    execution_id: str
    """The reference run."""
    platform_run_id: str
    """The scope whose receipts were counted."""
    phase: str
    """The phase of the reference run."""
    snapshot_sha256: models.Digest
    """SHA-256 of its snapshot's bytes."""
    window: window_metrics.WindowEntry
    """The window that its receipts were counted in."""


class RunShare(models.Model):
    """One of several runs that a baseline was made from, with its own rate and buckets."""

    provenance: Provenance
    """The run and its snapshot."""
    admits: Annotated[int, pydantic.Field(gt=0)]
    """ADMIT receipts of its counted window."""
    seconds: Annotated[float, pydantic.Field(ge=1e-6)]
    """The length of its counted window."""
    admits_per_minute: float
    """`admits` divided by `seconds`, times 60."""
    bucket_seconds: Annotated[float, pydantic.Field(gt=0)]
    """How long a bucket is; the whole window where it was counted as one."""
    buckets: list[window_metrics.BucketEntry]
    """Its counted window in parts, whose ADMITs add up to `admits`."""

    @property
    def cells(self) -> tuple[tuple[float, int], ...]:
        """(seconds, admits) of each bucket."""
        return _list_cells(self.buckets)


def _list_cells(buckets: Iterable[window_metrics.BucketEntry]) -> tuple[tuple[float, int], ...]:
    return tuple((bucket.window.seconds, bucket.counts.admit) for bucket in buckets)


class Document(models.Model):
    """`baseline.json`: admits and seconds of a passed reference run, per-bucket counts, and where they come from."""

    schema_: Annotated[Literal["burst.baseline/v1"], pydantic.Field(alias="schema")] = "burst.baseline/v1"
    admits: Annotated[int, pydantic.Field(gt=0)]
    """ADMIT receipts of the counted windows of all its runs."""
    seconds: Annotated[float, pydantic.Field(ge=1e-6)]
    """The length of those windows, added up."""
    admits_per_minute: float
    """`admits` divided by `seconds`, times 60; readers divide again and never believe it."""
    admit_ratio: float
    """ADMIT / (ADMIT + DUPLICATE) over all its runs."""
    bucket_seconds: Annotated[float, pydantic.Field(gt=0)]
    """How long a bucket of the last run is; its whole window where that was counted as one."""
    buckets: list[window_metrics.BucketEntry]
    """The buckets of all its runs, the earliest first; their ADMITs add up to `admits`."""
    profile: dict[str, str | int | float | None]
    """The load of the last run: program, rate, tasks and what is sent; a burst of another load is told apart."""
    environment: dict[str, str | int | float | None]
    """The machine of the last run's tasks, the environment and the target that its plan names."""
    created_utc: models.Instant
    """When the baseline was made, by the clock of whoever made it."""
    max_age_seconds: Annotated[float, pydantic.Field(gt=0)] | None
    """How long after `created_utc` it may be used; None where it does not go stale."""
    provenance: Provenance
    """The run that it was made from; of several runs the last."""
    runs: Annotated[list[RunShare], pydantic.Field(min_length=2)] | None = None
    """Where it was made of several runs, each of them, the earliest first; `provenance` is then that of the last."""
    checksum: models.Digest
    """SHA-256 over the canonical bytes of the document without this field; other content is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A baseline fit for use: admits over seconds, and where they come from."""

    admits: int
    seconds: float
    source: str
    checksum: str | None = None
    created_at: datetime | None = None
    snapshot_sha256: str | None = None
    buckets: tuple[tuple[float, int], ...] = ()
    """(seconds, admits) of each bucket."""
    runs: tuple[tuple[tuple[float, int], ...], ...] = ()
    """The buckets of each run it was made from; they tell how the rate varies from run to run."""

    @property
    def rate_per_second(self) -> float:
        """Admits per second; divided in exactly this order everywhere."""
        return self.admits / self.seconds

    @property
    def rate_per_minute(self) -> float:
        """Admits per minute."""
        return self.rate_per_second * 60


def checksum(value: dict[str, Any]) -> str:
    """SHA-256 over the canonical bytes of the document without its `checksum`."""
    return canonical.digest(canonical.encode({key: part for key, part in value.items() if key != "checksum"}))


def seal(value: dict[str, Any]) -> bytes:
    """The canonical bytes of a baseline document, its checksum added."""
    return canonical.encode({**value, "checksum": checksum(value)})


def read(content: bytes) -> Document:
    """A baseline document from its bytes, its checksum and its sums verified.

    Raises `errors.EvidenceCorrupt` on a changed byte or a missing field, `errors.EvidenceUnknown` on another schema.
    """
    document = models.read(Document, content)
    value = canonical.decode(content)
    if checksum(value) != document.checksum:
        raise errors.EvidenceCorrupt(
            "the baseline's checksum does not match its content; it was changed after it was made"
        )
    if sum(bucket.counts.admit for bucket in document.buckets) != document.admits:
        raise errors.EvidenceCorrupt("the baseline's buckets do not add up to its admits")
    if document.runs is None:
        if document.seconds != document.provenance.window.window.seconds:
            raise errors.EvidenceCorrupt("the baseline's seconds are not those of the window it was counted in")
        return document
    _require_sums(document, document.runs)
    return document


def _require_sums(document: Document, runs: Sequence[RunShare]) -> None:
    """Raises `errors.EvidenceCorrupt` where a baseline of several runs is not the sum of them."""
    for run in runs:
        name = run.provenance.execution_id
        if run.seconds != run.provenance.window.window.seconds:
            raise errors.EvidenceCorrupt(f"the seconds of run {name} are not those of its window")
        if sum(bucket.counts.admit for bucket in run.buckets) != run.admits:
            raise errors.EvidenceCorrupt(f"the buckets of run {name} do not add up to its admits")
    sums = sum(run.admits for run in runs), math.fsum(run.seconds for run in runs)
    if (document.admits, document.seconds) != sums:
        raise errors.EvidenceCorrupt("the baseline is not the sum of its runs")
    if document.provenance != runs[-1].provenance:
        raise errors.EvidenceCorrupt("the provenance of the baseline is not that of its last run")


def from_document(document: Document) -> Baseline:
    """The baseline of a verified document."""
    return Baseline(
        admits=document.admits,
        seconds=document.seconds,
        source=describe_source(document),
        checksum=document.checksum,
        created_at=document.created_utc,
        snapshot_sha256=document.provenance.snapshot_sha256,
        buckets=_list_cells(document.buckets),
        runs=tuple(run.cells for run in document.runs or ()) or (_list_cells(document.buckets),),
    )


def describe_source(document: Document) -> str:
    """The run, or the runs, that a baseline was made from, in words."""
    last = f"run {document.provenance.execution_id}"
    return last if document.runs is None else f"{len(document.runs)} runs up to {last.removeprefix('run ')}"


def describe_load(plan: plans.Plan) -> dict[str, str | int | float | None]:
    """The load of a reference run, so that a burst of another program can be told apart."""
    load = plan.load
    return {
        "profile": load.profile if load.locustfile else None,
        "locustfile": ",".join(load.locustfiles) or None,
        "command": shlex.join(load.command) if load.command else None,
        "rate_per_minute": _state_rate(plan),
        "headroom": load.headroom,
        "tasks": plan.target.tasks,
        "source_events": load.source_events,
        **_describe_sent(load),
        **({"rate_plan": rate_plans.write_plan(plan.rate_plan)} if plan.rate_plan is not None else {}),
    }


def _describe_sent(load: load_sections.LoadSection) -> dict[str, str | int | float | None]:
    """What the program sends and how it is called, where the plan says so; long values by their digest."""
    playback = load.playback and load.playback.model_dump(include={"source", "key", "template"}, exclude_none=True)
    events = load.events.stated if load.events else None
    stated = {
        "events": _digest(events),
        "playback": _digest(playback),
        "environment": _digest(load.environment),
        "arguments": shlex.join(load.arguments) if load.arguments else None,
        "tags": ",".join(sorted(load.tags)) if load.tags else None,
        "user_classes": ",".join(sorted(load.user_classes)) if load.user_classes else None,
        "route": load.route,
        "arrivals": load.arrivals if load.arrivals != "even" else None,
        "speed_up": load.playback.speed_up if load.playback else None,
        "topology": load.topology if load.is_distributed else None,
        "processes": load.processes if load.processes_per_task > 1 else None,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _digest(value: Any) -> str | None:
    return canonical.digest(canonical.encode(value)) if value else None


def _state_rate(plan: plans.Plan) -> str | float | None:
    """The rate in events a minute, of steps the mean of the counted window."""
    rate = plan.load.rate
    return float(rate) if isinstance(rate, float) else plan.mean_rate if isinstance(rate, list) else rate


_PROGRAM = ("profile", "locustfile", "command")
"""What of the load a burst has in common with its reference run; rate and tasks are meant to differ."""
_SENT = ("events", "playback", "tags", "user_classes", "route")
"""The same of what is sent. Words and variables of a program may hold its rate, so they may differ."""


_VERSIONS = ("python", "burst")
"""What of a machine may differ without making it another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDifference:
    """One thing in which a burst is not like its reference run."""

    name: str
    before: str | int | float | None
    now: str | int | float | None

    @property
    def decisive(self) -> bool:
        """Whether the two rates are not to be compared for it: another program, machine or environment."""
        return self.name not in _VERSIONS

    @property
    def text(self) -> str:
        """It in words."""
        return f"{self.name} {_text(self.now)}, was {_text(self.before)}"


def list_differences(
    document: Document, plan: plans.Plan, machine: Mapping[str, str | int | float | None] | None
) -> Iterator[LoadDifference]:
    """In what program, machine and environment of a burst are others than those of its reference run.

    `machine` None: that of the tasks is not known before they run.
    """
    load = describe_load(plan)
    pairs = [(f"load.{name}", document.profile[name], load[name]) for name in _PROGRAM if name in document.profile]
    pairs += [(f"load.{name}", document.profile.get(name), load.get(name)) for name in _SENT]
    environment = {**(machine or {}), **describe_environment(plan)}
    pairs += [
        (name, document.environment[name], environment[name])
        for name in environment.keys() & document.environment.keys()
    ]
    for name, before, now in sorted(pairs, key=lambda pair: pair[0]):
        if load_sections.name_program(before) != load_sections.name_program(now):
            yield LoadDifference(name=name, before=before, now=now)


def describe_environment(plan: plans.Plan) -> dict[str, str]:
    """The environment of a run, as its plan names it."""
    return {"environment": plan.environment, "target": plan.target.kind}


def _text(value: str | int | float | None) -> str:
    return "none" if value is None else str(value)


def from_inline(reference: receipts_sections.BaselineSection) -> Baseline | None:
    """The baseline a plan gives inline, None where it names a file."""
    if reference.admits is None or reference.seconds is None:
        return None
    return Baseline(admits=reference.admits, seconds=reference.seconds, source=reference.source or "the plan")


def expiry_problem(document: Document, reference: receipts_sections.BaselineSection | None, at: datetime) -> str | None:
    """Why the baseline is too old to use at an instant, None when it is not.

    The tighter of the document's own limit and the plan's `max_age` counts.
    """
    limits = (document.max_age_seconds, reference.max_age if reference else None)
    limit = min((limit for limit in limits if limit is not None), default=None)
    age = instants.seconds_between(document.created_utc, at)
    if limit is not None and age > limit:
        return (
            f"the baseline was made {instants.text(document.created_utc)}; its limit is {wording.format_span(limit)}, "
            f"which was over {wording.format_span(age - limit)} before the run"
        )
    if age < 0:
        return f"the baseline was made {instants.text(document.created_utc)}, after the run started"
    return None
