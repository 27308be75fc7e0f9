"""The sandbox's Postgres: it serves, keeps its password secret, and ends with its parent, however that ends."""

import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from burst.domain.basics import errors
from burst.sandbox import embedded_postgres, postgres_programs, postgres_supervisor
from tests import waiting

ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[2]), sysconfig.get_paths()["purelib"])),
}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux's")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldServer:
    """A server that another process holds, and all processes under that one."""

    parent: subprocess.Popen[str]
    family: tuple[psutil.Process, ...]
    dsn: str

    @property
    def supervisor(self) -> psutil.Process:
        (child,) = psutil.Process(self.parent.pid).children()
        return child


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary folder of this test's own with a short path. Every user may enter it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="t")).resolve()
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def in_temporary(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, in which this process then makes its temporary folders."""
    monkeypatch.delenv(embedded_postgres.DSN_VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


@pytest.fixture
def hold(temporary: Path) -> Iterator[Callable[..., HeldServer]]:
    """Starts processes that hold a server in `temporary`, and kills them after the test."""
    servers: list[HeldServer] = []

    def start(*, python: str = sys.executable, user: int | None = None) -> HeldServer:
        servers.append(_hold(temporary, python=python, user=user))
        return servers[-1]

    yield start
    for server in servers:
        server.parent.kill()
        server.parent.communicate()
    family = tuple(process for server in servers for process in server.family)
    waiting.until(lambda: not _find_living(family), what="the held servers' processes to end")


def _hold(temporary: Path, *, python: str = sys.executable, user: int | None = None) -> HeldServer:
    parent = subprocess.Popen(
        [python, "-m", "tests.sandbox.hold_server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT | {"TMPDIR": str(temporary)}, cwd="/",
        user=user, group=user, extra_groups=None if user is None else [],
    )  # fmt: skip
    assert parent.stdout is not None
    dsn = parent.stdout.readline().strip()
    return HeldServer(parent=parent, family=tuple(psutil.Process(parent.pid).children(recursive=True)), dsn=dsn)


def _find_living(family: tuple[psutil.Process, ...]) -> list[psutil.Process]:
    """The processes that still run. Zombies do not count."""
    living = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def _read_from_each(family: tuple[psutil.Process, ...], read: Callable[[psutil.Process], str]) -> list[str]:
    """The text read from each process, without those that have ended, such as a server's short-lived workers."""
    texts = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            texts.append(read(process))
    return texts


def _homes(temporary: Path) -> list[Path]:
    return sorted(temporary.glob(postgres_supervisor.PREFIX + "*"))


def _list_leftovers(temporary: Path) -> list[Path]:
    """The files that a server left behind, without the copy of the programs, which is meant to stay."""
    return [path for path in temporary.iterdir() if not path.name.startswith("burst-pgbin-")]


def _python_for(user: int) -> str | None:
    """A Python that this user may run and that can import burst: ours, or the system's if it has our version."""
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-c", "import psycopg, burst.sandbox.embedded_postgres"],
                user=user, group=user, extra_groups=[], check=True, capture_output=True, env=ENVIRONMENT, cwd="/",
            )  # fmt: skip
            return python
    return None


def test_a_database_made_from_nothing_has_the_tables_of_the_platform(database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        columns = connection.execute(
            "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position)"
            " FROM information_schema.columns WHERE table_name = 'receipts'"
        ).fetchone()
        indexes = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'receipts' ORDER BY 1"
        ).fetchall()

    assert columns is not None
    assert columns[0].split(", ") == [
        *("receipt_id text", "platform_run_id text", "event_id text", "event_type text", "dedupe_key text"),
        *("decision text", "eb_topic text", "eb_partition integer", "eb_offset text", "eb_offset_kind text"),
        *("policy_id text", "policy_revision text", "policy_digest text", "created_at_utc text", "receipt_ref text"),
        *("pins_json text", "reason_codes_json text", "evidence_refs_json text"),
    ]
    assert [definition.split("USING ")[1] for (definition,) in indexes] == [
        "btree (receipt_id)",
        "btree (platform_run_id, receipt_id)",
    ]


def test_a_database_of_one_test_holds_nothing_of_another(
    postgres_server: embedded_postgres.PostgresServer, database_dsn: str
) -> None:
    second_dsn = postgres_server.create_database()
    embedded_postgres.apply_schema(second_dsn)
    with psycopg.connect(second_dsn) as connection:
        connection.execute("INSERT INTO receipts (receipt_id) VALUES ('r')")

    with psycopg.connect(database_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM receipts").fetchone() == (0,)


def test_a_server_is_up_in_a_few_seconds_and_leaves_nothing(in_temporary: Path) -> None:
    began = time.monotonic()
    with embedded_postgres.start() as server, psycopg.connect(server.dsn) as connection:
        seconds = time.monotonic() - began
        settings = connection.execute(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit'),"
            " current_setting('listen_addresses'),"
            " (SELECT datcollate FROM pg_database WHERE datname = 'postgres'), current_setting('server_encoding')"
        ).fetchone()

    assert seconds < 10 + 3 * waiting.scheduling_seconds()  # about 0.8 on a quiet machine
    assert settings == ("on", "on", "", "C", "UTF8")
    assert _list_leftovers(in_temporary) == []


def test_a_stopped_server_comes_back_under_the_same_dsn_with_its_rows(in_temporary: Path) -> None:
    with embedded_postgres.start(durable=False) as server:
        dsn = server.create_database()
        embedded_postgres.apply_schema(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute("INSERT INTO receipts (receipt_id) VALUES ('kept')")
        server.stop_server()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
        server.start_server()

        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT receipt_id FROM receipts").fetchall() == [("kept",)]


def test_two_servers_at_once_do_not_disturb_each_other(in_temporary: Path) -> None:
    with embedded_postgres.start(durable=False) as first:
        with embedded_postgres.start(durable=False) as second:
            assert second.dsn != first.dsn
        with psycopg.connect(first.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_wrong_password_is_refused(in_temporary: Path) -> None:
    with embedded_postgres.start(durable=False) as server:
        password = server.dsn.split(":")[2].split("@")[0]

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn.replace(password, "guess"))


def test_the_password_is_on_no_command_line_and_in_no_environment(hold: Callable[..., HeldServer]) -> None:
    held = hold()
    password = held.dsn.split(":")[2].split("@")[0]

    texts = _read_from_each(held.family, lambda process: " ".join(process.cmdline()) + str(process.environ()))

    assert len(texts) > 2
    assert not any(password in text for text in texts)


@as_root
def test_under_root_the_server_runs_as_nobody(hold: Callable[..., HeldServer]) -> None:
    held = hold()

    supervisor = held.supervisor
    users = _read_from_each(
        held.family, lambda process: process.username() if process != supervisor else "the supervisor"
    )

    assert set(users) == {"nobody", "the supervisor"}


@as_root
def test_a_user_who_is_not_root_gets_a_server_of_their_own(hold: Callable[..., HeldServer], temporary: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    python = _python_for(nobody)
    if python is None:
        pytest.skip("nobody can run neither this Python nor the system's, or cannot reach this folder")
    held = hold(python=python, user=nobody)

    assert held.dsn.startswith("postgresql://")
    assert set(_read_from_each(held.family, psutil.Process.username)) == {"nobody"}
    assert [home.stat().st_uid for home in _homes(temporary)] == [nobody]

    held.parent.kill()

    waiting.until(lambda: not _homes(temporary), what="the folder to go")


@as_root
def test_programs_that_nobody_cannot_reach_are_copied_once(
    tmp_path: Path, in_temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = postgres_programs.find_programs().root
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(original / name)
    monkeypatch.syspath_prepend(closed)

    with embedded_postgres.start(durable=False) as server, psycopg.connect(server.dsn) as connection:
        ran_from = connection.execute("SELECT setting FROM pg_config() WHERE name = 'BINDIR'").fetchone()
    copies = list(in_temporary.glob("burst-pgbin-*"))
    made_at = copies[0].stat().st_ctime_ns
    embedded_postgres.start(durable=False).stop()

    assert ran_from == (str(copies[0] / "embedded_postgres/pginstall/bin"),)
    assert [copy.stat().st_ctime_ns for copy in in_temporary.iterdir()] == [made_at]


@as_root
def test_a_copy_of_the_programs_that_somebody_else_owns_is_refused(
    tmp_path: Path, in_temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = postgres_programs.find_programs().root
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (tmp_path / name).symlink_to(original / name)
    monkeypatch.syspath_prepend(tmp_path)
    embedded_postgres.start(durable=False).stop()
    (copy,) = in_temporary.glob("burst-pgbin-*")
    os.chown(copy, pwd.getpwnam("nobody").pw_uid, -1)

    with pytest.raises(errors.Refused, match="refusing to run programs from it"):
        embedded_postgres.start(durable=False)


def test_a_parent_killed_by_sigkill_leaves_no_process_and_no_folder(
    hold: Callable[..., HeldServer], temporary: Path
) -> None:
    held = hold()
    assert len(held.family) > 2
    assert len(_homes(temporary)) == 1

    held.parent.kill()

    waiting.until(lambda: not _find_living(held.family), what="supervisor and server to end")
    assert _homes(temporary) == []


@on_linux
def test_parent_and_supervisor_killed_at_once_leave_no_process(
    hold: Callable[..., HeldServer], in_temporary: Path
) -> None:
    held = hold()
    supervisor = held.supervisor

    held.parent.kill()
    supervisor.kill()

    waiting.until(lambda: not _find_living(held.family), what="the server to end without its supervisor")
    (leftover,) = _homes(in_temporary)
    with embedded_postgres.start(durable=False):
        assert leftover not in _homes(in_temporary)
        assert len(_homes(in_temporary)) == 1


def test_a_supervisor_that_gets_term_stops_its_server_first(hold: Callable[..., HeldServer], temporary: Path) -> None:
    held = hold()

    held.supervisor.terminate()

    waiting.until(lambda: not _find_living(held.family), what="the server to end")
    assert _homes(temporary) == []


def test_a_leftover_folder_is_swept_and_a_locked_folder_is_not(temporary: Path) -> None:
    for name in ("leftover", "locked"):
        (temporary / (postgres_supervisor.PREFIX + name) / "data").mkdir(parents=True)
    lock = os.open(temporary / (postgres_supervisor.PREFIX + "locked"), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)

    postgres_supervisor.sweep_leftovers(temporary)

    assert [home.name for home in _homes(temporary)] == [postgres_supervisor.PREFIX + "locked"]
    os.close(lock)


@as_root
def test_a_leftover_folder_of_another_user_is_left_alone(temporary: Path) -> None:
    home = temporary / (postgres_supervisor.PREFIX + "theirs")
    home.mkdir()
    os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)

    postgres_supervisor.sweep_leftovers(temporary)

    assert home.is_dir()


@pytest.mark.parametrize("works_in_the_folder", [True, False], ids=["in the folder", "elsewhere"])
def test_only_a_server_that_works_in_the_leftover_folder_is_ended(temporary: Path, works_in_the_folder: bool) -> None:
    data = temporary / (postgres_supervisor.PREFIX + "leftover") / "data"
    data.mkdir(parents=True)
    process = subprocess.Popen(["sleep", "60"], cwd=data if works_in_the_folder else "/")
    (data / "postmaster.pid").write_text(f"{process.pid}\n{data}\n")

    postgres_supervisor.sweep_leftovers(temporary)

    ended = waiting.until(lambda: process.poll() is not None or not works_in_the_folder, what="the sweep's verdict")
    assert ended
    assert (process.poll() is not None) == works_in_the_folder
    assert _homes(temporary) == []
    process.kill()
    process.wait()


def test_a_server_named_by_the_environment_is_used_and_left_as_it_was(
    postgres_server: embedded_postgres.PostgresServer, in_temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(embedded_postgres.DSN_VARIABLE, postgres_server.dsn)
    with embedded_postgres.start() as server:
        dsn = server.create_database("named_here")
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("named_here",)
        with pytest.raises(errors.Refused, match="not ours"):
            server.stop_server()

    assert list(in_temporary.iterdir()) == []
    with psycopg.connect(postgres_server.dsn) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = 'named_here'").fetchone() is None


def test_a_dsn_that_is_no_url_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedded_postgres.DSN_VARIABLE, "host=db password=hunter2")

    with pytest.raises(errors.UsageError, match="must be a URL") as refusal:
        embedded_postgres.start()

    assert "hunter2" not in str(refusal.value)


def test_without_any_postgres_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_programs, "_list_candidates", lambda: iter(()))

    with pytest.raises(errors.UsageError, match=r"pip install 'burst\[sandbox\]'"):
        postgres_programs.find_programs()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    in_temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(embedded_postgres._SETTINGS, "shared_buffers", "no such size")

    with pytest.raises(errors.Unavailable, match="no such size"):
        embedded_postgres.start()

    assert _list_leftovers(in_temporary) == []
