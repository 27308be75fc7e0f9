"""Five hundred tasks through a narrow control plane: exactly so many, about as fast as its limits allow."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.adapters.aws import ecs_tasks
from burst.adapters.local import system_clock
from burst.domain.tasks import launch_rates, tasks
from burst.rehearsal import settings
from tests import fixtures_aws, waiting

TASKS = 500
NARROW = settings.RateLimit(burst=10, per_second=8)
WIDER = settings.RateLimit(burst=10, per_second=50)
"""For stops, which need ten times as many calls. Both buckets are so slow that they decide the time, not the machine,
unless the machine is very slow."""
UNLIMITED = launch_rates.Rate(burst=1e9, per_second=1e9)
"""For the launcher: it learns of the bucket by its refusals alone."""
ALLOWANCE = 1.2
"""The seconds allowed beyond those of the bucket alone."""
REFUSED_ALLOWANCE = 2.0
"""The same for calls side by side that learn of the bucket by refusals: each waits at random before it asks again."""
CALLS_MEASURED = 20
BUSIEST = 5.0
"""So many times longer a busy machine may take. Beside no other work, where the bucket decides, the bound is tight."""


@pytest.fixture
def narrow(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[fixtures_aws.Cloud]:
    wide = settings.RateLimit(burst=10_000, per_second=10_000)
    options = settings.SimulationSettings(throttle=settings.Throttle(launch=request.param, tasks=wide))
    with fixtures_aws.shared(tmp_path / "aws", options) as shared, fixtures_aws.use(shared, monkeypatch) as cloud:
        yield cloud


def allowed_seconds(
    cloud: fixtures_aws.Cloud, calls: int, bucket: settings.RateLimit, allowance: float = ALLOWANCE
) -> float:
    """The seconds that the bucket needs for so many calls, or the machine for two such calls at once, where it is
    slower; and as many times that as the machine is busy with other work, up to five."""
    began = time.monotonic()
    for _ in range(CALLS_MEASURED):
        cloud.ecs.describe_clusters(clusters=[fixtures_aws.CLUSTER])
    call_seconds = (time.monotonic() - began) / CALLS_MEASURED
    quiet_seconds = max((calls - bucket.burst) / bucket.per_second, 2 * calls * call_seconds)
    return allowance * quiet_seconds * min(waiting.slowness(), BUSIEST)


def ready_launcher(cloud: fixtures_aws.Cloud, folder: Path) -> ecs_tasks.EcsLauncher:
    """A launcher that has read its definition before the time is measured."""
    definition = cloud.register(fixtures_aws.container(entry_point=fixtures_aws.quick_guard(folder)))
    launcher = ecs_tasks.EcsLauncher(
        fixtures_aws.target(definition, tasks=TASKS),
        run=fixtures_aws.run(cloud, seconds=170),
        clock=system_clock.SystemClock(),
        client=cloud.ecs,
        rates=launch_rates.AccountRates(run_and_stop=UNLIMITED, fargate=UNLIMITED),
    )
    launcher.definition  # noqa: B018 (asked before the clock runs)
    return launcher


def launch(launcher: ecs_tasks.EcsLauncher, cloud: fixtures_aws.Cloud) -> list[tasks.Task]:
    request = tasks.LaunchRequest(
        execution_id=cloud.name,
        token="one",
        shards=tuple(range(TASKS)),
        shard_count=TASKS,
        command=fixtures_aws.ENDS_ON_TERM,
        environment=(),
        budget_seconds=160,
        grace_seconds=1,
        child_waits=False,
        lease_ttl_seconds=30,
    )
    return list(launcher.launch(request))


def count_answered(cloud: fixtures_aws.Cloud, operation: str) -> int:
    """How many calls were not throttled."""
    return len([call for call in cloud.world.calls(operation=operation) if call.outcome == "ok"])


@pytest.mark.alone
@pytest.mark.parametrize("narrow", [NARROW], indirect=True)
def test_five_hundred_tasks_are_launched_and_seen_through_a_narrow_bucket(
    narrow: fixtures_aws.Cloud, tmp_path: Path
) -> None:
    launcher = ready_launcher(narrow, tmp_path)
    began = time.monotonic()

    launched_tasks = launch(launcher, narrow)
    launched_seconds = time.monotonic() - began
    waiting.until(lambda: len(launcher.find(narrow.name)) >= TASKS, seconds=60, what="every task to be found")
    listed_tasks = launcher.find(narrow.name)
    before = narrow.calls("DescribeTasks")
    launcher.inspect(launched_tasks)
    polled = narrow.calls("DescribeTasks") - before

    assert count_answered(narrow, "RunTask") == TASKS / launch_rates.LARGEST_BATCH
    assert list(listed_tasks) == launched_tasks
    assert [task.shard_index for task in launched_tasks] == list(range(TASKS))
    assert polled == TASKS / launch_rates.DESCRIBED_AT_ONCE
    calls = TASKS // launch_rates.LARGEST_BATCH
    assert launched_seconds < allowed_seconds(narrow, calls, NARROW, REFUSED_ALLOWANCE)


@pytest.mark.alone
@pytest.mark.parametrize("narrow", [WIDER], indirect=True)
def test_five_hundred_tasks_are_stopped_through_a_bucket_with_one_call_each(
    narrow: fixtures_aws.Cloud, tmp_path: Path
) -> None:
    launcher = ready_launcher(narrow, tmp_path)
    launched_tasks = launch(launcher, narrow)
    waiting.until(lambda: len(launcher.find(narrow.name)) >= TASKS, seconds=60, what="every task to be found")
    began = time.monotonic()

    for task in launched_tasks:
        launcher.stop(task, by=tasks.Layer.CONTROLLER)
    stopped_seconds = time.monotonic() - began

    assert count_answered(narrow, "StopTask") == TASKS
    assert stopped_seconds < allowed_seconds(narrow, TASKS + WIDER.burst, WIDER), stopped_seconds
    waiting.until(
        lambda: {truth.status for truth in launcher.inspect(launched_tasks)} == {tasks.TaskStatus.STOPPED},
        seconds=60,
        what="the tasks to be stopped",
    )
