"""Fixtures of the contract suites: a session's Postgres and simulated AWS."""

from tests.fixtures_aws import cloud, simulated_aws
from tests.fixtures_postgres import database_dsn, postgres_server, postgres_template

__all__ = ["cloud", "database_dsn", "postgres_server", "postgres_template", "simulated_aws"]
