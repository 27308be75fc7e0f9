"""The check that a test leaves nothing behind: a small suite that leaves one of each, in a pytest of its own."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import leaks, waiting

ROOT = Path(__file__).parents[2]
LOOKS = 50
LOOK_SECONDS = 0.005
"""Of a core's time; it is a tenth of that where nobody else uses the core, and there are two looks for each test."""
BEGINNING = """\
import os, signal, subprocess, sys, threading, time
import pytest
from burst.adapters import secrets
from tests import leaks

leaks.SETTLE_SECONDS = 1.0
over = threading.Event()
SLEEPS = ("sleep", "60")
orphan = "import subprocess; print(subprocess.Popen(('sleep', '60'), start_new_session=True, stdout=-3).pid)"
HOME = os.getcwd()
os.environ |= {"KEPT": "as it was", "REMOVED": "as it was"}
started, orphans = [], []


def sleep():
    started.append(subprocess.Popen(SLEEPS))
    return started[-1]


def wait():
    threads = threading.Thread(target=over.wait, name="waiting")
    threads.start()
    return threads


@pytest.fixture(scope="session")
def server():
    with subprocess.Popen(SLEEPS) as process:
        yield wait(), process
        process.kill()


@pytest.fixture(scope="module")
def operator():
    os.environ["OPERATOR"] = "for the whole file"
    yield
    os.environ.pop("OPERATOR", None)


@pytest.fixture
def late(request):
    return request.getfixturevalue("server")


@pytest.fixture(scope="module", autouse=True)
def end():
    yield
    over.set()
    for process in started:
        process.kill()
        process.wait()
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)
"""
LEAVING = {
    "a_variable": ("os.environ['LEFT'] = 'secret'", "the environment variable LEFT was added"),
    "a_change": ("os.environ['KEPT'] = 'secret'", "the environment variable KEPT was changed"),
    "no_variable": ("del os.environ['REMOVED']", "the environment variable REMOVED was removed"),
    "a_folder": ("os.chdir('/')", "the working folder is / and was /.*/leaving0"),
    "a_handler": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "the handler of SIGTERM is 1 and was 0"),
    "a_thread": ("wait()", "the thread waiting runs"),
    "a_child": ("sleep()", r"the process \d+ \(sleep 60\) runs"),
    "an_orphan": (
        "orphans.append(int(subprocess.run([sys.executable, '-c', orphan], stdout=-1, check=True).stdout))",
        r"the process \d+ \(sleep 60\) runs",
    ),
}
"""What a test does, and the sentence that names what it left. Its name is the test's."""
LEAVING_NOTHING = {
    "with_a_server": ("assert server", "server"),
    "with_a_server_asked_for_late": ("assert late", "late"),
    "with_what_it_ends": ("process = sleep(); process.kill(); process.wait()", ""),
    "with_a_process_that_is_about_to_end": ("subprocess.Popen(('sleep', '0.2'))", ""),
    "with_a_thread_that_is_about_to_end": ("threading.Timer(0.2, print).start()", ""),
    "with_a_variable_put_back": ("monkeypatch.setenv('LEFT', 'for now'); monkeypatch.chdir('/')", "monkeypatch"),
    "of_the_variables_before": (
        "assert [os.environ.get(name) for name in ('KEPT', 'REMOVED', 'LEFT')] == ['as it was', 'as it was', None]",
        "",
    ),
    "of_the_folder_before": ("assert os.getcwd() == HOME", ""),
    "of_the_handler_before": ("assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL", ""),
    "of_its_secrets": ("secrets.accept_literal('a value', origin='a test')", ""),
    "of_the_secrets_before": ("assert not secrets.RESOLVED", ""),
}
OF_A_FILE = (
    "the fixture operator lives for a module and changed the process: the environment variable OPERATOR was added"
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Why each test of the small suite failed; an empty text for one that passed."""
    folder = tmp_path_factory.mktemp("leaving")
    tests = [f"def test_leaving_{name}(): {does}\n" for name, (does, _) in LEAVING.items()]
    tests += [f"def test_leaving_nothing_{name}({needs}): {does}\n" for name, (does, needs) in LEAVING_NOTHING.items()]
    tests.append("def test_of_a_file(operator): pass\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_leaving.py").write_text("\n\n".join([BEGINNING, *tests]))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.leaks", "--junitxml=seen.xml", "test_leaving.py"],
        cwd=folder, capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert ended.returncode == 1, ended.stdout + ended.stderr
    cases = ElementTree.parse(folder / "seen.xml").iter("testcase")  # noqa: S314 - pytest wrote it
    return {case.attrib["name"]: "".join(problem.text or "" for problem in case) for case in cases}


@pytest.mark.parametrize("name", LEAVING)
def test_a_test_that_leaves_something_fails_and_the_message_names_it(outcomes: Mapping[str, str], name: str) -> None:
    why = outcomes[f"test_leaving_{name}"]

    assert re.search(f"^the test left something behind: {LEAVING[name][1]}. Allowed: nothing. put back", why), why
    assert "secret" not in why


@pytest.mark.parametrize("name", LEAVING_NOTHING)
def test_a_test_that_leaves_nothing_passes(outcomes: Mapping[str, str], name: str) -> None:
    assert outcomes[f"test_leaving_nothing_{name}"] == ""


def test_a_fixture_that_changes_the_process_for_a_whole_file_fails(outcomes: Mapping[str, str]) -> None:
    assert OF_A_FILE in outcomes["test_of_a_file"]


def test_a_look_takes_little_of_a_test() -> None:
    began = time.process_time()
    for _ in range(LOOKS):
        leaks.read_surroundings()

    assert (time.process_time() - began) / LOOKS < LOOK_SECONDS
