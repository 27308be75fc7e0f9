"""Launch rates: how fast ECS takes calls and starts tasks, and the seconds that a number of tasks needs by that.

AWS throttles with token buckets, each an account's in one region. The sources are the pages "Request throttling for the
Amazon ECS API" and "AWS Fargate throttling quotas"; an account may have other values, which a launcher is then given.
"""

from dataclasses import dataclass

LARGEST_BATCH = 10
"""The most tasks of one RunTask call, by the reference of RunTask."""
DESCRIBED_AT_ONCE = 100
"""The most tasks of one DescribeTasks call, by its reference."""
TASK_START_SECONDS = 60.0
"""From the launch of one task to its READY (network, image, program): burst's own allowance, AWS names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket: so many tokens at once, then so many a second."""

    burst: float
    per_second: float

    def share(self, share: float) -> "Rate":
        """A bucket of so much of this one."""
        return Rate(burst=self.burst * share, per_second=self.per_second * share)

    def seconds(self, tokens: float) -> float:
        """The seconds until a full bucket has given so many tokens."""
        return max(0.0, tokens - self.burst) / self.per_second


RUN_AND_STOP_CALLS = Rate(burst=100, per_second=40)
"""RunTask, StartTask and StopTask together, by the page of the ECS API."""
READING_CALLS = Rate(burst=100, per_second=20)
"""DescribeTasks and ListTasks together, by the page of the ECS API."""
FARGATE_TASKS = Rate(burst=100, per_second=20)
"""Tasks that Fargate starts, on demand and Spot apart, by the page of Fargate."""
READING_SHARE = 0.5
"""The share of the calls that read tasks which one run takes: the whole account shares that bucket."""


READING_CALLS_OF_A_RUN = READING_CALLS.share(READING_SHARE)
PACED_SHARE = 0.95
"""The share of a bucket that a run takes of it at most: AWS refuses what comes a moment before its token."""
RUN_AND_STOP_CALLS_OF_A_RUN = RUN_AND_STOP_CALLS.share(PACED_SHARE)
FARGATE_TASKS_OF_A_RUN = FARGATE_TASKS.share(PACED_SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRates:
    """What one run takes of an account's buckets."""

    run_and_stop: Rate = RUN_AND_STOP_CALLS_OF_A_RUN
    reading: Rate = READING_CALLS_OF_A_RUN
    fargate: Rate = FARGATE_TASKS_OF_A_RUN


def reading_calls(tasks: int) -> int:
    """The DescribeTasks calls of one look at so many tasks."""
    return -(-tasks // DESCRIBED_AT_ONCE)


def reading_seconds(tasks: int) -> float:
    """The seconds between two looks at so many tasks that take no more than one run's share of the reading calls."""
    return reading_calls(tasks) / READING_CALLS_OF_A_RUN.per_second


def launch_seconds(tasks: int, *, batch: int = LARGEST_BATCH, fargate: Rate = FARGATE_TASKS) -> float:
    """The seconds until RunTask has taken so many tasks, `batch` of them a call. A thousand tasks take 45 s."""
    calls = -(-tasks // batch)
    return max(fargate.seconds(tasks), RUN_AND_STOP_CALLS.seconds(calls))


def least_start_seconds(tasks: int, *, batch: int = LARGEST_BATCH, fargate: Rate = FARGATE_TASKS) -> float:
    """The seconds from the first RunTask to a look that can see all of so many tasks, were each ready at once.

    A shorter `start_timeout` cannot be kept, however fast the tasks start.
    """
    return launch_seconds(tasks, batch=batch, fargate=fargate) + reading_seconds(tasks)


def usual_start_seconds(tasks: int) -> float:
    """The seconds that so many tasks get to be ready where the plan does not say: the default of `start_timeout`."""
    return TASK_START_SECONDS + launch_seconds(tasks)
