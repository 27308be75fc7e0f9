"""The programs of one task: when each process is started, and with which environment.

A task has one process, or several that share its load. In a distributed burst the task of shard 0 starts the master
first and says beside the lease where it is; then it starts its own workers, as every other task does once it knows.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from burst.domain.basics import errors
from burst.domain.tasks import masters
from burst.kit import process_tree
from burst.load import load_account, shard_values, task_processes
from burst.task import arguments, guarded_program

LOOPBACK = "127.0.0.1"
LAST_REPORTS_SECONDS = 2.5
"""How long a master waits for the last reports of its workers at most: their stop timeout is a second."""
_OF_GUARD_ALONE = (task_processes.PROCESSES, task_processes.TOPOLOGY)
"""A guard below this one would start as many again."""


class MasterBoard(Protocol):
    """Where a task says where its master is, and others look: `ports.LeaseStore`, or the guard's link to it."""

    def tell_master(self, master: masters.MasterAddress) -> None:
        """Says where workers find the master."""
        ...

    def find_master(self) -> masters.MasterAddress | None:
        """Where workers find the master; None as long as it is not known."""
        ...


class TaskPrograms:
    """Starts the processes of one task. `folder` is where they and the guard meet; None: they do not wait for GO."""

    def __init__(
        self,
        options: arguments.Options,
        program: guarded_program.GuardedProgram,
        *,
        guard_mark: str,
        folder: Path | None,
        account_file: Path | None,
    ) -> None:
        self._options = options
        self._program = program
        self._guard_mark = guard_mark
        self._folder = folder
        self._account_file = account_file
        self._shard_index = 0
        self._roles: list[str] = []
        self.waits_for_master = False
        """Whether the workers of this task do not know yet where their master is."""
        self.problem = ""
        """Why a process did not start; empty where each did."""

    def start(self, shard_index: int) -> None:
        """Starts what may be started now: of a distributed burst the master, of any other every process."""
        self._shard_index = shard_index
        if not self._options.is_distributed:
            self._start_processes({})
            return
        self.waits_for_master = True
        if shard_index == task_processes.MASTER_SHARD:
            workers = self._options.shard_count * self._options.processes
            role = {
                task_processes.ROLE: task_processes.MASTER,
                task_processes.WORKER_COUNT: str(workers),
                task_processes.MASTER_FILE: str(self._master_file),
                task_processes.LAST_REPORTS: f"{min(LAST_REPORTS_SECONDS, self._options.grace_seconds / 4):g}",
            }
            self._start_one(role, task_processes.MASTER)

    def join_master(self, board: MasterBoard, own_host: str | None) -> None:
        """Starts the workers, once the master is known. The task that has it says so first; `own_host` is where others
        reach this task, None as long as that is not known. Raises `errors.Unavailable` where the board is blind."""
        if self._shard_index == task_processes.MASTER_SHARD:
            opened = self._read_master_file()
            if opened is None or own_host is None:
                return
            board.tell_master(masters.MasterAddress(host=own_host, port=opened.port, version=opened.version))
            host, port, version = LOOPBACK, opened.port, opened.version
        else:
            master = board.find_master()
            if master is None:
                return
            host, port, version = master.host, master.port, master.version
        self.waits_for_master = False
        role = {task_processes.ROLE: task_processes.WORKER, task_processes.MASTER_ADDRESS: f"{host}:{port}"}
        self._start_processes({**role, task_processes.MASTER_VERSION: version})

    @property
    def is_ready(self) -> bool:
        """Whether every process may get GO. One that does not wait for it is always ready."""
        if self._folder is None:
            return True
        return not self.waits_for_master and bool(self._roles) and all(map(self._is_marked, self._roles))

    def pass_go_on(self, shard_index: int) -> None:
        """Lets every process send: it waits for a file, or is started now. Raises OSError where the file cannot be
        made."""
        if self._folder is None:
            self.start(shard_index)
        else:
            (self._folder / "go").touch()

    def _is_marked(self, role: str) -> bool:
        return self._folder is not None and (self._folder / f"ready-{role}").exists()

    @property
    def _master_file(self) -> Path:
        if self._folder is None:
            raise errors.UsageError("a distributed burst waits for GO: give --child-waits")
        return self._folder / "master"

    def _read_master_file(self) -> task_processes.OpenMaster | None:
        with contextlib.suppress(FileNotFoundError):
            return task_processes.read_master(self._master_file.read_text())
        return None

    def _start_processes(self, role: Mapping[str, str]) -> None:
        for index in range(self._options.processes):
            self._start_one({**self._make_part(index), **role}, str(index))

    def _make_part(self, index: int) -> dict[str, str]:
        """The variables by which a process knows its part; none where the shard of the task has one process."""
        processes, shards = self._options.processes, self._options.shard_count
        if processes == 1:
            return {}
        return {
            task_processes.PROCESS_INDEX: str(index),
            task_processes.PROCESS_COUNT: str(processes),
            "BURST_SHARD_INDEX": str(task_processes.find_part(self._shard_index, shards, index)),
            "BURST_SHARD_COUNT": str(shards * processes),
        }

    def _start_one(self, own: Mapping[str, str], role: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _OF_GUARD_ALONE}
        environment[process_tree.GUARD_MARK] = self._guard_mark
        if self._options.claim is not None:
            environment["BURST_SHARD_INDEX"] = str(self._shard_index)
        environment |= shard_values.read_variables(os.environ, self._shard_index)
        if self._account_file is not None:
            environment[load_account.ACCOUNT_FILE] = str(self._account_file)
        if self._folder is not None:
            environment["BURST_GO_FILE"] = str(self._folder / "go")
            environment["BURST_READY_FILE"] = str(self._folder / f"ready-{role}")
        environment.update(own)
        self._roles.append(role)
        self.problem = self._program.start(environment, task_processes.describe(own)) or self.problem
