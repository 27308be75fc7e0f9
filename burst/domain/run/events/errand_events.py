"""Events of the errands around a burst: services scaled for it, and one-shots before and after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from burst.domain.basics import instants
from burst.domain.run import runs
from burst.domain.run.events import base
from burst.domain.tasks import one_shots, services, tasks

Changes = tuple[services.ServiceChange, ...]
Rolls = tuple[services.ServiceRoll, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesIntended(base.Event):
    """Services are about to be scaled; this is how they stand before it."""

    wire_name: ClassVar[str] = "services-intended"
    added: ClassVar[Mapping[str, Any]] = {"rolls": []}

    services: Changes
    """Each service with the tasks that it was to run before, and those for the burst."""
    rolls: Rolls = ()
    """The task definitions of those that are rolled too; none where none is."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The changes are known from here on, and so is what putting them back takes."""
        return replace(run, scaling=runs.Scaling(changes=self.services, rolls=self.rolls, at=at))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesFound(base.Event):
    """Run control holds changes of services which a lost controller made, and which this journal does not have."""

    wire_name: ClassVar[str] = "services-found"
    added: ClassVar[Mapping[str, Any]] = {"rolls": []}

    services: Changes
    """Each service with the tasks that it was to run before, and those for the burst."""
    rolls: Rolls = ()
    """The task definitions of those that are rolled too; none where none is."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """As if this controller had intended them now."""
        return replace(run, scaling=runs.Scaling(changes=self.services, rolls=self.rolls, at=at))


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionIntended(base.Event):
    """A task definition for a service is about to be made of this one; no event holds the variables that it gets."""

    wire_name: ClassVar[str] = "definition-intended"

    service: str
    """The service that is rolled."""
    base: str
    """The ARN of the task definition that it is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionMade(base.Event):
    """The task definition for a service is there; no service has it yet."""

    wire_name: ClassVar[str] = "definition-made"

    service: str
    """The service that is rolled."""
    definition: str
    """The ARN of the task definition for the burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesScaled(base.Event):
    """Every service took its new count; its tasks may still be starting."""

    wire_name: ClassVar[str] = "services-scaled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesUp(base.Event):
    """Every service runs as many tasks as the burst needs."""

    wire_name: ClassVar[str] = "services-up"

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The launch no longer waits for services."""
        return run if run.scaling is None else replace(run, scaling=replace(run.scaling, up=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesFailed(base.Event):
    """The services could not be scaled as the burst needs them."""

    wire_name: ClassVar[str] = "services-failed"

    why: str
    """Why they could not be scaled."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The reason is kept; the run ends by it."""
        return replace(run, scaling_failed=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesRestoring(base.Event):
    """The services are about to be put back."""

    wire_name: ClassVar[str] = "services-restoring"

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """One more try."""
        if run.scaling is None:
            return run
        return replace(run, scaling=replace(run.scaling, tries=(*run.scaling.tries, at)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesRestored(base.Event):
    """The answer of one try to put the services back."""

    wire_name: ClassVar[str] = "services-restored"

    back: Mapping[str, str] = field(hash=False)
    """Service to how it was left, for each that is no longer as the burst left it."""
    problems: Mapping[str, str] = field(hash=False)
    """Service to why it could not be put back."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """Services that are back stay back; the problems are those of the last try."""
        if run.scaling is None:
            return run
        back = {**run.scaling.back, **self.back}
        return replace(run, scaling=replace(run.scaling, back=back, problems=self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotIntended(base.Event):
    """A one-shot is about to be started, or to be asked for again."""

    wire_name: ClassVar[str] = "one-shot-intended"

    name: str
    """The one-shot, by its name in the plan."""
    timeout_seconds: float
    """How long it may take from its first request; then it is ended."""
    exit_code: int
    """The exit code that the plan takes for a success."""
    task_definition: str | None
    """The task definition that it runs in; None of a process of this machine."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The one-shot has a deadline; asked for again, it keeps the first one."""
        shot = one_shots.Shot(asked_at=at, deadline=instants.later(at, self.timeout_seconds))
        return replace(run, shots={**run.shots, self.name: run.shots.get(self.name, shot)})


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotStarted(base.Event):
    """A one-shot was started, or found started."""

    wire_name: ClassVar[str] = "one-shot-started"

    name: str
    """The one-shot, by its name in the plan."""
    task_id: str
    """The task or process that runs it."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """Its task is PENDING."""
        task = tasks.Task(task_id=self.task_id, shard_index=0)
        return _change_shot(run, self.name, truth=tasks.TaskTruth(task=task, status=tasks.TaskStatus.PENDING))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotUnanswered(base.Event):
    """The start of a one-shot was not answered; it is asked for again."""

    wire_name: ClassVar[str] = "one-shot-unanswered"

    name: str
    """The one-shot, by its name in the plan."""
    why: str
    """The error of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotRefused(base.Event):
    """A one-shot was surely not started."""

    wire_name: ClassVar[str] = "one-shot-refused"

    name: str
    """The one-shot, by its name in the plan."""
    why: str
    """Why it was not started."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The one-shot is over, for this reason."""
        return _change_shot(run, self.name, not_started=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotSeen(base.Event):
    """The task of a one-shot differs from what the journal has of it."""

    wire_name: ClassVar[str] = "one-shot-seen"

    added: ClassVar[Mapping[str, Any]] = {"end": None}

    name: str
    """The one-shot, by its name in the plan."""
    truth: base.TruthEntry
    """What the launcher knows of its task."""
    end: base.EndEntry | None = None
    """The facts of its end beyond the stop; None where it has not stopped, or in a line of an older burst."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The last truth of its task is this one."""
        return _change_shot(run, self.name, truth=replace(self.truth.truth, end=self.end.end if self.end else None))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotStopIntended(base.Event):
    """A one-shot is about to be stopped, or with `force` killed."""

    wire_name: ClassVar[str] = "one-shot-stop-intended"

    name: str
    """The one-shot, by its name in the plan."""
    force: bool
    """Whether it is killed, and not asked to end."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """It is stopping since the first such event; `force` says since when it is being killed."""
        stopping_at = run.shots[self.name].stopping_at or at
        return _change_shot(run, self.name, stopping_at=stopping_at, forced_at=at if self.force else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotStopUnsent(base.Event):
    """A one-shot could not be told to stop."""

    wire_name: ClassVar[str] = "one-shot-stop-unsent"

    name: str
    """The one-shot, by its name in the plan."""
    why: str
    """The error of the request."""


def _change_shot(run: runs.Run, name: str, **changes: Any) -> runs.Run:
    """The run with one of its one-shots changed. Raises LookupError for one that was never asked for."""
    return replace(run, shots={**run.shots, name: replace(run.shots[name], **changes)})
