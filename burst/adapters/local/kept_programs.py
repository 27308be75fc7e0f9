"""Programs of this machine that outlive a killed burst, each kept under a name, so that none runs beside its copy.

Each has a keeper (`program_keeper`), which holds the lock of the file `NAME.launch` while it lives, and writes
`NAME.end` when the program ended; `NAME.out` and `NAME.err` are what the program wrote. The kernel frees the lock with
its holder, so no pid has to be trusted, and at no instant does a program run that nobody could find.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from burst import ports
from burst.domain.basics import errors
from burst.kit import files, own_programs, process_tree

FOLDER = "programs"
LARGEST_OUTPUT = 8 << 20
CUT_SECONDS = 10.0
"""How long a keeper may take to end its program, before both are killed."""
_KEEPER = "burst.adapters.local.program_keeper"
_POLL_SECONDS = 0.1
_COMPLAINT_BYTES = 2000
_ENDINGS = ("launch", "out", "err", "end")


class LocalKeptPrograms:
    """`ports.KeptPrograms` of this machine, in a folder of a course. A program gets the environment of this process and
    no input."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute() / FOLDER

    def run(self, name: str, argv: Sequence[str], *, seconds_max: float) -> ports.ProgramAnswer:
        """Runs a program to its end; see `ports.KeptPrograms`."""
        self._make_folder()
        with self._lock(name) as lock:
            end = self._read_end(name)
            if end is None:
                self._refuse_survivors(name, lock)
                self._keep(name, lock, argv, seconds_max)
                end = self._read_end(name)
        if end is None:
            raise errors.Unavailable(f"{argv[0]} was cut: its keeper was killed; how far it came is not known")
        if "refused" in end:
            raise errors.Refused(str(end["refused"]))
        complaint = self._path(name, "err").read_bytes()[-_COMPLAINT_BYTES:].decode("utf-8", "replace")
        output = self._path(name, "out").read_bytes()
        return ports.ProgramAnswer(exit_code=int(end["exit_code"]), output=output, complaint=complaint)

    def await_earlier(self, say: Callable[[str], None]) -> None:
        """Waits until no program runs that an earlier process began; see `ports.KeptPrograms`."""
        for name in self.list_names():
            with self._lock(name, say) as lock:
                if self._read_end(name) is None:
                    self._refuse_survivors(name, lock)

    def list_names(self) -> Sequence[str]:
        """The programs that were started and are not forgotten."""
        return sorted(path.name.removesuffix(".launch") for path in self._folder.glob("*.launch"))

    def forget(self, name: str) -> None:
        """Removes what was kept of a program whose end is known elsewhere."""
        for ending in _ENDINGS:
            self._path(name, ending).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another program is kept there
            self._folder.rmdir()

    def _keep(self, name: str, lock: int, argv: Sequence[str], seconds_max: float) -> None:
        """Starts the keeper of a program, and waits until it has ended."""
        os.ftruncate(lock, 0)
        words = [*own_programs.start_words(_KEEPER), "--seconds", repr(seconds_max), "--lock", str(lock)]
        words += ["--output-max", str(LARGEST_OUTPUT), "--end", str(self._path(name, "end")), "--", *argv]
        with self._create(name, "out") as output, self._create(name, "err") as complaint:
            try:
                keeper = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=output, stderr=complaint, start_new_session=True,
                    pass_fds=(lock,),
                )  # fmt: skip
            except (OSError, ValueError) as exc:
                raise errors.Refused(f"{argv[0]} cannot be started: {exc}") from exc
        try:
            keeper.wait()
        except BaseException:
            _cut(keeper)
            raise

    def _refuse_survivors(self, name: str, lock: int) -> None:
        """Raises where a program lost its keeper, and processes of its session live."""
        survivors = _list_survivors(_read_launch(lock))
        if survivors:
            pids = ", ".join(str(process.pid) for process in survivors)
            raise errors.Unavailable(
                f"{name}: an earlier burst started {_read_launch(lock)['program']}, which was cut, and left processes "
                f"that still run: {pids}; wait for their end, or end them, then give the command again"
            )

    @contextlib.contextmanager
    def _lock(self, name: str, say: Callable[[str], None] | None = None) -> Iterator[int]:
        """The descriptor of the launch file, locked. Where a keeper holds the lock, it is waited for with `say`."""
        path = self._path(name, "launch")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not _take(descriptor, path):
                if say is None:
                    raise errors.Unavailable(f"{name}: {_describe_running(_read_launch(descriptor))}")
                say(f"{name}: {_describe_running(_read_launch(descriptor))}; waiting for its end")
                while not _take(descriptor, path):
                    time.sleep(_POLL_SECONDS)
            yield descriptor
        finally:
            os.close(descriptor)

    def _read_end(self, name: str) -> Mapping[str, Any] | None:
        """How the program ended; None where no keeper said so. Raises `errors.EvidenceCorrupt`."""
        path = self._path(name, "end")
        content = files.read(path)
        if content is None:
            return None
        try:
            fields = json.loads(content)
            if set(fields) not in ({"refused"}, {"exit_code"}):
                raise ValueError(f"its fields are {', '.join(fields)}")
        except (ValueError, TypeError) as exc:
            raise errors.EvidenceCorrupt(f"{path} is not what the keeper of a program writes: {exc}") from exc
        return dict(fields)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise errors.Unavailable(f"{self._folder} cannot be made: {exc.strerror}; nothing was started") from exc

    def _create(self, name: str, ending: str) -> Any:
        """A new file for what a program writes, in place of that of a copy that was cut; none but this user reads it,
        it may hold a secret."""
        path = self._path(name, ending)
        path.unlink(missing_ok=True)
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}.{ending}"


def _cut(keeper: "subprocess.Popen[bytes]") -> None:
    """Ends a keeper with its program, which leaves no end behind."""
    keeper.terminate()
    try:
        keeper.wait(CUT_SECONDS)
    except subprocess.TimeoutExpired:
        process_tree.kill_group(keeper.pid)
        keeper.wait()


def _take(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        raise errors.Unavailable(
            f"{path} cannot be locked: {exc.strerror}; let the folder be on a file system with locks"
        ) from exc
    return True


def _read_launch(lock: int) -> dict[str, Any]:
    """What the keeper wrote first; empty where it has not come to it, and so has started no program."""
    try:
        fields = json.loads(os.pread(lock, files.LARGEST_BYTES, 0))
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _describe_running(launch: Mapping[str, Any]) -> str:
    if not launch:
        return "a program that an earlier burst started still runs"
    return (
        f"{launch['program']}, which an earlier burst started, still runs, until {launch['ends_by']} at the latest "
        f"(`kill {launch['pid']}` ends it)"
    )


def _list_survivors(launch: Mapping[str, Any]) -> list[psutil.Process]:
    """The living processes in the session of a keeper that is gone. A daemon has a session of its own."""
    if not launch or launch["boot"] != own_programs.read_boot_id():
        return []
    survivors = []
    for process in process_tree.list_processes():
        with contextlib.suppress(OSError):  # it has ended
            if os.getsid(process.pid) == launch["pid"]:
                survivors.append(process)
    taken = [process for process in survivors if process.pid == launch["pid"]]
    return [] if taken else survivors  # the pid is another's now, and its session too
