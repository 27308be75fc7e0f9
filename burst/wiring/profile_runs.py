"""Runs load profiles of Locust on this machine without a plan: under guard, with a load account.

The guard is this process. Locust runs in a session of its own, and no process of it is left when this returns.
"""

import importlib.util
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from burst.adapters.local import account_files
from burst.control import load_accounts
from burst.domain.basics import errors
from burst.domain.documents import load_documents
from burst.domain.tasks import task_records
from burst.load import load_settings, shipped_profiles
from burst.task import arguments, guard
from burst.wiring.targets import load_program

WEB_HOST = "127.0.0.1"
WORDS_OF_BURST = ("-f", "--locustfile", "--headless", "--headful")
_TO_STDERR = ("sh", "-c", 'exec "$@" </dev/null >&2', "sh")
"""What the program writes is no result, and it reads no terminal of another session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRequest:
    """What to run. `web_port`: the load waits for a person at Locust's web page, on loopback, who starts it."""

    locustfiles: tuple[str, ...]
    budget_seconds: float
    grace_seconds: float = 10.0
    host: str | None = None
    users: int | None = None
    rate: str | None = None
    web_port: int | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileEnd:
    """How a profile ended, by the record of its guard, and its load account; None where Locust never began."""

    record: task_records.GuardRecord
    load: load_documents.Load | None


def run(request: ProfileRequest) -> ProfileEnd:
    """Runs it to its end, by itself, by its budget or by a signal to this process.

    Raises `errors.UsageError` before anything is started.
    """
    command = list_words(request)
    if importlib.util.find_spec("locust") is None:
        raise errors.Refused("Locust is not installed; install burst with its load extra: pip install 'burst[load]'")
    with tempfile.TemporaryDirectory(prefix="burst-locust-") as folder:
        record = Path(folder) / "tasks" / "0000.json"
        record.parent.mkdir()
        guard.run(
            arguments.Options(
                command=command,
                budget_seconds=request.budget_seconds,
                grace_seconds=request.grace_seconds,
                record=record,
            )
        )
        accounts = load_accounts.parse(account_files.AccountFiles(Path(folder)).read())
        return ProfileEnd(
            record=task_records.decode_guard(record.read_bytes()),
            load=load_accounts.build_document(accounts, execution_id="", scope=""),
        )


def list_words(request: ProfileRequest) -> tuple[str, ...]:
    """The command of the profile. Raises `errors.UsageError` for a file that is not there, or a word that is taken."""
    for word in request.words:
        if word.partition("=")[0] in WORDS_OF_BURST:
            raise errors.UsageError(f"{word} stands behind --: burst gives it; name files before --, and use --web")
    if request.rate is not None:
        _check_rate(request.rate)
    if request.web_port is not None:
        _check_port(request.web_port)
    variables = [] if request.rate is None else [f"{load_settings.RATE_PER_MINUTE}={request.rate}"]
    start = (sys.executable, "-m", load_program.LOCUST, "-f", ",".join(_find_files(request.locustfiles)))
    return (*_TO_STDERR, "env", *variables, *start, *_list_options(request), *request.words)


def _check_rate(rate: str) -> None:
    try:
        load_settings.parse_rate({"--rate": rate}, "--rate")
    except load_settings.SettingError as exc:
        raise errors.UsageError(str(exc)) from None


def _check_port(port: int) -> None:
    """Raises where Locust could not listen: it would begin first, and its load would look like one of no requests."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Locust's own server does
        try:
            listening.bind((WEB_HOST, port))
        except OSError as exc:
            raise errors.UsageError(
                f"--web-port {port}: {exc.strerror}; end what listens at {WEB_HOST}:{port}, or give another port"
            ) from None


def _find_files(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        path = shipped_profiles.find_profile(name) or Path(name)
        if path.is_dir():
            raise errors.UsageError(f"{name!r} is a folder; name its files one by one")
        if missing := shipped_profiles.describe_missing(name):
            raise errors.UsageError(missing)
        if "," in str(path):
            raise errors.UsageError(f"{name} has a comma in its name, by which Locust parts files; rename it")
        yield str(path)


def _list_options(request: ProfileRequest) -> Iterator[str]:
    """What burst gives Locust: its exit code is to tell a file that cannot run from requests that failed."""
    if request.web_port is None:
        yield from ("--headless", "--only-summary")
    else:
        yield from ("--web-host", WEB_HOST, "--web-port", str(request.web_port))
    yield from ("--exit-code-on-error", "0", "--stop-timeout", "1")
    if request.host is not None:
        yield from ("--host", request.host)
    if request.users is not None:
        yield from ("-u", str(request.users), "-r", str(request.users))
