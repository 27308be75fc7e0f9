"""Fixtures of the fault tests: a stage of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fixtures_ingest
from tests.faults import stage


@pytest.fixture
def play(ingest: fixtures_ingest.Site, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage in the test's folder; nothing it started outlives the test."""
    made = stage.Stage(folder=tmp_path, dsn=ingest.dsn, host=ingest.host, api_key=ingest.api_key)
    yield made
    made.end()
