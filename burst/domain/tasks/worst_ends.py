"""Worst ends: when the last process of a task has ended at the latest, by each layer of the hard stop alone.

Every layer stands alone, so the sum of a layer takes every other one for broken. All seconds count from the deadline.
`runbooks/worst-ends.md` explains the terms with their sources, and a test holds the page to this module.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burst.domain.tasks import launch_rates, leases, tasks

SCHEDULE_MARGIN_SECONDS = 5.0
"""How long after deadline and grace the schedule is due: every nearer layer has acted by then."""
SCHEDULE_SOONEST_SECONDS = 60.0
"""No entry is made for sooner than this from now: an entry that is past when it arrives is refused, or never fires."""
SCHEDULE_PRECISION_SECONDS = 59.0
"""EventBridge Scheduler fires within the minute of an entry, so up to so much after its time:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html"""
SWEEP_SECONDS = 300.0
"""The longest time between two sweeps that preflight allows."""
TEARDOWN_SECONDS = 25.0
"""From the end of a task's containers to STOPPED, while Fargate takes the network down; billed, and without load."""
FORCE_AFTER_GRACE_SECONDS = 0.5
"""How long after the grace the controller leaves the KILL to the guard, before it kills a task itself."""
GIVE_UP_AFTER_FORCE_SECONDS = 10.0
"""How long after a KILL a task may still be seen running; then its stop counts as not proven."""
WATCHDOG_MARGIN_SECONDS = 0.5
"""How long after deadline and grace the watchdog acts, so that a working guard ends its own task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTerm:
    """One term of a sum, in words that the page repeats."""

    words: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstEnd:
    """The worst end by one layer: its terms add up to seconds after the deadline."""

    layer: tasks.Layer
    terms: tuple[EndTerm, ...]

    @property
    def seconds(self) -> float:
        """Seconds from the deadline to the end of the last process."""
        return sum(term.seconds for term in self.terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTimes:
    """The times of a plan and its target that decide the ends. `beat_seen_seconds`: how long a heartbeat may take to
    reach a guard. `look_seconds`: how long one look of the controller may take."""

    grace_seconds: float
    lease_ttl_seconds: float
    beat_seen_seconds: float
    look_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FargateTimes:
    """What Fargate adds. `stop_timeout_seconds` is the longest of a task's containers; from `start_timeout_seconds` on
    after a launch, no task is waited for."""

    tasks: int
    cap_seconds: float
    start_timeout_seconds: float
    stop_timeout_seconds: float


LONGEST_STOP_TIMEOUT_SECONDS = 120.0
"""The longest stopTimeout that Fargate allows; taken where the task definition was not read."""


def list_ends(layers: Sequence[str], times: EndTimes, fargate: FargateTimes | None) -> tuple[WorstEnd, ...]:
    """The worst end by each of the layers, in their order; `fargate` is None for processes of this machine."""
    return tuple(
        WorstEnd(layer=layer, terms=tuple(_list_terms(layer, times, fargate)))
        for layer in (tasks.Layer(name) for name in layers)
    )


def sum_up(ends: Sequence[WorstEnd]) -> dict[str, float]:
    """The seconds of each end, by the name of its layer."""
    return {end.layer.value: end.seconds for end in ends}


def _list_terms(layer: tasks.Layer, times: EndTimes, fargate: FargateTimes | None) -> Iterator[EndTerm]:
    grace = EndTerm(words="budget.stop_grace", seconds=times.grace_seconds)
    if layer is tasks.Layer.GUARD:
        yield grace
    elif layer is tasks.Layer.LEASE:
        yield EndTerm(words="the last beat reaches the guard", seconds=times.beat_seen_seconds)
        yield EndTerm(words="layers.lease_ttl", seconds=times.lease_ttl_seconds)
        yield grace
    elif fargate is None:
        yield from _list_local_terms(layer, times, grace)
    else:
        yield from _list_fargate_terms(layer, times, fargate, grace)


def _list_local_terms(layer: tasks.Layer, times: EndTimes, grace: EndTerm) -> Iterator[EndTerm]:
    if layer is tasks.Layer.SIDECAR:
        yield grace
        yield EndTerm(words="the watchdog's margin", seconds=WATCHDOG_MARGIN_SECONDS)
    else:
        yield EndTerm(words="one look of the controller", seconds=times.look_seconds)
        yield grace


def _list_fargate_terms(
    layer: tasks.Layer, times: EndTimes, fargate: FargateTimes, grace: EndTerm
) -> Iterator[EndTerm]:
    reaper_start = EndTerm(words="the reaper's Fargate start", seconds=launch_rates.TASK_START_SECONDS)
    if layer is tasks.Layer.SIDECAR:
        # Its clock runs from its own start, and the seconds that it is given from the launch.
        yield EndTerm(words="the task's start, at most budget.start_timeout", seconds=fargate.start_timeout_seconds)
        yield grace
    elif layer is tasks.Layer.SCHEDULE:
        yield grace
        yield EndTerm(words="the schedule's margin", seconds=SCHEDULE_MARGIN_SECONDS)
        due_seconds = fargate.cap_seconds + times.grace_seconds + SCHEDULE_MARGIN_SECONDS
        if due_seconds < SCHEDULE_SOONEST_SECONDS:
            yield EndTerm(
                words="no entry is sooner than 60 s after arming", seconds=SCHEDULE_SOONEST_SECONDS - due_seconds
            )
        yield EndTerm(words="EventBridge Scheduler's precision", seconds=SCHEDULE_PRECISION_SECONDS)
        yield reaper_start
    elif layer is tasks.Layer.SWEEPER:
        yield EndTerm(words="the next sweep", seconds=SWEEP_SECONDS)
        yield EndTerm(words="EventBridge Scheduler's precision", seconds=SCHEDULE_PRECISION_SECONDS)
        yield reaper_start
    else:
        obeying_seconds = times.grace_seconds * leases.OBEYING_SHARE
        yield EndTerm(words="half of the grace, to obey the lease", seconds=obeying_seconds)
        yield EndTerm(words="one look of the controller", seconds=times.look_seconds)
    calls_seconds = launch_rates.RUN_AND_STOP_CALLS.seconds(fargate.tasks)
    if layer is not tasks.Layer.SIDECAR and calls_seconds > 0:
        yield EndTerm(words="StopTask for every task, at the rate that AWS allows", seconds=calls_seconds)
    yield EndTerm(words="the longest stopTimeout", seconds=fargate.stop_timeout_seconds)


def billed_seconds(cap_seconds: float, grace_seconds: float, stop_timeout_seconds: float) -> float:
    """The longest time that a task is billed for where its guard or its sidecar works: to the deadline, through grace
    and stopTimeout, and while Fargate takes it down."""
    return cap_seconds + grace_seconds + stop_timeout_seconds + TEARDOWN_SECONDS
