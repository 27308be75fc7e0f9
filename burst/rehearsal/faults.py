"""The faults of a rehearsal: their names, and the one strict way a command line writes them.

`NAME@SECONDS[+DURATION]`, some with an argument: `ecs-down@30+540`, `response-lost:RunTask@0`. Seconds count from the
start of the rehearsed run. Those that strike (see `STRIKES`) strike once where no duration is given, and everything in
that time where one is; all others last until their duration is over, or to the end of the rehearsal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.basics import errors

FAULTS = {
    "controller-kill": "the controller is killed (SIGKILL)",
    "ecs-down": "ECS does not answer",
    "ecs-throttle": "ECS refuses every call as throttled, in both of its disguises",
    "sts-down": "STS does not answer",
    "s3-down": "S3 does not answer",
    "all-aws-down": "no AWS service answers, and no schedule fires",
    "response-lost": "a call of the operation named (response-lost:RunTask) is carried out and its answer lost",
    "capacity": "RunTask finds no capacity; capacity:FARGATE_SPOT for one capacity provider only",
    "partial-launch": "RunTask starts half of the tasks asked for and reports the others as failures",
    "task-ignores-term": "containers do not react to TERM",
    "task-escapes-guard": "a guarded container gets a process that its guard cannot see and TERM cannot end",
    "task-oom": "a running task is killed for its memory: exit 137 and OutOfMemoryError",
    "spot-interruption": "a running Spot task is interrupted: TERM, the notice, KILL",
    "stuck-pending": "tasks launched now stay PENDING, in the end given up by ECS",
    "logs-late": "log lines reach CloudWatch Logs only when the fault is over",
    "schedule-late": "schedules that are due fire only when the fault is over",
    "clock-skew": "AWS's clock is ahead by so many seconds (clock-skew:300, default 120; may be negative)",
}

STRIKES = frozenset(
    {"controller-kill", "response-lost", "partial-launch", "task-oom", "spot-interruption"}
)  # fmt: skip
DEFAULT_SKEW_SECONDS = 120.0

_FORM = re.compile(r"([a-z0-9-]+)(?::([^@+\s]+))?@(\d+(?:\.\d+)?)(?:\+(\d+(?:\.\d+)?))?", re.ASCII)
_OPERATION = re.compile(r"[A-Z][A-Za-z0-9]+", re.ASCII)
_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
_SECONDS = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: what, when from the start of the run, and for how long (None: see the module)."""

    name: str
    argument: str | None = None
    at_seconds: float = 0.0
    duration_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise errors.UsageError(f"{self.name!r} is no fault; allowed are {', '.join(FAULTS)}")
        if self.at_seconds < 0 or (self.duration_seconds is not None and self.duration_seconds <= 0):
            raise errors.UsageError(f"{self.name}: it starts at 0 s or later, and lasts for more than nothing")
        problem = _argument_problem(self.name, self.argument)
        if problem is not None:
            raise errors.UsageError(f"{self.name}: {problem}")

    @property
    def label(self) -> str:
        """The name with its argument, as it was written: no two armed faults share it."""
        return self.name if self.argument is None else f"{self.name}:{self.argument}"


def parse_fault(text: str) -> Fault:
    """The fault a command line names; raises `errors.UsageError` for anything else than `NAME@SECONDS[+DURATION]`."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise errors.UsageError(
            f"--fault {text!r} is not NAME@SECONDS[+DURATION], such as ecs-down@30+540; "
            f"allowed names: {', '.join(FAULTS)}"
        )
    name, argument, at_seconds, duration_seconds = match.groups()
    return Fault(
        name=name,
        argument=argument,
        at_seconds=float(at_seconds),
        duration_seconds=None if duration_seconds is None else float(duration_seconds),
    )


def parse_faults(texts: Sequence[str]) -> tuple[Fault, ...]:
    """All faults of a command line, in order. Raises `errors.UsageError` where one is given twice: a simulation holds
    each once, and the first would be forgotten.
    """
    found = tuple(parse_fault(text) for text in texts)
    labels = [fault.label for fault in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise errors.UsageError(
            f"--fault {twice[0]} is given more than once; allowed: each fault once, with one duration that covers all"
        )
    return found


def parse_label(label: str) -> Fault:
    """The fault of a name as `Fault.label` gives it; raises `errors.UsageError`."""
    name, colon, argument = label.partition(":")
    return Fault(name=name, argument=argument if colon else None)


def _argument_problem(name: str, argument: str | None) -> str | None:
    if name == "response-lost":
        if argument is None or not _OPERATION.fullmatch(argument):
            return "it needs the operation whose answer is lost, such as response-lost:RunTask"
    elif argument is None:
        return None
    elif name == "capacity":
        if argument not in _PROVIDERS:
            return f"{argument!r} is no capacity provider; allowed are {', '.join(_PROVIDERS)}"
    elif name == "clock-skew":
        if not _SECONDS.fullmatch(argument):
            return f"{argument!r} is no number of seconds"
    else:
        return f"it takes no argument, but {argument!r} was given"
    return None
