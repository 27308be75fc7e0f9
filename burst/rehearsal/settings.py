"""The settings of a simulated AWS: how fast it is, how much it takes, and how long it remembers.

Defaults are quick, so that a rehearsal waits for the program and not for the cloud; the limits are those of AWS.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-west-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A token bucket: `burst` calls at once, then `per_second` calls a second."""

    burst: int
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0:
            raise ValueError(f"a bucket of {self.burst} calls, {self.per_second} a second, lets nothing through")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """What the ECS API takes; the defaults are those AWS documents on its request-throttling page."""

    launch: RateLimit = field(
        default_factory=lambda: RateLimit(burst=100, per_second=40)
    )  # RunTask and StopTask together
    read: RateLimit = field(default_factory=lambda: RateLimit(burst=100, per_second=20))  # DescribeTasks and ListTasks
    register: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=1))  # RegisterTaskDefinition
    tag: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=10))  # TagResource


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """Everything a simulated AWS can be told at its start. All times are real seconds.

    `missing_seconds` is how long a new task is not yet seen by DescribeTasks and ListTasks, `forget_seconds` how long
    a stopped one still is. `stuck_seconds` is when ECS gives up on a task that never gets past PENDING,
    `spot_notice_seconds` what a Spot task has between TERM and KILL (120 on AWS). `rate_scale` shortens the period of
    `rate()` schedules, whose smallest is a minute, and the wait for their StartDate; `stop_timeout_scale` shortens
    every `stopTimeout`. `working_folder` is where containers start that name no `workingDirectory` of their own; by
    default that is where the world was started.
    """

    provisioning_seconds: float = 0.05
    pending_seconds: float = 0.1
    deactivating_seconds: float = 0.02
    deprovisioning_seconds: float = 0.05
    missing_seconds: float = 0.15
    forget_seconds: float = 3600.0
    stuck_seconds: float = 10.0
    spot_notice_seconds: float = 2.0
    service_seconds: float = 0.2
    schedule_seconds: float = 0.2
    schedule_retry_seconds: float = 0.5
    rate_scale: float = 1.0
    stop_timeout_scale: float = 1.0
    throttle: Throttle = field(default_factory=Throttle)
    working_folder: str | None = None

    def encode(self) -> str:
        """One line of JSON, for the command line of the simulation's own process."""
        return json.dumps(asdict(self))


def decode(text: str) -> SimulationSettings:
    """What `Settings.encode` wrote."""
    given: dict[str, Any] = json.loads(text)
    throttle = Throttle(**{name: RateLimit(**bucket) for name, bucket in given.pop("throttle").items()})
    return SimulationSettings(throttle=throttle, **given)
