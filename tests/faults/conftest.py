"""Fixtures of the fault tests: one gateway a worker, and a stage of its own for each test."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst.sandbox import gateway
from tests.faults import stage
from tests.fixtures_postgres import TemplatedServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A gateway that runs, the database behind it, and its key."""

    dsn: str
    host: str
    api_key: str


@pytest.fixture(scope="session")
def site(postgres_template: TemplatedServer) -> Iterator[Site]:
    """The worker's gateway. Runs have scopes of their own, so they do not meet in it."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    api_key = secrets.token_urlsafe(24)
    with gateway.start(dsn=dsn, api_key=api_key) as running:
        yield Site(dsn=dsn, host=running.url, api_key=api_key)


@pytest.fixture
def play(site: Site, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage in the test's folder; nothing it started outlives the test."""
    made = stage.Stage(folder=tmp_path, dsn=site.dsn, host=site.host, api_key=site.api_key)
    yield made
    made.end()
