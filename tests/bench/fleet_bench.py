"""Hundreds of tasks under one controller: what it asks of AWS and of this machine, and how long launch and stop take.

The controller is the real one, in a process of its own, over the real adapters of ECS, lease and records. AWS and the
guards are `fleet_stage`, in another process. A twenty-fifth of the tasks reads no lease and ends by KILL alone.
"""

import contextlib
import dataclasses
import http.client
import importlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from burst.adapters.local import journal_file, system_clock
from burst.control import controller, recorder, run_documents
from burst.domain.basics import instants
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.run import lifecycle, looks, run_terms, runs
from burst.domain.tasks import launch_rates
from burst.wiring.targets import ecs_target
from tests import cases, fakes_evidence, fakes_receipts
from tests.bench import fleet_stage

SECONDS = 900.0
"""After this long a run is given up."""
IMPORTED = (
    "burst.cli.main", "burst.cli.run", "burst.wiring.driving", "burst.adapters.postgres.postgres_receipts",
    "burst.adapters.signing", "burst.report.html",
)  # fmt: skip
"""What `burst run` imports, beside the target."""
MEMORY_TABLE = ("pydantic", "yaml", "botocore.session", "tenacity", "sqlalchemy", "psycopg", "jinja2", "burst.cli.run")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "eu-west-2",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """So many tasks, and the times of their run."""

    tasks: int
    window_seconds: float = 60.0
    grace_seconds: float = 10.0
    stop_timeout_seconds: float = 12.0

    @property
    def disobedient(self) -> int:
        """How many of the tasks read no lease: one of twenty-five."""
        return self.tasks // 25

    @property
    def longest_stop_seconds(self) -> float:
        """The seconds that a stop may take: calls, grace, stopTimeout and a look at 100 tasks a call; and a fifth."""
        calls_seconds = self.disobedient / launch_rates.RUN_AND_STOP_CALLS.per_second
        look_seconds = launch_rates.reading_seconds(self.tasks)
        return 1.2 * (calls_seconds + self.grace_seconds + self.stop_timeout_seconds + look_seconds)


MODULE = "tests.bench.fleet_bench"
"""Run by its name, this module drives one run."""
FLEETS = (Fleet(tasks=500), Fleet(tasks=1000))


# The process of the controller


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state of the controller's process and of the stage at one moment of a run."""

    at: datetime
    cpu_seconds: float
    resident_bytes: int
    calls: Mapping[str, int]


class Samples:
    """Takes a sample at each moment of a run that a figure begins or ends with."""

    def __init__(self, address: str, window_seconds: float) -> None:
        self._address = address
        self._window_seconds = window_seconds
        self.taken: dict[str, Sample] = {}
        self.most_resident_bytes = 0

    def observe(self, run: runs.Run, decision: lifecycle.Decision, now: datetime) -> None:
        """`controller.Observe`."""
        if isinstance(decision, lifecycle.Launch):
            self.take("launch", now)
        if run.go_at is not None:
            near_seconds = min(looks.NEAR_SECONDS, self._window_seconds / 4)
            near = instants.later(run.go_at, near_seconds)
            end = instants.later(run.go_at, self._window_seconds - near_seconds)
            self.take("go", now)
            self.take("near", now, when=now >= near)
            self.take("far", now, when=now >= end)
        if isinstance(decision, lifecycle.Stop):
            self.take("stop", now)
        if isinstance(decision, lifecycle.Measure):
            self.take("stopped", now)
        self.most_resident_bytes = max(self.most_resident_bytes, resident_bytes())

    def take(self, name: str, now: datetime, *, when: bool = True) -> None:
        """Takes the sample of this name, where it is not taken yet."""
        if when and name not in self.taken:
            spent = os.times()
            calls = read_stage(self._address)["calls"]
            self.taken[name] = Sample(
                at=now, cpu_seconds=spent.user + spent.system, resident_bytes=resident_bytes(), calls=calls
            )

    def seconds(self, first: str, last: str) -> float:
        """The seconds between two samples."""
        return instants.seconds_between(self.taken[first].at, self.taken[last].at)

    def core_share(self, first: str, last: str) -> float:
        """The share of a core that the controller took between two samples."""
        spent = self.taken[last].cpu_seconds - self.taken[first].cpu_seconds
        return spent / self.seconds(first, last)

    def calls_per_second(self, first: str, last: str, operation: str) -> float:
        """The calls of an operation a second between two samples."""
        counts = [self.taken[name].calls.get(operation, 0) for name in (first, last)]
        return (counts[1] - counts[0]) / self.seconds(first, last)


def resident_bytes() -> int:
    """The memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_plan(fleet: Fleet) -> plans.Plan:
    """The plan of a fleet on the stage."""
    return cases.plan(
        execution_id=f"fleet_{fleet.tasks}",
        target=cases.ECS | {"tasks": fleet.tasks},
        budget={
            "max": "20m", "min_window": instants.duration_text(fleet.window_seconds),
            "stop_grace": instants.duration_text(fleet.grace_seconds),
        },
        evidence={"run_control": "s3://bucket/control"},
        receipts={"dsn": "env:BURST_BENCH_DSN", "settle": "0.1s"},
        baseline=None,
        gates={"admit_ratio": 0.9},
    )  # fmt: skip


def drive(address: str, fleet: Fleet, folder: Path) -> dict[str, Any]:
    """Drives one run in this process, and returns its figures."""
    os.environ.update(ENVIRONMENT | {"AWS_ENDPOINT_URL": address})
    for name in IMPORTED:
        importlib.import_module(name)
    clock, plan, samples = system_clock.SystemClock(), make_plan(fleet), Samples(address, fleet.window_seconds)
    deadline = instants.later(clock.now(), plan.budget.cap_seconds)
    record = recorder.Recorder(journal_file.FileJournal.create(folder / document_names.JOURNAL, clock.now))
    record.note(cases.run_created(execution_id=str(plan.execution_id), deadline=deadline, early_stop=False))
    whole = ecs_target.EcsTarget(plan, clock).run_target(deadline, to_launch=True)
    target = dataclasses.replace(whole, layers={name: whole.layers[name] for name in ("guard", "lease")})
    limits = run_terms.TargetLimits(layers=("guard", "lease"), claims=True, give_up_seconds=60.0)
    driver = controller.Controller(
        plan=plan,
        terms=run_terms.make_terms(plan, limits, required_admits_per_second=None, early_stop=False),
        target=target,
        sources=controller.RunSources(
            receipts=fakes_receipts.MemoryReceiptSource(now=clock.now, answers={"select 0": [[0]], "select 3": [[3]]})
        ),
        outputs=controller.RunOutputs(
            record=record,
            documents=run_documents.RunDocuments(
                plan=plan, record=record, store=frozen_inputs(plan), render=lambda verdict, contents: b""
            ),
            observe=samples.observe,
        ),
        clock=clock,
    )
    run = driver.drive()
    samples.take("finished", clock.now())
    return figures(run, samples, read_stage(address), fleet)


def frozen_inputs(plan: plans.Plan) -> fakes_evidence.MemoryEvidenceStore:
    """A store that holds the inputs of a run."""
    store = fakes_evidence.MemoryEvidenceStore()
    for name, content in run_documents.input_documents(plan, None, None):
        store.put_once(name, content)
    return store


def figures(run: runs.Run, samples: Samples, stage: Mapping[str, Any], fleet: Fleet) -> dict[str, Any]:
    """The figures of a finished run."""
    count = fleet.tasks
    at_launch = samples.taken["launch"].resident_bytes
    return {
        "tasks": count,
        "disobedient": fleet.disobedient,
        "exit_code": run.exit_code,
        "stop_reason": run.stopping.reason if run.stopping else None,
        "stop_task_calls": stage["calls"].get("StopTask", 0),
        "run_task_calls": stage["calls"].get("RunTask", 0),
        "throttled": stage["throttled"],
        "launch_seconds": round(stage["launch_seconds"], 2),
        "launch_seconds_allowed": round(1.2 * launch_rates.launch_seconds(count), 2),
        "stop_to_finished_seconds": round(samples.seconds("stop", "finished"), 2),
        "stop_to_finished_allowed": round(fleet.longest_stop_seconds, 2),
        "core_share_bursting": round(samples.core_share("go", "stop"), 4),
        "core_share_between": round(samples.core_share("near", "far"), 4),
        "describe_calls_per_second_bursting": round(samples.calls_per_second("go", "stop", "DescribeTasks"), 2),
        "describe_calls_per_second_between": round(samples.calls_per_second("near", "far", "DescribeTasks"), 2),
        "cpu_seconds": round(samples.taken["finished"].cpu_seconds - samples.taken["launch"].cpu_seconds, 2),
        "resident_mb_at_launch": round(at_launch / 1e6, 1),
        "resident_kb_a_task": round((samples.most_resident_bytes - at_launch) / count / 1e3, 1),
        "journal_bytes": run.journal_size or 0,
    }


# The process of the bench


def read_stage(address: str) -> dict[str, Any]:
    """The figures of the stage."""
    line = http.client.HTTPConnection(str(urllib.parse.urlsplit(address).netloc), timeout=60)
    with contextlib.closing(line):
        line.request("GET", "/stage")
        answer: dict[str, Any] = json.loads(line.getresponse().read())
        return answer


@contextlib.contextmanager
def start_stage(fleet: Fleet) -> Iterator[str]:
    """The address of a stage for a fleet, in a process of its own."""
    terms = [str(fleet.disobedient), str(fleet.stop_timeout_seconds)]
    command = [sys.executable, "-m", fleet_stage.__name__, *terms]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


def measure(fleet: Fleet) -> dict[str, Any]:
    """The figures of one run of a fleet."""
    with tempfile.TemporaryDirectory() as folder, start_stage(fleet) as address:
        terms = json.dumps(dataclasses.asdict(fleet))
        command = [sys.executable, "-m", MODULE, address, terms, folder]
        driven = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=SECONDS)
        measured: dict[str, Any] = json.loads(driven.stdout)
        measured["journal_bytes"] = (Path(folder) / document_names.JOURNAL).stat().st_size
        return measured


def tabulate_memory() -> dict[str, float]:
    """Megabytes of a fresh Python after each of these imports, in this order."""
    script = (
        "import sys, importlib, os, json\n"
        "size = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6\n"
        "table = {'python': round(size(), 1)}\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    table[name] = round(size(), 1)\n"
        "print(json.dumps(table))\n"
    )
    answer = subprocess.run([sys.executable, "-c", script, *MEMORY_TABLE], capture_output=True, check=True, timeout=120)
    table: dict[str, float] = json.loads(answer.stdout)
    return table


GROWING = ("cpu_seconds", "stop_task_calls", "run_task_calls", "journal_bytes")
"""The figures that grow with the tasks."""


def run() -> dict[str, object]:
    """The figures of each fleet, and by how much those that grow with the tasks grew from the first to the last."""
    measured = [measure(fleet) for fleet in FLEETS]
    memory = [one["resident_kb_a_task"] * one["tasks"] for one in measured]
    ratios = {name: round(measured[-1][name] / max(1e-9, measured[0][name]), 2) for name in GROWING}
    return {
        **{f"{one['tasks']}_tasks": one for one in measured},
        f"ratios_{FLEETS[-1].tasks}_to_{FLEETS[0].tasks}": ratios,
        "resident_kb_a_further_task": round((memory[-1] - memory[0]) / (FLEETS[-1].tasks - FLEETS[0].tasks), 1),
        "imports_mb": tabulate_memory(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(drive(sys.argv[1], Fleet(**json.loads(sys.argv[2])), Path(sys.argv[3]))))
