"""Fixtures of the fault matrix: a stage of its own for each test, on the worker's AWS and gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fixtures_aws, fixtures_ingest
from tests.faults.conftest import forked_commands
from tests.matrix import stage

__all__ = ["forked_commands"]


@pytest.fixture
def play(ingest: fixtures_ingest.Site, cloud: fixtures_aws.Cloud, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage in the test's folder; no fault and no command outlives the test."""
    made = stage.Stage(cloud=cloud, folder=tmp_path, dsn=ingest.dsn, host=ingest.host, api_key=ingest.api_key)
    yield made
    made.end()
