"""Fixtures of the acceptance tests: a session's Postgres."""

from tests.fixtures_postgres import database_dsn, postgres_server, postgres_template

__all__ = ["database_dsn", "postgres_server", "postgres_template"]
