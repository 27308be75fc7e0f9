"""The supervisor: a small process that owns one temporary Postgres and ends it when its parent ends, however that ends.

Why a process of its own: a parent killed by SIGKILL runs no cleanup. The supervisor holds one end of a channel whose
other end only the parent has, so the parent's death is an end of file here. It has its own session, so a Ctrl-C meant
for the parent does not reach it. If the supervisor itself is killed, Linux sends the server SIGQUIT (PR_SET_PDEATHSIG).

Why a lock on the folder, not a pid in a file: each server has a new folder, and its supervisor holds a `flock` on it.
The kernel releases that lock when the process ends, even if it was killed, is a zombie, or ran in another pid
namespace. A folder without a lock is a leftover, and the next start removes it. No folder is ever used twice.

It is run by its path with `python -I`. It imports the standard library only (and psutil where there is no /proc), so it
starts in hundredths of a second. It takes one JSON argument, reads single bytes from standard input (`STOP`, `START`)
and answers each with a line of JSON.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PREFIX = "burst-pg-"
USER = "burst"
PORT = 5432
STOP = b"0"
START = b"1"

_START_SECONDS = 60.0
_PARENT_POLL_SECONDS = 1.0
# The signals to the postmaster, each with the time it may take: fast shutdown, immediate shutdown, kill.
_STOP_LADDER = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))
_PR_SET_PDEATHSIG = 1


def _find_locales() -> dict[str, str]:
    """Where the C library looks for locales, if this process was told; a database may have another than the server."""
    return {name: os.environ[name] for name in ("LOCPATH",) if name in os.environ}


class SupervisedPostgres:
    """One data folder and the server on it. It runs as `user_id` if that is given, which only root may do."""

    def __init__(
        self, *, home: Path, binaries: Path, settings: dict[str, str], user_id: int | None, group_id: int | None
    ) -> None:
        self.password = secrets.token_urlsafe(24)
        self.socket_folder = home / "s"
        self._home = home
        self._data = home / "data"
        self._binaries = binaries
        self._settings = settings
        self._user_id = user_id
        self._group_id = group_id
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Creates the data folder. initdb gets the password in a file, so that it is on no command line."""
        for folder in (self._data, self.socket_folder):
            folder.mkdir(mode=0o700)
            self._give_to_server(folder)
        password_file = self._home / "password"
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(self.password + "\n")
        self._give_to_server(password_file)
        initdb = self._spawn(
            "initdb", "--no-sync", "--locale=C", "--encoding=UTF8", f"--username={USER}", "--auth=scram-sha-256",
            f"--pwfile={password_file}", "--pgdata", str(self._data),
        )  # fmt: skip
        code = initdb.wait()
        password_file.unlink()
        if code != 0:
            raise RuntimeError(f"initdb ended with code {code}: {self._log_tail()}")
        self._write_settings()

    def _write_settings(self) -> None:
        """Puts the settings into the server's own file: on the command line they would outrank ALTER SYSTEM."""
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        with open(self._data / "postgresql.conf", "a") as file:
            file.writelines(lines)

    def start(self) -> None:
        """Starts the server and waits until it accepts connections."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = self._spawn("postgres", "-D", str(self._data), "-k", str(self.socket_folder), "-p", str(PORT))
        give_up = time.monotonic() + _START_SECONDS
        while not self._is_ready(self._process.pid):
            if self._process.poll() is not None:
                raise RuntimeError(f"postgres ended with code {self._process.returncode}: {self._log_tail()}")
            if time.monotonic() > give_up:
                raise RuntimeError(f"postgres was not ready after {_START_SECONDS:.0f} s: {self._log_tail()}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stops the server, with an ever stronger signal. Its data folder stays."""
        if self._process is None:
            return
        for number, patience_seconds in _STOP_LADDER:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_seconds)
                break
        self._process = None

    def reap(self) -> None:
        """Waits for a server that ended by itself, so that it does not stay a zombie."""
        if self._process is not None:
            self._process.poll()

    def _is_ready(self, pid: int) -> bool:
        # Line 8 of postmaster.pid is the server's state, which pg_ctl also waits for.
        # Line 1 is its pid. A killed server leaves its file behind, with the state "ready".
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self._home / "log", "ab") as log:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", env={"PATH": os.defpath, "LC_ALL": "C", **_find_locales()}, start_new_session=True,
                user=self._user_id, group=self._group_id, extra_groups=None if self._user_id is None else [],
                preexec_fn=_make_parent_watch(os.getpid()),
            )  # fmt: skip

    def _give_to_server(self, path: Path) -> None:
        if self._user_id is not None and self._group_id is not None:
            os.chown(path, self._user_id, self._group_id)

    def _log_tail(self) -> str:
        lines = (self._home / "log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:]) or "it printed nothing"


def _make_parent_watch(supervisor_pid: int) -> Callable[[], None] | None:
    """A function that a child calls before exec, so that the kernel ends the child when the supervisor dies.

    The child calls it after setuid, because setuid clears PR_SET_PDEATHSIG.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def watch_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != supervisor_pid:
            os._exit(1)

    return watch_parent


@contextlib.contextmanager
def make_home(temporary: Path) -> Iterator[Path]:
    """A new folder, which is removed at the end.

    This process locks it under a hidden name first, so that `sweep_leftovers` elsewhere never sees it unlocked.
    """
    hidden = Path(tempfile.mkdtemp(prefix="." + PREFIX, dir=temporary))
    home = hidden.with_name(hidden.name.removeprefix("."))
    lock = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        hidden.rename(home)
        home.chmod(0o711)  # the server's user may enter its own folders in it, but not list it
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)


def sweep_leftovers(temporary: Path) -> None:
    """Removes the folders of this user's dead supervisors. Locked folders and those of other users stay."""
    for folder in temporary.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.geteuid():
                _remove_leftover(folder)


def _remove_leftover(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _end_leftover_server(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _end_leftover_server(data: Path) -> None:
    """Ends a server without supervisor. The pid may belong to another process, unless that works in `data`."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return
    for number, patience_seconds in _STOP_LADDER[1:]:
        give_up = time.monotonic() + patience_seconds
        if _works_in(pid, data):
            os.kill(pid, number)
        while _works_in(pid, data) and time.monotonic() < give_up:
            time.sleep(0.01)


def _works_in(pid: int, folder: Path) -> bool:
    if sys.platform.startswith("linux"):
        try:
            return os.readlink(f"/proc/{pid}/cwd") == str(folder.resolve())
        except OSError:
            return False
    import psutil  # imported only without /proc

    try:
        return bool(psutil.Process(pid).cwd() == str(folder.resolve()))
    except psutil.Error:
        return False


def _write_answer(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _serve(server: SupervisedPostgres, parent_pid: int) -> None:
    """Carries out the parent's commands until it hangs up, or dies while its forked child keeps the channel open."""
    while os.getppid() == parent_pid:
        server.reap()
        readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
        if not readable:
            continue
        command = os.read(0, 1)
        if command == b"":
            return
        server.stop() if command == STOP else server.start()
        _write_answer(done=command.decode())


def _run_server(order: dict[str, Any]) -> None:
    temporary = Path(order["temporary"])
    sweep_leftovers(temporary)
    with make_home(temporary) as home:
        server = SupervisedPostgres(
            home=home,
            binaries=Path(order["binaries"]),
            settings=order["settings"],
            user_id=order["user_id"],
            group_id=order["group_id"],
        )
        try:
            server.create()
            server.start()
            _write_answer(socket_folder=str(server.socket_folder), password=server.password)
            _serve(server, order["parent_pid"])
        finally:
            server.stop()


def _exit_on_signal(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the stop
    sys.exit(128 + number)


def main() -> int:
    """Runs one server for the order in the only argument. Returns 0 after a clean end, 1 if the server failed."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    try:
        _run_server(json.loads(sys.argv[1]))
    except (OSError, RuntimeError, subprocess.SubprocessError) as failure:
        if not (isinstance(failure, OSError) and failure.errno == errno.EPIPE):
            _write_answer(error=f"{type(failure).__name__}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
