"""`burst locust` as a person types it: what it ends with, what it says, and that no process is left."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from burst.cli import locust
from tests import waiting

ROOT = Path(__file__).parents[2]
MARK = "LOCUST_TEST_MARK"

QUIET = """
from locust import User, constant, task


class Quiet(User):
    wait_time = constant(0.05)

    @task
    def ask(self):
        {act}
"""
ANSWERED = QUIET.format(
    act="self.environment.events.request.fire(request_type='GET', name='ask', response_time=5, response_length=1)"
)
REFUSED = """
from locust import FastHttpUser, constant, task


class Buyer(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def buy(self):
        self.client.get("/buy")
"""
SCHEDULED = """
from locust import User, task

from burst.load import Scheduled


class Order(Scheduled, User):
    @task
    def order(self):
        self.take_event()
"""
DEAF = (
    ANSWERED
    + """

import os, signal, subprocess

subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 300 & wait; sleep 300"], start_new_session=True)
"""
)


@pytest.fixture
def mark() -> Iterator[str]:
    """Stands in the environment of every process that a test begins; what is left of them is ended."""
    mark = uuid.uuid4().hex
    yield mark
    for process in find_processes(mark):
        process.kill()


def find_processes(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def start(mark: str, folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "burst", "locust", *words],
        env={**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(mark: str, folder: Path, *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `burst locust`; no process of it is left."""
    process = start(mark, folder, *words)
    out, err = process.communicate(timeout=waiting.PROCESS_SECONDS)
    assert find_processes(mark) == []
    return process.returncode, out, err


def write(folder: Path, content: str) -> str:
    (folder / "shop.py").write_text(content)
    return "shop.py"


def test_a_load_that_is_answered_ends_with_0_and_a_table(mark: str, tmp_path: Path) -> None:
    code, out, err = run(mark, tmp_path, write(tmp_path, ANSWERED), "--", "-t", "1s")

    assert code == 0, err
    head, of_the_name, of_all = out.splitlines()
    assert head.split()[:2] == ["REQUEST", "REQUESTS"]
    assert of_the_name.split()[0] == "ask"
    assert of_all.split()[0] == "all"
    assert "due" not in out


@pytest.mark.parametrize(
    ("content", "words", "why"),
    [
        pytest.param(REFUSED, ["--host", "http://127.0.0.1:1"], "requests failed: ", id="every request fails"),
        pytest.param(ANSWERED, ["--rate", "25/s"], "nothing was sent at --rate 25/s", id="a rate that nobody takes"),
        pytest.param(QUIET.format(act="pass"), [], "NO_DATA: no request came to an end", id="nothing is sent"),
        pytest.param(
            ANSWERED + "\n\nfrom locust import events\n\n\n@events.quitting.add_listener\ndef fail(environment, **_):\n"
            "    environment.process_exit_code = 7\n",
            [],
            "Locust ended with exit code 7",
            id="the file says that it failed",
        ),
        pytest.param(
            ANSWERED + "        raise KeyError('order')\n",
            [],
            "users raised ",
            id="its tasks raise",
        ),
    ],
)
def test_a_load_that_is_no_success_ends_with_4_and_says_why(
    mark: str, tmp_path: Path, content: str, words: list[str], why: str
) -> None:
    code, out, err = run(mark, tmp_path, write(tmp_path, content), "--json", *words, "--", "-t", "1s")

    assert code == 4
    assert why in err
    assert json.loads(out)["total"]["acknowledged"] >= 0


@pytest.mark.parametrize(
    ("content", "words", "why"),
    [
        pytest.param("import no_such_module\n", ["shop.py"], "no_such_module", id="a file that cannot be imported"),
        pytest.param("", ["shop.py"], "No User class found", id="a file without users"),
        pytest.param("", ["other.py"], "other.py is not there", id="no such file"),
        pytest.param(ANSWERED, ["shop.py", "--budget", "soon"], "--budget: 'soon' is neither", id="no duration"),
        pytest.param(ANSWERED, ["shop.py", "--rate", "fast"], "--rate is 'fast'; it must be a number", id="no rate"),
        pytest.param(ANSWERED, ["."], "'.' is a folder; name its files", id="a folder"),
        pytest.param(ANSWERED, ["shop.py", "--", "-f", "x.py"], "-f stands behind --", id="a word of burst's"),
        pytest.param(ANSWERED, ["shop.py", "--", "--wrong"], "unrecognized arguments: --wrong", id="a wrong word"),
        pytest.param(ANSWERED, ["shop.py", "--", "Nobody"], "Unknown User(s): Nobody", id="no such user"),
        pytest.param(
            SCHEDULED, ["shop.py", "--", "--burst-arrivals", "often"], "BURST_ARRIVALS is 'often'", id="a wrong setting"
        ),
        pytest.param("", [], "FILE", id="no file"),
    ],
)
def test_what_cannot_run_ends_with_2_and_nothing_on_stdout(
    mark: str, tmp_path: Path, content: str, words: list[str], why: str
) -> None:
    write(tmp_path, content)

    code, out, err = run(mark, tmp_path, *words)

    assert (code, out) == (2, ""), err
    assert why in err


def test_the_budget_ends_a_load_and_what_it_left_behind(mark: str, tmp_path: Path) -> None:
    code, out, err = run(mark, tmp_path, write(tmp_path, DEAF), "--budget", "4s", "--grace", "1s", "--json")

    assert code == 4
    assert "was killed" in err
    assert json.loads(out)["ended"]["cause"] == "budget"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_forked_workers_too_and_still_shows_what_was_sent(
    mark: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(mark, tmp_path, write(tmp_path, ANSWERED), "--users", "4", "--json", "--", "--processes", "2")
    # burst itself, Locust's master and its two workers
    waiting.until(lambda: len(find_processes(mark)) == 4, what="two forked workers")
    told = process.stderr
    assert told is not None
    waiting.until(lambda: "All users spawned" in told.readline(), what="users at work")
    process.send_signal(number)
    out, err = process.communicate(timeout=waiting.PROCESS_SECONDS)

    assert process.returncode == code, err
    assert find_processes(mark) == []
    document: dict[str, Any] = json.loads(out)
    assert document["total"]["requests"] > 0
    assert document["ended"]["detail"] == f"{number.name} received"


def test_a_port_that_is_taken_ends_with_2_before_locust_begins(mark: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, out, err = run(mark, tmp_path, write(tmp_path, ANSWERED), "--web", "--web-port", port)

    assert (code, out) == (2, ""), err
    assert f"--web-port {port}: Address already in use; end what listens at 127.0.0.1:{port}" in err


IMPORTED_FOR_LONG = "import time\n\ntime.sleep(300)\n"


def test_a_budget_that_ends_before_locust_begins_is_no_wrong_word(mark: str, tmp_path: Path) -> None:
    words = ("--budget", "2s", "--grace", "1s", "--json")
    code, out, err = run(mark, tmp_path, write(tmp_path, IMPORTED_FOR_LONG), *words)

    assert (code, json.loads(out)["exit_code"]) == (4, 4), err
    assert "the budget of 2 s was used up before Locust began, and nothing was sent; give a longer --budget" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_before_locust_begins_is_told_as_one(
    mark: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(mark, tmp_path, write(tmp_path, IMPORTED_FOR_LONG))
    # the guard listens by then
    waiting.until(lambda: len(find_processes(mark)) >= 2, seconds=60, what="Locust below burst")
    process.send_signal(number)
    out, err = process.communicate(timeout=waiting.PROCESS_SECONDS)

    assert (process.returncode, out) == (code, ""), err
    assert f"interrupted: {number.name} received before Locust began, and nothing was sent" in err
    assert find_processes(mark) == []


def test_several_files_and_names_choose_the_users(mark: str, tmp_path: Path) -> None:
    write(tmp_path, ANSWERED)
    (tmp_path / "more.py").write_text(ANSWERED.replace("Quiet", "More").replace("'ask'", "'more'"))

    code, out, err = run(mark, tmp_path, "shop.py", "more.py", "-u", "2", "--json", "--", "-t", "1s")
    assert (code, {entry["name"] for entry in json.loads(out)["requests"]}) == (0, {"ask", "more"}), err

    code, out, err = run(mark, tmp_path, "shop.py", "more.py", "-u", "2", "--json", "--", "More", "-t", "1s")
    assert (code, {entry["name"] for entry in json.loads(out)["requests"]}) == (0, {"more"}), err


@pytest.mark.parametrize(("detail", "code"), [("HUP received", None), ("SIGHUP received", 143), ("", None)])
def test_only_a_signal_is_an_interruption(detail: str, code: int | None) -> None:
    assert locust.find_signal_code(detail) == code
