"""The stage of the fault tests: a small plan against a real Postgres and gateway, and `burst` as processes.

Everything lies under one folder of the test, and `Stage.end` leaves no process behind, whatever a failing test left.
Looking for processes reads the environment of all of them, so one look is shared by all threads that ask at a time.
"""

import contextlib
import dataclasses
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import context
from pathlib import Path
from typing import Any

import psutil
import psycopg

from burst.adapters.local import journal_file
from burst.domain.basics import instants
from burst.domain.documents import attempts, document_names
from burst.domain.run import journals, runs
from burst.kit import process_tree
from tests import journalled, waiting
from tests.faults import controller_driver

ROOT = Path(__file__).parents[2]
DSN_NAME = "FAULTS_DSN"
API_KEY_NAME = "FAULTS_API_KEY"
GRACE_SECONDS = 1.0
PROGRAMS_WINDOW_SECONDS = 1.0
SIGKILLED = -9
OVER = 3
"""What a run ends with whose deadline came first."""
UNHURRIED: Mapping[str, Mapping[str, object]] = {"gates": {"multiplier": 0.5, "offered_load": 0.1}}
"""For a run that has to pass on a busy machine: an eighth of what is sent will do, and a tenth of it in time."""
WATCHDOG_MARK = "BURST_WATCHDOG"
SENDER = (sys.executable, str(ROOT / "locustfiles" / "sender.py"))

_LOOK_SECONDS = 0.15
_TELLS_ALONE = ("sh", "-c", 'export STARTED="$STARTED.$BURST_SHARD_INDEX"; exec "$@"', "sh")


def facts(prefix: str = "M10F") -> list[dict[str, object]]:
    """The questions behind B2, B6 and B7, as the demo asks them."""
    unresolved = "select count(*) from admissions where state <> 'ADMITTED' and platform_run_id = :scope"
    twice = "select count(*) - count(distinct event_id) from admissions where platform_run_id = :scope"
    return [
        {"blocker": f"{prefix}-B2", "name": "duplicate_side_effects", "sql": twice, "equals": 0},
        {"blocker": f"{prefix}-B6", "name": "unresolved_publishes", "sql": unresolved, "equals": 0},
        {"blocker": f"{prefix}-B7", "name": "publishes_in_flight", "sql": unresolved, "at_most": 10},
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        value: dict[str, Any] = json.loads(self.out)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`burst` at work in a process forked from one that has everything imported; its words go to files."""

    process: context.ForkServerProcess
    out: Path
    err: Path

    def code(self, seconds: float = 0.0) -> int | None:
        """Its exit code, minus nine where it was killed; None while it runs."""
        return controller_driver.ended(self.process, seconds=seconds)

    def go_on(self) -> None:
        """Lets go of a controller that is held, once it is: its journal can be read before it is stopped."""
        held = psutil.Process(self.process.pid)
        waiting.until(lambda: held.status() == psutil.STATUS_STOPPED, what="the controller to be held")
        self.signal(signal.SIGCONT)

    def ended(self, seconds: float = 120.0) -> int:
        """Its exit code once it has ended."""
        code = self.code(seconds)
        assert code is not None, f"still at work after {seconds:g} s: {self.words()}"
        return code

    def wait(self, seconds: float = 120.0) -> Answer:
        """Its answer once it has ended."""
        return Answer(code=self.ended(seconds), out=self.out.read_text(), err=self.err.read_text())

    def words(self) -> str:
        """The end of what it said, on stdout and on stderr."""
        return self.out.read_text()[-600:] + self.err.read_text()[-600:]

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal; that it has ended is no error."""
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        """KILL, as a crash or an OOM killer would end it."""
        self.process.kill()
        controller_driver.ended(self.process, seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run by its folder, read as anybody could read it."""

    folder: Path

    @property
    def execution_id(self) -> str:
        """Its execution id."""
        return self.folder.name

    def events(self) -> list[dict[str, Any]]:
        """The whole lines of the journal so far."""
        return journalled.whole_events(self.folder / "journal.jsonl")

    def event(self, name: str) -> dict[str, Any] | None:
        """The first event of a name."""
        return next((event for event in self.events() if event["event"] == name), None)

    def reached(self, name: str, seconds: float = 90.0) -> dict[str, Any]:
        """Waits for the first event of a name."""
        return waiting.until(lambda: self.event(name), seconds=seconds, what=f"{name} in {self.execution_id}")

    def deadline(self) -> datetime:
        """The instant at which the cap ends."""
        return instants.parse(self.reached("run-created")["deadline"])

    def snapshot(self) -> dict[str, Any]:
        """The published snapshot."""
        value: dict[str, Any] = json.loads((self.folder / "m10_f_burst_snapshot.json").read_bytes())
        return value

    def document(self, name: str) -> dict[str, Any]:
        """A document of the phase, such as `task_result`."""
        value: dict[str, Any] = json.loads((self.folder / f"m10_f_{name}.json").read_bytes())
        return value

    def folded(self) -> runs.Run:
        """The run its journal describes."""
        return journals.fold(journal_file.read(self.folder / document_names.JOURNAL))

    def tasks(self) -> list[psutil.Process]:
        """Every living process of its tasks."""
        return [process for process in _LOOK.take().tasks.get(self.execution_id, ()) if process_tree.is_living(process)]

    def guards(self) -> list[psutil.Process]:
        """The living guards of its tasks: they carry its mark, and no guard started them."""
        return [process for process in self.tasks() if _read_marks(process) == (True, False)]

    def programs(self) -> list[psutil.Process]:
        """Every living process of its tasks that a guard started, or that comes of such a one."""
        return [process for process in self.tasks() if _read_marks(process) == (True, True)]

    def watchdogs(self) -> list[psutil.Process]:
        """Its living watchdogs."""
        return [one for one in _LOOK.take().watchdogs.get(self.execution_id, ()) if process_tree.is_living(one)]

    def all_gone(self) -> bool:
        """Whether no task of it lives."""
        return not self.tasks()

    def see_gone(self, *, by: datetime) -> datetime:
        """Waits until no task lives, and says when that was seen. Fails where one still does at that instant and what
        the machine, as busy as it is by then, may add to it."""
        what = f"the tasks of {self.execution_id} to be gone"
        left = max(0.0, instants.seconds_between(datetime.now(UTC), by))
        waiting.until(lambda: self.all_gone() or datetime.now(UTC) >= by, seconds=left + 1.0, what=what)
        waiting.until(self.all_gone, seconds=waiting.scheduling_seconds(), what=what)
        return datetime.now(UTC)

    def nothing_left(self) -> bool:
        """Whether neither task nor watchdog of it lives."""
        return not self.tasks() and not self.watchdogs()


def _read_marks(process: psutil.Process) -> tuple[bool, bool]:
    """Whether it carries the mark of a task, and that of a guard. Pids tell neither: they begin anew at their end."""
    environment = process_tree.read_environment(process)
    return bool(environment.get(process_tree.TASK_MARK)), bool(environment.get(process_tree.GUARD_MARK))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The processes of every run at one look."""

    tasks: Mapping[str, list[psutil.Process]]
    watchdogs: Mapping[str, list[psutil.Process]]


class _Look:
    """One look at all processes, shared by those who ask within a moment of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = 0.0
        self._seen = _Seen(tasks={}, watchdogs={})

    def take(self) -> _Seen:
        with self._lock:
            if time.monotonic() - self._at > _LOOK_SECONDS:
                self._at = time.monotonic()
                self._seen = _see()
            return self._seen


_LOOK = _Look()


def _see() -> _Seen:
    everyone = process_tree.list_processes()
    tasks: dict[str, list[psutil.Process]] = defaultdict(list)
    watchdogs: dict[str, list[psutil.Process]] = defaultdict(list)
    for (execution_id, _), processes in process_tree.group_by_task(everyone).items():
        tasks[execution_id] += processes
    for process in everyone:
        watchdogs[process_tree.read_environment(process).get(WATCHDOG_MARK, "")].append(process)
    return _Seen(tasks=tasks, watchdogs=watchdogs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the runs of one test play. `dsn` and `api_key` reach burst by the environment alone."""

    folder: Path
    dsn: str
    host: str
    api_key: str
    _commands: list[Command] = field(default_factory=list)
    _runs: list[Ran] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        """Where run folders are made."""
        return self.folder / "runs"

    def run_names(self) -> list[str]:
        """The names of all runs, in order; the claims of their attempts lie beside them."""
        return sorted(folder.name for folder in self.runs.iterdir() if folder.name != attempts.FOLDER)

    @property
    def environment(self) -> dict[str, str]:
        """What `burst` is started with."""
        return {**os.environ, DSN_NAME: self.dsn, API_KEY_NAME: self.api_key, "BURST_RUNS_DIR": str(self.runs)}

    def played_at(self, *, dsn: str | None = None, host: str | None = None, api_key: str | None = None) -> "Stage":
        """The same stage with another database, ingest or key."""
        return dataclasses.replace(self, dsn=dsn or self.dsn, host=host or self.host, api_key=api_key or self.api_key)

    def plan(
        self, changes: Mapping[str, Mapping[str, object]] | None = None, *, window: float = 2.0, cap: float = 20.0
    ) -> Path:
        """Writes a plan: two small senders, twenty events a second, four times the baseline.

        `changes` by section; None takes a key out.
        """
        sections: dict[str, Any] = {
            "schema": "burst.plan/v1",
            "phase": "M10.F",
            "scope": "fresh",
            "environment": "local",
            "target": {"kind": "local", "tasks": 2},
            "load": {
                "command": list(SENDER),
                "host": self.host,
                "rate": 1200,
                "api_key": f"env:{API_KEY_NAME}",
                "waits_for_go": True,
            },
            "layers": {"require": ["guard", "sidecar", "lease", "controller"], "lease_ttl": "30s"},
            "budget": {
                "max": _duration(cap),
                "operator_cap": _duration(cap),
                "min_window": _duration(window),
                "start_timeout": "15s",
                "stop_grace": _duration(GRACE_SECONDS),
            },
            "receipts": {"dsn": f"env:{DSN_NAME}", "bucket": "1s", "settle": "200ms", "count_timeout": "20s"},
            "baseline": {"admits": 300, "seconds": 60, "source": "a made-up reference"},
            "gates": {"multiplier": 2.0, "admit_ratio": 0.995},
            "facts": facts(),
            "evidence": {"local": str(self.runs)},
        }
        for section, keys in (changes or {}).items():
            merged = {**sections[section], **keys}
            sections[section] = {key: value for key, value in merged.items() if value is not None}
        path = self.folder / f"plan-{secrets.token_hex(3)}.json"
        path.write_text(json.dumps(sections, indent=1))
        return path

    def start(self, *arguments: str | Path, fate: controller_driver.Fate = ()) -> Command:
        """Starts `burst` with these words."""
        words = [str(argument) for argument in arguments]
        said = self.folder / "said" / f"{words[0]}-{secrets.token_hex(4)}"
        said.parent.mkdir(exist_ok=True)
        command = Command(
            process=controller_driver.begin(words, environment=self.environment, said=said, fate=fate),
            out=said.with_name(f"{said.name}.out"),
            err=said.with_name(f"{said.name}.err"),
        )
        self._commands.append(command)
        return command

    def burst(self, *arguments: str | Path, seconds: float = 120.0) -> Answer:
        """`burst` with these words, to its end."""
        return self.start(*arguments).wait(seconds)

    def begin(self, plan: Path, *more: str, fate: controller_driver.Fate = ()) -> tuple[Command, Ran]:
        """Starts a run of a plan."""
        ran = self.named()
        return self.start("run", plan, "--execution-id", ran.execution_id, "--json", *more, fate=fate), ran

    def begin_programs(
        self, program: Sequence[str], *, cap: float, blows: Sequence[controller_driver.Blow] = ()
    ) -> tuple[Command, Ran]:
        """Starts a run of two such programs, both at work. The controller is held at GO: its window is over soon, and
        ends them when it goes on. Where the machine is too slow for that before the deadline, it is given a later one.
        """
        longer = max(120.0, cap)
        begun = self._programs_begun(program, cap, blows) or self._programs_begun(program, longer, blows)
        assert begun is not None, f"both programs were not at work within {longer:g} s"
        return begun

    def _programs_begun(
        self, program: Sequence[str], cap: float, blows: Sequence[controller_driver.Blow]
    ) -> tuple[Command, Ran] | None:
        """Such a run once each program has told so in a file of its own; None where less than a quarter of its time is
        left then."""
        started = self.folder / f"started-{secrets.token_hex(3)}"
        of_each = [started.with_name(f"{started.name}.{shard}") for shard in range(2)]
        load = {
            "command": [*_TELLS_ALONE, *program],
            "waits_for_go": False,
            "environment": {"STARTED": str(started)},
        }
        plan = self.plan({"load": load}, window=PROGRAMS_WINDOW_SECONDS, cap=cap)
        command, ran = self.begin(plan, fate=(controller_driver.HOLD_AT_GO, *blows))
        over_at = time.monotonic() + cap + 15.0

        def at_work() -> bool:
            return all(file.exists() for file in of_each)

        def over() -> bool:
            return command.code() is not None or time.monotonic() > over_at

        waiting.until(lambda: at_work() or over(), seconds=cap + 30.0, what="both programs to run")
        if at_work() and datetime.now(UTC) < instants.later(ran.deadline(), -cap / 4):
            return command, ran
        assert command.code() in (None, OVER), command.words()
        command.kill()
        return None

    def named(self) -> Ran:
        """A run that has a name and has not begun."""
        ran = Ran(folder=self.runs / f"m10_{secrets.token_hex(6)}")
        self._runs.append(ran)
        return ran

    def verify(self, ran: Ran) -> int:
        """What `burst verify` ends with on a run."""
        return self.burst("verify", ran.folder).code

    def said(self) -> bytes:
        """Every word any command said, on stdout and on stderr."""
        return b"".join(path.read_bytes() for path in sorted((self.folder / "said").iterdir()))

    def end(self) -> None:
        """Ends what the test left: commands, tasks, watchdogs."""
        for command in self._commands:
            command.kill()
        ids = {ran.execution_id for ran in self._runs}
        ids |= {folder.name for folder in self.runs.iterdir()} if self.runs.is_dir() else set()
        seen = _see()
        for execution_id in ids:
            process_tree.kill([*seen.tasks.get(execution_id, ()), *seen.watchdogs.get(execution_id, ())])


def read_document(path: Path) -> dict[str, Any]:
    """The value of a JSON file, such as a plan."""
    value: dict[str, Any] = json.loads(path.read_bytes())
    return value


def write_plan(path: Path, sections: Mapping[str, Any]) -> Path:
    """Writes a plan file anew."""
    path.write_text(json.dumps(sections, indent=1))
    return path


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def states(snapshot: Mapping[str, Any]) -> dict[str, str]:
    """Short blocker id to its state."""
    return {entry["blocker"].rpartition("-")[2]: entry["state"] for entry in snapshot["blocker_register"]}


def open_blockers(snapshot: Mapping[str, Any]) -> set[str]:
    """The short ids of open blockers."""
    return {blocker.rpartition("-")[2] for blocker in snapshot["blockers"]}


def layers_that_stopped(snapshot: Mapping[str, Any]) -> set[str]:
    """The layers that stopped its tasks."""
    return {str(task["stopped_by"]) for task in snapshot["burst_execution_window"]["tasks"]}


def admitted(dsn: str, snapshot: Mapping[str, Any]) -> int:
    """ADMIT receipts of the counted window, straight from the table and counted in Python."""
    window = snapshot["burst_execution_window"]["counted_window"]
    start, end = instants.parse(window["start_utc"]), instants.parse(window["end_utc"])
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT created_at_utc FROM receipts WHERE platform_run_id = %s AND decision = 'ADMIT'",
            (snapshot["platform_run_id"],),
        ).fetchall()
    return sum(start <= datetime.fromisoformat(row[0]) < end for row in rows)
