"""The fault matrix: every fault of a rehearsal in every phase of a run, and the part of it every test run plays."""

from dataclasses import dataclass

from burst.rehearsal import faults

KILL = "controller-kill"

PHASES = faults.PHASES
"""Phase to the event it begins with. A run reconciles when it is resumed after its controller was killed at GO."""

OUTAGES = frozenset({"ecs-down", "ecs-throttle", "sts-down", "s3-down", "all-aws-down", "tasks-missing", "denied"})
"""Faults that keep AWS from answering, or from answering what is so: they last past the deadline and every layer's
delay, and then are over."""

ENDS_TASKS = frozenset({"task-oom", "spot-interruption", "stuck-pending", "fails-to-start", "infrastructure-health"})
"""Faults by which a task ends that no layer of the hard stop ended."""

TAKEN_CODES = frozenset({"SpotInterruption", "TaskFailedToStart", "InfrastructureHealth", "HostRetired"})
"""Stop codes of these faults: a task that has one was stopped by no layer, where the run was not stopping before."""

TAKES_A_TASK = frozenset({"task-oom", "spot-interruption", "infrastructure-health"})
"""Faults that end a running task: it did not hold, unless the run was stopping before."""

OVERCOME = frozenset(
    {"stop-ignored", "tasks-missing", "one-filter", "fails-to-start", "metadata-slow", "short-answer", "service-short"}
)  # fmt: skip
"""Faults that a run gets over in every phase: they keep it from no PASS."""

OUT_OF_TIME = frozenset({"not-ready-in-time", "no-time-left-for-the-window"})
"""Why a run may stop on a machine that is too busy for its deadline."""

_ARGUMENTS = {
    "response-lost": {
        "arming": "CreateSchedule",
        "launching": "RunTask",
        "starting": "PutObject",
        "bursting": "PutObject",
        "stopping": "StopTask",
        "reconciling": "PutObject",
    },
    "denied": {
        "arming": "scheduler:CreateSchedule",
        "launching": "ecs:RunTask",
        "starting": "ecs:DescribeTasks",
        "bursting": "s3:PutObject",
        "stopping": "ecs:StopTask",
        "reconciling": "ecs:ListTasks",
    },
    "infrastructure-health": {"launching": "HostRetired", "stopping": "HostRetired", "reconciling": "HostRetired"},
    "metadata-slow": {"arming": "1", "launching": "1", "starting": "1"},
}
"""Fault to its argument in each phase: an operation or an action of that phase, a stop code that nobody knows, and a
metadata service that answers a starting guard within the time that it waits for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault in one phase."""

    fault: str
    phase: str

    def __str__(self) -> str:
        return f"{self.fault}-{self.phase}"

    @property
    def label(self) -> str:
        """The fault as the rehearsal is told of it."""
        argument = _ARGUMENTS.get(self.fault, {}).get(self.phase)
        return self.fault if argument is None else f"{self.fault}:{argument}"

    @property
    def event(self) -> str:
        """The event of the journal at which it strikes."""
        return PHASES[self.phase]


CELLS = tuple(Cell(fault=fault, phase=phase) for fault in faults.FAULTS for phase in PHASES)

_COVERING = {
    KILL: ("arming", "launching", "stopping"),
    "ecs-down": ("bursting",),
    "ecs-throttle": ("stopping",),
    "sts-down": ("arming",),
    "s3-down": ("bursting",),
    "all-aws-down": ("reconciling",),
    "response-lost": ("launching",),
    "capacity": ("launching",),
    "partial-launch": ("arming",),
    "task-ignores-term": ("launching",),
    "task-escapes-guard": ("bursting",),
    "task-oom": ("bursting",),
    "spot-interruption": ("starting",),
    "stuck-pending": ("launching",),
    "logs-late": ("reconciling",),
    "schedule-late": ("stopping",),
    "clock-skew": ("starting",),
    "stop-ignored": ("bursting",),
    "tasks-missing": ("launching",),
    "one-filter": ("reconciling",),
    "fails-to-start": ("launching",),
    "infrastructure-health": ("bursting",),
    "denied": ("stopping",),
    "metadata-slow": ("launching",),
    "service-short": ("bursting",),
    "short-answer": ("launching",),
}

COVERING = tuple(Cell(fault=fault, phase=phase) for fault, phases in _COVERING.items() for phase in phases)
"""Each fault and each phase at least once."""
