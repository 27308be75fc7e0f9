"""How late the guard ends a program after its budget, beside coreutils' `timeout -k` in the same run.

Overshoot is from the program's own start to the exit of what holds it, less the budget (and less the grace where the
program ignores TERM). It holds the interpreter's shut-down, as an orchestrator would see it.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 5
BUDGET_SECONDS = 0.5
GRACE_SECONDS = 0.3
PROGRAMS = {
    "obeys_term": (("sh", "-c", 'date +%s.%N > "$STARTED"; exec sleep 100'), BUDGET_SECONDS),
    "ignores_term": (
        ("sh", "-c", "trap '' TERM; date +%s.%N > \"$STARTED\"; while :; do sleep 0.05; done"),
        BUDGET_SECONDS + GRACE_SECONDS,
    ),
}
HOLDERS = {
    "guard": (
        sys.executable, "-m", "burst.task.guard", "--budget", str(BUDGET_SECONDS), "--grace", str(GRACE_SECONDS), "--",
    ),
    "timeout": ("timeout", "-k", str(GRACE_SECONDS), str(BUDGET_SECONDS)),
}  # fmt: skip


def run() -> dict[str, object]:
    """Overshoot in milliseconds by holder and program, and the guard's own start-up."""
    measured: dict[str, object] = {"budget_seconds": BUDGET_SECONDS, "grace_seconds": GRACE_SECONDS, "rounds": ROUNDS}
    for holder, prefix in HOLDERS.items():
        for program, (command, allowed_seconds) in PROGRAMS.items():
            late = [_overshoot_ms([*prefix, *command], allowed_seconds) for _ in range(ROUNDS)]
            measured[f"{holder}_{program}_overshoot_ms"] = _summary(late)
    measured["guard_start_ms"] = _summary([_start_ms() for _ in range(ROUNDS)])
    return measured


def _overshoot_ms(command: Sequence[str], allowed_seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        subprocess.run(
            command, env={**os.environ, "STARTED": str(started)}, stderr=subprocess.DEVNULL, check=False, timeout=30
        )
        return (time.time() - float(started.read_text()) - allowed_seconds) * 1000


def _start_ms() -> float:
    begun_at = time.perf_counter()
    subprocess.run([*HOLDERS["guard"], "true"], check=True, timeout=30)
    return (time.perf_counter() - begun_at) * 1000


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "max": round(max(values), 1)}
