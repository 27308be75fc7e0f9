"""A test leaves this process as it was, and leaves nothing running: each test is checked for that, by a plugin.

Looked at before a test's own fixtures are set up and after they are torn down: environment variables, the working
folder, handlers of signals, threads, and processes. A thread or process that a fixture of a file or of the session
begins belongs to that fixture; the environment, the folder and the handlers are to be as they were even for those,
because they belong to the process. A look takes a fraction of a millisecond.

A process belongs to this one as its child, or by a mark in its environment, which is how one is known that outlived its
parent. What has only just been told to end is waited for, `SETTLE_SECONDS` at most.
"""

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from burst.adapters import secrets

SETTLE_SECONDS = 40.0
POLL_SECONDS = 0.01
MARK = "TESTED_BY"
"""In the environment of this process and of all that it begins: its pid."""
CHANGED_BY_PYTEST = "PYTEST_CURRENT_TEST"
SIGNALS = tuple(number for number in signal.Signals if number < 32 and number != signal.SIGALRM)
"""All but the real-time ones and the alarm, which belongs to pytest-timeout."""
WHAT_TO_DO = (
    "put back or end it in the test or in its fixture; monkeypatch puts back variables and the folder by itself"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a test could change for the tests after it."""

    environment: Mapping[str, str]
    folder: str
    handlers: Mapping[int, object]
    threads: frozenset[threading.Thread]
    processes: frozenset[int]


@dataclass(slots=True, kw_only=True)
class Owned:
    """Threads and processes that fixtures of a file or of the session began."""

    threads: set[threading.Thread] = dataclasses.field(default_factory=set)
    processes: set[int] = dataclasses.field(default_factory=set)


_OWNED = pytest.StashKey[Owned]()
_SHOWS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
_marks: dict[int, bool] = {}
"""Whether a process has the mark of this one, by its pid: read once for each, as reading takes longer than listing."""


def read_surroundings() -> Surroundings:
    """A look."""
    return Surroundings(
        environment={name: value for name, value in os.environ.items() if name != CHANGED_BY_PYTEST},
        folder=_folder(),
        handlers={number: signal.getsignal(number) for number in SIGNALS},
        threads=frozenset(threading.enumerate()),
        processes=frozenset(_children() | _marked()),
    )


def find_changes(before: Surroundings, after: Surroundings) -> list[str]:
    """A sentence for each change of the process itself: environment, folder, handlers. No value is shown."""
    changes = []
    for name in sorted(before.environment.keys() | after.environment.keys()):
        if name not in after.environment:
            changes.append(f"the environment variable {name} was removed")
        elif name not in before.environment:
            changes.append(f"the environment variable {name} was added")
        elif before.environment[name] != after.environment[name]:
            changes.append(f"the environment variable {name} was changed")
    if before.folder != after.folder:
        changes.append(f"the working folder is {after.folder} and was {before.folder}")
    for number, handler in before.handlers.items():
        if after.handlers[number] != handler:
            changes.append(
                f"the handler of {signal.Signals(number).name} is {after.handlers[number]} and was {handler}"
            )
    return changes


def find_running(before: Surroundings, after: Surroundings, owned: Owned) -> list[str]:
    """A sentence for each thread and process that runs now, did not before, and belongs to no fixture of a file or of
    the session. One that is about to end is waited for; where nothing is new in `after`, nothing is looked at again."""
    if after.threads <= before.threads | owned.threads and after.processes <= before.processes | owned.processes:
        return []
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while running := [*_running_threads(before, owned), *_running_processes(before, owned)]:
        if time.monotonic() >= give_up_at:
            break
        time.sleep(POLL_SECONDS)
    return running


def put_back(before: Surroundings) -> None:
    """The process as it was, so that a change is held against one test only."""
    for name in os.environ.keys() - before.environment.keys() - {CHANGED_BY_PYTEST}:
        del os.environ[name]
    os.environ.update(before.environment)
    os.chdir(before.folder)
    for number, handler in before.handlers.items():
        if signal.getsignal(number) != handler and handler is not None:
            signal.signal(number, handler)  # type: ignore[arg-type]  # signal.getsignal gave it


def pytest_configure(config: pytest.Config) -> None:
    """Marks this process and all that it will begin."""
    config.stash[_OWNED] = Owned()
    os.environ[MARK] = str(os.getpid())


@pytest.fixture(autouse=True)
def leaves_nothing(pytestconfig: pytest.Config) -> Iterator[None]:
    """Fails a test that leaves something behind."""
    secrets._resolved.clear()  # a value that an earlier test resolved is none that this test may not show
    before = read_surroundings()
    yield
    after = read_surroundings()
    left = find_changes(before, after) + find_running(before, after, pytestconfig.stash[_OWNED])
    if left:
        put_back(before)
        pytest.fail(f"the test left something behind: {'; '.join(left)}. Allowed: nothing. {WHAT_TO_DO}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Fails a fixture that lives longer than a test and changes the process for every test meanwhile."""
    if fixturedef.scope == "function":
        return (yield)
    before = read_surroundings()
    value = yield
    after, owned = read_surroundings(), request.config.stash[_OWNED]
    owned.threads |= after.threads - before.threads
    owned.processes |= after.processes - before.processes
    if changes := find_changes(before, after):
        put_back(before)
        where = f"the fixture {fixturedef.argname} lives for a {fixturedef.scope}"
        pytest.fail(f"{where} and changed the process: {'; '.join(changes)}. Allowed: for one test only", pytrace=False)
    return value


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "a folder that was removed"


def _running_threads(before: Surroundings, owned: Owned) -> list[str]:
    running = set(threading.enumerate()) - before.threads - owned.threads
    return [f"the thread {thread.name} runs" for thread in sorted(running, key=lambda thread: thread.name)]


def _running_processes(before: Surroundings, owned: Owned) -> list[str]:
    of_fixtures = before.processes | owned.processes
    threads = {thread.native_id for thread in before.threads | owned.threads if thread is not threading.main_thread()}
    of_fixtures |= _children(of=threads)
    running = sorted((_children() | _marked()) - of_fixtures)
    return [f"the process {pid} ({_command(pid)}) runs" for pid in running if _is_left(pid, of_fixtures)]


def _children(of: Collection[int | None] | None = None) -> set[int]:
    """The pids of child processes; of these threads alone, where the system says which thread began which process."""
    if not _SHOWS_CHILDREN:
        return set() if of is not None else {child.pid for child in psutil.Process().children()}
    pids: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        if of is None or int(thread.name) in of:
            pids.update(map(int, _read(thread / "children").split()))
    return pids


def _marked() -> set[int]:
    """The pids of processes with the mark of this one."""
    if sys.platform != "linux":
        return set()
    pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    for pid in _marks.keys() - pids:
        del _marks[pid]
    mark = f"{MARK}={os.getpid()}".encode()
    for pid in pids - _marks.keys():
        _marks[pid] = pid != os.getpid() and mark in _read(Path(f"/proc/{pid}/environ")).split(b"\0")
    return {pid for pid, marked in _marks.items() if marked}


def _is_left(pid: int, of_fixtures: Collection[int]) -> bool:
    """Whether a process still runs, and is no descendant of one that a fixture of a file or of the session began."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        return all(parent.pid not in of_fixtures for parent in process.parents())
    except psutil.Error:
        return False


def _command(pid: int) -> str:
    words = _read(Path(f"/proc/{pid}/cmdline")).split(b"\0")
    return b" ".join(words).decode(errors="replace").strip()[:200]


def _read(path: Path) -> bytes:
    """What a file of /proc says; empty where its process has ended or is not ours to read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
