"""What burst's own profile costs: a minimal user of Locust's fast client with a constant body beside it, in turn.

The host is a process of its own that keeps nothing, and it is the host that counts. Each generator has one core to
itself, as far as the machine has one. `saturated` lines ask for more than a core can send: their requests a second are
those of one core. `paced` lines send one rate: they say what a thousand events take of the processor, which is also
sound on a busy machine. A paced line whose generator used over 90 % of its core is invalid: then it did not keep the
pace. A saturated line is invalid where the generator did not fill its core: then something else was the limit.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from burst.load import load_account, load_settings
from tests.bench import http_host
from tests.bench.offer_bench import MOST_CORE_SHARE, PROFILE, read_cpu_seconds

WARM_SECONDS = 1.0
SECONDS = 5.0
ROUNDS = 3
USERS = 16
PACE = 400
"""Events a second of the paced lines."""
BODY_BYTES = 156
"""As long as the reference body of the profile."""
_START_SECONDS = 60.0
LOCUSTFILE = """
from locust import FastHttpUser, constant, constant_throughput, task


class Constant(FastHttpUser):
    wait_time = {wait}

    @task
    def push(self):
        self.client.post("/v1/ingest/push", data="x" * {length})
"""
_WRK_SCRIPT = 'wrk.method = "POST"\nwrk.body = string.rep("x", {length})\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One generator for some seconds."""

    requests_per_second: float
    cpu_ms_per_1000: float
    core_share: float
    host_core_share: float
    valid: bool


def _measure(command: Sequence[str], settings: Mapping[str, str], port: int, *, paced: bool) -> Line:
    before = http_host.look(port).posts
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        give_up_at = time.monotonic() + _START_SECONDS
        while http_host.look(port).posts < before + USERS and time.monotonic() < give_up_at:
            time.sleep(0.1)
        time.sleep(WARM_SECONDS)
        spent, first, began = read_cpu_seconds(process.pid), http_host.look(port), time.monotonic()
        time.sleep(SECONDS)
        taken, last, ended = read_cpu_seconds(process.pid), http_host.look(port), time.monotonic()
    finally:
        process.terminate()
        process.wait(30)
    posts, seconds = last.posts - first.posts, ended - began
    share = (taken - spent) / seconds
    return Line(
        requests_per_second=round(posts / seconds, 1),
        cpu_ms_per_1000=round((taken - spent) / posts * 1e6, 1),
        core_share=round(share, 3),
        host_core_share=round((last.cpu_seconds - first.cpu_seconds) / seconds, 3),
        valid=share <= MOST_CORE_SHARE if paced else share > MOST_CORE_SHARE,
    )


def _start_locust(module: str, file: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", module, "-f", str(file), "--headless", "--only-summary"]
    return [*command, "-u", str(USERS), "-r", str(USERS), "-H", f"http://127.0.0.1:{port}"]


def _list_generators(folder: Path, port: int, pace: int | None) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Each generator: its command and its settings. Without a pace each sends what it can."""
    file = folder / f"constant_{pace}.py"
    wait = "constant(0)" if pace is None else f"constant_throughput({pace / USERS})"
    file.write_text(LOCUSTFILE.format(wait=wait, length=BODY_BYTES))
    counted = {load_account.ACCOUNT_FILE: str(folder / "account")}
    settings = {
        load_settings.API_KEY: "bench",
        load_settings.RATE_PER_MINUTE: f"{pace or 100_000}/s",
        load_settings.MOST_SENDERS: str(USERS),
    }
    return {
        "plain": (_start_locust("locust", file, port), {}),
        "plain_counted": (_start_locust("burst.load.locust_start", file, port), counted),
        "ingest": (_start_locust("burst.load.locust_start", PROFILE, port), counted | settings),
    }


def _run_rounds(folder: Path, port: int, pace: int | None) -> dict[str, object]:
    """Every generator in turn, some rounds of it; of each the median of what a thousand took, and its best rate."""
    generators = _list_generators(folder, port, pace)
    lines: dict[str, list[Line]] = {name: [] for name in generators}
    for _ in range(ROUNDS):
        for name, (command, settings) in generators.items():
            lines[name].append(_measure(command, settings, port, paced=pace is not None))
    rates = {name: max(line.requests_per_second for line in rounds) for name, rounds in lines.items()}
    costs = {name: statistics.median(line.cpu_ms_per_1000 for line in rounds) for name, rounds in lines.items()}
    return {
        "lines": {name: [asdict(line) for line in rounds] for name, rounds in lines.items()},
        "cpu_ms_per_1000": costs,
        **({} if pace else {"ingest_of_plain": round(rates["ingest"] / rates["plain"], 3)}),
        "ingest_of_plain_by_cpu": round(costs["plain"] / costs["ingest"], 3),
        "plain_counted_of_plain_by_cpu": round(costs["plain"] / costs["plain_counted"], 3),
    }


def _run_wrk(folder: Path, port: int) -> object:
    """What the host can take at most: by wrk, where it is installed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return "wrk is not installed"
    script = folder / "post.lua"
    script.write_text(_WRK_SCRIPT.format(length=BODY_BYTES))
    command = [wrk, "-t1", f"-c{USERS}", f"-d{WARM_SECONDS + SECONDS + 1:.0f}s", "-s", str(script)]
    return asdict(_measure([*command, f"http://127.0.0.1:{port}/v1/ingest/push"], {}, port, paced=True))


def run() -> dict[str, object]:
    """Saturated and paced lines, and wrk as the limit."""
    with tempfile.TemporaryDirectory() as name, http_host.start() as port:
        return {
            "users": USERS,
            "saturated": _run_rounds(Path(name), port, None),
            f"paced_{PACE}": _run_rounds(Path(name), port, PACE),
            "wrk": _run_wrk(Path(name), port),
        }
