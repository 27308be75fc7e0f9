"""Documents: the JSON a run writes and adjudication reads, as models that refuse what they cannot trust.

Only what adjudication needs is required, so that a run recorded elsewhere can be judged from what is known of it;
unknown fields are ignored, an unknown schema is refused. Instants are UTC, counts are whole and not negative.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic

from burst.domain.basics import canonical, errors, instants, windows
from burst.domain.receipts import receipts
from burst.domain.tasks import services as scaling

PLAN = "plan.json"
JOURNAL = "journal.jsonl"
JOURNAL_SCHEMA = "burst.journal/v1"
"""Stands in the journal's first line."""
BASELINE = "baseline.json"
PRIOR = "prior_snapshot.json"
REPORT = "report.html"
RUN = "run.json"
"""What another machine needs to take a run over; no evidence, and no part of a snapshot."""
ALIAS = "alias.json"
"""Under an id with a time in it: names the run that has none in its own, so that run control is ordered by time."""
PUBLICATION = "publication.json"
"""The receipt of a publication, in the run's own folder only; no evidence, and no part of a snapshot."""
PRUNED = "pruned.json"
"""What `burst evidence prune` took from a run; the snapshot stays."""
PINNED = "pinned"
"""A file of this name beside the documents of a run keeps it from being pruned."""

TASKS_ENDED = "tasks-ended"
"""The stop reason of a burst whose tasks had all ended before it was stopped."""
TASK_LOST = "task-lost"
"""The rule of an early stop for want of a task that had ended."""

_SERVICES, _SERVICES_BACK = ".json", ".back.json"


def task_result_name(slug: str) -> str:
    """The document that says what became of every task."""
    return f"{slug}_task_result.json"


def metrics_name(slug: str) -> str:
    """The document that holds the counts of the attempt window."""
    return f"{slug}_receipts_window_metrics.json"


def facts_name(slug: str) -> str:
    """The document that holds what the fact queries answered."""
    return f"{slug}_facts.json"


def preflight_name(slug: str) -> str:
    """The document that says what preflight found before the launch."""
    return f"{slug}_preflight.json"


def adjudicated(slug: str) -> tuple[str, ...]:
    """The documents a verdict is made from, beside the plan."""
    return task_result_name(slug), metrics_name(slug), facts_name(slug), preflight_name(slug), BASELINE, PRIOR


def snapshot_name(slug: str) -> str:
    """The snapshot: written last, its existence is the commit."""
    return f"{slug}_burst_snapshot.json"


def services_name(execution_id: str) -> str:
    """The counts services had before a run: kept among those of all runs, under run control, before they are scaled."""
    return f"{execution_id}{_SERVICES}"


def services_back_name(execution_id: str) -> str:
    """Stands beside them once the services are put back."""
    return f"{execution_id}{_SERVICES_BACK}"


def runs_with_services(names: Sequence[str]) -> tuple[str, ...]:
    """The runs whose services nobody has put back yet, by the names of all that is kept of services."""
    back = {name.removesuffix(_SERVICES_BACK) for name in names if name.endswith(_SERVICES_BACK)}
    kept = [name.removesuffix(_SERVICES) for name in names if not name.endswith(_SERVICES_BACK)]
    return tuple(execution_id for execution_id in kept if execution_id not in back)


def signature_name(slug: str) -> str:
    """The signature over the snapshot and every document it names, where the plan asks for one."""
    return f"{slug}_burst_snapshot.dsse.json"


def unpublished_name(slug: str) -> str:
    """What speaks for the snapshot in the run's own folder while its publication has failed; published nowhere."""
    return f"{slug}_burst_snapshot.unpublished.json"


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return instants.utc(value)
    if isinstance(value, str):
        return instants.parse(value)
    raise ValueError("expected an instant such as 2026-02-21T02:00:00Z")


Instant = Annotated[
    datetime,
    pydantic.BeforeValidator(_instant, json_schema_input_type=str),
    pydantic.PlainSerializer(instants.text, return_type=str),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation"),
    pydantic.WithJsonSchema({"type": "string", "format": "date-time", "pattern": "Z$"}, mode="serialization"),
]
Count = Annotated[int, pydantic.Field(ge=0)]
Digest = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class Model(pydantic.BaseModel):
    """Frozen, strict, no NaN; fields a later minor version may add are ignored."""

    model_config = pydantic.ConfigDict(
        frozen=True, strict=True, extra="ignore", allow_inf_nan=False, populate_by_name=True
    )

    def content(self) -> bytes:
        """The canonical bytes of the document."""
        return canonical.encode(self.model_dump(mode="json", by_alias=True))


class TaskEntry(Model):
    """One task. `stopped_utc` None: nobody has seen it end. `stopped_by` None: no layer ended it.

    What is not known is said to be so: a field left out would read like one that is none.
    """

    id: str
    shard_index: int | None = None
    started_utc: Instant | None
    stopped_utc: Instant | None
    stop_code: str | None
    exit_code: int | None
    stopped_by: str | None
    detail: str = ""


class LayerEntry(Model):
    """One layer of the hard stop: armed or not, and what it stopped."""

    name: str
    state: Literal["armed", "fired", "not-armed"]
    detail: str = ""


class Outage(Model):
    """A time in which the launcher could not see the tasks."""

    blind_since_utc: Instant
    sight_regained_utc: Instant | None = None
    detail: str = ""


class EarlyStop(Model):
    """Why the burst was ended before its window was complete, and what that saved."""

    rule: str
    at_utc: Instant
    receipts_seen: Count
    seconds_saved: float
    detail: str = ""


class Interruption(Model):
    """A signal that ended the run."""

    signal: Literal["SIGINT", "SIGTERM"]
    at_utc: Instant


class OneShotEntry(Model):
    """One command before or after the burst. `problem` None: it ended as it should.

    `id` None: it was never started. `stopped_utc` None where there is an id: nobody has seen it end.
    """

    name: str
    when: Literal["before", "after"]
    id: str | None = None
    started_utc: Instant | None = None
    stopped_utc: Instant | None = None
    stop_code: str | None = None
    exit_code: int | None = None
    required_exit_code: int = 0
    stopped_by: str | None = None
    problem: str | None = None


class ServiceEntry(Model):
    """One service that was scaled for the burst. `restored`: it is no longer as the burst left it; else `command`
    puts it back."""

    name: str
    before: Count
    desired: Count
    restored: bool
    detail: str = ""
    command: str | None = None


class JournalPrefix(Model):
    """The journal as it stood when the task result was frozen: its first `size` bytes and their digest."""

    size: Count
    sha256: Digest


class TaskResult(Model):
    """`{slug}_task_result.json`. First task start to last task stop; `go_utc` is when the barrier opened."""

    schema_: Annotated[Literal["burst.task-result/v1"], pydantic.Field(alias="schema")] = "burst.task-result/v1"
    execution_id: str
    platform_run_id: str
    started_utc: Instant | None
    stopped_utc: Instant | None
    tasks: list[TaskEntry]
    planned_tasks: Count | None = None
    go_utc: Instant | None = None
    deadline_utc: Instant | None = None
    elapsed_seconds: float | None = None
    overshoot_seconds: float | None = None
    stop_reason: str | None = None
    count_problem: str | None = None
    """Why the receipts of the attempt window were not counted, where they were not."""
    layers: list[LayerEntry] = []
    outages: list[Outage] = []
    early_stop: EarlyStop | None = None
    interruption: Interruption | None = None
    one_shots: list[OneShotEntry] = []
    services: list[ServiceEntry] = []
    journal: JournalPrefix | None = None

    @property
    def window(self) -> windows.Window | None:
        """First start to last stop over all the document says, None while that is not known."""
        starts = [self.started_utc, *(task.started_utc for task in self.tasks)]
        stops = [self.stopped_utc, *(task.stopped_utc for task in self.tasks)]
        known_starts = [moment for moment in starts if moment is not None]
        known_stops = [moment for moment in stops if moment is not None]
        if not known_starts or not known_stops or min(known_starts) >= max(known_stops):
            return None
        return windows.Window(min(known_starts), max(known_stops))

    @property
    def attempt(self) -> windows.Window | None:
        """The attempt window: from GO, or the first start where there was no barrier, to the last stop.

        Not a moment more than the tasks' own times allow: a claim may lengthen the budget, and never what was counted.
        """
        first = min((task.started_utc for task in self.tasks if task.started_utc is not None), default=None)
        last = max((task.stopped_utc for task in self.tasks if task.stopped_utc is not None), default=None)
        starts = [moment for moment in (self.started_utc, first, self.go_utc) if moment is not None]
        stops = [moment for moment in (self.stopped_utc, last) if moment is not None]
        if not starts or not stops or max(starts) >= min(stops):
            return None
        return windows.Window(max(starts), min(stops))

    @property
    def unproven(self) -> tuple[str, ...]:
        """Ids of tasks, one-shots among them, that nobody has seen end."""
        shots = [(shot.id, shot.stopped_utc) for shot in self.one_shots if shot.id is not None]
        known = [*((task.id, task.stopped_utc) for task in self.tasks), *shots]
        return tuple(name for name, stopped_utc in known if stopped_utc is None)

    @property
    def stopped_before_start(self) -> tuple[str, ...]:
        """Ids of tasks whose stop precedes their start, so that one of the two is not true."""
        known = [(task.id, task.started_utc, task.stopped_utc) for task in self.tasks]
        return tuple(name for name, start, stop in known if start is not None and stop is not None and stop < start)

    @property
    def ended_by_its_tasks(self) -> bool:
        """Whether the burst ended because tasks did, or may have: nothing else is told to have ended it."""
        if self.early_stop is not None:
            return self.early_stop.rule == TASK_LOST
        return self.stop_reason in (None, TASKS_ENDED)

    @property
    def not_restored(self) -> tuple[ServiceEntry, ...]:
        """Services that still are as the burst left them."""
        return tuple(service for service in self.services if not service.restored)


class CountsEntry(Model):
    """Receipts by decision, as documents spell them."""

    admit: Annotated[Count, pydantic.Field(alias="ADMIT")]
    duplicate: Annotated[Count, pydantic.Field(alias="DUPLICATE")]
    quarantine: Annotated[Count, pydantic.Field(alias="QUARANTINE")]
    other: Count

    @classmethod
    def of(cls, counts: receipts.Counts) -> Self:
        """The entry for counts."""
        return cls(admit=counts.admit, duplicate=counts.duplicate, quarantine=counts.quarantine, other=counts.other)

    @property
    def counts(self) -> receipts.Counts:
        """The counts of the entry."""
        return receipts.Counts(admit=self.admit, duplicate=self.duplicate, quarantine=self.quarantine, other=self.other)


class WindowEntry(Model):
    """A half-open window."""

    start_utc: Instant
    end_utc: Instant

    @pydantic.model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        windows.Window(self.start_utc, self.end_utc)
        return self

    @classmethod
    def of(cls, window: windows.Window) -> Self:
        """The entry for a window."""
        return cls(start_utc=window.start, end_utc=window.end)

    @property
    def window(self) -> windows.Window:
        """The window of the entry."""
        return windows.Window(self.start_utc, self.end_utc)


class BucketEntry(WindowEntry):
    """Counts of one sub-window."""

    counts: CountsEntry

    @classmethod
    def of_bucket(cls, bucket: receipts.BucketCounts) -> Self:
        """The entry for one bucket."""
        return cls(start_utc=bucket.window.start, end_utc=bucket.window.end, counts=CountsEntry.of(bucket.counts))


class SettleRound(Model):
    """One count of the settling: when, and how many receipts there were."""

    counted_utc: Instant
    counts: CountsEntry


class Counting(Model):
    """Who made the last count: this process, or a task whose answer came by log and as an object, the same bytes."""

    via: Literal["direct", "task"]
    task_id: str | None = None
    answer: str | None = None
    """What the answer is called in the task's log; its object lies under run control."""
    answer_sha256: Digest | None = None
    agreed: list[Literal["log", "object"]] = []
    """The ways the answer came, each of which brought these bytes."""

    @classmethod
    def of(cls, origin: receipts.Origin | None) -> Self:
        """The entry for a count's origin."""
        if origin is None:
            return cls(via="direct")
        return cls(
            via="task",
            task_id=origin.task_id,
            answer=origin.answer,
            answer_sha256=origin.sha256,
            agreed=["log", "object"],
        )


def _bound(told: datetime | str, value: str) -> datetime | str:
    """A bound value as what it stands for: the instant it names where an instant is told."""
    if isinstance(told, str):
        return value
    try:
        return instants.parse(value)
    except ValueError:
        return value


class Metrics(Model):
    """`{slug}_receipts_window_metrics.json`. The counts, and everything needed to make them again."""

    schema_: Annotated[Literal["burst.metrics/v1"], pydantic.Field(alias="schema")] = "burst.metrics/v1"
    execution_id: str
    platform_run_id: str
    window: WindowEntry
    counts: CountsEntry
    bucket_seconds: float | None = None
    buckets: list[BucketEntry] = []
    sql: str | None = None
    binds: dict[str, str] = {}
    database_clock_utc: Instant | None = None
    clock_skew_seconds: float | None = None
    clock_round_trip_seconds: Annotated[float, pydantic.Field(ge=0)] | None = None
    settled: bool | None = None
    settle_rounds: list[SettleRound] = []
    late: CountsEntry | None = None
    """What the last round had and the first had not."""
    vanished: CountsEntry | None = None
    """What one round had and the next had not."""
    counting: Counting | None = None

    @property
    def unsettled(self) -> str:
        """Why the counts are not known to have come to rest; empty where they have, or where nothing is said of it.

        The rounds and the database's clock are asked too: `settled` alone is a claim.
        """
        if self.settled is False:
            return "two counts in a row never agreed"
        if self.settle_rounds and [one.counts for one in self.settle_rounds[-2:]] != [self.counts] * 2:
            return "the rounds of counting do not end in two that gave these counts"
        if self.database_clock_utc is not None and self.database_clock_utc < self.window.end_utc:
            return "the window had not ended when it was counted, by the database's clock"
        return ""

    @property
    def misbound(self) -> str:
        """What the statement was bound to that is not the window or scope told here; empty where it was bound so."""
        told: dict[str, datetime | str] = {
            "start": self.window.start_utc,
            "end": self.window.end_utc,
            "scope": self.platform_run_id,
        }
        odd = [name for name in told if name in self.binds and _bound(told[name], self.binds[name]) != told[name]]
        return ", ".join(f"{name} {self.binds[name]}" for name in odd)

    @property
    def lost(self) -> receipts.Counts:
        """Receipts that were counted in one round and gone in the next, by the rounds where they are told."""
        if self.settle_rounds:
            return receipts.vanished([one.counts.counts for one in self.settle_rounds])
        return self.vanished.counts if self.vanished else receipts.Counts()


Value = bool | int | float | str | None
"""What a question can be answered with; None: not known."""


class FactEntry(Model):
    """One answer. `value` None: it could not be had, and `detail` says why."""

    blocker: str
    name: str
    value: Value
    equals: bool | int | float | str | None = None
    at_most: int | float | None = None
    at_least: int | float | None = None
    source: str = ""
    at_utc: Instant | None = None
    detail: str = ""

    @pydantic.model_validator(mode="after")
    def _one_expectation(self) -> Self:
        if sum(expected is not None for expected in (self.equals, self.at_most, self.at_least)) != 1:
            raise ValueError(f"fact {self.name}: exactly one of equals, at_most, at_least")
        return self


class Announcement(Model):
    """`run.json`, put under run control before the first task is launched."""

    schema_: Annotated[Literal["burst.run/v1"], pydantic.Field(alias="schema")] = "burst.run/v1"
    execution_id: str
    created_utc: Instant
    deadline_utc: Instant
    early_stop: bool
    barrier: bool
    plan_sha256: Digest


class Alias(Model):
    """`alias.json`, under an id with a time in it: the run that was given an id of its own."""

    schema_: Annotated[Literal["burst.alias/v1"], pydantic.Field(alias="schema")] = "burst.alias/v1"
    execution_id: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,99}$")]


class KeptService(Model):
    """One service as it stood, and the count the burst gave it."""

    name: str
    before: Count
    desired: Count


class KeptServices(Model):
    """`services/{execution_id}.json`, kept under run control before a service is scaled, for whoever puts them back."""

    schema_: Annotated[Literal["burst.services/v1"], pydantic.Field(alias="schema")] = "burst.services/v1"
    execution_id: str
    cluster: str
    deadline_utc: Instant
    services: list[KeptService]

    @classmethod
    def of(cls, execution_id: str, cluster: str, deadline: datetime, made: Sequence[scaling.Change]) -> Self:
        """The document of a run's changes."""
        kept = [KeptService(name=one.name, before=one.before, desired=one.desired) for one in made]
        return cls(execution_id=execution_id, cluster=cluster, deadline_utc=deadline, services=kept)

    @property
    def changes(self) -> tuple[scaling.Change, ...]:
        """What was changed, or was about to be."""
        return tuple(scaling.Change(name=one.name, before=one.before, desired=one.desired) for one in self.services)


class Gone(Model):
    """One document that was removed."""

    name: str
    size: Count
    sha256: Digest


class PruneReceipt(Model):
    """`pruned.json`: what was taken from a run, when, and which snapshot stays."""

    schema_: Annotated[Literal["burst.pruned/v1"], pydantic.Field(alias="schema")] = "burst.pruned/v1"
    execution_id: str
    at_utc: Instant
    snapshot: str
    snapshot_sha256: Digest
    removed: list[Gone]


class BundleIndex(Model):
    """`bundle.json`: the run a bundle was made of, and its snapshot by digest."""

    schema_: Annotated[Literal["burst.bundle/v1"], pydantic.Field(alias="schema")] = "burst.bundle/v1"
    execution_id: str
    snapshot: str
    sha256: Digest


class PublishedDocument(Model):
    """One document in one place: its version there and the request that wrote or found it; empty where unknown."""

    name: str
    version_id: str = ""
    request_id: str = ""


class PublishedPlace(Model):
    """One place and what stands in it."""

    place: str
    documents: list[PublishedDocument]


class Publication(Model):
    """`publication.json`: that the snapshot was committed, when, and under which versions."""

    schema_: Annotated[Literal["burst.publication/v1"], pydantic.Field(alias="schema")] = "burst.publication/v1"
    execution_id: str
    snapshot: str
    snapshot_sha256: Digest
    committed_utc: Instant
    places: list[PublishedPlace]


class PublicationFailure(Model):
    """`failures/{publication_id}.json`: what could not be published. No free text: places are read by many."""

    schema_: Annotated[Literal["burst.publication-failure/v1"], pydantic.Field(alias="schema")] = (
        "burst.publication-failure/v1"
    )
    publication_id: str
    execution_id: str
    platform_run_id: str
    snapshot_sha256: Digest
    at_utc: Instant
    place: str
    key: str
    code: str
    http_status: int
    request_id: str
    attempts: Count


class Facts(Model):
    """`{slug}_facts.json`."""

    schema_: Annotated[Literal["burst.facts/v1"], pydantic.Field(alias="schema")] = "burst.facts/v1"
    execution_id: str
    platform_run_id: str
    facts: list[FactEntry]

    @pydantic.field_validator("facts")
    @classmethod
    def _one_answer_each(cls, value: list[FactEntry]) -> list[FactEntry]:
        names = [(entry.blocker, entry.name) for entry in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"fact {twice[1]} of {twice[0]} is answered twice")
        return value


class FindingEntry(Model):
    """One finding of preflight. `why` and `mend` are empty where it passed."""

    check: str
    status: Literal["passed", "warning", "refused"]
    title: str
    seen: str
    why: str = ""
    mend: str = ""
    runbook: str = ""


Factor = Annotated[float, pydantic.Field(gt=0, le=1e6)]
"""Of a cost: bounded, so that a product of them always has bytes."""


class CostEntry(Model):
    """What the tasks cost at most, and of what that is made; prices are of one hour."""

    vcpu: Factor
    memory_gb: Factor
    vcpu_hour_usd: Factor
    gb_hour_usd: Factor
    price_source: str
    at_cap_usd: Annotated[float, pydantic.Field(ge=0)]


class CanaryEntry(Model):
    """The one event sent before the burst; it precedes every window."""

    event_id: str
    sent_utc: Instant
    receipt_utc: Instant


class Preflight(Model):
    """`{slug}_preflight.json`: what was found before the launch, and what it cost at most."""

    schema_: Annotated[Literal["burst.preflight/v1"], pydantic.Field(alias="schema")] = "burst.preflight/v1"
    execution_id: str
    platform_run_id: str
    checked_utc: Instant
    passed: bool
    findings: list[FindingEntry]
    cost: CostEntry | None = None
    canary: CanaryEntry | None = None

    @property
    def refused(self) -> tuple[str, ...]:
        """The checks that refused the launch."""
        return tuple(finding.check for finding in self.findings if finding.status == "refused")


M = TypeVar("M", bound=Model)


def read(model: type[M], content: bytes) -> M:
    """A document from its bytes.

    Raises `errors.EvidenceUnknown` for a schema this version does not know, `errors.EvidenceCorrupt` for anything
    else that is wrong with it.
    """
    value = canonical.decode(content)
    check_schema(model, value)
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as exc:
        raise errors.EvidenceCorrupt(_first_problem(exc)) from exc


def check_schema(model: type[Model], value: Any) -> None:
    """Raises `errors.EvidenceUnknown` unless the value says it follows the model's schema."""
    known = model.model_fields["schema_"].annotation
    allowed = getattr(known, "__args__", ())
    seen = value.get("schema") if isinstance(value, dict) else None
    if seen not in allowed:
        raise errors.EvidenceUnknown(f"schema {seen!r} is not known; this version reads {', '.join(allowed)}")


def _first_problem(exc: pydantic.ValidationError) -> str:
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or "document"
    return f"{where}: {first['msg']}"
