"""The folder of the standing sandbox: who keeps it, where its gateway listens, and the secrets that a plan refers to.

Only this user may enter the folder. Each secret has a file of its own, so that a shell can take it from there and no
output holds it. The keeper is named by pid and start time: a pid alone may be another process by now.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from burst.domain.basics import errors
from burst.kit import files, process_tree

FOLDER_VARIABLE = "BURST_SANDBOX_FOLDER"
SECRETS = {"IG_API_KEY": "api-key", "IG_ADMISSION_DSN": "admission-dsn", "IG_ADMIN_DSN": "admin-dsn"}
"""The variables that plans and runbooks name, each with the file that holds its value."""

_LOCK = "lock"
_KEEPER = "keeper.json"
_STANDING = "standing.json"
_LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxState:
    """What a sandbox that is up says of itself."""

    url: str
    since_utc: str
    restarts: int = 0
    """How often the keeper had to start the gateway again."""


def default_folder() -> Path:
    """The folder of this user's sandbox: `BURST_SANDBOX_FOLDER`, else one in the home's place for states."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).absolute()
    states = os.environ.get("XDG_STATE_HOME")
    return (Path(states) if states else Path.home() / ".local" / "state") / "burst" / "sandbox"


class SandboxFolder:
    """One such folder, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / _LOG

    def make(self) -> None:
        """Makes the folder, for this user alone. Raises `errors.UsageError` where that is not to be had."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
        except OSError as exc:
            raise errors.UsageError(
                f"the sandbox's folder {self.path} cannot be made: {exc.strerror}; name another in {FOLDER_VARIABLE}"
            ) from exc
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise errors.UsageError(
                f"the sandbox's folder {self.path} is open to others; allowed: a folder of yours that only you may "
                f"enter (chmod 700), because it holds secrets; or name another in {FOLDER_VARIABLE}"
            )

    @contextlib.contextmanager
    def hold_lock(self) -> Iterator[int]:
        """The folder, made where needed, for one command at a time.

        A process that inherits the descriptor holds the lock too, until it closes it.
        """
        descriptor = self._lock()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock(self) -> int:
        while True:
            self.make()
            try:
                descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self._is_lock(descriptor):
                return descriptor
            os.close(descriptor)  # `down` removed the folder while this waited

    def _is_lock(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path / _LOCK))
        except FileNotFoundError:
            return False

    def find_keeper(self) -> psutil.Process | None:
        """The living keeper; None where there is none, also where its pid is another process now."""
        fields = self._read(_KEEPER)
        return None if fields is None else process_tree.find_process(int(fields["pid"]), float(fields["started"]))

    def write_keeper(self, process: psutil.Process) -> None:
        """Names the keeper."""
        self._write(_KEEPER, json.dumps({"pid": process.pid, "started": process.create_time()}))

    def read_standing(self) -> SandboxState | None:
        """What the sandbox said of itself once it was up; None before that."""
        fields = self._read(_STANDING)
        return None if fields is None else SandboxState(**fields)

    def write_standing(self, state: SandboxState) -> None:
        """Says that the sandbox is up."""
        fields = {"url": state.url, "since_utc": state.since_utc, "restarts": state.restarts}
        self._write(_STANDING, json.dumps(fields))

    def write_secret(self, variable: str, value: str) -> None:
        """Keeps the value of a variable in its file."""
        self._write(SECRETS[variable], value)

    def secret_file(self, variable: str) -> Path:
        """The file that holds the value of a variable."""
        return self.path / SECRETS[variable]

    def log_tail(self) -> str:
        """The last lines of the log, in one."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return " / ".join(lines[-3:]) or "its log is empty"

    def clear(self) -> None:
        """Forgets a keeper that is gone, and its secrets; the lock stays."""
        for name in (_STANDING, *SECRETS.values(), _KEEPER, _LOG):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Removes the folder with all that is left in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, text: str) -> None:
        files.replace(self.path / name, text.encode(), mode=0o600)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            content = files.read(self.path / name)
        except OSError:
            return None
        if content is None:
            return None
        fields = json.loads(content)
        return fields if isinstance(fields, dict) else None
