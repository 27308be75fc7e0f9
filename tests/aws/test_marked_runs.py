"""`burst stop` of a run on ECS from a machine that knows neither its folder nor its run control."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst.adapters.aws import ecs_tasks, s3_leases
from burst.adapters.local import system_clock
from burst.cli import main
from burst.domain.basics import instants
from burst.domain.tasks import leases, tasks
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud


def test_a_cluster_is_enough_to_stop_a_run_and_stop_stands_in_its_lease(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    now = datetime.now(UTC)
    lease = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)
    lease.create(
        leases.Lease(
            execution_id=cloud.name, state=leases.LeaseState.WAIT, deadline=instants.later(now, 60), beat=1,
            heartbeat_at=now,
        )
    )  # fmt: skip
    launcher = ecs_tasks.EcsLauncher(
        fixtures_aws.target(cloud.register(fixtures_aws.container())),
        run=fixtures_aws.run(cloud),
        clock=system_clock.SystemClock(),
        client=cloud.ecs,
    )
    request = tasks.LaunchRequest(
        execution_id=cloud.name, token="one", shards=(0,), shard_count=1, command=fixtures_aws.ENDS_ON_TERM,
        environment=(), budget_seconds=50, grace_seconds=1, child_waits=False, lease_ttl_seconds=30,
    )  # fmt: skip
    launched = launcher.launch(request)
    waiting.until(
        lambda: launcher.inspect(launched)[0].status is tasks.TaskStatus.RUNNING, seconds=40, what="the task to run"
    )

    code = main.main(["stop", cloud.name, "--cluster", fixtures_aws.CLUSTER])
    again = main.main(["stop", cloud.name, "--cluster", fixtures_aws.CLUSTER])

    assert (code, again) == (0, 7)
    captured = capsys.readouterr()
    assert f"every task of {cloud.name} is stopped" in captured.out
    assert f"no task of {cloud.name} is running on this machine or in {fixtures_aws.CLUSTER}" in captured.err
    assert launcher.inspect(launched)[0].status is tasks.TaskStatus.STOPPED
    stopped = lease.read()
    assert stopped is not None
    assert stopped.state is leases.LeaseState.STOP
