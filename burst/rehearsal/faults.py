"""The faults of a rehearsal: their names, and the one form in which a command line writes them.

The forms are `NAME@SECONDS[+DURATION]` and `NAME@PHASE[+SECONDS[+DURATION]]`, and some names take an argument:
`ecs-down@30+540`, `response-lost:RunTask@launching`, `s3-down@bursting+5+10`. Seconds count from the start of the
rehearsed run, or from the first time that its phase begins. A fault of `STRIKES` strikes once without a duration; with
one, it strikes every time until the duration ends. Any other fault lasts for its duration, or to the end of the
rehearsal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.basics import errors

FAULTS = {
    "controller-kill": "the controller is killed (SIGKILL)",
    "ecs-down": "ECS does not answer",
    "ecs-throttle": "ECS throttles every call, with either of its two throttling errors",
    "sts-down": "STS does not answer",
    "s3-down": "S3 does not answer",
    "all-aws-down": "no AWS service answers, and no schedule fires",
    "response-lost": "AWS carries out a call of the named operation (response-lost:RunTask) and its answer is lost",
    "capacity": "RunTask finds no capacity; capacity:FARGATE_SPOT for one capacity provider only",
    "partial-launch": "RunTask starts half of the requested tasks and reports the others as failures",
    "task-ignores-term": "containers ignore TERM",
    "task-escapes-guard": "a guarded container gets a process that its guard cannot see and TERM cannot end",
    "task-oom": "a running task is killed for its memory: exit 137 and OutOfMemoryError",
    "spot-interruption": "a running Spot task is interrupted: TERM, then KILL after the notice",
    "stuck-pending": "tasks launched now stay PENDING until ECS gives them up",
    "logs-late": "log lines reach CloudWatch Logs only after the fault has ended",
    "schedule-late": "schedules that are due fire only after the fault has ended",
    "clock-skew": "AWS's clock is ahead by the given seconds (clock-skew:300, default 120; may be negative)",
    "stop-ignored": "StopTask answers and sends no signal: the task is to be stopped, and runs on",
    "tasks-missing": "ECS does not know a task for so many seconds after RunTask (tasks-missing:40, default 300)",
    "one-filter": "ListTasks refuses startedBy beside another filter",
    "fails-to-start": "a task that RunTask accepted never starts: TaskFailedToStart, without containers",
    "infrastructure-health": "AWS ends a running task with the stop code InfrastructureHealth; "
    "infrastructure-health:CODE for another code",
    "denied": "IAM denies the named action (denied:ecs:StopTask)",
    "metadata-slow": "the task metadata service answers after so many seconds (metadata-slow:60, default 5)",
    "service-short": "a task of each ECS service is gone, and runs again once the fault has ended",
    "short-answer": "RunTask starts half of the requested tasks and gives no reason for the others",
}

PHASES = {
    "arming": "layer-arming",
    "launching": "launch-intended",
    "starting": "launch-answered",
    "bursting": "go-given",
    "stopping": "stop-intended",
    "reconciling": "resumed",
}
"""The phases of a run, each with the event of the journal that it begins with."""
FORM = "NAME@SECONDS[+DURATION] or NAME@PHASE[+SECONDS[+DURATION]]"

STRIKES = frozenset(
    {
        "controller-kill", "response-lost", "partial-launch", "task-oom", "spot-interruption", "fails-to-start",
        "infrastructure-health", "short-answer",
    }
)  # fmt: skip
"""The faults that strike one call, one task or the controller."""
DEFAULT_SECONDS = {"clock-skew": 120.0, "tasks-missing": 300.0, "metadata-slow": 5.0}
"""The seconds of a fault that takes seconds as its argument. RunTask's own documentation says up to five minutes."""

_SECONDS = r"\d+(?:\.\d+)?"
_FORM = re.compile(
    rf"([a-z0-9-]+)(?::([^@+\s]+))?@(?:({_SECONDS})|([a-z]+)(?:\+({_SECONDS}))?)(?:\+({_SECONDS}))?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ArgumentForm:
    """The argument that a fault takes: its pattern, and the sentence that refuses any other one."""

    pattern: str
    refusal: str
    required: bool = False


_ARGUMENTS = {
    "response-lost": _ArgumentForm(
        pattern="[A-Z][A-Za-z0-9]+",
        refusal="it needs the operation whose answer is lost, such as response-lost:RunTask",
        required=True,
    ),
    "denied": _ArgumentForm(
        pattern="[a-z0-9-]+:[A-Z][A-Za-z0-9]+",
        refusal="it needs the action that IAM denies, such as denied:ecs:StopTask",
        required=True,
    ),
    "capacity": _ArgumentForm(
        pattern="FARGATE|FARGATE_SPOT",
        refusal="{!r} is no capacity provider; allowed are FARGATE, FARGATE_SPOT",
    ),
    "infrastructure-health": _ArgumentForm(
        pattern="[A-Z][A-Za-z]+", refusal="{!r} is no stop code, such as InfrastructureHealth"
    ),
    "clock-skew": _ArgumentForm(pattern=f"-?{_SECONDS}", refusal="{!r} is no number of seconds"),
    "tasks-missing": _ArgumentForm(pattern=_SECONDS, refusal="{!r} is no number of seconds"),
    "metadata-slow": _ArgumentForm(pattern=_SECONDS, refusal="{!r} is no number of seconds"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: its name, its start in seconds from the start of the run or of a phase, and its duration (None: see
    the module)."""

    name: str
    argument: str | None = None
    phase: str | None = None
    at_seconds: float = 0.0
    duration_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise errors.UsageError(f"{self.name!r} is no fault; allowed are {', '.join(FAULTS)}")
        if self.phase is not None and self.phase not in PHASES:
            raise errors.UsageError(
                f"{self.name}: {self.phase!r} is no phase; allowed are {', '.join(PHASES)}, "
                "or seconds since the run began, such as ecs-down@30+540"
            )
        if self.at_seconds < 0 or (self.duration_seconds is not None and self.duration_seconds <= 0):
            raise errors.UsageError(
                f"{self.name}: it starts at {self.at_seconds:g} s and lasts {self.duration_seconds} s; "
                "allowed: a start of 0 s or more and a duration over 0 s"
            )
        problem = _find_argument_problem(self.name, self.argument)
        if problem is not None:
            raise errors.UsageError(f"{self.name}: {problem}")

    @property
    def label(self) -> str:
        """The name with its argument, as a command line writes it. No two armed faults share a label."""
        return self.name if self.argument is None else f"{self.name}:{self.argument}"

    @property
    def seconds(self) -> float:
        """The argument of a fault of `DEFAULT_SECONDS`."""
        return DEFAULT_SECONDS[self.name] if self.argument is None else float(self.argument)


def parse_fault(text: str) -> Fault:
    """The fault that a command line names. Raises `errors.UsageError` if it is not in a form of `FORM`."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise errors.UsageError(
            f"--fault {text!r} is not {FORM}, such as ecs-down@30+540 or ecs-down@bursting+5; "
            f"allowed names: {', '.join(FAULTS)}; allowed phases: {', '.join(PHASES)}"
        )
    name, argument, at_seconds, phase, later_seconds, duration_seconds = match.groups()
    return Fault(
        name=name,
        argument=argument,
        phase=phase,
        at_seconds=float(at_seconds or later_seconds or 0.0),
        duration_seconds=None if duration_seconds is None else float(duration_seconds),
    )


def parse_faults(texts: Sequence[str]) -> tuple[Fault, ...]:
    """All faults of a command line, in order.

    Raises `errors.UsageError` if a label is given twice: the second fault would replace the first in the simulation.
    """
    ordered = tuple(parse_fault(text) for text in texts)
    labels = [fault.label for fault in ordered]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise errors.UsageError(
            f"--fault {twice[0]} is given more than once; allowed: each fault once, with one duration that covers all"
        )
    return ordered


def parse_label(label: str) -> Fault:
    """The fault of a `Fault.label`, without its times. Raises `errors.UsageError`."""
    name, colon, argument = label.partition(":")
    return Fault(name=name, argument=argument if colon else None)


def _find_argument_problem(name: str, argument: str | None) -> str | None:
    form = _ARGUMENTS.get(name)
    if argument is None:
        return form.refusal if form is not None and form.required else None
    if form is None:
        return f"it takes no argument, but {argument!r} was given"
    return None if re.fullmatch(form.pattern, argument, re.ASCII) else form.refusal.format(argument)
