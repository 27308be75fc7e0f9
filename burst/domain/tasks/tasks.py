"""Tasks: identity, status and end of a launched load process or container, and the requests that start one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants


class TaskStatus(StrEnum):
    """The status of a task. UNKNOWN is not STOPPED: its end was not seen."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"


class Layer(StrEnum):
    """The layers of the hard stop, named as evidence names them."""

    GUARD = "guard"
    SIDECAR = "sidecar"
    LEASE = "lease"
    SCHEDULE = "schedule"
    SWEEPER = "sweeper"
    CONTROLLER = "controller"


class StopCode(StrEnum):
    """Why a task stopped, in the words of ECS where ECS has one."""

    ESSENTIAL_EXITED = "EssentialContainerExited"
    USER_INITIATED = "UserInitiated"
    FAILED_TO_START = "TaskFailedToStart"
    SPOT_INTERRUPTION = "SpotInterruption"
    TERMINATION_NOTICE = "TerminationNotice"
    SCHEDULER_INITIATED = "ServiceSchedulerInitiated"
    INFRASTRUCTURE_HEALTH = "InfrastructureHealth"
    GONE = "Gone"


TAKEN = frozenset(
    {
        StopCode.SPOT_INTERRUPTION,
        StopCode.TERMINATION_NOTICE,
        StopCode.SCHEDULER_INITIATED,
        StopCode.INFRASTRUCTURE_HEALTH,
    }
)
"""Ends that AWS caused, whatever exit code the program left: no layer ended the task, and neither did the program."""


class EndCause(StrEnum):
    """What ended a task. The first seven stand in the records of guards."""

    PROGRAM_ENDED = "program-ended"
    BUDGET = "budget"
    LEASE_STOP = "lease-stop"
    LEASE_STALE = "lease-stale"
    LEASE_UNREADABLE = "lease-unreadable"
    NO_SHARD = "no-shard"
    SIGNAL = "signal"
    """A signal to the guard. It does not say who sent it."""
    STOP_TASK = "stop-task"
    """A call that stops a task, by whoever may make one; the guard left no word about it."""
    SIDECAR = "sidecar"
    PLATFORM = "platform"
    """AWS took the task, or could not start it, or stopped it for a reason that burst does not know."""


class EndSource(StrEnum):
    """The evidence from which the end of a task's load is known."""

    RECORD = "record"
    """Its guard wrote the instant."""
    CONTAINER = "container"
    """The first essential container of the task ended then."""
    TASK = "task"
    """The task as a whole ended then."""
    WATCHDOG = "watchdog"
    SIGHT = "sight"
    """The controller saw the task stopped then, earlier than a clock of its platform says."""
    STOP_REQUEST = "stop-request"
    """It lived when it was asked to end, and nobody wrote when it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The identity of one launched task.

    `task_id` never names another task: an ARN, or `local:{pid}:{process start time}`, so that a reused pid is
    another task.
    """

    task_id: str
    """The id that its launcher gave it: an ARN, or `local:PID:START`."""
    shard_index: int
    """Which part of the load the task has, from 0."""


NAMELESS = "task-"
"""The beginning of the id that a guard gives its task where it cannot learn the task's ARN."""


def is_nameless(task_id: str) -> bool:
    """Whether only a guard knows its task by this id, and ECS does not."""
    return task_id.startswith(NAMELESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedTask:
    """A living task of any run with the marks that it carries, by which `burst reap` judges it."""

    execution_id: str
    task: Task
    deadline: datetime | None
    control_uri: str | None
    stopping: str = ""
    """Since when and why it is stopping, where its platform says so; it lives until it was seen stopped."""


def parse_deadline(text: str | None) -> datetime | None:
    """The deadline that a task carries; None where it is absent or unreadable."""
    try:
        return instants.parse(text) if text else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTask:
    """A task as the record of its guard has it, kept as evidence. `stopped_at` None: the record has no end."""

    started_at: datetime
    stopped_at: datetime | None
    exit_code: int | None
    stopped_by: Layer | None
    cause: EndCause | None
    asked_at: datetime | None
    overshoot_seconds: float | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """The facts of the end of a task beyond its stop.

    `load_ended_at` is the earliest end of its load that the evidence allows; None: the evidence allows any.
    """

    cause: EndCause | None = None
    asked_at: datetime | None = None
    """When the end was asked for, as the guard read it in the lease."""
    load_ended_at: datetime | None = None
    source: EndSource | None = None
    record: RecordedTask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTruth:
    """The launcher's present knowledge of a task. Absent facts are None; `stopped_by` None: no layer ended it.

    `end` None: it has not stopped, or an older burst wrote how.
    """

    task: Task
    status: TaskStatus
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    exit_code: int | None = None
    stop_code: str | None = None
    stopped_by: Layer | None = None
    detail: str = ""
    end: TaskEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """One batch of tasks to start. A second request with the same `token` must not start a task again."""

    execution_id: str
    token: str
    shards: tuple[int, ...]
    shard_count: int
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    budget_seconds: float
    grace_seconds: float
    child_waits: bool
    """The program itself waits for GO (BURST_GO_FILE); otherwise the guard starts it only on GO."""
    lease_ttl_seconds: float
    capacity: str | None = None
    """The capacity provider of this attempt; None: the target's default."""
    replaces: tuple[str, ...] = ()
    """Ids of tasks of this run that failed to start and were seen to end: these are launched in their places."""
    claimed: frozenset[int] = frozenset()
    """Shards that such a task had claimed: the task in its place takes them without a claim."""


class Shortage(StrEnum):
    """Why a launcher started fewer tasks than requested; it decides the next attempt."""

    CAPACITY = "capacity"
    """Another capacity provider, or a later attempt, may have room."""
    QUOTA = "quota"
    """A limit of the account: another attempt does not help."""
    PASSING = "passing"
    """A disturbance that may be over at the next attempt."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFailure:
    """One task that was requested and not started, with the launcher's own reason."""

    shortage: Shortage
    """What was short; it decides the next attempt."""
    reason: str
    """The launcher's own words."""


def explain_missing(requested: int, started: int, failures: tuple[LaunchFailure, ...]) -> tuple[LaunchFailure, ...]:
    """The failures of an answered launch, with one more for each task that was neither started nor refused."""
    words = f"the launch started {started} of {requested} tasks and gave no reason"
    unexplained = LaunchFailure(shortage=Shortage.PASSING, reason=words)
    return (*failures, *(unexplained,) * (requested - started - len(failures)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShot:
    """One command that runs to its end in a task of its own: before the burst, after it, or to count.

    `name` is its identity within the run: a second start with the same name starts nothing.
    """

    name: str
    command: tuple[str, ...]
    timeout_seconds: float
    """From its first request, whatever happens meanwhile; then it is ended."""
    exit_code: int = 0
    """The exit code of a success."""
    environment: tuple[tuple[str, str], ...] = ()
    task_definition: str | None = None
    """On ECS; a process of this machine has none."""
    container: str | None = None
    """Which of its containers runs the command; None: its only essential one."""

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise ValueError(f"{self.name}: timeout_seconds is {self.timeout_seconds}, allowed is more than 0")


def one_shot_id(execution_id: str, name: str) -> str:
    """The id that marks a one-shot: no search for the run's own tasks finds it, and `run_of` reads the run from it."""
    return f"{execution_id}/{name}"


def run_of(marked_id: str) -> str:
    """The run of a task, from the id that marks it."""
    return marked_id.partition("/")[0]


_SESSION = "count-"


def session_name(number: int) -> str:
    """The name of a counting session, and of the one-shot that answers it."""
    return f"{_SESSION}{number:03d}"


def is_counter(marked_id: str) -> bool:
    """Whether a task only counts, from the id that marks it."""
    return marked_id.partition("/")[2].startswith(_SESSION)
