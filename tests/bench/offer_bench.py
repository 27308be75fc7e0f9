"""The offered rate of burst's own profile: what it sends in each ten seconds, whatever the host does.

Each case is one Locust process against a host in memory. A case whose generator used over 90 % of a core is invalid:
its processor was the limit, and not its schedule.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from burst.load import load_account, load_settings
from tests.bench import http_host

BUCKET_SECONDS = 10
MOST_CORE_SHARE = 0.9
PROFILE = Path(__file__).parents[2] / "locustfiles" / "ingest.py"
_START_SECONDS = 60.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One task at a rate, for so many buckets."""

    events_per_second: int
    buckets: int
    host: http_host.Manner
    senders: int = 1000


CASES = {
    "healthy": Case(events_per_second=1000, buckets=4, host=http_host.Manner()),
    "stalls_5_s": Case(
        events_per_second=1000,
        buckets=4,
        host=http_host.Manner(stall_after_seconds=12.0, stall_seconds=5.0),
        senders=8000,
    ),
    "answers_after_250_ms": Case(events_per_second=200, buckets=3, host=http_host.Manner(delay_seconds=0.25)),
}


def read_cpu_seconds(process_id: int) -> float:
    """The processor time of a process."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def measure(case: Case) -> dict[str, object]:
    """What the task sent in each bucket, how late, and how much of a core it took."""
    with tempfile.TemporaryDirectory() as name, http_host.start(case.host) as port:
        account_file, ready_file, go_file = (Path(name) / part for part in ("account", "ready", "go"))
        settings = {
            load_account.ACCOUNT_FILE: str(account_file),
            load_settings.READY_FILE: str(ready_file),
            load_settings.GO_FILE: str(go_file),
            load_settings.RATE_PER_MINUTE: str(60 * case.events_per_second),
            load_settings.MOST_SENDERS: str(case.senders),
            load_settings.API_KEY: "bench",
        }
        command = [sys.executable, "-m", "burst.load.locust_start", "-f", str(PROFILE), "--headless", "--only-summary"]
        command += ["-H", f"http://127.0.0.1:{port}", "--stop-timeout", "1", "--exit-code-on-error", "0"]
        process = subprocess.Popen(
            command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            give_up_at = time.monotonic() + _START_SECONDS
            while not ready_file.exists() and time.monotonic() < give_up_at:
                time.sleep(0.05)
            spent, began = read_cpu_seconds(process.pid), time.monotonic()
            go_file.touch()
            time.sleep(case.buckets * BUCKET_SECONDS + 2)
            share = (read_cpu_seconds(process.pid) - spent) / (time.monotonic() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        return _describe(case, account_file, share)


def _describe(case: Case, account_file: Path, core_share: float) -> dict[str, object]:
    reader = load_account.AccountReader(str(account_file))
    reader.read()
    seconds = reader.account.seconds
    first = min(second for second, counts in seconds.items() if counts["due"]) + 1
    expected = case.events_per_second * BUCKET_SECONDS
    sent = [
        sum(seconds[second]["sent"] for second in range(start, start + BUCKET_SECONDS) if second in seconds)
        for start in range(first, first + case.buckets * BUCKET_SECONDS, BUCKET_SECONDS)
    ]
    return {
        "events_per_second": case.events_per_second,
        "sent_of_due_by_bucket": [round(count / expected, 4) for count in sent],
        "furthest_from_due": round(max(abs(count / expected - 1) for count in sent), 4),
        "late": reader.account.late,
        "latest_seconds": round(reader.account.latest_seconds, 3),
        "core_share": round(core_share, 3),
        "valid": core_share <= MOST_CORE_SHARE,
    }


def run() -> dict[str, object]:
    """Each case in turn."""
    return {name: measure(case) for name, case in CASES.items()}
