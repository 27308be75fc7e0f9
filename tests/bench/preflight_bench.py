"""How long preflight's checks take one by one and all at once, on a real Postgres, gateway and simulated AWS.

Measured as an operator meets it: in a process that has asked nothing yet, forked for the one measurement from a server
that has imported what `burst preflight` imports, from the moment the plan is read to the last answer. A check alone has
such a process to itself, and makes there all it needs: database connections, AWS session, clients. All at once is
another such process with every check in it. `slowest_two` adds the two slowest of those alone; `in_turn` is the same
two one after the other in one process, so that the second finds what the first has made: the stricter measure.

On loopback nothing is far away, and what is measured is the machine's own work, on all sides; so each is also measured
with the delay of a network in front of every check.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from burst.rehearsal import aws_simulation, bootstrap
from burst.sandbox import embedded_postgres, gateway
from burst.wiring import preparing
from tests.bench import preflight_fresh

ROUNDS = 5
NETWORK_SECONDS = 0.3
PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
{target}
load: {{{program}, host: {host}, rate: 1200, api_key: env:BENCH_API_KEY}}
budget: {{max: 90m, operator_cap: 20m, min_window: 15m, stop_grace: 1s}}
receipts: {{dsn: env:BENCH_DSN}}
baseline: {{admits: 300, seconds: 60, source: "a made-up reference"}}
gates: {{multiplier: 2.0, admit_ratio: 0.995}}
"""
FOLDER = Path(__file__).parents[2] / "locustfiles"
LOCUSTFILE = f"locustfile: {FOLDER / 'ingest.py'}"
PROGRAM = f"command: [python, {FOLDER / 'sender.py'}], waits_for_go: true"
LOCAL = "target: {kind: local, tasks: 2}"
ECS = """\
target: {kind: ecs, tasks: 2, cluster: bench, task_definition: "bench:1", subnets: [subnet-a], security_groups: [sg-a]}
evidence: {run_control: s3://bench-evidence/rc, run_scoped: s3://bench-evidence/runs}
layers: {require: [guard, sidecar, lease, schedule]}"""
KINDS = {"local": (LOCAL, LOCUSTFILE), "local_program": (LOCAL, PROGRAM), "ecs": (ECS, PROGRAM)}
"""Targets with what their tasks run. Locust imports a locustfile in a process of its own; a program is only there."""


def run() -> dict[str, object]:
    """Seconds: the sum of all checks one by one, the slowest two of them, all at once, and the ratio of these two."""
    with tempfile.TemporaryDirectory() as name, embedded_postgres.start(durable=False) as server:
        dsn, folder = server.create_database(), Path(name)
        embedded_postgres.apply_schema(dsn)
        os.environ |= {"BENCH_DSN": embedded_postgres.read_only_dsn(dsn), "BENCH_API_KEY": "bench"}
        with gateway.start(dsn=dsn, api_key="bench") as running, aws_simulation.start(folder / "aws") as aws:
            os.environ |= aws.environment
            measured: dict[str, object] = {}
            for kind, (target, program) in KINDS.items():
                path = folder / f"{kind}.yaml"
                path.write_text(PLAN.format(target=target, host=running.url, program=program))
                if kind == "ecs":
                    plan = preparing.read_plan(preparing.RunRequest(plan_file=path))
                    bootstrap.furnish_account(plan, python=sys.executable, api_key="bench")
                measured[kind] = _measured(preflight_fresh.Ground(plan=path, folder=folder))
                away = preflight_fresh.Ground(plan=path, folder=folder, away_seconds=NETWORK_SECONDS)
                measured[f"{kind}_{NETWORK_SECONDS:g}_s_away"] = _measured(away)
    return measured


def _measured(ground: preflight_fresh.Ground) -> dict[str, object]:
    """The quickest of some rounds, of each measurement: what other work on the machine adds is not preflight's.

    The slowest two are measured anew once they are chosen: chosen by it, a figure would be too high.
    """
    names = [check.name for check in preflight_fresh.checks(ground)]
    every = range(len(names))
    alone = [_quickest(ground, [index]) for index in every]
    slowest = sorted(every, key=alone.__getitem__)[-2:]
    slowest_two = [_quickest(ground, [index]) for index in slowest]
    in_turn = _quickest(ground, slowest, in_turn=True)
    together = _quickest(ground, every)
    return {
        "checks": len(names),
        "one_by_one_seconds": round(sum(alone), 4),
        "slowest_two": [names[index] for index in slowest],
        "slowest_two_seconds": round(sum(slowest_two), 4),
        "slowest_two_in_turn_seconds": round(in_turn, 4),
        "all_at_once_seconds": round(together, 4),
        "all_at_once_to_slowest_two": round(together / sum(slowest_two), 4),
        "all_at_once_to_slowest_two_in_turn": round(together / in_turn, 4),
    }


def _quickest(ground: preflight_fresh.Ground, indices: Sequence[int], *, in_turn: bool = False) -> float:
    return min(preflight_fresh.seconds(ground, indices, in_turn=in_turn) for _ in range(ROUNDS))
