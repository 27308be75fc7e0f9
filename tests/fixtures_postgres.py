"""Fixtures: one real Postgres for a test session (each xdist worker has its own), one database for each test."""

import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from burst.sandbox import embedded_postgres


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatedServer:
    """A running server and the name of a database in it that has the gateway's tables and no rows."""

    server: embedded_postgres.PostgresServer
    template: str


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[TemplatedServer]:
    """The session's server with its template database."""
    with embedded_postgres.start(durable=False) as server:
        template_dsn = server.create_database()
        embedded_postgres.apply_schema(template_dsn)
        yield TemplatedServer(server=server, template=urllib.parse.urlsplit(template_dsn).path.lstrip("/"))


@pytest.fixture(scope="session")
def postgres_server(postgres_template: TemplatedServer) -> embedded_postgres.PostgresServer:
    """The session's server. Tests that stop it start their own instead: this one is shared."""
    return postgres_template.server


@pytest.fixture
def database_dsn(postgres_template: TemplatedServer) -> Iterator[str]:
    """The DSN of a database of this test's own, with the gateway's tables, dropped afterwards."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    yield dsn
    postgres_template.server.drop_database(urllib.parse.urlsplit(dsn).path.lstrip("/"))
