"""What the load account costs: a constant body by Locust's fast client, plain and as burst starts it, in turn.

The host is a process of its own that keeps nothing. Figures a processor second are the sounder ones where other work is
on the machine: the rate a second is that of whatever was left to it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import http_host

SECONDS = 8
ROUNDS = 3
USERS = 16
LOCUSTFILE = """
from locust import FastHttpUser, constant, task


class Constant(FastHttpUser):
    wait_time = constant(0)

    @task
    def push(self):
        self.client.post("/push", data="x" * 200)
"""


def _run_locust(folder: Path, module: str, port: int) -> tuple[float, float]:
    """Requests a second, and requests a second of the processor."""
    result = folder / "result"
    command = [sys.executable, "-m", module, "-f", str(folder / "constant.py"), "--headless", "--only-summary"]
    command += ["-u", str(USERS), "-r", str(USERS), "-t", f"{SECONDS}s", "-H", f"http://127.0.0.1:{port}"]
    environment = {**os.environ, "BURST_ACCOUNT_FILE": str(folder / "account")}
    process = subprocess.Popen(
        [*command, "--json-file", str(result)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    (entry,) = json.loads(result.with_suffix(".json").read_text())
    return entry["num_requests"] / SECONDS, entry["num_requests"] / (usage.ru_utime + usage.ru_stime)


def run() -> dict[str, object]:
    """Measure each in turn, and take the best round of each: it was disturbed least."""
    plain, counted = [], []
    with tempfile.TemporaryDirectory() as name, http_host.start() as port:
        folder = Path(name)
        (folder / "constant.py").write_text(LOCUSTFILE)
        for _ in range(ROUNDS):
            plain.append(_run_locust(folder, "locust", port))
            counted.append(_run_locust(folder, "burst.load.locust_start", port))
    best_plain, best_counted = max(each for _, each in plain), max(each for _, each in counted)
    return {
        "plain_requests_per_second": round(max(rate for rate, _ in plain)),
        "counted_requests_per_second": round(max(rate for rate, _ in counted)),
        "plain_requests_per_cpu_second": round(best_plain),
        "counted_requests_per_cpu_second": round(best_counted),
        "counted_of_plain": round(best_counted / best_plain, 3),
        "users": USERS,
    }
