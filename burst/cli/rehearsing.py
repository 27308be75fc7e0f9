"""The play of `burst rehearse`: furnishes a simulated AWS, and starts `burst run` in it as an operator would.

Apart from the command, because all that it needs is imported here: `--help` is not to wait for it.
"""

import contextlib
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from burst import ports
from burst.adapters.local import folder_store, system_clock
from burst.cli import common
from burst.domain.basics import canonical, errors, instants, wording
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.verdict import snapshots
from burst.kit import own_programs
from burst.load import shipped_profiles
from burst.rehearsal import aws_simulation, bootstrap, faults, phase_strikes
from burst.report import terminal
from burst.sandbox import embedded_postgres, gateway
from burst.wiring import preparing
from burst.wiring.targets import targets

PERMISSIONS = "permissions.json"
"""In the rehearsal's folder: every permission the run would have needed on AWS, by role."""
LOOK_SECONDS = 0.05
"""The pause between two looks for a phase that has begun."""
SETTLE_SECONDS = 120.0
"""How long a run without a verdict is resumed again and again, once no fault of limited duration is in force."""
_FINISHED = frozenset({0, 3, 7, 130, 143})
"""The exit codes of `burst resume` after which another one would change nothing; 7: no run had begun."""
_BLIND = 6
_UNPUBLISHED = 5
_LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def rehearse(output: common.Output, request: preparing.RunRequest, ordered: tuple[faults.Fault, ...]) -> int:
    """Plays a plan to its verdict, with faults, and returns the exit code.

    Raises `errors.UsageError` for a plan of another target.
    """
    plan = preparing.read_plan(request)
    if not targets.choose(plan, system_clock.SystemClock()).simulated_by_rehearsal:
        raise errors.UsageError(f"{request.plan_file}: target.kind is {plan.target.kind}; a rehearsal needs ecs")
    folder = (
        Path(plan.evidence.local).absolute() / f"rehearsal_{instants.stamp(datetime.now(UTC))}_{secrets.token_hex(2)}"
    )
    try:
        folder.mkdir(parents=True)
    except OSError as exc:
        raise errors.UsageError(
            f"evidence.local: {plan.evidence.local} cannot hold a rehearsal: {exc.strerror}; "
            "name another folder: --set evidence.local=FOLDER"
        ) from exc
    with _stage(output, plan, folder) as stage:
        words = [
            str(request.plan_file),
            *(word for override in (*request.overrides, *stage.overrides) for word in ("--set", override)),
        ]
        return _play(output, stage, words, ordered)


class _Stage:
    """The stage of a rehearsal: the simulated AWS, and the changes to the plan for it."""

    def __init__(self, aws: aws_simulation.AwsSimulation, overrides: tuple[str, ...], folder: Path) -> None:
        self.aws = aws
        self.overrides = overrides
        self.folder = folder
        self._furnishing = len(aws.calls())

    def needs(self) -> list[dict[str, Any]]:
        """Every permission needed since the account was furnished: the principal, action, resource, and how often."""
        needs = [(call.principal, need) for call in self.aws.calls()[self._furnishing :] for need in call.needs]
        times = Counter(canonical.encode({"principal": principal, **need}) for principal, need in needs)
        return [{**canonical.decode(need), "times": times[need]} for need in sorted(times)]


@contextlib.contextmanager
def _stage(output: common.Output, plan: plans.Plan, folder: Path) -> Iterator[_Stage]:
    with contextlib.ExitStack() as stack:
        api_key = _secret(plan.load.api_key) or secrets.token_urlsafe(24)
        output.hide(api_key)
        overrides, dsn = [f"evidence.local={folder}"], _secret(plan.receipts.dsn)
        if plan.load.host is None or not plan.load.host.startswith(_LOOPBACK):
            output.say("a Postgres and a reference gateway stand in for the plan's host and database")
            server = stack.enter_context(embedded_postgres.start())
            admin_dsn = server.create_database()
            embedded_postgres.apply_schema(admin_dsn)
            dsn = server.create_reader(admin_dsn)
            if plan.receipts.dsn is not None:
                os.environ[_variable(plan.receipts.dsn)] = dsn
            url = stack.enter_context(gateway.start(dsn=admin_dsn, api_key=api_key)).url
            overrides.append(f"load.host={url}")
        name = plan.load.locustfile if isinstance(plan.load.locustfile, str) else None
        profile = shipped_profiles.find_profile(name) if name is not None else None
        if profile is not None:  # a container of the simulation finds this folder where the image has its own
            output.say(f"load.locustfile: {name} is {shipped_profiles.describe(profile)}")
            overrides.append(f"load.locustfile={profile}")
        if plan.load.api_key is not None:
            os.environ[_variable(plan.load.api_key)] = api_key
        output.say("starting a simulated AWS")
        aws = stack.enter_context(aws_simulation.start(folder / "aws"))
        os.environ |= aws.environment
        if plan.receipts.via == "task" and not dsn:
            raise errors.UsageError("receipts.dsn: give env:NAME, which the counting task of the rehearsal gets")
        bootstrap.furnish_account(plan, python=sys.executable, api_key=api_key if plan.load.api_key else None, dsn=dsn)
        yield _Stage(aws, tuple(overrides), folder)


def _variable(reference: str) -> str:
    """The variable behind a plan's reference. Raises `errors.UsageError` for other references."""
    if not reference.startswith("env:"):
        raise errors.UsageError(f"{reference}: a rehearsal stands in only for references env:NAME")
    return reference.removeprefix("env:")


def _secret(reference: str | None) -> str | None:
    return os.environ.get(reference.removeprefix("env:")) if reference else None


def _play(output: common.Output, stage: _Stage, words: list[str], ordered: tuple[faults.Fault, ...]) -> int:
    """Runs the plan in a process of its own, as an operator would, and settles the run when that process is killed, or
    is over before a fault of limited duration that kept it from its verdict."""
    execution_id = f"rehearsal_{instants.stamp(datetime.now(UTC))}_{secrets.token_hex(3)}"
    strikes = phase_strikes.PhaseStrikes(
        ordered,
        journal=stage.folder / execution_id / document_names.JOURNAL,
        order=lambda fault: stage.aws.faults.order([fault]),
    )
    command = ["run", *words, "--execution-id", execution_id]
    with _burst(output, command) as controller:
        stage.aws.register_controller(controller.pid)
        strikes.begin()
        began = time.monotonic()
        code = _wait(controller, strikes)
    if code == -signal.SIGKILL:
        output.say("the controller was killed; its run is settled by: burst resume")
        code = _settle(output, stage, execution_id, strikes)
    elif code in (_UNPUBLISHED, _BLIND) and _has_passing_fault(stage, ordered):
        output.say(f"exit {code} under a fault that will pass; the run is settled by: burst resume")
        code = _settle(output, stage, execution_id, strikes)
    missed, seconds = strikes.find_missed(), time.monotonic() - began
    return _render(output, stage, execution_id, code, Played(faults=ordered, missed=missed, seconds=seconds))


def _wait(process: "subprocess.Popen[bytes]", strikes: phase_strikes.PhaseStrikes) -> int:
    """The exit code of a command of burst, whose run's phases are looked for meanwhile."""
    while True:
        strikes.look()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(LOOK_SECONDS)


def _has_passing_fault(stage: _Stage, ordered: tuple[faults.Fault, ...]) -> bool:
    """Whether a fault of limited duration is in force."""
    passing = {fault.label for fault in ordered if fault.duration_seconds is not None}
    return not passing.isdisjoint(stage.aws.faults.active())


def _settle(output: common.Output, stage: _Stage, execution_id: str, strikes: phase_strikes.PhaseStrikes) -> int:
    def resume() -> int:
        with _burst(output, ["resume", execution_id, "--runs-dir", str(stage.folder)]) as resuming:
            return _wait(resuming, strikes)

    return resume_until_settled(resume, lambda: _has_passing_fault(stage, strikes.ordered), system_clock.SystemClock())


def resume_until_settled(resume: Callable[[], int], has_passing_fault: Callable[[], bool], clock: ports.Clock) -> int:
    """Repeats `burst resume` until the run is finished or no run had begun (7), and returns the last exit code.

    Where it ends with 6 while a fault of limited duration is in force, the run is resumed once more after that fault.
    """
    give_up_at = instants.later(clock.now(), SETTLE_SECONDS)
    while True:
        fault_passes = has_passing_fault()
        code = resume()
        if fault_passes:
            give_up_at = instants.later(clock.now(), SETTLE_SECONDS)
        if code in _FINISHED or (code == _BLIND and not fault_passes) or clock.now() > give_up_at:
            return code
        clock.sleep(1.0)


@contextlib.contextmanager
def _burst(output: common.Output, words: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Starts a command of burst in a process; an error here ends it in order first."""
    quiet = ["--quiet"] if output.quiet else []
    bound = own_programs.bound_words()  # its AWS ends with this process: it could stop and publish nothing
    command = [*bound, *own_programs.start_words("burst"), *words, "--json", *quiet]
    environment = {**os.environ, common.TYPED_VARIABLE: shlex.join(output.words)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)
    try:
        yield process
    except BaseException:
        process.terminate()
        process.wait()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The faults that were ordered, those of them that the run shows nothing about, and how long the run took."""

    faults: tuple[faults.Fault, ...]
    missed: list[str]
    seconds: float


def _render(output: common.Output, stage: _Stage, execution_id: str, code: int, played: Played) -> int:
    folder = stage.folder / execution_id
    running = [process for process in stage.aws.containers() if process.running]
    value: dict[str, Any] = {
        "execution_id": execution_id,
        "exit_code": code,
        "faults": [fault.label for fault in played.faults],
        "faults_not_reached": played.missed,
        "tasks_left": len({process.task_arn for process in running}),
        "folder": str(folder),
        "permissions": str(stage.folder / PERMISSIONS),
        "snapshot": None,
    }
    common.write_new(stage.folder / PERMISSIONS, canonical.encode({"needs": stage.needs()}))
    lines = [f"exit {code}, {wording.format_count(value['tasks_left'], 'task')} left running"]
    if played.missed:
        lines.append(f"not rehearsed, for the run ended after {played.seconds:.0f} s: {', '.join(played.missed)}")
    with contextlib.suppress(errors.BurstError):  # a run that never began, or was never settled, has none
        store = folder_store.FolderStore(folder)
        plan = plans.read(store.read(document_names.PLAN), source=document_names.PLAN)
        verdict = snapshots.Verdict.read(store.read(document_names.snapshot_name(plan.slug, plan.kind)))
        value["snapshot"] = canonical.decode(verdict.content)
        lines.append(terminal.render(verdict.snapshot, folder=common.shorten_path(folder)))
    output.result(value, "\n".join(lines))
    if value["snapshot"]:
        output.say(f"verify it: burst verify {common.shorten_path(folder)}")
    return code
