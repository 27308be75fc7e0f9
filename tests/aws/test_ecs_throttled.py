"""Five hundred tasks through a narrow control plane: none more, none less, and about as fast as it allows."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst.adapters import ecs, system_clock
from burst.domain import instants, tasks
from burst.domain import plan as plans
from burst.rehearsal import settings
from tests import fixtures_aws, waiting

TASKS = 500
NARROW = settings.Bucket(burst=10, per_second=20)
ALLOWANCE = 1.2
"""How much longer than the bucket alone it may take, as the plan of this work says."""
OVERHEAD_SECONDS = 0.5
"""What a call takes besides, on a machine that runs the simulation too."""


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fixtures_aws.Cloud]:
    options = settings.Settings(throttle=settings.Throttle(launch=NARROW))
    for shared in fixtures_aws.shared(tmp_path / "aws", monkeypatch, options):
        yield from fixtures_aws.use(shared, monkeypatch)


def allowed_seconds(calls: int) -> float:
    return ALLOWANCE * (calls - NARROW.burst) / NARROW.per_second + OVERHEAD_SECONDS


@pytest.mark.alone
@pytest.mark.timeout(180)
def test_five_hundred_tasks_are_launched_seen_and_stopped_through_a_narrow_bucket(
    narrow: fixtures_aws.Cloud, tmp_path: Path
) -> None:
    launcher = ecs.EcsLauncher(
        plans.Target(
            kind="ecs",
            tasks=TASKS,
            cluster=fixtures_aws.CLUSTER,
            task_definition=narrow.register(fixtures_aws.container(entry_point=fixtures_aws.quick_guard(tmp_path))),
            subnets=["subnet-a"],
            security_groups=["sg-a"],
        ),
        run=ecs.Run(
            execution_id=narrow.name,
            phase="M10.F",
            deadline=instants.later(datetime.now(UTC), 170),
            control_uri=f"{narrow.place}/control.json",
            record_uri=f"{narrow.place}/tasks/",
        ),
        clock=system_clock.SystemClock(),
        client=narrow.ecs,
    )
    launcher.definition  # noqa: B018 (asked before the clock runs)
    began = time.monotonic()

    known = launcher.launch(
        tasks.LaunchRequest(
            execution_id=narrow.name,
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
    )
    launched_seconds = time.monotonic() - began
    waiting.until(lambda: len(launcher.find(narrow.name)) >= TASKS, seconds=30, what="every task to be found")
    found = launcher.find(narrow.name)
    before = narrow.calls("DescribeTasks")
    launcher.inspect(known)
    polled = narrow.calls("DescribeTasks") - before
    began = time.monotonic()
    for task in known[:110]:
        launcher.stop(task, by=tasks.Layer.CONTROLLER)
    stopped_seconds = time.monotonic() - began

    answered = [call for call in narrow.world.calls(operation="RunTask") if call.outcome == "ok"]
    assert len(answered) == TASKS / ecs.BATCH
    assert list(found) == list(known)
    assert [task.shard_index for task in known] == list(range(TASKS))
    assert polled == TASKS / ecs.DESCRIBED_AT_ONCE
    assert launched_seconds < allowed_seconds(TASKS // ecs.BATCH)
    assert stopped_seconds < allowed_seconds(110 + NARROW.burst)
    stopped = known[:110]
    waiting.until(
        lambda: {truth.status for truth in launcher.inspect(stopped)} == {tasks.Status.STOPPED},
        seconds=30,
        what="the tasks to be stopped",
    )
