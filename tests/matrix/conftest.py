"""Fixtures of the fault matrix: the worker's AWS, Postgres and gateway, and a stage of its own for each test."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst.sandbox import gateway
from tests import fixtures_aws
from tests.fixtures_postgres import TemplatedServer
from tests.matrix import stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A gateway that runs, the database behind it, and its key."""

    dsn: str
    host: str
    api_key: str


@pytest.fixture(scope="session")
def ingest(postgres_template: TemplatedServer) -> Iterator[Site]:
    """The worker's gateway. Runs have scopes of their own, so they do not meet in it."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    api_key = secrets.token_urlsafe(24)
    with gateway.start(dsn=dsn, api_key=api_key) as running:
        yield Site(dsn=dsn, host=running.url, api_key=api_key)


@pytest.fixture
def play(ingest: Site, cloud: fixtures_aws.Cloud, tmp_path: Path) -> Iterator[stage.Stage]:
    """A stage in the test's folder; no fault and no command outlives the test."""
    made = stage.Stage(cloud=cloud, folder=tmp_path, dsn=ingest.dsn, host=ingest.host, api_key=ingest.api_key)
    yield made
    made.end()
