"""The settings of a simulated AWS: its delays, its limits, and how long it remembers stopped tasks.

The default delays are short, so that a rehearsal waits for burst and not for AWS. The default limits are those of AWS.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from burst.kit import token_bucket

ACCOUNT = "123456789012"
REGION = "eu-west-2"
LOOPBACK = "127.0.0.1"
"""The address of every task: they share one machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A limit on calls: `burst` calls at once, then `per_second` calls a second."""

    burst: int
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0:
            raise ValueError(f"a limit of {self.burst} calls, {self.per_second} a second, lets no call through")

    def make_bucket(self) -> token_bucket.TokenBucket:
        """A full bucket of this limit."""
        return token_bucket.TokenBucket(burst=self.burst, per_second=self.per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The call limits of the ECS API and the launch rate of Fargate. The defaults are those of AWS's pages on both."""

    launch: RateLimit = field(
        default_factory=lambda: RateLimit(burst=100, per_second=40)
    )  # RunTask and StopTask together
    read: RateLimit = field(default_factory=lambda: RateLimit(burst=100, per_second=20))  # DescribeTasks and ListTasks
    register: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=1))  # RegisterTaskDefinition
    tag: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_second=10))  # TagResource
    tasks: RateLimit = field(
        default_factory=lambda: RateLimit(burst=100, per_second=20)
    )  # tasks that RunTask starts on Fargate, and as many on Fargate Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """The settings that a simulated AWS gets at its start. All times are real seconds.

    - `missing_seconds`: how long DescribeTasks and ListTasks do not show a new task
    - `forget_seconds`: how long they still show a stopped task
    - `stuck_seconds`: when ECS gives up a task that stays PENDING under the fault `stuck-pending`
    - `spot_notice_seconds`: the time between TERM and KILL of an interrupted Spot task (120 on AWS)
    - `rate_scale`: shortens the period of `rate()` schedules (a minute at least, on AWS) and the wait for StartDate
    - `stop_timeout_scale`: shortens every `stopTimeout`
    - `working_folder`: the folder of containers whose definition names no `workingDirectory`; by default the folder
      in which the simulation was started
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
        """One line of JSON, for the command line of the simulation's process."""
        return json.dumps(asdict(self))


def decode(text: str) -> SimulationSettings:
    """The settings that `SimulationSettings.encode` wrote."""
    fields: dict[str, Any] = json.loads(text)
    throttle = Throttle(**{name: RateLimit(**limit) for name, limit in fields.pop("throttle").items()})
    return SimulationSettings(throttle=throttle, **fields)
