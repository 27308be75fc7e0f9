"""The local target: burst tasks as processes of this machine, and the program they run."""

import atexit
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters import secrets
from burst.adapters.aws import alarms
from burst.adapters.local import account_files, file_halts, file_leases, processes
from burst.control import controller, layers, ownership, preflight, reaping, watching
from burst.domain.basics import errors, instants
from burst.domain.documents import run_records
from burst.domain.plan import plans
from burst.domain.tasks import leases, tasks, worst_ends
from burst.kit import own_programs
from burst.load import shipped_profiles, task_processes
from burst.wiring.preflight import local_checks
from burst.wiring.targets import load_program, local_terms


class LocalTarget(local_terms.LocalTerms):
    """`targets.Target` for a plan whose tasks are processes of this machine; `folder` is that of its run."""

    def __init__(self, plan: plans.Plan, folder: Path, clock: ports.Clock) -> None:
        super().__init__(plan)
        self._folder = folder
        self._clock = clock
        self.give_up_seconds = worst_ends.GIVE_UP_AFTER_FORCE_SECONDS
        self.claims_shards = False
        self.appears_seconds = 0.0

    # Preflight

    def secret_references(self) -> Sequence[str]:
        """The references of the load: this machine resolves them for its tasks."""
        load = self._plan.load
        checkpoint = load.playback.checkpoint_secret if load.playback else None
        references = (load.api_key, checkpoint, *load.environment.values())
        return [value for value in references if value and secrets.is_reference(value)]

    def counter_check(self) -> None:
        """None: receipts are counted from this machine."""

    def checks(self, receipts: preflight.ReceiptChecks) -> Sequence[preflight.PreflightCheck]:
        """The checks of the program and of its host."""
        return local_checks.list_checks(self._plan, receipts, lambda: describe_program(self._plan), self.halt_switch())

    # A run

    def waits_for_go(self) -> bool:
        """True: every task starts under guard, which holds it at the barrier."""
        return True

    def announce(self, store: ports.EvidenceStore, announcement: run_records.Announcement) -> None:
        """Does nothing: no other machine can take over processes of this one."""

    def run_target(
        self, deadline: datetime, *, to_launch: bool, owner: leases.Owner | None = None
    ) -> controller.RunTarget:
        """The adapters of one run; the secrets of its tasks are resolved here where it is `to_launch`."""
        plan, launcher, lease = self._plan, self.launcher(deadline), ownership.hold(self.lease_store(), owner)
        variables = task_environment(plan) | load_program.guard_variables(plan) if to_launch else {}
        if plan.load.is_distributed:
            # Of all runs on this machine none takes another's port, and nobody outside reaches one.
            variables |= {task_processes.MASTER_PORT: "0", task_processes.MASTER_BIND: "127.0.0.1"}
        return controller.RunTarget(
            worst_end_seconds=worst_ends.sum_up(self.worst_ends()),
            launcher=launcher,
            lease=lease,
            layers={
                "guard": layers.StatedLayer("every task is launched under burst guard"),
                "lease": layers.LeaseLayer(
                    lease,
                    execution_id=str(plan.execution_id),
                    ttl_seconds=plan.layers.lease_ttl,
                    clock=self._clock,
                ),
                "sidecar": processes.WatchdogLayer(launcher, grace_seconds=plan.budget.stop_grace),
                "controller": layers.StatedLayer(load_program.CONTROLLER_LAYER),
            },
            command=load_program.command(plan, python=sys.executable, locustfiles=find_locustfiles(plan)),
            environment=(*variables.items(), ("BURST_DEADLINE_UTC", instants.text(deadline))),
            child_waits=plan.load.holds_barrier,
            accounts=account_files.AccountFiles(self._folder),
            one_shots=processes.LocalOneShots(
                self._folder,
                execution_id=str(plan.execution_id),
                grace_seconds=plan.budget.stop_grace,
                withheld=secret_variables(plan),
            ),
            halt=self.halt_switch(),
            alarms=alarms.CloudWatchAlarms(),
        )

    def launcher(self, deadline: datetime) -> processes.LocalLauncher:
        """The launcher of one run; its processes do not inherit the variables that the plan's secrets come from."""
        return processes.LocalLauncher(
            self._folder,
            execution_id=str(self._plan.execution_id),
            control_uri=self.lease_store().uri,
            withheld=secret_variables(self._plan),
        )

    def lease_store(self) -> file_leases.FileLeaseStore:
        """The lease of one run, in its folder."""
        return file_leases.FileLeaseStore(self._folder / "control.json")

    def halt_switch(self) -> file_halts.FileHaltSwitch:
        """The switch in the folder of the runs, which is the run control of local runs."""
        return file_halts.FileHaltSwitch(self._folder.parent)

    def run_lease(self, begun_at: datetime, deadline: datetime) -> ownership.RunLease:
        """The lease of one run, to be claimed."""
        ttl_seconds = self._plan.layers.lease_ttl
        return ownership.RunLease(
            store=self.lease_store(),
            execution_id=str(self._plan.execution_id),
            deadline=deadline,
            begun_at=begun_at,
            ttl_seconds=ttl_seconds,
            slowest_beat_seconds=watching.beat_seconds(ttl_seconds) + file_leases.LOCK_WAIT_SECONDS,
        )

    def places(self, deadline: datetime) -> Sequence[ports.EvidencePlace]:
        """None: the run's folder is the evidence."""
        return ()

    def living_tasks(self) -> list[reaping.LivingTask]:
        """Every task of the run that lives on this machine."""
        return find_living_tasks(self._plan.execution_id)

    def list_living_runs(self) -> list[str]:
        """The other runs of the same folder of runs. A task that names no lease is one of theirs where its run has a
        folder there."""
        folder = Path(self._plan.evidence.local).absolute()
        runs = {
            tasks.run_of(each.execution_id)
            for each in find_living_tasks(None)
            if (folder / tasks.run_of(each.execution_id)).is_dir()
        }
        return sorted(runs - {str(self._plan.execution_id)})


def find_living_tasks(execution_id: str | None) -> list[reaping.LivingTask]:
    """Every burst task that lives on this machine, of one run where one is named."""
    return [
        reaping.LivingTask(
            execution_id=marked.execution_id,
            task=marked.task,
            deadline=marked.deadline,
            launcher=_launcher_of(marked),
            control_uri=marked.control_uri,
        )
        for marked in processes.list_marked_tasks()
        if execution_id in (None, tasks.run_of(marked.execution_id))
    ]


def _launcher_of(marked: tasks.MarkedTask) -> processes.LocalLauncher:
    """The launcher of a task that was found by its mark: its lease names the folder of its run."""
    uri = marked.control_uri or None
    if uri is not None and uri.startswith("file://"):
        folder = Path(file_leases.from_uri(uri).path).parent
    else:
        folder = Path("runs") / marked.execution_id
    return processes.LocalLauncher(folder, execution_id=marked.execution_id, control_uri=uri)


def task_environment(plan: plans.Plan) -> dict[str, str]:
    """The plan's part of every task's environment. Secrets are resolved here and reach nothing but the task."""
    load, environment = plan.load, load_program.variables(plan)
    if load.api_key is not None:
        environment[load_program.API_KEY_VARIABLE] = secrets.resolve(load.api_key).reveal()
    if load.playback is not None and load.playback.checkpoint_secret is not None:
        environment[str(load.playback.checkpoint_variable)] = secrets.resolve(load.playback.checkpoint_secret).reveal()
    for name, value in load.environment.items():
        environment[name] = secrets.resolve(value).reveal() if secrets.is_reference(value) else value
    return environment


def secret_variables(plan: plans.Plan) -> frozenset[str]:
    """The variables that the plan's secrets come from. A task gets its secrets under the names in the plan, and none
    of the database."""
    checkpoint = plan.load.playback.checkpoint_secret if plan.load.playback else None
    references = [plan.receipts.dsn or "", plan.load.api_key or "", checkpoint or "", *plan.load.environment.values()]
    return frozenset(reference.removeprefix("env:") for reference in references if reference.startswith("env:"))


def describe_program(plan: plans.Plan) -> str:
    """What the tasks will run. Raises `errors.Refused` where it is not on this machine."""
    if plan.load.command is not None:
        if shutil.which(plan.load.command[0]) is None:
            raise errors.Refused(f"load.command: {plan.load.command[0]} is not an executable program")
        return f"{plan.load.command[0]} is there"
    for missing in filter(None, map(shipped_profiles.describe_missing, plan.load.locustfiles)):
        raise errors.Refused(f"load.locustfile: {missing}")
    if importlib.util.find_spec("locust") is None:
        raise errors.Refused("Locust is not installed; install burst with its load extra: pip install 'burst[load]'")
    return f"{describe_locustfiles(plan)}: {_list_users(plan)}"


def find_locustfiles(plan: plans.Plan) -> tuple[Path, ...]:
    """The files that tasks on this machine run: the plan's own, or the shipped profile that the plan names.

    None where the plan gives a command in place of a locustfile.
    """
    return tuple(shipped_profiles.find_profile(name) or Path(name) for name in plan.load.locustfiles)


def describe_locustfiles(plan: plans.Plan) -> str:
    """The plan's locustfiles in words, and the place of the shipped profile where it is one."""
    shipped = {name: shipped_profiles.find_profile(name) for name in plan.load.locustfiles}
    places = (f"{name} is {shipped_profiles.describe(path)}" for name, path in shipped.items() if path is not None)
    own_files = [name for name, path in shipped.items() if path is None]
    return "; ".join(
        (*places, *([f"{', '.join(own_files)} {'is' if len(own_files) == 1 else 'are'} there"] if own_files else []))
    )


_BARRIER_OPTIONS = ("--burst-ready-file", "ready", "--burst-go-file", "go")
"""The files of the barrier, as burst's own profile takes them; Locust refuses options that no locustfile adds."""


_OVERTIME_SECONDS = 5.0
"""How much later than this process Locust ends itself."""


def _list_users(plan: plans.Plan) -> str:
    """The users Locust finds in the plan's files. Locust patches the process that imports them, so it gets its own.

    Raises `errors.Refused` where a file has to prove that it waits for GO, because it has the path of burst's own
    profile, and does not.
    """
    load, names = plan.load, ", ".join(map(str, find_locustfiles(plan)))
    proves_barrier = (load.runs_own_profile or load.runs_playback) and not load.waits_for_go
    code, out, err = _run_locust_list(plan, *(_BARRIER_OPTIONS if proves_barrier else ()))
    last = _describe_failure(err)
    if code != 0 and proves_barrier and _BARRIER_OPTIONS[0] in err:
        raise errors.Refused(
            f"load.locustfile: {names} has the path of burst's own profile and does not wait for GO; "
            "give it another name, and the guard starts it at GO, or say load.waits_for_go"
        )
    if code != 0:
        raise errors.Refused(f"load.locustfile: Locust cannot import {names}, or take load.arguments: {last}")
    users = [line.strip() for line in out.splitlines()[1:]]
    if not users:
        raise errors.Refused(f"load.locustfile: {names} has no user of Locust's in it")
    missing = [name for name in load.user_classes or () if name not in users]
    if missing:
        raise errors.Refused(f"load.user_classes: no {', '.join(missing)} in {names}; allowed: {', '.join(users)}")
    return ", ".join(load.user_classes or users)


def _describe_failure(err: str) -> str:
    """The last line of what Locust said, and the place in a file that it is about, where it names one."""
    lines = [line.strip() for line in err.splitlines() if line.strip()] or ["no message"]
    place = next((line for line in reversed(lines) if line.startswith('File "')), None)
    return lines[-1] if place is None else f"{lines[-1]} ({place})"


def _run_locust_list(plan: plans.Plan, *options: str) -> tuple[int, str, str]:
    """The exit code and the output of `locust --list`, started as the tasks will start it.

    A locustfile may import for ever, on a thread of preflight that nobody waits for, so Locust ends with this process,
    also where that is killed.
    """
    load, files = plan.load, ",".join(map(str, find_locustfiles(plan)))
    bound = own_programs.bound_words(seconds_max=local_checks.IMPORT_SECONDS + _OVERTIME_SECONDS)
    locust = (sys.executable, "-m", load_program.LOCUST, "-f", files, "--list", *options)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    own = load_program.variables(plan)
    with contextlib.suppress(errors.BurstError):  # a secret that is not there has a check of its own
        own = task_environment(plan)
    with subprocess.Popen(
        (*bound, *locust, *(load.arguments or ())),
        env=inherited | own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        atexit.register(process.kill)
        try:
            out, err = process.communicate(timeout=local_checks.IMPORT_SECONDS)
        except subprocess.TimeoutExpired:
            raise errors.Refused(
                f"load.locustfile: Locust did not import {files} within {local_checks.IMPORT_SECONDS:g} s"
            ) from None
        finally:
            process.kill()
            atexit.unregister(process.kill)
    return process.returncode, out, err
