"""Fixture: one gateway for a test session (each xdist worker has its own), with a database of its own behind it."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from burst.sandbox import gateway
from tests.fixtures_postgres import TemplatedServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A gateway that runs, the database behind it, and its key."""

    dsn: str
    host: str
    api_key: str


@pytest.fixture(scope="session")
def ingest(postgres_template: TemplatedServer) -> Iterator[Site]:
    """The session's gateway. Runs have scopes of their own, so they do not meet in it."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    api_key = secrets.token_urlsafe(24)
    with gateway.start(dsn=dsn, api_key=api_key) as running:
        yield Site(dsn=dsn, host=running.url, api_key=api_key)
