"""The standing sandbox: a Postgres and a gateway that stay up on this machine until they are told to end.

Its keeper (`sandbox_keeper`) is a process in a session of its own, so it survives the terminal and the command that
started it. No process is ever ended but that keeper, and it is known by pid and start time.
"""

import os
import signal
import socket
import time

import psutil

from burst.domain.basics import errors
from burst.kit import own_programs, process_tree
from burst.sandbox import embedded_postgres, sandbox_folders

DEFAULT_PORT = 8080
"""The port of `load.host` in the plans that `burst init` writes."""
_START_SECONDS = 120.0
_STOP_SECONDS = 45.0
_POLL_SECONDS = 0.02


def raise_up(folder: sandbox_folders.SandboxFolder, port: int | None) -> tuple[sandbox_folders.SandboxState, bool]:
    """The sandbox, and whether this call started it: one that is up stays as it is.

    Raises `errors.UsageError` where it is up on another port than the one asked for, or the port is taken, and
    `errors.Unavailable` where it does not start. Nothing is left of one that did not start.
    """
    with folder.hold_lock() as lock:
        keeper = folder.find_keeper()
        if keeper is not None:
            return _wait_until_up(folder, keeper), False
        folder.clear()
        _require_free(port or DEFAULT_PORT)
        keeper = psutil.Process(_spawn_keeper(folder, port or DEFAULT_PORT, lock))
        try:
            return _wait_until_up(folder, keeper), True
        except BaseException:
            _end(keeper)
            folder.remove()
            raise


def refuse_another_port(state: sandbox_folders.SandboxState, port: int | None) -> None:
    """Raises `errors.UsageError` where the sandbox listens on another port than the one asked for."""
    if port is not None and not state.url.endswith(f":{port}"):
        raise errors.UsageError(f"a sandbox is up at {state.url}; end it first, with: burst sandbox down")


def find_standing(folder: sandbox_folders.SandboxFolder) -> sandbox_folders.SandboxState | None:
    """The sandbox that is up; None where none is, or one that is not up yet."""
    return folder.read_standing() if folder.find_keeper() is not None else None


def take_down(folder: sandbox_folders.SandboxFolder) -> bool:
    """Ends the sandbox and removes its folder with every secret; whether one was up. It ends with its data.

    Raises `errors.StillRunning` where the keeper is still there after KILL.
    """
    if not folder.path.exists():
        return False
    with folder.hold_lock():
        keeper = folder.find_keeper()
        if keeper is not None:
            _end(keeper)
        folder.remove()
    return keeper is not None


def _spawn_keeper(folder: sandbox_folders.SandboxFolder, port: int, lock: int) -> int:
    """Starts the keeper in a session of its own; `subprocess` would tie it to this process. Returns its pid."""
    os.set_inheritable(lock, True)  # until the keeper can be found, it holds the lock itself
    words = [*own_programs.start_words("burst.sandbox.sandbox_keeper"), str(folder.path), str(port), str(lock)]
    return os.posix_spawn(
        words[0],
        words,
        {name: value for name, value in os.environ.items() if name != embedded_postgres.DSN_VARIABLE},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder.log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD),
    )


def _wait_until_up(folder: sandbox_folders.SandboxFolder, keeper: psutil.Process) -> sandbox_folders.SandboxState:
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        state = folder.read_standing()
        if state is not None:
            return state
        if not process_tree.is_living(keeper):
            raise errors.Unavailable(f"the sandbox did not start: {folder.log_tail()}")
        if time.monotonic() > give_up_at:
            raise errors.Unavailable(f"the sandbox was not up after {_START_SECONDS:.0f} s: {folder.log_tail()}")
        time.sleep(_POLL_SECONDS)


def _end(keeper: psutil.Process) -> None:
    """Ends the keeper: TERM, and KILL where that does not do; gateway and database then end by themselves."""
    descendants = process_tree.with_descendants([keeper], process_tree.list_processes())
    process_tree.terminate([keeper])
    if not _wait_until_gone(descendants):
        process_tree.send_signal(keeper, signal.SIGKILL)
        if not _wait_until_gone(descendants):
            living = ", ".join(str(process.pid) for process in descendants if process_tree.is_living(process))
            raise errors.StillRunning(f"the sandbox's processes {living} did not end; end them by hand")


def _wait_until_gone(processes: list[psutil.Process]) -> bool:
    give_up_at = time.monotonic() + _STOP_SECONDS
    while any(process_tree.is_living(process) for process in processes):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            another = f"burst sandbox up --port {port + 1}"
            raise errors.UsageError(
                f"127.0.0.1:{port} cannot be taken: {exc.strerror}; name another port: {another}"
            ) from exc
