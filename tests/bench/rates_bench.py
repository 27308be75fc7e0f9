"""The offered rates of a plan of six steps: what burst's own profile sends in each step, whatever the host does.

Each task is one Locust process against a host in memory. A case in which a task used over 90 % of a core is invalid:
its processor was the limit, and not its schedule.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from burst.load import load_account, load_settings, rate_plans
from tests.bench import http_host, offer_bench

RATES = (200, 600, 1000, 2000, 1400, 400)
TASKS, STEP_SECONDS = 2, 10
_START_SECONDS, _LEAD_SECONDS = 60.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Steps of so many seconds at these rates, shared among tasks."""

    host: http_host.Manner
    rates: tuple[int, ...] = RATES
    step_seconds: int = STEP_SECONDS
    tasks: int = TASKS
    senders: int = 8000

    @property
    def plan(self) -> rate_plans.RatePlan:
        """The steps."""
        seconds, rates = Fraction(self.step_seconds), enumerate(map(Fraction, self.rates), start=1)
        return rate_plans.RatePlan(
            steps=tuple(
                rate_plans.RateStep(name=f"step-{index}", seconds=seconds, rate=rate, to=rate) for index, rate in rates
            )
        )


CASES = {
    "healthy": Case(host=http_host.Manner()),
    "stalls_5_s": Case(host=http_host.Manner(stall_after_seconds=22.0, stall_seconds=5.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What was sent: of each step against what was due, and the requests that waited for an answer at once, at most."""

    due: tuple[int, ...]
    """What the accounts say was due, by step."""
    sent: tuple[int, ...]
    """What was sent in the seconds of each step."""
    fell_due: tuple[int, ...]
    """What fell due in those seconds. They begin at GO, and a task's schedule when it sees GO, a little later."""
    planned: tuple[int, ...]
    backlog: int
    latest_seconds: float
    core_shares: tuple[float, ...]

    @property
    def furthest_from_due(self) -> float:
        """The largest share by which a step was missed."""
        return max(abs(sent / planned - 1) for sent, planned in zip(self.sent, self.planned, strict=True))


def measure(case: Case) -> Offered:
    """What the tasks sent in each step. GO is given on a whole second, as the account counts in them."""
    with tempfile.TemporaryDirectory() as name, http_host.start(case.host) as port, contextlib.ExitStack() as tasks:
        folder, go_file = Path(name), Path(name) / "go"
        processes = [tasks.enter_context(_start(case, shard, folder, port)) for shard in range(case.tasks)]
        give_up_at = time.monotonic() + _START_SECONDS
        while len(list(folder.glob("ready-*"))) < case.tasks and time.monotonic() < give_up_at:
            time.sleep(0.05)
        go_at = int(time.time()) + 2
        time.sleep(go_at - time.time())
        go_file.touch()
        spent, began = [offer_bench.read_cpu_seconds(process.pid) for process in processes], time.monotonic()
        time.sleep(float(case.plan.seconds) + 2 + case.host.stall_seconds)
        elapsed = time.monotonic() - began
        shares = [
            (offer_bench.read_cpu_seconds(process.pid) - before) / elapsed
            for process, before in zip(processes, spent, strict=True)
        ]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)
        return _describe(case, folder, go_at, shares)


@contextlib.contextmanager
def _start(case: Case, shard: int, folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    settings = {
        load_account.ACCOUNT_FILE: str(folder / f"account-{shard}"),
        load_settings.READY_FILE: str(folder / f"ready-{shard}"),
        load_settings.GO_FILE: str(folder / "go"),
        load_settings.SHARD_INDEX: str(shard),
        load_settings.SHARD_COUNT: str(case.tasks),
        load_settings.RATE_PLAN: rate_plans.write_plan(case.plan),
        load_settings.MOST_SENDERS: str(case.senders),
        load_settings.API_KEY: "bench",
    }
    command = [sys.executable, "-m", "burst.load.locust_start", "-f", str(offer_bench.PROFILE), "--headless"]
    command += ["--only-summary", "-H", f"http://127.0.0.1:{port}", "--stop-timeout", "1", "--exit-code-on-error", "0"]
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _describe(case: Case, folder: Path, go_at: int, shares: list[float]) -> Offered:
    whole = load_account.LoadAccount()
    for file in folder.glob("account-*"):
        reader = load_account.AccountReader(str(file))
        reader.read()
        whole.add_value(reader.account.to_value())
    edges = range(go_at, go_at + case.step_seconds * len(case.rates), case.step_seconds)

    def add_up(figure: str) -> tuple[int, ...]:
        seconds = [range(at, at + case.step_seconds) for at in edges]
        return tuple(sum(whole.seconds.get(second, Counter())[figure] for second in step) for step in seconds)

    waiting, backlog = 0, 0
    for _, counts in sorted(whole.seconds.items()):
        waiting += counts["sent"] - counts["acknowledged"] - counts["refused"] - counts["failed"]
        backlog = max(backlog, waiting)
    return Offered(
        due=tuple(whole.steps[step.name]["sending"]["due"] for step in case.plan.steps),
        sent=add_up("sent"),
        fell_due=add_up("due"),
        planned=tuple(place.events for place in case.plan.placed),
        backlog=backlog,
        latest_seconds=whole.latest_seconds,
        core_shares=tuple(round(share, 3) for share in shares),
    )


def run() -> dict[str, object]:
    """Each case in turn."""
    answers: dict[str, object] = {}
    for name, case in CASES.items():
        offered = measure(case)
        answers[name] = {
            "events_per_second": case.rates,
            "sent_of_due_by_bucket": [
                round(sent / planned, 4) for sent, planned in zip(offered.sent, offered.planned, strict=True)
            ],
            "furthest_from_due": round(offered.furthest_from_due, 4),
            "due_as_planned": offered.due == offered.planned,
            "waiting_at_most": offered.backlog,
            "latest_seconds": round(offered.latest_seconds, 3),
            "core_shares": offered.core_shares,
            "valid": max(offered.core_shares) <= offer_bench.MOST_CORE_SHARE,
        }
    return answers
