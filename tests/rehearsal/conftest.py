"""Fixtures of the rehearsal's tests: one simulated AWS for each file, because its start takes a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.rehearsal import aws_simulation, settings
from tests.rehearsal import aws_clients

_WIDE = settings.RateLimit(burst=10_000, per_second=10_000)
UNTHROTTLED = settings.Throttle(launch=_WIDE, read=_WIDE, register=_WIDE, tag=_WIDE, tasks=_WIDE)
QUICK = settings.SimulationSettings(
    stop_timeout_scale=0.2, spot_notice_seconds=0.4, stuck_seconds=3.0, rate_scale=0.01, throttle=UNTHROTTLED
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws_simulation.AwsSimulation]:
    """A running simulation that the tests of a file share. Each test uses names of its own."""
    with aws_simulation.start(tmp_path_factory.mktemp("aws"), options=QUICK) as simulation:
        yield simulation


@pytest.fixture(scope="module")
def ecs(aws: aws_simulation.AwsSimulation) -> aws_clients.EcsCluster:
    """The simulation's cluster."""
    return make_cluster(aws)


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """The folder of a test's own simulation."""
    return tmp_path / "aws"


def make_cluster(aws: aws_simulation.AwsSimulation) -> aws_clients.EcsCluster:
    """Creates the tests' cluster in a simulation."""
    client = aws_clients.make_client(aws, "ecs")
    client.create_cluster(clusterName=aws_clients.CLUSTER)
    return aws_clients.EcsCluster(aws=aws, client=client)
