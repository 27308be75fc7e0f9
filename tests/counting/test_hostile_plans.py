"""A hostile plan: whatever stands in table, columns, scope and decisions is quoted or refused, by the server's own log.

The log of a server of its own holds every statement as it arrived. What is left of it without the quoted names must
hold nothing of the hostile words, and values stand among its parameters alone.
"""

import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pydantic
import pytest
from psycopg import sql

from burst.adapters.postgres import postgres_receipts, table_catalog
from burst.domain.basics import errors, redaction, windows
from burst.domain.plan import receipts_sections
from burst.domain.receipts import receipts
from burst.sandbox import embedded_postgres

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
APPLICATION = "burst/hostile"
BEGINS_A_TRANSACTION = ("BEGIN ISOLATION LEVEL ", "SET LOCAL ", "SAVEPOINT ", "LOCK TABLE ONLY ", "RELEASE SAVEPOINT ")
"""What the statements of the script that begins a transaction start with."""
MARK = "evilword"
HOSTILE = {
    "a quote": f"{MARK}'; drop table kept; --",
    "a quoted name": f'{MARK}"; drop table kept; --',
    "a comment": f"{MARK}/* */ -- \n; drop table kept",
    "a dollar": f"$$ {MARK} $1 \\ $tag$",
    "formats": f"%s %(scope)s :scope {{0}} {MARK}",
    "a cast": f"{MARK}::text) or (true",
    "unicode": f"{MARK}\u2019\uff07\u0027\u037e",
    "case and blanks": f"  {MARK.upper()} ",
}
_PREFIX = "#%a# "
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One statement as the server logged it, with its parameters."""

    statement: str
    parameters: str

    @property
    def bare(self) -> str:
        """The statement without its quoted names."""
        return _QUOTED.sub('""', self.statement)


class LoggingServer:
    """A server that logs every statement of burst, with its database."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        with psycopg.connect(dsn) as connection:
            row = connection.execute("show data_directory").fetchone()
        assert row is not None
        self._path = Path(row[0]).parent / "log"

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("set timezone to 'UTC'"))
            connection.execute(statement)

    def has_kept(self) -> bool:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("select to_regclass('kept') is not null").fetchone() == (True,)

    def read(self, since: int) -> list[Logged]:
        """The statements of burst that were logged from a size of the log on; each is logged before it is run."""
        entries = re.split(r"^#([^#\n]*)# ", self._text(since), flags=re.MULTILINE)[1:]
        logged: list[Logged] = []
        for application, entry in zip(entries[::2], entries[1::2], strict=True):
            words = entry.replace("\n\t", "\n").rstrip("\n")
            found = re.match(r"LOG:  (?:statement|execute [^:]*): (.*)", words, re.DOTALL)
            detail = re.match(r"DETAIL:  [Pp]arameters: (.*)", words, re.DOTALL)
            if application == APPLICATION and found:
                logged.append(Logged(statement=found[1], parameters=""))
            elif application == APPLICATION and detail and logged:
                logged[-1] = Logged(statement=logged[-1].statement, parameters=detail[1])
        return logged

    def size(self) -> int:
        return self._path.stat().st_size

    def _text(self, since: int) -> str:
        with self._path.open("rb") as file:
            file.seek(since)
            return file.read().decode()


@pytest.fixture(scope="module")
def logging_server() -> Iterator[LoggingServer]:
    with embedded_postgres.start(durable=False) as server:
        dsn = server.create_database()
        name = urllib.parse.urlsplit(dsn).path.lstrip("/")
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for setting in (f"log_line_prefix = '{_PREFIX}'", "log_statement = 'all'"):
                connection.execute(f"alter system set {setting}".encode())
            connection.execute("select pg_reload_conf()")
            connection.execute(f"alter database {name} set log_statement = 'all'".encode())
        logging = LoggingServer(dsn)
        logging.execute(sql.SQL("create table kept (n integer)"))
        yield logging


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What burst did with a plan, and what the server logged of it."""

    counts: receipts.Counts | None
    failure: str
    logged: tuple[Logged, ...]


Ask = Callable[..., Asked]


@pytest.fixture
def ask(logging_server: LoggingServer) -> Iterator[Ask]:
    """Counts, estimates and checks by a plan's receipts section, over a table that has exactly its names; where it is
    not to `make` one, over one that has the usual names."""
    made: list[sql.SQL | sql.Composed] = []

    def count(
        *, table: str = "plain", make: bool = True, scope_value: str = "run", words: str = "ADMIT", **names: str
    ) -> Asked:
        plain = {"decision": "decision", "at": "at", "scope": "scope", "event": "event_id"}
        columns = {**plain, **names}
        if make or table == "plain":
            target = sql.SQL(".").join(sql.Identifier(part) for part in table.split("."))
            if "." in table:
                schema = sql.Identifier(table.split(".")[0])
                logging_server.execute(sql.SQL("create schema {}").format(schema))
                made.append(sql.SQL("drop schema {} cascade").format(schema))
            created = sql.SQL("create table {} ({} text, {} text, {} text, {} text)")
            logging_server.execute(
                created.format(target, *(sql.Identifier(name) for name in (columns if make else plain).values()))
            )
            made.insert(0, sql.SQL("drop table {}").format(target))
            insert = sql.SQL("insert into {} values ({}, '2026-02-21T02:00:00Z', {}, 'e')")
            logging_server.execute(insert.format(target, sql.Literal(words), sql.Literal(scope_value)))
        asked = {"dsn": "env:X", "table": table, "columns": columns, "decisions": {"ADMIT": [words]}}
        try:
            section = receipts_sections.ReceiptsSection.model_validate(asked)
        except pydantic.ValidationError as exc:
            return Asked(counts=None, failure=f"the plan is refused: {exc}", logged=())
        since = logging_server.size()
        counts, failure = _ask_everything(logging_server.dsn, section, columns, scope_value)
        return Asked(counts=counts, failure=failure, logged=tuple(logging_server.read(since)))

    yield count
    for statement in made:
        logging_server.execute(statement)


def _ask_everything(
    dsn: str, section: receipts_sections.ReceiptsSection, columns: dict[str, str], scope: str
) -> tuple[receipts.Counts | None, str]:
    """Every question that names table, columns, scope or words."""
    soon = datetime.now(UTC) + timedelta(seconds=30)
    roles = {role: columns[role] for role in ("decision", "at", "scope")}
    secret = redaction.Secret(dsn)
    try:
        source = postgres_receipts.PostgresReceipts(
            secret, columns=roles, form=section.form, application_name=APPLICATION
        )
        counts = source.count(WINDOW, scope=scope, bucket_seconds=60, give_up_at=soon).counts
        source.problems(give_up_at=soon)
        source.privileges(give_up_at=soon)
        source.open_writers(give_up_at=soon)
        source.sample_times(5, give_up_at=soon)
        source.scope_contents(scope, event_column=columns["event"], give_up_at=soon)
        source.find_receipt("e", scope=scope, event_column=columns["event"], give_up_at=soon)
        source.estimate_count(WINDOW, scope=scope, bucket_seconds=60, give_up_at=soon)
        catalog = table_catalog.TableCatalog(secret, application_name=APPLICATION)
        catalog.describe_table(section.table, give_up_at=soon)
        catalog.sample(section.form, roles, give_up_at=soon)
    except errors.BurstError as exc:
        return None, str(exc)
    return counts, ""


def assert_quoted(asked: Asked, word: str, server: LoggingServer) -> None:
    """Every statement that names the word has it as one quoted name, and is one statement."""
    quoted = '"' + word.replace('"', '""') + '"'
    naming = [each for each in asked.logged if MARK in each.statement.lower()]
    assert naming
    assert all(quoted in each.statement for each in naming if "regclass" not in each.statement)
    assert_harmless(asked, server)


def assert_harmless(asked: Asked, server: LoggingServer) -> None:
    """Nothing of the hostile word is left beside the quoted names, and no statement is two, but for the script that
    begins a transaction."""
    for each in asked.logged:
        assert MARK not in each.bare.lower(), each
        assert "drop table" not in each.bare.lower(), each
        parts = each.bare.split(";")
        assert len(parts) == 1 or all(part.strip().startswith(BEGINS_A_TRANSACTION) for part in parts), each
    assert server.has_kept()


@pytest.mark.parametrize("word", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("place", ["table", "schema", "decision", "at", "scope", "event"])
def test_a_hostile_name_is_one_quoted_name_in_every_statement_that_the_server_logged(
    ask: Ask, logging_server: LoggingServer, place: str, word: str
) -> None:
    names = {"table": {"table": word}, "schema": {"table": f"{word}.plain"}}.get(place, {place: word})

    asked = ask(**names)

    assert asked.failure == ""
    assert asked.counts == receipts.Counts(admit=1)
    assert len(asked.logged) > 20
    assert_quoted(asked, word, logging_server)


@pytest.mark.parametrize("word", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("place", ["scope", "words"])
def test_a_hostile_value_is_a_parameter_in_every_statement_that_the_server_logged(
    ask: Ask, logging_server: LoggingServer, place: str, word: str
) -> None:
    # The scope is a value here and not the name of its column.
    asked = _ask_with_value(ask, place, word)

    assert asked.counts == receipts.Counts(admit=1)
    assert [each for each in asked.logged if MARK in each.statement.lower()] == []
    assert any(MARK in each.parameters.lower() for each in asked.logged)
    assert_harmless(asked, logging_server)


def _ask_with_value(ask: Ask, place: str, word: str) -> Asked:
    return ask(scope_value=word) if place == "scope" else ask(words=word)


@pytest.mark.parametrize("place", ["table", "schema", "decision", "at", "scope", "event"])
@pytest.mark.parametrize(
    "word",
    [MARK * 1250, MARK * 500, f"{MARK}\0", "", MARK + "\u00e9" * 28],
    ids=["10 kB", "4 kB", "NUL", "empty", "64 bytes"],
)
def test_a_name_that_postgres_cannot_hold_is_refused_and_never_sent(
    ask: Ask, logging_server: LoggingServer, place: str, word: str
) -> None:
    names = {"table": {"table": word}, "schema": {"table": f"{word}.plain"}}.get(place, {place: word})

    asked = ask(make=False, **names)

    assert re.search(r"cannot be a name in Postgres: use 1 to 63 bytes|the plan is refused", asked.failure)
    assert [each for each in asked.logged if MARK in each.statement.lower()] == []
    assert_harmless(asked, logging_server)


def test_a_scope_of_10_kilobytes_is_a_value(ask: Ask, logging_server: LoggingServer) -> None:
    long = ask(scope_value=MARK * 1250)

    assert long.counts == receipts.Counts(admit=1)
    assert_harmless(long, logging_server)
