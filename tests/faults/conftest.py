"""Fixtures of the fault tests: a stage of its own for each test, and one process that all their commands come from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fixtures_ingest
from tests.faults import controller_driver, stage


@pytest.fixture(scope="session", autouse=True)
def forked_commands() -> None:
    """The process that commands are forked from lives as long as the session, whichever test asks it first."""
    controller_driver.serve()


@pytest.fixture
def play(ingest: fixtures_ingest.Site, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage in the test's folder; nothing it started outlives the test."""
    made = stage.Stage(folder=tmp_path, dsn=ingest.dsn, host=ingest.host, api_key=ingest.api_key)
    yield made
    made.end()
