"""The local launcher: burst tasks as processes of this machine, each under `burst guard`, in a session of its own.

Everything needed to find, judge and end a task lies outside the launching process: the mark in the environment of
its processes, and files in the run's folder (`tasks/0000.launch` the guard's pid and start, `.json` its record, `.stop`
the layer that asked first, `.log`; `watchdog.json`). So any later process can continue, and a second launch of the same
shard starts nothing. A task counts as gone only when no process of it is left; a pid alone is never trusted.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.tasks import task_records, tasks
from burst.kit import files, log_tails, own_programs, process_tree, shortage

ARM_SECONDS = 10.0
FORCE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_WATCHDOG_MARK = "BURST_WATCHDOG"
_CONTROL_URI = "BURST_CONTROL_URI"
_DEADLINE = "BURST_DEADLINE_UTC"
_LOAD_SETTINGS = ("BURST_", "LOCUST_")
"""How the names of all variables begin that change what a load program does."""
_seeing = shortage.told_as_unavailable("the tasks of this machine")
_DEFAULT_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)


class LocalLauncher:
    """`ports.Launcher` for the run in `run_folder`; `control_uri` names its lease.

    Tasks inherit this process's environment without the variables `withheld`: secrets that they do not need.
    Without a lease (`control_uri` None) they begin at once and end by their budget alone.
    """

    def __init__(
        self, run_folder: Path, *, execution_id: str, control_uri: str | None, withheld: frozenset[str] = frozenset()
    ) -> None:
        self._folder = run_folder.absolute()
        self._withheld = withheld
        self._execution_id = execution_id
        self._control_uri = control_uri
        self._spawned: set[int] = set()
        self._gone: dict[str, tasks.TaskTruth] = {}

    # ports.Launcher

    last_failures: Sequence[tasks.LaunchFailure] = ()
    """Always empty: a machine has no capacity to run short of, and a failed launch is an error."""

    def launch(self, request: tasks.LaunchRequest, goes_on: ports.GoesOn = ports.go_on) -> Sequence[tasks.Task]:
        """Starts one guard for each shard that was never started; returns the shards' tasks, old and new.

        Raises `errors.Unavailable` when another process launches the same shard at this moment or the system refuses,
        and `errors.Refused` when no budget is left.
        """
        self._require_own(request.execution_id)
        if request.budget_seconds <= 0:
            raise errors.Refused(f"nothing launched: {-request.budget_seconds:.1f} s past the deadline")
        try:
            (self._folder / "tasks").mkdir(parents=True, exist_ok=True)
            for shard_index in request.shards:
                self._set_aside(request.replaces, shard_index)
                self._launch_once(request, shard_index)
        except OSError as exc:
            raise errors.Unavailable(f"launch in {self._folder}: {exc.strerror or exc}") from exc
        launched = [self.read_launched_task(shard_index) for shard_index in request.shards]
        return [task for task in launched if task is not None]

    @_seeing
    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """Every task of the run of which any process lives, by shard."""
        self._reap()
        living = process_tree.group_by_task(process_tree.list_processes())
        living_tasks = []
        for (run_id, shard_index), processes in sorted(living.items(), key=lambda item: item[0]):
            oldest = _find_oldest(processes)
            if run_id == execution_id and oldest is not None:
                living_tasks.append(self.read_launched_task(shard_index) or _identify_task(oldest, shard_index))
        return living_tasks

    @_seeing
    def inspect(self, launched: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """The truth about each task, from its processes first and its records second."""
        self._reap()
        guards = [self._find_guard(task) for task in launched]
        # The search through every process of the machine is only for tasks without a living guard.
        living = {} if all(guards) else process_tree.group_by_task(process_tree.list_processes())
        return [
            self._inspect(task, guard is not None, living.get((self._execution_id, task.shard_index), []))
            for task, guard in zip(launched, guards, strict=True)
        ]

    @_seeing
    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        """TERM to the guard, which ends its tree; `force` is KILL to every process of the task, stopped ones too."""
        processes = self._find_processes(task)
        if not processes:
            return False
        self._note_stop(task, by)
        if force:
            self._kill_all(task)
            return True
        guard = self._find_guard(task)
        process_tree.terminate(processes if guard is None else [guard])
        return True

    # The watchdog

    def arm_watchdog(self, *, deadline: datetime, grace_seconds: float) -> None:
        """Starts the watchdog, unless the run has one, and waits until it is armed.

        Raises `errors.Refused` when it is not armed within `ARM_SECONDS`: no task may be launched then.
        """
        if self._find_watchdogs():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        ready_file = self._folder / "watchdog.ready"
        ready_file.unlink(missing_ok=True)
        command = [*own_programs.start_words("burst.task.watchdog"), "--execution-id", self._execution_id]
        command += ["--deadline", instants.text(deadline), "--grace", str(grace_seconds)]
        command += ["--record", str(self._folder / "watchdog.json"), "--ready-file", str(ready_file)]
        environment = self._inherited_environment()
        environment[_WATCHDOG_MARK] = self._execution_id
        pid = self._spawn(command, environment, log=self._folder / "watchdog.log")
        give_up_at = time.monotonic() + ARM_SECONDS
        while not ready_file.exists():
            self._reap()
            if not psutil.pid_exists(pid) or time.monotonic() > give_up_at:
                raise errors.Refused(f"the watchdog was not armed; see {self._folder / 'watchdog.log'}")
            time.sleep(_POLL_SECONDS)

    def disarm_watchdog(self) -> None:
        """Ends the watchdog, once every task is known to be gone. A missing watchdog is no error."""
        give_up_at = time.monotonic() + FORCE_SECONDS
        while watchdogs := self._find_watchdogs():
            process_tree.terminate(watchdogs)
            if time.monotonic() > give_up_at:
                raise errors.StillRunning(f"watchdog {watchdogs[0].pid} did not end on TERM; end it by hand")
            time.sleep(_POLL_SECONDS)

    def _find_watchdogs(self) -> list[psutil.Process]:
        self._reap()
        return [
            candidate
            for candidate in process_tree.list_processes()
            if process_tree.read_environment(candidate).get(_WATCHDOG_MARK) == self._execution_id
        ]

    # Launching

    def _launch_once(self, request: tasks.LaunchRequest, shard_index: int) -> None:
        with self._lock_launch_file(shard_index) as descriptor:
            if os.fstat(descriptor).st_size or self._read_record(shard_index):
                return  # started before
            if any(task.shard_index == shard_index for task in self.find(request.execution_id)):
                return  # started before, by a launcher that died before it wrote the pid
            deadline = instants.text(instants.later(datetime.now(UTC), request.budget_seconds))
            pid = self._spawn(
                self._command(request, shard_index, deadline),
                self._environment(request, shard_index, deadline),
                log=self._file(shard_index, "log"),
            )
            identity = {"pid": pid, "started": psutil.Process(pid).create_time()}
            os.write(descriptor, json.dumps(identity).encode())
            os.fsync(descriptor)

    def _set_aside(self, replaces: Sequence[str], shard_index: int) -> None:
        """Renames the files of a task that another one replaces, the launch file last: it says whose they are."""
        launched = self.read_launched_task(shard_index)
        if launched is None or launched.task_id not in replaces:
            return
        number = sum(1 for _ in (self._folder / "tasks").glob(f"{shard_index:04d}.launch.*")) + 1
        for ending in ("json", "stop", "launch"):
            path = self._file(shard_index, ending)
            with contextlib.suppress(FileNotFoundError):
                path.rename(path.with_name(f"{path.name}.{number}"))

    def _spawn(self, command: list[str], environment: dict[str, str], *, log: Path) -> int:
        """Starts a process in a session of its own, output to `log`; `subprocess` would tie it to this process."""
        pid = os.posix_spawn(
            command[0],
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
        self._spawned.add(pid)
        return pid

    def _reap(self) -> None:
        """Waits for this launcher's own children that ended; only their parent can."""
        for pid in list(self._spawned):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._spawned.discard(pid)

    @contextlib.contextmanager
    def _lock_launch_file(self, shard_index: int) -> Iterator[int]:
        # The lock also covers a crash between fork and exec: the child holds it until it is a guard that can be found.
        path = self._file(shard_index, "launch")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
        except BlockingIOError as exc:
            raise errors.Unavailable(f"{path}: another process is launching this shard just now") from exc
        finally:
            os.close(descriptor)

    def _command(self, request: tasks.LaunchRequest, shard_index: int, deadline: str) -> list[str]:
        # A deadline instead of a budget: controller and guard share a clock, and the guard's start-up counts too.
        command = [*own_programs.start_words("burst.task.guard"), "--deadline", deadline]
        command += ["--grace", instants.duration_text(request.grace_seconds)]
        command += ["--lease", self._control_uri] if self._control_uri else []
        command += ["--lease-ttl", instants.duration_text(request.lease_ttl_seconds)]
        command += ["--shard", str(shard_index), "--record", str(self._file(shard_index, "json"))]
        command += ["--child-waits"] if request.child_waits else []
        return [*command, "--", *request.command]

    def _environment(self, request: tasks.LaunchRequest, shard_index: int, deadline: str) -> dict[str, str]:
        return {
            **self._inherited_environment(),
            _DEADLINE: deadline,
            "BURST_EXECUTION_ID": request.execution_id,
            **dict(request.environment),  # replaces the two above where the request holds them
            "BURST_SHARD_INDEX": str(shard_index),
            "BURST_SHARD_COUNT": str(request.shard_count),
            "BURST_BUDGET_SECONDS": f"{request.budget_seconds:g}",
            **({_CONTROL_URI: self._control_uri} if self._control_uri else {}),
            process_tree.TASK_MARK: process_tree.format_mark(request.execution_id, shard_index),
            process_tree.GUARD_MARK: "",  # this launcher may itself run under a guard
        }

    def _inherited_environment(self) -> dict[str, str]:
        """This process's environment without withheld variables, and without the settings of load programs: those come
        from the plan alone. So mark and lease of a task that this process may run in go too."""
        return {
            name: value
            for name, value in os.environ.items()
            if name not in self._withheld and not name.startswith(_LOAD_SETTINGS)
        }

    # Judging

    def _inspect(self, task: tasks.Task, is_guarded: bool, processes: Sequence[psutil.Process]) -> tasks.TaskTruth:
        if task.task_id in self._gone:  # its shard may have another task by now, with the same mark
            return self._gone[task.task_id]
        record = self._read_record(
            task.shard_index
        )  # after the processes: a guard writes the end of its task before it exits
        started_at = None if record is None else record.started_at
        if is_guarded or processes:
            detail = "" if is_guarded else f"its guard is gone, but {len(processes)} of its processes live"
            return tasks.TaskTruth(task=task, status=tasks.TaskStatus.RUNNING, started_at=started_at, detail=detail)
        launched = self.read_launched_task(task.shard_index)
        if launched is None or _parse_identity(launched)[0] != _parse_identity(task)[0]:
            return tasks.TaskTruth(task=task, status=tasks.TaskStatus.UNKNOWN, detail="never seen in this run's folder")
        return self._gone.setdefault(task.task_id, self._judge_stopped(task, record))

    def _judge_stopped(self, task: tasks.Task, record: task_records.GuardRecord | None) -> tasks.TaskTruth:
        asked_by, asked_at = self._read_asking(task)
        kills = [kill for kill in self._read_kills() if kill.shard_index == task.shard_index]
        started_at = None if record is None else record.started_at
        facts = None if record is None else record.facts
        if kills:
            killed_at = max(kill.killed_at for kill in kills)
            return tasks.TaskTruth(
                task=task, status=tasks.TaskStatus.STOPPED, started_at=started_at, exit_code=64,
                stopped_at=killed_at, stop_code=tasks.StopCode.ESSENTIAL_EXITED,
                stopped_by=tasks.Layer.SIDECAR, detail=f"the watchdog ended {len(kills)} processes of it",
                end=tasks.TaskEnd(
                    cause=tasks.EndCause.SIDECAR, load_ended_at=killed_at, source=tasks.EndSource.WATCHDOG, record=facts
                ),
            )  # fmt: skip
        if record is None or record.stopped_at is None:
            cause = None if asked_by is None else tasks.EndCause.STOP_TASK
            source = None if asked_at is None else tasks.EndSource.STOP_REQUEST
            return tasks.TaskTruth(
                task=task, status=tasks.TaskStatus.STOPPED, started_at=started_at, stopped_at=datetime.now(UTC),
                stop_code=tasks.StopCode.USER_INITIATED if asked_by else tasks.StopCode.GONE, stopped_by=asked_by,
                detail="no record of its end; seen gone",
                end=tasks.TaskEnd(cause=cause, load_ended_at=asked_at, source=source, record=facts),
            )  # fmt: skip
        by_signal = record.cause is tasks.EndCause.SIGNAL
        return tasks.TaskTruth(
            task=task, status=tasks.TaskStatus.STOPPED, started_at=started_at, stopped_at=record.stopped_at,
            exit_code=record.exit_code, detail=record.detail or self._tell_last_words(task, record),
            stop_code=tasks.StopCode.USER_INITIATED if by_signal else tasks.StopCode.ESSENTIAL_EXITED,
            stopped_by=asked_by if by_signal else record.stopped_by,
            end=tasks.TaskEnd(
                cause=record.cause, asked_at=record.asked_at, load_ended_at=record.stopped_at,
                source=tasks.EndSource.RECORD, record=facts,
            ),
        )  # fmt: skip

    def _tell_last_words(self, task: tasks.Task, record: task_records.GuardRecord) -> str:
        """Why a program ended by itself with an error, as far as its log says; empty for every other end."""
        if record.cause is not tasks.EndCause.PROGRAM_ENDED or not record.exit_code:
            return ""
        log = self._file(task.shard_index, "log")
        last_line = log_tails.read_last_line(log)
        run_folder = self._folder.parents[1] if "/" in self._execution_id else self._folder
        where = f"log: {log.relative_to(run_folder)} in the run's folder"  # that of a one-shot lies deeper
        return f"its last line: {last_line}; {where}" if last_line else f"it wrote no line; {where}"

    def _find_guard(self, task: tasks.Task) -> psutil.Process | None:
        """The living guard of a task. A step of the wall clock shifts start times; the mark still identifies the
        guard."""
        pid, started = _parse_identity(task)
        guard = process_tree.find_process(pid, started)
        if guard is not None:
            return guard
        with contextlib.suppress(psutil.Error):
            candidate = psutil.Process(pid)
            own = process_tree.format_mark(self._execution_id, task.shard_index)
            if (
                process_tree.is_living(candidate)
                and process_tree.read_environment(candidate).get(process_tree.TASK_MARK) == own
            ):
                return candidate
        return None

    def _find_processes(self, task: tasks.Task) -> list[psutil.Process]:
        if task.task_id in self._gone:
            return []
        candidates = process_tree.list_processes()
        own = process_tree.group_by_task(candidates).get((self._execution_id, task.shard_index), [])
        guard = self._find_guard(task)
        return process_tree.with_descendants([*own, *([guard] if guard is not None else [])], candidates)

    def _kill_all(self, task: tasks.Task) -> None:
        give_up_at = time.monotonic() + FORCE_SECONDS
        while survivors := self._find_processes(task):
            process_tree.kill(survivors)
            self._reap()
            if time.monotonic() > give_up_at:
                raise errors.StillRunning(
                    f"{task.task_id}: {len(survivors)} processes outlive KILL, first {survivors[0].pid}"
                )
            time.sleep(_POLL_SECONDS)

    # Files

    def _file(self, shard_index: int, ending: str) -> Path:
        return self._folder / "tasks" / f"{shard_index:04d}.{ending}"

    @_seeing
    def read_launched_task(self, shard_index: int) -> tasks.Task | None:
        """The task of a shard as it was launched, from the launch file or the guard's own record."""
        fields = _read_fields(self._file(shard_index, "launch"))
        if fields:
            return _task(shard_index, int(fields["pid"]), float(fields["started"]))
        record = self._read_record(shard_index)
        return None if record is None else _task(shard_index, record.guard_pid, record.guard_started)

    def _read_record(self, shard_index: int) -> task_records.GuardRecord | None:
        with shortage.suppressing_other_errors(), contextlib.suppress(ValueError):
            content = files.read(self._file(shard_index, "json"))
            return None if content is None else task_records.decode_guard(content)
        return None

    def _read_kills(self) -> Sequence[task_records.Kill]:
        with shortage.suppressing_other_errors(), contextlib.suppress(ValueError):
            return task_records.decode_kills(files.read(self._folder / "watchdog.json") or b"[]")
        return ()

    def _note_stop(self, task: tasks.Task, by: tasks.Layer) -> None:
        """Writes the layer that asked first, and when: the task lived then. A full disk never holds up a stop."""
        path = self._file(task.shard_index, "stop")
        asking = {"task_id": task.task_id, "by": by, "at": instants.text(datetime.now(UTC))}
        with contextlib.suppress(OSError):
            if not path.exists():
                files.replace(path, json.dumps(asking).encode())

    def _read_asking(self, task: tasks.Task) -> tuple[tasks.Layer | None, datetime | None]:
        """The layer that asked first, and when; a file of burst 0.1.0 does not say when."""
        fields = _read_fields(self._file(task.shard_index, "stop"))
        by, at = fields.get("by"), fields.get("at")
        return None if by is None else tasks.Layer(by), None if at is None else instants.parse(at)

    def _require_own(self, execution_id: str) -> None:
        if execution_id != self._execution_id:
            raise errors.UsageError(f"this launcher is for run {self._execution_id}, not {execution_id}")


class WatchdogLayer:
    """L1 on this machine: a detached watchdog kills every process of the run past deadline and grace."""

    def __init__(self, launcher: LocalLauncher, *, grace_seconds: float) -> None:
        self._launcher = launcher
        self._grace_seconds = grace_seconds

    def arm(self, deadline: datetime) -> str:
        """Starts the watchdog, and says what it does. Raises as `LocalLauncher.arm_watchdog`."""
        self._launcher.arm_watchdog(deadline=deadline, grace_seconds=self._grace_seconds)
        return "the watchdog kills what is left at the deadline and grace"

    def disarm(self) -> None:
        """Ends the watchdog."""
        self._launcher.disarm_watchdog()


class LocalOneShots:
    """`ports.OneShots` for one run: each a guarded process in a folder of its own, `one_shots/{name}`.

    To the launcher a one-shot is a run of one task with an id of its own, so it is never taken for a shard.
    """

    def __init__(
        self, run_folder: Path, *, execution_id: str, grace_seconds: float, withheld: frozenset[str] = frozenset()
    ) -> None:
        self._folder = run_folder / "one_shots"
        self._execution_id = execution_id
        self._grace_seconds = grace_seconds
        self._withheld = withheld
        self._launchers: dict[str, LocalLauncher] = {}

    def start(self, shot: tasks.OneShot, deadline: datetime) -> tasks.Task:
        """Starts a guard, which ends the one-shot at its deadline; see `ports.OneShots`."""
        own_id = tasks.one_shot_id(self._execution_id, shot.name)
        request = tasks.LaunchRequest(
            execution_id=own_id,
            token=own_id,
            shards=(0,),
            shard_count=1,
            command=shot.command,
            environment=(("BURST_EXECUTION_ID", self._execution_id), *shot.environment),
            budget_seconds=instants.seconds_between(datetime.now(UTC), deadline),
            grace_seconds=self._grace_seconds,
            child_waits=False,
            lease_ttl_seconds=shot.timeout_seconds,
        )
        started = self._make_launcher(own_id).launch(request)
        if not started:
            raise errors.Unavailable(f"{shot.name}: its process was started before, and what it was is not known")
        return started[0]

    def find(self, one_shot_id: str) -> Sequence[tasks.Task]:
        """The one-shot of this id, where any process of it lives."""
        return self._make_launcher(one_shot_id).find(one_shot_id)

    def inspect(self, launched: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """The truth about each one-shot, from its processes first and its records second."""
        return [self._find_launcher(task).inspect([task])[0] for task in launched]

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        """TERM to its guard, or with `force` KILL to all its processes."""
        return self._find_launcher(task).stop(task, by=by, force=force)

    def _make_launcher(self, one_shot_id: str) -> LocalLauncher:
        name = one_shot_id.rpartition("/")[2]
        if name not in self._launchers:
            self._launchers[name] = LocalLauncher(
                self._folder / name, execution_id=one_shot_id, control_uri=None, withheld=self._withheld
            )
        return self._launchers[name]

    def _find_launcher(self, task: tasks.Task) -> LocalLauncher:
        """The launcher of the folder that holds this task, also where another process started it."""
        names = sorted(path.name for path in self._folder.glob("*") if path.is_dir())
        for name in names:
            candidate = self._make_launcher(tasks.one_shot_id(self._execution_id, name))
            if candidate.read_launched_task(0) == task:
                return candidate
        return self._make_launcher(tasks.one_shot_id(self._execution_id, "unknown"))


@_seeing
def list_marked_tasks() -> list[tasks.MarkedTask]:
    """Every living burst task of any run that this user can see on this machine; `burst reap` judges them."""
    living = process_tree.group_by_task(process_tree.list_processes())
    living_tasks = []
    for (execution_id, shard_index), processes in sorted(living.items(), key=lambda item: item[0]):
        oldest = _find_oldest(processes)
        if oldest is not None:
            environment = process_tree.read_environment(oldest)
            living_tasks.append(
                tasks.MarkedTask(
                    execution_id=execution_id,
                    deadline=tasks.parse_deadline(environment.get(_DEADLINE)),
                    control_uri=environment.get(_CONTROL_URI),
                    task=_identify_task(oldest, shard_index),
                )
            )
    return living_tasks


def _task(shard_index: int, pid: int, started: float) -> tasks.Task:
    return tasks.Task(task_id=f"local:{pid}:{started:.6f}", shard_index=shard_index)


def _parse_identity(task: tasks.Task) -> tuple[int, float]:
    """Pid and start time of a local task; raises `errors.UsageError` for another launcher's id."""
    try:
        kind, pid, started = task.task_id.split(":")
        if kind != "local":
            raise ValueError(kind)
        return int(pid), float(started)
    except ValueError as exc:
        raise errors.UsageError(f"{task.task_id!r} is no local task; allowed is local:PID:START") from exc


def _find_oldest(processes: Sequence[psutil.Process]) -> psutil.Process | None:
    """The process that started first of those still alive: the guard, while it lives."""
    started = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            started.append((process.create_time(), process.pid, process))
    return min(started, key=lambda entry: entry[:2])[2] if started else None


def _identify_task(process: psutil.Process, shard_index: int) -> tasks.Task:
    """The task a process belongs to: its guard's, or its own where it is the guard."""
    guard = process_tree.read_environment(process).get(process_tree.GUARD_MARK)
    if guard:
        return tasks.Task(task_id=f"local:{guard}", shard_index=shard_index)
    return _task(shard_index, process.pid, process.create_time())


def _read_fields(path: Path) -> dict[str, Any]:
    """The JSON object in one of the small files; empty where it is missing or half written."""
    with shortage.suppressing_other_errors(), contextlib.suppress(ValueError):
        fields = json.loads(files.read(path) or b"{}")
        return fields if isinstance(fields, dict) else {}
    return {}
