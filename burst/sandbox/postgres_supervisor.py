"""The supervisor: a small process that owns one temporary Postgres and ends it when its parent ends, in whatever way.

Why a process of its own: a parent killed by SIGKILL runs no cleanup. The supervisor holds one end of a channel whose
other end only the parent has, so the parent's death is an end of file here. It has its own session, out of reach of a
Ctrl-C meant for the parent. Should the supervisor itself be killed, Linux sends the server SIGQUIT (PR_SET_PDEATHSIG).

Why a lock on the folder, not a pid in a file: each server has a fresh folder, and its supervisor holds a `flock` on it.
The kernel lets go of that lock when the process is gone, be it killed, a zombie, or in another pid namespace; a folder
that nobody locks is a leftover and is removed at the next start. No folder is ever used twice, so nothing is adopted.

Run by its path with `python -I`: it imports nothing but the standard library and starts in hundredths of a second. It
takes one JSON argument, reads single bytes from standard input (`STOP`, `START`), and answers each with a line of JSON.
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
# Each signal to the postmaster and how long it may take: fast shutdown, immediate shutdown, the end.
_STOP_LADDER = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))
_PR_SET_PDEATHSIG = 1


class SupervisedPostgres:
    """One data folder and the server on it, run as `user_id` when that is given (only root may give it)."""

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
        """Make the data folder; the password travels in a file, never on a command line."""
        for folder in (self._data, self.socket_folder):
            folder.mkdir(mode=0o700)
            self._give(folder)
        password_file = self._home / "password"
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(self.password + "\n")
        self._give(password_file)
        initdb = self._spawn(
            "initdb", "--no-sync", "--locale=C", "--encoding=UTF8", f"--username={USER}", "--auth=scram-sha-256",
            f"--pwfile={password_file}", "--pgdata", str(self._data),
        )  # fmt: skip
        code = initdb.wait()
        password_file.unlink()
        if code != 0:
            raise RuntimeError(f"initdb ended with code {code}: {self._log_tail()}")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        if self._process is not None and self._process.poll() is None:
            return
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._spawn(
            "postgres", "-D", str(self._data), "-k", str(self.socket_folder), "-p", str(PORT), *options
        )
        give_up = time.monotonic() + _START_SECONDS
        while not self._ready(self._process.pid):
            if self._process.poll() is not None:
                raise RuntimeError(f"postgres ended with code {self._process.returncode}: {self._log_tail()}")
            if time.monotonic() > give_up:
                raise RuntimeError(f"postgres was not ready after {_START_SECONDS:.0f} s: {self._log_tail()}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop the server, asking ever less politely; the data folder stays."""
        if self._process is None:
            return
        for number, patience_seconds in _STOP_LADDER:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_seconds)
                break
        self._process = None

    def reap(self) -> None:
        """Collect a server that ended by itself, so that it does not stay a zombie."""
        if self._process is not None:
            self._process.poll()

    def _ready(self, pid: int) -> bool:
        # Line 8 of postmaster.pid is the server's own word on its state; pg_ctl waits for the same one.
        # Line 1 is its pid: a server that was killed leaves its file behind, still saying "ready".
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
                cwd="/", env={"PATH": os.defpath, "LC_ALL": "C"}, start_new_session=True,
                user=self._user_id, group=self._group_id, extra_groups=None if self._user_id is None else [],
                preexec_fn=_dies_with(os.getpid()),
            )  # fmt: skip

    def _give(self, path: Path) -> None:
        if self._user_id is not None and self._group_id is not None:
            os.chown(path, self._user_id, self._group_id)

    def _log_tail(self) -> str:
        lines = (self._home / "log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:]) or "it printed nothing"


def _dies_with(supervisor_pid: int) -> Callable[[], None] | None:
    """What a child does before exec so that the kernel ends it with us; after setuid, which would clear the wish."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask_for_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != supervisor_pid:
            os._exit(1)

    return ask_for_signal


@contextlib.contextmanager
def make_home(temporary: Path) -> Iterator[Path]:
    """A new folder that is locked by this process before it has the name sweepers look for; removed at the end."""
    unborn = Path(tempfile.mkdtemp(prefix="." + PREFIX, dir=temporary))
    lock = os.open(unborn, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        home = unborn.rename(unborn.with_name(unborn.name.removeprefix(".")))
        home.chmod(0o711)  # the server's user passes through to its own folders and sees no more
        yield home
    finally:
        shutil.rmtree(unborn.with_name(unborn.name.removeprefix(".")), ignore_errors=True)
        os.close(lock)


def sweep_leftovers(temporary: Path) -> None:
    """Remove what dead supervisors of this user left behind; what is locked, or not ours, stays as it is."""
    for folder in temporary.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.geteuid():
                _sweep_one(folder)


def _sweep_one(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _end_leftover_server(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _end_leftover_server(data: Path) -> None:
    """End a server whose supervisor is gone. A pid proves nothing: its working folder must be this data folder."""
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
    import psutil  # only where there is no /proc

    try:
        return bool(psutil.Process(pid).cwd() == str(folder.resolve()))
    except psutil.Error:
        return False


def _answer(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _serve(server: SupervisedPostgres, parent_pid: int) -> None:
    """Obey the parent until it hangs up, or is gone while some forked child still holds its end of the pipe."""
    while os.getppid() == parent_pid:
        server.reap()
        readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
        if not readable:
            continue
        command = os.read(0, 1)
        if command == b"":
            return
        server.stop() if command == STOP else server.start()
        _answer(done=command.decode())


def _run(order: dict[str, Any]) -> None:
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
            _answer(socket_folder=str(server.socket_folder), password=server.password)
            _serve(server, order["parent_pid"])
        finally:
            server.stop()


def _leave(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the stop short
    sys.exit(128 + number)


def main() -> int:
    """Run one server for the order given as the only argument; 0 after a clean end, 1 when it could not serve."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    try:
        _run(json.loads(sys.argv[1]))
    except (OSError, RuntimeError, subprocess.SubprocessError) as failure:
        if not (isinstance(failure, OSError) and failure.errno == errno.EPIPE):
            _answer(error=f"{type(failure).__name__}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
