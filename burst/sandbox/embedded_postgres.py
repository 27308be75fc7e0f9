"""A real Postgres for one burst on one machine: it starts in about a second and ends with the process that started it.

`burst.sandbox.postgres_supervisor`, a small process, ties the server's life to its parent's. Run by root, the server
runs as `nobody`. It listens on a Unix socket only, with a password of its own.
"""

import contextlib
import importlib.resources
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import urllib.parse
from types import TracebackType

import psycopg
from psycopg import sql

from burst.domain.basics import errors
from burst.sandbox import postgres_programs, postgres_supervisor

DSN_VARIABLE = "BURST_SANDBOX_DSN"
READER = "burst_reader"
"""The role that `create_reader` makes."""

_STOP_SECONDS = 20.0
_READER_CONNECTIONS = 20
_SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "max_connections": "60",
    "max_prepared_transactions": "10",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on"}
_COUNTING = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer:
    """A Postgres in which databases can be created: the embedded one, or the one that `BURST_SANDBOX_DSN` names."""

    def __init__(self, dsn: str, supervisor: "_Supervisor | None") -> None:
        self.dsn = dsn
        self._supervisor = supervisor
        self._created: list[str] = []

    def create_database(self, name: str | None = None, template: str | None = None) -> str:
        """Creates a database as a copy of `template` and returns its DSN. Without a `name` it gets a random one."""
        name = name or f"burst_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + ("" if template else " ENCODING 'UTF8' LOCALE 'C'"))
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template or "template0")))
        self._created.append(name)
        return dsn_for_database(self.dsn, name)

    def create_reader(self, dsn: str) -> str:
        """The DSN of a role that only counts in a database whose tables stand, as `infra/reader_role.sql` makes one.

        On a server that is not ours no role is made: its own role then has read-only sessions.
        """
        if self._supervisor is None:
            return read_only_dsn(dsn)
        password = secrets.token_urlsafe(24)
        role = sql.Identifier(READER)
        statements = [
            sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {} PASSWORD {}").format(
                role, sql.Literal(_READER_CONNECTIONS), sql.Literal(password)
            ),
            *(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(name), sql.Literal(value))
                for name, value in _COUNTING.items()
            ),
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role),
            sql.SQL("GRANT pg_monitor TO {}").format(role),
        ]
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            for statement in statements:
                connection.execute(statement)
        parts = urllib.parse.urlsplit(dsn)
        return urllib.parse.urlunsplit(parts._replace(netloc=f"{READER}:{password}@"))

    def drop_database(self, name: str) -> None:
        """Drops a database and ends its connections. Does nothing if it does not exist."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        with contextlib.suppress(ValueError):
            self._created.remove(name)

    def stop_server(self) -> None:
        """Stops the server and keeps its data. Its connections break, and it refuses new ones until `start_server`."""
        self._require_supervisor("stopped").command(postgres_supervisor.STOP)

    def start_server(self) -> None:
        """Starts a stopped server again, on the same data and under the same DSN."""
        self._require_supervisor("started").command(postgres_supervisor.START)

    def stop(self) -> None:
        """Ends our own server and deletes its data. On a server that is not ours, drops the databases created here."""
        if self._supervisor is not None:
            self._supervisor.close()
            return
        for name in tuple(self._created):
            self.drop_database(name)

    def __enter__(self) -> "PostgresServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _require_supervisor(self, participle: str) -> "_Supervisor":
        if self._supervisor is None:
            raise errors.Refused(f"the server named by {DSN_VARIABLE} is not ours and cannot be {participle} by burst")
        return self._supervisor

    def _execute(self, statement: sql.Composed) -> None:
        try:
            with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
                connection.execute(statement)
        except psycopg.Error as failure:
            raise errors.Unavailable(
                f"the sandbox Postgres did not carry out a statement: {describe_failure(failure)}"
            ) from None


class _Supervisor:
    """Our end of the channel to the supervising process. It sends single bytes and reads lines of JSON.

    Closing the channel ends the process.
    """

    def __init__(self, order: dict[str, object]) -> None:
        self._lock = threading.Lock()
        self._channel, supervisor_end = socket.socketpair()
        self._answers = self._channel.makefile("rb")
        with supervisor_end:
            self._process = subprocess.Popen(
                [sys.executable, "-I", postgres_supervisor.__file__, json.dumps(order)],
                stdin=supervisor_end.fileno(), stdout=supervisor_end.fileno(), stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def read_answer(self) -> dict[str, str]:
        """The supervisor's next answer. Raises `Unavailable` if it is an error or the supervisor ended."""
        line = self._answers.readline()
        if not line:
            raise errors.Unavailable(f"the sandbox's supervisor ended by itself with code {self._process.wait()}")
        answer: dict[str, str] = json.loads(line)
        if "error" in answer:
            raise errors.Unavailable(f"the sandbox Postgres does not run: {answer['error']}")
        return answer

    def command(self, byte: bytes) -> None:
        """Sends a command and returns once it is done."""
        with self._lock:
            try:
                self._channel.sendall(byte)
                self.read_answer()
            except OSError as failure:
                raise errors.Unavailable("the sandbox Postgres is gone: its supervisor no longer listens") from failure

    def close(self) -> None:
        """Closes the channel and waits until the process has ended. A second call does nothing."""
        self._answers.close()
        self._channel.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(*, durable: bool = True) -> PostgresServer:
    """Starts a server, or uses the one that `BURST_SANDBOX_DSN` names. Use it in a `with`, or call `stop()`.

    `durable=False` is faster, but a power cut can lose committed rows: for tests only.
    Raises `UsageError` if no Postgres is found, and `Unavailable` if the server does not start.
    """
    own_dsn = os.environ.get(DSN_VARIABLE)
    if own_dsn:
        _check_dsn(own_dsn)
        return PostgresServer(own_dsn, None)
    account = postgres_programs.choose_account()
    temporary = postgres_programs.choose_temporary_folder(account)
    programs = postgres_programs.make_reachable(postgres_programs.find_programs(), account, temporary)
    supervisor = _Supervisor(
        {
            "parent_pid": os.getpid(),
            "temporary": str(temporary),
            "binaries": str(programs.path),
            "settings": _SETTINGS | (_DURABLE if durable else _NOT_DURABLE),
            "user_id": account.user_id if account else None,
            "group_id": account.group_id if account else None,
        }
    )
    return PostgresServer(_wait_for_dsn(supervisor), supervisor)


def apply_schema(dsn: str) -> None:
    """Creates the ingestion platform's tables (`schema.sql`) in a database. Existing tables stay."""
    script = importlib.resources.files("burst.sandbox").joinpath("schema.sql").read_text(encoding="utf-8")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script.encode())


def read_only_dsn(dsn: str) -> str:
    """The same database with sessions as a role that only counts has them: read-only, and within limits."""
    options = urllib.parse.quote(" ".join(f"-c {name}={value}" for name, value in _COUNTING.items()))
    return f"{dsn}{'&' if '?' in dsn else '?'}options={options}"


def describe_failure(failure: psycopg.Error) -> str:
    """The failure's message if it comes from the server or the connection, else only its kind.

    So the description holds no part of a DSN.
    """
    text = str(failure)
    return text if failure.sqlstate or "connection to server" in text else type(failure).__name__


def dsn_for_database(dsn: str, database: str) -> str:
    """The same server and login, with another database."""
    return urllib.parse.urlunsplit(urllib.parse.urlsplit(dsn)._replace(path="/" + urllib.parse.quote(database)))


def _wait_for_dsn(supervisor: _Supervisor) -> str:
    try:
        answer = supervisor.read_answer()
    except BaseException:
        supervisor.close()
        raise
    login = f"{postgres_supervisor.USER}:{answer['password']}"
    address = urllib.parse.urlencode({"host": answer["socket_folder"], "port": postgres_supervisor.PORT}, safe="/")
    return f"postgresql://{login}@/postgres?{address}"


def _check_dsn(dsn: str) -> None:
    if not dsn.startswith("postgresql://"):
        raise errors.UsageError(
            f"{DSN_VARIABLE} must be a URL, postgresql://USER:PASSWORD@HOST:PORT/DATABASE; what it holds is not shown"
        )
