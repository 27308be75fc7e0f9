"""Fixtures: one Postgres for a file of tests, which they may restart and configure, and `burst db` on it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from burst.adapters.postgres import staged_database
from burst.cli import main
from burst.domain.basics import redaction
from burst.domain.documents import database_snapshots
from burst.domain.staging import changes
from burst.sandbox import embedded_postgres
from tests import waiting
from tests.faults import controller_driver

Spoil = Callable[[Path], None]
TABLE = changes.TableName(schema=None, name="receipts")
INDEX = "CREATE INDEX CONCURRENTLY receipts_scope ON receipts (platform_run_id, created_at_utc) INCLUDE (decision)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command of `burst db` said."""

    code: int
    document: dict[str, Any]
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A database, a folder for stage files, and the commands."""

    server: embedded_postgres.PostgresServer
    dsn: str
    folder: Path
    capture: pytest.CaptureFixture[str]
    said: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    def write(self, text: str, name: str = "stages.yaml") -> Path:
        """A stage file."""
        path = self.folder / name
        path.write_text(text)
        return path

    def call(self, *words: str) -> Answer:
        """One command, in this process."""
        code = main.main(["db", *words, "--json"])
        shown = self.capture.readouterr()
        self.said.extend((shown.out, shown.err))
        return Answer(code=code, document=json.loads(shown.out) if shown.out else {}, said=shown.err)

    def stage(self, text: str, *words: str, folder: str = "staging") -> Answer:
        """`burst db stage` of a text."""
        return self.call(
            "stage", str(self.write(text)), "--dsn", "env:STAGE_DSN", "--folder", str(self.folder / folder), *words
        )

    def resume(self, *words: str, folder: str = "staging") -> Answer:
        """`burst db resume`."""
        return self.call("resume", str(self.folder / folder), *words)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command in a process of its own."""
        environment = {**os.environ, "STAGE_DSN": self.dsn, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(
            [sys.executable, "-m", "burst", "db", *words],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, statement: str, *values: object) -> Any:
        """The first value of a statement."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]

    def snapshot(self) -> database_snapshots.DatabaseSnapshot:
        """The database as it is."""
        return staged_database.PostgresStages(lambda: redaction.Secret(self.dsn)).read_snapshot([TABLE])

    def restart(self) -> None:
        """Restarts the server, and once more after the test, so that its configuration is as it was."""
        self.restarts.append("restarted")
        self.server.stop_server()
        self.server.start_server()


@pytest.fixture(scope="session", autouse=True)
def forked_commands() -> None:
    """The process that commands are forked from lives as long as the session, whichever test asks it first."""
    controller_driver.serve()


@pytest.fixture(scope="module")
def stage_server() -> Iterator[embedded_postgres.PostgresServer]:
    """A server of this file's own: its configuration may be changed."""
    with embedded_postgres.start(durable=False) as server:
        yield server


@pytest.fixture
def desk(
    stage_server: embedded_postgres.PostgresServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """A database of the test's own on the file's server, whose configuration is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    dsn = stage_server.create_database()
    embedded_postgres.apply_schema(dsn)
    monkeypatch.setenv("STAGE_DSN", dsn)
    own = Desk(server=stage_server, dsn=dsn, folder=tmp_path, capture=capsys)
    yield own
    clear_configuration(stage_server.dsn)
    if own.restarts:
        own.restart()
    stage_server.drop_database(dsn.rpartition("/")[2].partition("?")[0])


def clear_configuration(dsn: str, roles: Sequence[str] = ("burst",)) -> None:
    """Takes back what stages may have configured."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        for role in roles:
            connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(sql.Identifier(role)))
        read_at = connection.execute("SELECT pg_conf_load_time(), pg_reload_conf()").fetchone()

    def is_read_again() -> bool:
        with psycopg.connect(dsn) as fresh:
            row = fresh.execute("SELECT pg_conf_load_time()").fetchone()
            return row is not None and read_at is not None and row[0] > read_at[0]

    waiting.until(is_read_again, what="the server to read its configuration")
