"""Tasks: what is known of one launched load process or container, and where each fact came from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from burst.domain.basics import instants


class TaskStatus(StrEnum):
    """Where a task is. UNKNOWN is not STOPPED: nobody has seen it end."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"


class Layer(StrEnum):
    """The layers of the hard stop (DESIGN 6), named as evidence names them."""

    GUARD = "guard"
    SIDECAR = "sidecar"
    LEASE = "lease"
    SCHEDULE = "schedule"
    SWEEPER = "sweeper"
    CONTROLLER = "controller"


class StopCode(StrEnum):
    """Why a task stopped, in the words ECS uses where it has one."""

    ESSENTIAL_EXITED = "EssentialContainerExited"
    USER_INITIATED = "UserInitiated"
    FAILED_TO_START = "TaskFailedToStart"
    SPOT_INTERRUPTION = "SpotInterruption"
    TERMINATION_NOTICE = "TerminationNotice"
    SCHEDULER_INITIATED = "ServiceSchedulerInitiated"
    GONE = "Gone"


TAKEN = frozenset({StopCode.SPOT_INTERRUPTION, StopCode.TERMINATION_NOTICE, StopCode.SCHEDULER_INITIATED})
"""Ends that AWS brought about, whatever code the program left with: no layer's, and not the program's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The identity of one launched task.

    `task_id` never names another task: an ARN, or `local:{pid}:{process start time}`, so that a reused pid is
    another task.
    """

    task_id: str
    shard_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedTask:
    """A task of any run seen alive, and what it carries with it: what `burst reap` goes by."""

    execution_id: str
    task: Task
    deadline: datetime | None
    control_uri: str | None


def parse_deadline(text: str | None) -> datetime | None:
    """The deadline a task carries; one that nobody can read is none."""
    try:
        return instants.parse(text) if text else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTruth:
    """What the launcher can say of a task now. Absent facts are None; `stopped_by` None: no layer ended it."""

    task: Task
    status: TaskStatus
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    exit_code: int | None = None
    stop_code: str | None = None
    stopped_by: Layer | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """One batch of tasks to start. The same `token` asked twice must not start anything twice."""

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
    """The capacity provider this attempt asks for, where the target has any; None: the target's own default."""


class Shortage(StrEnum):
    """Why a launcher started fewer tasks than asked, as far as it decides what to try next."""

    CAPACITY = "capacity"
    """Another capacity provider, or a later attempt, may have what is missing."""
    QUOTA = "quota"
    """A limit of the account: asking again does not help."""
    PASSING = "passing"
    """Something that may be over at the next attempt."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFailure:
    """One task that was asked for and not started, in the launcher's own words."""

    shortage: Shortage
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShot:
    """One command, run to its end in a task of its own: before the burst, after it, or to count.

    `name` is its identity within the run: started twice, it runs once.
    """

    name: str
    command: tuple[str, ...]
    timeout_seconds: float
    """From when it was first asked for, whatever it does meanwhile; then it is ended."""
    exit_code: int = 0
    """What it ends with when all went well."""
    environment: tuple[tuple[str, str], ...] = ()
    task_definition: str | None = None
    """On ECS; a process of this machine has none."""
    container: str | None = None
    """Which of its containers runs the command; None: its only essential one."""

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise ValueError(f"{self.name}: timeout_seconds is {self.timeout_seconds}, allowed is more than 0")


def one_shot_id(execution_id: str, name: str) -> str:
    """What a one-shot goes by beside its run's own tasks: whoever looks for those does not find it, and the run's id
    is still told from it (see `run_of`)."""
    return f"{execution_id}/{name}"


def run_of(marked_id: str) -> str:
    """The run a task belongs to, by what it goes by."""
    return marked_id.partition("/")[0]


_SESSION = "count-"


def session_name(number: int) -> str:
    """What a session of counting, and the one-shot that answers it, goes by."""
    return f"{_SESSION}{number:03d}"


def is_counter(marked_id: str) -> bool:
    """Whether a task does nothing but count, by what it goes by."""
    return marked_id.partition("/")[2].startswith(_SESSION)
