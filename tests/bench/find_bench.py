"""`burst find-rate` against hosts with a known limit: how near the answer is, and how long it takes.

Each search is the command itself, its probes are whole runs, and their receipts stand in a real Postgres. A host
refuses above its limit, or answers late.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from burst.sandbox import embedded_postgres
from tests import limited_host

LIMIT_PER_SECOND = 800.0
LOWEST, HIGHEST, WITHIN, PROBE = "400/s", "1600/s", "5%", "10s"
MOST_SECONDS = 300.0
DSN_NAME, KEY_NAME = "FIND_DSN", "FIND_API_KEY"
CASES = {
    "refuses": (limited_host.Limit(per_second=LIMIT_PER_SECOND), "errors"),
    "answers_late": (limited_host.Limit(per_second=LIMIT_PER_SECOND, refuses=False), "latency_p95_ms<=300"),
}


def write_plan(host: str, folder: Path) -> Path:
    """The plan of the searches: two local tasks of burst's own profile."""
    plan = {
        "schema": "burst.plan/v1",
        "kind": "window",
        "phase": "M10.F",
        "scope": "fresh",
        "environment": "local",
        "target": {"kind": "local", "tasks": 2},
        "load": {"locustfile": "locustfiles/ingest.py", "host": host, "rate": "400/s", "api_key": f"env:{KEY_NAME}"},
        "budget": {"max": "10m", "min_window": "10s", "stop_grace": "5s"},
        "receipts": {"dsn": f"env:{DSN_NAME}", "bucket": "1s", "settle": "1s", "count_timeout": "20s"},
        "gates": {},
        "evidence": {"local": str(folder / "runs")},
    }
    path = folder / "plan.yaml"
    path.write_text(json.dumps(plan))
    return path


def search(limit: limited_host.Limit, criterion: str, dsn: str) -> dict[str, object]:
    """One search: the answer, how far it is from the limit, and how long it took."""
    with tempfile.TemporaryDirectory() as name, limited_host.start(limit, dsn) as host:
        command = [sys.executable, "-m", "burst", "find-rate", str(write_plan(host, Path(name)))]
        command += ["--criterion", criterion, "--from", LOWEST, "--to", HIGHEST, "--within", WITHIN, "--probe", PROBE]
        began = time.monotonic()
        answer = subprocess.run(
            [*command, "--json"],
            env=os.environ | {DSN_NAME: dsn, KEY_NAME: "of-the-bench"},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
    document = json.loads(answer.stdout)
    held = document["highest_held"]["rate_per_minute"] / 60 if document["highest_held"] else None
    return {
        "exit_code": answer.returncode,
        "limit_per_second": limit.per_second,
        "found_per_second": held,
        "off_by": None if held is None else round(abs(held / limit.per_second - 1), 4),
        "limited_by": document["limit"],
        "seconds": round(seconds, 1),
        "inside_bounds": seconds <= MOST_SECONDS,
        "probes": [
            (probe["number"], round(probe["rate_per_minute"] / 60, 1), probe["outcome"], round(probe["seconds"], 1))
            for probe in document["probes"]
        ],
    }


def run() -> dict[str, object]:
    """Each host in turn."""
    with embedded_postgres.start(durable=False) as server:
        measured: dict[str, object] = {}
        for name, (limit, criterion) in CASES.items():
            dsn = server.create_database()
            embedded_postgres.apply_schema(dsn)
            measured[name] = search(limit, criterion, dsn)
        return measured
