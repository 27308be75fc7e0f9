"""Users of a schedule in any locustfile: every setting is an option, the web page starts anew, no worker stays."""

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

import burst.load
from tests import fixtures_ingest, waiting
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
