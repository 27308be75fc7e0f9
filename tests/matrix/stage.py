"""The stage of the fault matrix: an ECS plan on a simulated AWS, `burst` as processes, and an eye on every container.

A cell has a cluster of its own, so that its containers are told from all others by their ARN, whoever started them:
the launcher, a schedule, or a call whose answer was lost.
"""

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from burst.domain.basics import instants
from burst.domain.plan import plans
from burst.kit import process_tree
from burst.rehearsal import armed_faults, aws_simulation, bootstrap
from burst.wiring import preparing
from tests import fixtures_aws
from tests.faults import stage as faults_stage
from tests.matrix import driver, table

ROOT = Path(__file__).parents[2]
DSN_NAME, API_KEY_NAME = "MATRIX_DSN", "MATRIX_API_KEY"
GRACE_SECONDS = 1.0
WINDOW_SECONDS = 3.0
CAP_SECONDS = 20.0
LONGER_SECONDS = 6.0
"""By so much window and cap are longer where a fault is to end a task that then has not held: two clocks may differ by
two seconds, and on a busy machine the fault strikes seconds after its event."""
LEASE_TTL_SECONDS = 8.0
SENDER = (sys.executable, str(ROOT / "locustfiles" / "sender.py"))
REAPER = "reaper"
Changes = Mapping[str, Mapping[str, object] | list[object]]
"""What of a plan is another way, by section."""


@dataclass(slots=True, kw_only=True)
class Eye:
    """What was seen of the containers of one cluster."""

    aws: aws_simulation.AwsSimulation
    cluster: str
    pids: set[int] = field(default_factory=set)
    last_alive: datetime | None = None

    def look(self) -> bool:
        """Whether a container of a burst task runs now."""
        moment = datetime.now(UTC)
        running = [one for one in self.containers() if one.running and one.name != REAPER]
        self.pids |= {one.pid for one in running if one.pid is not None}
        if running:
            self.last_alive = moment
        return bool(running)

    def containers(self) -> list[aws_simulation.ContainerProcess]:
        """Every container of the cluster, ended ones too."""
        return [one for one in self.aws.containers() if f":task/{self.cluster}/" in one.task_arn]

    def left(self) -> list[psutil.Process]:
        """Processes that still live, by what this machine says and not the simulation."""
        return [psutil.Process(pid) for pid in self.pids if psutil.pid_exists(pid) and self._ours(pid)]

    def _ours(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            return process_tree.is_living(process) and self.cluster in process.environ().get("BURST_RECORD_URI", "")
        except psutil.Error:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the runs of one test play. `dsn` and `api_key` reach burst by the environment alone."""

    cloud: fixtures_aws.Cloud
    folder: Path
    dsn: str
    host: str
    api_key: str
    _commands: list[faults_stage.Command] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What `burst` is started with: the operator's AWS, which the test's process is set up for, and the secrets."""
        return {**os.environ, DSN_NAME: self.dsn, API_KEY_NAME: self.api_key}

    def named(self) -> faults_stage.Ran:
        """A run that has a name and has not begun. Its cluster has the same name."""
        return faults_stage.Ran(folder=self.folder / "runs" / f"m10_{secrets.token_hex(6)}")

    def eye(self, ran: faults_stage.Ran) -> Eye:
        """An eye on the containers of a run."""
        return Eye(aws=self.cloud.world, cluster=ran.execution_id)

    def plan(
        self,
        ran: faults_stage.Ran,
        changes: Changes | None = None,
        *,
        window: float = WINDOW_SECONDS,
        cap: float = CAP_SECONDS,
    ) -> Path:
        """Writes the plan of a run and furnishes the AWS it expects. `changes` by section."""
        path = self.write(ran, changes, window=window, cap=cap)
        bootstrap.furnish_account(_read(path), python=sys.executable, api_key=self.api_key, dsn=self.dsn)
        return path

    def write(
        self,
        ran: faults_stage.Ran,
        changes: Changes | None = None,
        *,
        window: float = WINDOW_SECONDS,
        cap: float = CAP_SECONDS,
    ) -> Path:
        """Writes the plan of a run."""
        sections: dict[str, Any] = {
            "schema": "burst.plan/v1",
            "phase": "M10.F",
            "scope": "fresh",
            "environment": "dev",
            "target": {
                "kind": "ecs",
                "tasks": 2,
                "cluster": ran.execution_id,
                "task_definition": f"{ran.execution_id}:1",
                "container": "burst",
                "capacity": ["FARGATE_SPOT", "FARGATE"],
                "subnets": ["subnet-a"],
                "security_groups": ["sg-a"],
                "reaper": {
                    "task_definition": f"{ran.execution_id}-reaper:1",
                    "role_arn": "arn:aws:iam::123456789012:role/burst-scheduler",
                    "group": "burst-matrix",
                },
            },
            "load": {
                "command": list(SENDER),
                "host": self.host,
                "rate": 1200,
                "api_key": f"env:{API_KEY_NAME}",
                "waits_for_go": True,
            },
            "layers": {
                "require": ["guard", "sidecar", "lease", "schedule"],
                "lease_ttl": _duration(LEASE_TTL_SECONDS),
            },
            "budget": {
                "max": _duration(cap),
                "operator_cap": _duration(cap),
                "min_window": _duration(window),
                "start_timeout": "15s",
                "stop_grace": _duration(GRACE_SECONDS),
            },
            "receipts": {"dsn": f"env:{DSN_NAME}", "bucket": "1s", "settle": "200ms", "count_timeout": "20s"},
            "baseline": {"admits": 300, "seconds": 60, "source": "a made-up reference"},
            "gates": {"multiplier": 2.0, "admit_ratio": 0.995, "offered_load": 0.1},
            "facts": faults_stage.facts(),
            "evidence": {
                "local": str(ran.folder.parent),
                "run_control": f"{self.cloud.place}/run_control",
                "run_scoped": f"{self.cloud.place}/runs",
            },
        }
        for section, keys in (changes or {}).items():
            sections[section] = keys if isinstance(keys, list) else {**sections.get(section, {}), **keys}
        path = self.folder / f"{ran.execution_id}.json"
        path.write_text(json.dumps(sections, indent=1))
        return path

    def start(self, *words: str, strikes: Sequence[driver.Strike] = (), **settings: float) -> faults_stage.Command:
        """Starts `burst` with these words; it is the controller that `controller-kill` kills. `settings` as the
        driver takes them."""
        said = self.folder / "said" / f"{words[0]}-{secrets.token_hex(4)}"
        said.parent.mkdir(exist_ok=True)
        process = driver.begin(words, environment=self.environment, said=said, strikes=strikes, **settings)
        assert process.pid is not None
        self.cloud.world.register_controller(process.pid)
        command = faults_stage.Command(
            process=process, out=said.with_name(f"{said.name}.out"), err=said.with_name(f"{said.name}.err")
        )
        self._commands.append(command)
        return command

    def begin(
        self, ran: faults_stage.Ran, plan: Path, strikes: Sequence[driver.Strike] = (), **settings: float
    ) -> faults_stage.Command:
        """Starts a run."""
        words = ("run", str(plan), "--execution-id", ran.execution_id, "--json")
        return self.start(*words, strikes=strikes, **settings)

    def kill_at(
        self, event: str, changes: Callable[[faults_stage.Ran], Changes], *, window: float, cap: float
    ) -> faults_stage.Ran:
        """A run whose controller was killed at an event. Where the machine is so slow that half its time is over then,
        another run, with a later deadline."""
        for cap_seconds in (cap, 5 * cap):
            ran = self.named()
            plan = self.plan(ran, changes(ran), window=window, cap=cap_seconds)
            code = self.begin(ran, plan, strikes=[self.strike(event, table.KILL)]).ended()
            assert code in (faults_stage.SIGKILLED, faults_stage.OVER), self.said()
            if code == faults_stage.SIGKILLED and datetime.now(UTC) < instants.later(ran.deadline(), -cap_seconds / 2):
                return ran
        raise AssertionError(f"no run came to {event} within {2.5 * cap:g} s: {self.said()}")

    def resume(self, ran: faults_stage.Ran, *, strikes: Sequence[driver.Strike] = ()) -> faults_stage.Command:
        """Starts to settle a run."""
        return self.start("resume", str(ran.folder), "--json", strikes=strikes)

    def strike(self, event: str, label: str) -> driver.Strike:
        """A fault at an event. Services that are down do not answer for half a second; only the operator loses
        answers."""
        callers = armed_faults.OPERATOR if label.startswith("response-lost") else armed_faults.EVERYONE
        options = armed_faults.FaultOptions(hang_seconds=0.5, callers=callers)
        return driver.Strike(event=event, label=label, address=self.cloud.world.address, options=options)

    def arm(self, label: str) -> None:
        """The same fault, now."""
        self.cloud.world.faults.arm(label, options=self.strike("", label).options)

    def desired(self, ran: faults_stage.Ran, service: str) -> int:
        """How many of a service of the run's cluster there should be."""
        answer = self.cloud.ecs.describe_services(cluster=ran.execution_id, services=[service])
        return int(answer["services"][0]["desiredCount"])

    def verify(self, ran: faults_stage.Ran) -> int:
        """What `burst verify` ends with on a run."""
        return self.start("verify", str(ran.folder)).ended()

    def said(self) -> str:
        """The end of what each command said, for a failing test."""
        return "\n".join(f"{command.err.name}: {command.words()}" for command in self._commands)

    def end(self) -> None:
        """Ends the commands that a test left. Its containers end with the simulation, or by their own layers."""
        for command in self._commands:
            if command.code() is None:
                command.kill()


def gone_by(ran: faults_stage.Ran, delay_seconds: float) -> datetime:
    """When nothing of a run may live any more: deadline, grace, and the layer's own delay."""
    return instants.later(ran.deadline(), GRACE_SECONDS + delay_seconds)


def _read(path: Path) -> plans.Plan:
    return preparing.read_plan(preparing.RunRequest(plan_file=path))


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
