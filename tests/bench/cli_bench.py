"""How long `burst --help` takes as a whole process, beside the interpreter alone and Locust's own help."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

ROUNDS = 10
COMMANDS = {
    "python_nothing": (sys.executable, "-c", "pass"),
    "burst_help": (sys.executable, "-m", "burst", "--help"),
    "burst_run_help": (sys.executable, "-m", "burst", "run", "--help"),
    "locust_help": (sys.executable, "-m", "locust", "--help"),
}


def run() -> dict[str, object]:
    """Median milliseconds, the commands taken in turns so that a busy moment falls on all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            taken[name].append(_milliseconds(command))
    return {f"{name}_ms": round(statistics.median(times), 1) for name, times in taken.items()}


def _milliseconds(command: Sequence[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.monotonic() - began) * 1000
