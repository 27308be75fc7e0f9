"""How long preflight's checks take one by one and all at once, on a real Postgres, gateway and simulated AWS.

On loopback nothing is far away, and what is measured is the machine's own work; so each is also measured with the delay
of a network in front of every check.
"""

import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from burst import wiring
from burst.adapters import system_clock
from burst.control import preflight
from burst.domain import findings
from burst.rehearsal import bootstrap, world
from burst.sandbox import gateway, postgres
from burst.wiring import checks

ROUNDS = 3
NETWORK_SECONDS = 0.3
PLAN = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
{target}
load: {{command: [python, {sender}], host: {host}, rate: 1200, waits_for_go: true, api_key: env:BENCH_API_KEY}}
budget: {{max: 90m, operator_cap: 20m, min_window: 15m, stop_grace: 1s}}
receipts: {{dsn: env:BENCH_DSN}}
baseline: {{admits: 300, seconds: 60, source: "a made-up reference"}}
gates: {{multiplier: 2.0, admit_ratio: 0.995}}
"""
LOCAL = "target: {kind: local, tasks: 2}"
ECS = """\
target: {kind: ecs, tasks: 2, cluster: bench, task_definition: "bench:1", subnets: [subnet-a], security_groups: [sg-a]}
evidence: {run_control: s3://bench-evidence/rc, run_scoped: s3://bench-evidence/runs}
layers: {require: [guard, sidecar, lease, schedule]}"""


def run() -> dict[str, object]:
    """Seconds: the sum of all checks one by one, the slowest two of them, all at once, and the ratio of these two."""
    with tempfile.TemporaryDirectory() as name, postgres.start(durable=False) as server:
        dsn, folder = server.create_database(), Path(name)
        postgres.apply_schema(dsn)
        os.environ |= {"BENCH_DSN": postgres.reading(dsn), "BENCH_API_KEY": "bench"}
        with gateway.start(dsn=dsn, api_key="bench") as running, world.start(folder / "aws") as aws:
            os.environ |= aws.environment
            measured: dict[str, object] = {}
            for kind, target in (("local", LOCAL), ("ecs", ECS)):
                sender = Path(__file__).parents[2] / "locustfiles" / "sender.py"
                path = folder / f"{kind}.yaml"
                path.write_text(PLAN.format(target=target, host=running.url, sender=sender))
                if kind == "ecs":
                    plan = wiring.read_plan(wiring.Request(plan_file=path))
                    bootstrap.furnish(plan, python=sys.executable, api_key="bench")
                measured[kind] = _measured(path, folder, 0.0)
                measured[f"{kind}_{NETWORK_SECONDS:g}_s_away"] = _measured(path, folder, NETWORK_SECONDS)
    return measured


def _measured(path: Path, folder: Path, away_seconds: float) -> dict[str, object]:
    rounds = [_round(path, folder, away_seconds) for _ in range(ROUNDS)]
    return {name: round(statistics.median(one[name] for one in rounds), 4) for name in rounds[0]}


def _round(path: Path, folder: Path, away_seconds: float) -> dict[str, float]:
    alone = []
    for index in range(len(_checks(path, folder, away_seconds))):
        check = _checks(path, folder, away_seconds)[index]
        began = time.monotonic()
        (finding, *_) = preflight.run([check])
        alone.append(time.monotonic() - began)
        assert not finding.refused, finding
    together_began = time.monotonic()
    preflight.run(_checks(path, folder, away_seconds))
    together = time.monotonic() - together_began
    slowest_two = sum(sorted(alone)[-2:])
    return {
        "checks": float(len(alone)),
        "one_by_one_seconds": sum(alone),
        "slowest_two_seconds": slowest_two,
        "all_at_once_seconds": together,
        "all_at_once_to_slowest_two": together / slowest_two,
    }


def _checks(path: Path, folder: Path, away_seconds: float) -> list[preflight.Check]:
    """The checks of a plan, anew: what they share is asked again."""
    override = (f"evidence.local={folder / 'runs'}",)
    prepared = wiring.examine(wiring.Request(plan_file=path, overrides=override), datetime.now(UTC))
    clock = system_clock.SystemClock()
    made = checks.of(
        prepared.plan,
        problems=prepared.problems,
        required_admits_per_second=prepared.required_admits_per_second,
        source=lambda: wiring.receipt_source(prepared.plan, clock),
        signer=None,
        clock=clock,
    )
    return [preflight.Check(name=check.name, ask=functools.partial(_later, check, away_seconds)) for check in made]


def _later(check: preflight.Check, away_seconds: float) -> findings.Finding | Iterable[findings.Finding]:
    time.sleep(away_seconds)
    return check.ask()
