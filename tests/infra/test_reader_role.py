"""The role of `infra/reader_role.sql` on a real Postgres: it counts, cannot write, and has every advised limit."""

import secrets
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from burst.adapters.postgres import postgres_inspector
from burst.domain.basics import instants, redaction
from burst.domain.database import database_findings
from tests.fixtures_postgres import database_dsn, postgres_server, postgres_template

__all__ = ["database_dsn", "postgres_server", "postgres_template"]

SCRIPT = (Path(__file__).parents[2] / "infra" / "reader_role.sql").read_text()
PAGE = (Path(__file__).parents[2] / "runbooks" / "database-check.md").read_text()


@pytest.fixture
def role_dsn(database_dsn: str) -> Iterator[str]:
    """The DSN of the role, under a name of this test's own."""
    name, password = f"burst_reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    role = sql.Identifier(name)
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(SCRIPT.replace("burst_reader", name).encode())
        owner.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
    url = urllib.parse.urlsplit(database_dsn)
    yield urllib.parse.urlunsplit(url._replace(netloc=f"{name}:{password}@{url.netloc.rpartition('@')[2]}"))
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(role))


def test_the_role_has_every_limit_and_lacks_nothing_that_a_check_advises(role_dsn: str) -> None:
    inspector = postgres_inspector.PostgresInspector(redaction.Secret(role_dsn))

    reading = inspector.inspect("receipts", give_up_at=instants.later(datetime.now(UTC), 30))
    role = reading.role

    assert role is not None
    assert database_findings.judge_role(role).status == "passed"
    assert {row.name: row.setting for row in role.settings} == dict(database_findings.ADVISED)
    assert {row.held_by for row in role.settings} == {"role"}
    assert role.connection_limit == 10


def test_the_role_counts_and_cannot_write(role_dsn: str) -> None:
    with psycopg.connect(role_dsn, autocommit=True) as reader:
        counted = reader.execute("select count(*) from receipts").fetchone()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("insert into receipts (event_id) values ('x')")
        reader.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("insert into receipts (event_id) values ('x')")

    assert counted == (0,)


def test_the_page_has_the_statements_of_the_script() -> None:
    statements = [line for line in SCRIPT.splitlines() if line and not line.startswith("--")]

    assert len(statements) == 6
    assert [line for line in statements if line not in PAGE.splitlines()] == []
