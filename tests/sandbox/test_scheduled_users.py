"""Users of a schedule in any locustfile: every setting is an option, the web page starts anew, no worker stays."""

import contextlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from http import server
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

import burst.load
from tests import fixtures_ingest, loopback_server, waiting
from tests.sandbox import locust_page

ROOT = Path(__file__).parents[2]
INGEST = ROOT / "locustfiles" / "ingest.py"
START_SECONDS = 40


@pytest.fixture
def scope() -> Iterator[str]:
    """A scope of this test alone; every process that was started with it is ended."""
    scope = f"platform_{uuid.uuid4().hex}"
    yield scope
    for process in find_processes(scope):
        process.kill()


def find_processes(scope: str) -> list[psutil.Process]:
    """Every living process that was started with a scope in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("BURST_SCOPE") == scope and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextlib.contextmanager
def start(*words: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python with these words, killed after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**os.environ, **variables}, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start_ingest(
    ingest: fixtures_ingest.Site, scope: str, *words: str
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Plain Locust on the ingest profile."""
    key = {"IG_API_KEY": ingest.api_key}
    return start("locust", "-f", str(INGEST), *words, BURST_HOST=ingest.host, BURST_SCOPE=scope, **key)


def count_decisions(ingest: fixtures_ingest.Site, scope: str, decision: str) -> int:
    query = "SELECT count(*) FROM receipts WHERE platform_run_id = %s AND decision = %s"
    with psycopg.connect(ingest.dsn) as connection:
        (number,) = connection.execute(query, (scope, decision)).fetchone() or (0,)
    return int(number)


def test_a_load_that_is_started_again_from_the_page_begins_its_schedule_anew(
    ingest: fixtures_ingest.Site, scope: str
) -> None:
    page = locust_page.open_page()
    with start_ingest(ingest, scope, *page.words(), "--burst-rate", "20/s") as process:
        shown = page.wait()
        page.start()
        waiting.until(lambda: count_decisions(ingest, scope, "ADMIT") >= 10, seconds=START_SECONDS, what="ten events")
        page.stop()
        page.start(burst_rate="40/s")
        # The scope has a name, so a new schedule sends its first events again. An old one would go on behind them.
        waiting.until(
            lambda: count_decisions(ingest, scope, "DUPLICATE") >= 5, seconds=START_SECONDS, what="the first events"
        )
        process.terminate()
        assert process.wait(START_SECONDS) == 0

    assert "burst_rate" in shown
    assert "burst_go_file" not in shown
    assert "burst_shard_index" not in shown


def test_forked_workers_that_are_refused_leave_no_process_behind(ingest: fixtures_ingest.Site, scope: str) -> None:
    keyless = {"BURST_HOST": ingest.host, "BURST_SCOPE": scope}
    with start("locust", "-f", str(INGEST), "--headless", "--processes", "2", **keyless) as process:
        assert process.wait(START_SECONDS) == 2

    waiting.until(lambda: not find_processes(scope), what="the forked workers to end")


def test_forked_workers_share_one_source_and_send_each_of_its_events_once(
    ingest: fixtures_ingest.Site, scope: str
) -> None:
    source = ("--burst-rate", "100/s", "--burst-source-events", "31")
    with start_ingest(ingest, scope, "--headless", "--processes", "2", *source) as process:
        waiting.until(lambda: count_decisions(ingest, scope, "ADMIT") >= 31, seconds=START_SECONDS, what="31 events")
        process.terminate()
        assert process.wait(START_SECONDS) == 0

    assert (count_decisions(ingest, scope, "ADMIT"), count_decisions(ingest, scope, "DUPLICATE")) == (31, 0)
    waiting.until(lambda: not find_processes(scope), what="the forked workers to end")


class SlowHost(server.ThreadingHTTPServer):
    """A host that takes a while for each answer; `most` is how many requests were on their way at a time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SlowHandler)
        self.lock, self.now, self.most, self.answered = threading.Lock(), 0, 0, 0


class _SlowHandler(server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        host = self.server
        assert isinstance(host, SlowHost)
        with host.lock:
            host.now += 1
            host.most = max(host.most, host.now)
        self.rfile.read(int(self.headers["Content-Length"]))
        threading.Event().wait(0.5)
        with host.lock:
            host.now, host.answered = host.now - 1, host.answered + 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


def test_workers_get_more_senders_from_their_master_where_answers_take_long(scope: str) -> None:
    words = ("locust", "-f", str(INGEST), "--headless", "--processes", "2", "-u", "2", "--burst-rate", "40/s")
    with loopback_server.run(SlowHost()) as host:
        key = {"IG_API_KEY": "k" * 20, "BURST_SCOPE": scope, "BURST_HOST": loopback_server.find_url(host)}
        with start(*words, **key) as process:
            waiting.until(lambda: host.answered >= 60, seconds=START_SECONDS, what="60 answers")
            process.terminate()
            process.wait(START_SECONDS)

    assert host.most >= 8  # of two senders that were asked for


def test_a_worker_of_another_version_ends_before_it_joins() -> None:
    variables = {
        "BURST_ROLE": "worker",
        "BURST_MASTER_ADDRESS": "127.0.0.1:1",
        "BURST_MASTER_VERSION": "locust 1.0, burst 0",
    }
    answer = subprocess.run(
        [sys.executable, "-m", "burst.load.locust_start", "-f", str(INGEST), "--headless"],
        env={**os.environ, **variables}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=START_SECONDS,
    )  # fmt: skip

    assert answer.returncode == 2
    assert "the master runs locust 1.0, burst 0 and this worker locust" in answer.stderr


def test_forked_workers_end_when_their_master_is_killed(
    ingest: fixtures_ingest.Site, scope: str, tmp_path: Path
) -> None:
    locustfile = tmp_path / "idle.py"
    locustfile.write_text(
        "from locust import User, constant, task\n\n\nclass Idle(User):\n    wait_time = constant(1)\n\n"
        "    @task\n    def idle(self):\n        pass\n"
    )
    words = ("burst.load.locust_start", "-f", str(locustfile), "--headless", "--processes", "2")
    with start(*words, BURST_SCOPE=scope):
        waiting.until(lambda: len(find_processes(scope)) == 3, seconds=START_SECONDS, what="a master and two workers")

    waiting.until(lambda: not find_processes(scope), what="the forked workers to end")


def test_a_run_time_begins_when_locust_is_ready_and_not_before_a_long_import(tmp_path: Path) -> None:
    """Timers of gevent begin at its last look at the clock, which an import that keeps the processor leaves behind."""
    locustfile, told = tmp_path / "heavy.py", tmp_path / "told"
    locustfile.write_text(
        "import time\n\nfrom locust import User, constant, events, task\n\n"
        "imported_at = time.monotonic() + 3\nwhile time.monotonic() < imported_at:\n    pass\n\n\n"
        "class Idle(User):\n    wait_time = constant(0.1)\n\n    @task\n    def idle(self):\n        pass\n\n\n"
        "@events.quitting.add_listener\ndef tell(**_):\n"
        f"    open({str(told)!r}, 'w').write(str(time.monotonic() - imported_at))\n"
    )
    words = ("burst.load.locust_start", "-f", str(locustfile), "--headless", "-t", "2s")
    with start(*words) as process:
        code = process.wait(START_SECONDS)

    assert code == 0
    assert float(told.read_text()) > 1.9


def test_every_setting_is_an_option_and_each_has_its_twin_in_the_environment() -> None:
    script = """
import os
from burst.load import load_settings, locust_schedule
from locust import argument_parser

os.environ.update(dict.fromkeys(load_settings.SETTINGS, "from-environment"))
by_twin = load_settings.read_options(argument_parser.get_parser().parse_args([]))
words = [word for option in load_settings.OPTIONS.values() for word in (option, "from-option")]
by_option = load_settings.read_options(argument_parser.get_parser().parse_args(words))
assert by_twin == dict.fromkeys(load_settings.SETTINGS, "from-environment"), by_twin
assert by_option == dict.fromkeys(load_settings.SETTINGS, "from-option"), by_option
"""

    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr


def test_what_an_author_imports_does_not_import_locust_until_it_is_a_user_of_the_schedule() -> None:
    light = sorted(set(burst.load.__all__) - {"Scheduled", "DueEvent"})
    script = f"""
import sys
from burst.load import {", ".join(light)}
assert not {{"locust", "gevent"}} & set(sys.modules)
from burst.load import {", ".join(burst.load.__all__)}
assert "locust" in sys.modules
"""

    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr


def test_a_name_that_is_not_offered_is_an_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'pacing'"):
        _ = burst.load.pacing
