"""Wiring of the local target: burst tasks as processes of this machine, and how each layer is armed there."""

import atexit
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import burst
from burst import ports
from burst.adapters import secrets
from burst.adapters.local import file_leases, processes
from burst.control import controller
from burst.domain.basics import errors, instants
from burst.domain.plan import plans
from burst.load import shipped_profiles
from burst.wiring.targets import load_program

LAYERS = ("guard", "lease", "sidecar", "controller")
LOCUST_SECONDS = 15.0
"""How long Locust may take to import a locustfile."""


def run_control(folder: Path) -> file_leases.FileLeaseStore:
    """The lease of the run in a folder."""
    return file_leases.FileLeaseStore(folder / "control.json")


def launcher(folder: Path, execution_id: str, withheld: frozenset[str] = frozenset()) -> processes.LocalLauncher:
    """The launcher of the run in a folder."""
    uri = run_control(folder).uri
    return processes.LocalLauncher(folder, execution_id=execution_id, control_uri=uri, withheld=withheld)


def target(
    plan: plans.Plan, folder: Path, deadline: datetime | None, clock: ports.Clock, *, secrets_resolved: bool
) -> controller.Target:
    """The local target of one run; without `secrets_resolved` one that can launch nothing."""
    execution_id = str(plan.execution_id)
    lease = run_control(folder)
    started = launcher(folder, execution_id, secret_variables(plan))

    def watchdog(until: datetime) -> str:
        started.arm_watchdog(deadline=until, grace_seconds=plan.budget.stop_grace)
        return "the watchdog kills what is left at the deadline and grace"

    arms: dict[str, Callable[[datetime], str]] = {
        "guard": lambda _: "every task is launched under burst guard",
        "lease": lambda until: load_program.hold(plan, lease, until, clock),
        "sidecar": watchdog,
        "controller": lambda _: "this process stops tasks one by one and watches them end",
    }
    known = [("BURST_DEADLINE_UTC", instants.text(deadline))] if deadline is not None else []
    return controller.Target(
        launcher=started,
        lease=lease,
        arm=arms,
        disarm=started.disarm_watchdog,
        command=load_program.command(plan, python=sys.executable, locustfile=find_locustfile(plan)),
        environment=(*(task_environment(plan) if secrets_resolved else ()), *known),
        child_waits=load_program.waits_for_go(plan),
        one_shots=processes.LocalOneShots(
            folder,
            execution_id=execution_id,
            grace_seconds=plan.budget.stop_grace,
            withheld=secret_variables(plan),
        ),
    )


def task_environment(plan: plans.Plan) -> Sequence[tuple[str, str]]:
    """The plan's part of every task's environment. Secrets are resolved here and reach nothing but the task."""
    load, given = plan.load, load_program.variables(plan)
    if load.api_key is not None:
        given[load_program.API_KEY_VARIABLE] = secrets.resolve(load.api_key).reveal()
    for name, value in load.environment.items():
        given[name] = secrets.resolve(value).reveal() if secrets.is_reference(value) else value
    return tuple(given.items())


def secret_variables(plan: plans.Plan) -> frozenset[str]:
    """The variables the plan's secrets come from. A task is given what the plan says under the name it says, and
    nothing of the database."""
    references = [plan.receipts.dsn or "", plan.load.api_key or "", *plan.load.environment.values()]
    return frozenset(reference.removeprefix("env:") for reference in references if reference.startswith("env:"))


def program_there(plan: plans.Plan) -> str:
    """What the tasks will run. Raises `errors.Refused` where it is not here."""
    if plan.load.command is not None:
        if shutil.which(plan.load.command[0]) is None:
            raise errors.Refused(f"load.command: {plan.load.command[0]} is not an executable program")
        return f"{plan.load.command[0]} is there"
    locustfile = find_locustfile(plan)
    if locustfile is None or not locustfile.is_file():
        raise errors.Refused(
            f"load.locustfile: {plan.load.locustfile} is not there, looked for from {Path.cwd()}; "
            f"the profile that ships with burst is {shipped_profiles.NAME}"
        )
    if importlib.util.find_spec("locust") is None:
        raise errors.Refused("Locust is not installed; install burst with its load extra: pip install 'burst[load]'")
    return f"{describe_locustfile(plan)}: {_users(str(locustfile))}"


def find_locustfile(plan: plans.Plan) -> Path | None:
    """The file that tasks on this machine run: the plan's own, or the shipped profile that the plan names.

    None where the plan gives a command in place of a locustfile.
    """
    name = plan.load.locustfile
    return None if name is None else shipped_profiles.find_profile(name) or Path(name)


def describe_locustfile(plan: plans.Plan) -> str:
    """The plan's locustfile in words, and its place where it is the shipped profile."""
    name = str(plan.load.locustfile)
    shipped = shipped_profiles.find_profile(name)
    return f"{name} is there" if shipped is None else f"{name} is {shipped_profiles.describe(shipped)}"


def _users(locustfile: str) -> str:
    """The users Locust finds in a locustfile, which it imports: in a process of its own, because it patches it."""
    code, out, err = _listed(locustfile)
    if code != 0:
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        raise errors.Refused(f"load.locustfile: Locust cannot import {locustfile}: {last}")
    users = [line.strip() for line in out.splitlines()[1:]]
    if not users:
        raise errors.Refused(f"load.locustfile: {locustfile} has no user of Locust's in it")
    return ", ".join(users)


def _listed(locustfile: str) -> tuple[int, str, str]:
    """What `locust --list` ended with and said. It ends with this process too: preflight, which may be interrupted,
    asks on a thread that nobody waits for, and a locustfile may import for ever.
    """
    command = [sys.executable, "-m", "locust", "-f", locustfile, "--list"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as asked:
        atexit.register(asked.kill)
        try:
            out, err = asked.communicate(timeout=LOCUST_SECONDS)
        except subprocess.TimeoutExpired:
            raise errors.Refused(
                f"load.locustfile: Locust did not import {locustfile} within {LOCUST_SECONDS:g} s"
            ) from None
        finally:
            asked.kill()
            atexit.unregister(asked.kill)
    return asked.returncode, out, err


def fingerprint() -> dict[str, str | int | float | None]:
    """What of this machine a baseline keeps: rates of unlike machines are not to be compared."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "burst": burst.__version__,
    }
