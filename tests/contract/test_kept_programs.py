"""The contract of `ports.KeptPrograms`, in memory and on the programs of this machine; the rest is of this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from burst import ports
from burst.adapters.local import kept_programs
from burst.domain.basics import errors
from tests import fakes_staging, waiting

PORT = ports.KeptPrograms
RUN = """
import sys
from pathlib import Path
from burst.adapters.local import kept_programs
kept_programs.LocalKeptPrograms(Path(sys.argv[1])).run("A", sys.argv[3:], seconds_max=float(sys.argv[2]))
"""
"""A burst that runs a program, to be killed."""


@pytest.fixture(params=["memory", "local"])
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> ports.KeptPrograms:
    memory = request.param == "memory"
    return fakes_staging.MemoryKeptPrograms() if memory else kept_programs.LocalKeptPrograms(tmp_path)


def test_a_program_answers_with_its_exit_code_and_what_it_wrote(programs: ports.KeptPrograms) -> None:
    assert programs.run("A", ["echo", "a  b", "$HOME; c", "--", "d"], seconds_max=30).output == b"a  b $HOME; c -- d\n"
    assert programs.run("B", ["true"], seconds_max=30).exit_code == 0
    assert programs.run("C", ["false"], seconds_max=30).exit_code == 1


def test_a_program_that_ended_does_not_run_again_until_it_is_forgotten(programs: ports.KeptPrograms) -> None:
    programs.run("A", ["echo", "first"], seconds_max=30)

    assert programs.run("A", ["echo", "second"], seconds_max=30).output == b"first\n"

    programs.forget("A")
    assert programs.run("A", ["echo", "third"], seconds_max=30).output == b"third\n"


def test_a_program_that_is_not_there_or_takes_too_long_is_refused(programs: ports.KeptPrograms) -> None:
    with pytest.raises(errors.Refused, match="no-such-program cannot be started"):
        programs.run("A", ["no-such-program"], seconds_max=30)
    with pytest.raises(errors.Refused, match=r"sleep did not end within 0\.2 s"):
        programs.run("B", ["sleep", "60"], seconds_max=0.2)


def test_nobody_is_waited_for_where_no_program_runs(programs: ports.KeptPrograms) -> None:
    said: list[str] = []
    programs.await_earlier(said.append)
    programs.run("A", ["true"], seconds_max=30)

    programs.await_earlier(said.append)

    assert said == []


def test_what_a_program_complains_of_is_told_and_too_much_output_is_refused(tmp_path: Path) -> None:
    programs = kept_programs.LocalKeptPrograms(tmp_path)
    script = "echo no such thing >&2; exit 3"

    assert programs.run("A", ["sh", "-c", script], seconds_max=30).complaint == "no such thing\n"
    with pytest.raises(errors.Refused, match="allowed: at most"):
        programs.run("B", ["head", "-c", str(9 << 20), "/dev/zero"], seconds_max=30)
    with pytest.raises(errors.Refused, match="allowed: at most"):
        programs.run("C", ["sh", "-c", f"head -c {9 << 20} /dev/zero; sleep 60"], seconds_max=30)


def test_nobody_else_reads_what_a_program_wrote_and_nothing_is_left_of_one_that_is_forgotten(tmp_path: Path) -> None:
    programs = kept_programs.LocalKeptPrograms(tmp_path)
    programs.run("A", ["echo", "figures"], seconds_max=30)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "programs").iterdir()}
    assert modes == {"A.launch": 0o600, "A.out": 0o600, "A.err": 0o600, "A.end": 0o600}

    programs.forget("A")
    assert not (tmp_path / "programs").exists()


class KilledBurst:
    """A burst that was killed while its program ran, and what that program does."""

    def __init__(self, folder: Path, argv: Sequence[str], *, seconds_max: float = 60.0) -> None:
        self.folder, self.said = folder, list[str]()
        words = [sys.executable, "-c", RUN, str(folder), str(seconds_max), *argv]
        burst = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        waiting.until(lambda: (folder / "began").exists(), what="the program to begin")
        burst.kill()
        burst.wait()
        self.keeper = psutil.Process(json.loads((folder / "programs" / "A.launch").read_text())["pid"])

    def count_starts(self) -> int:
        """How often the program began."""
        return len((self.folder / "began").read_text().splitlines())

    def await_it(self) -> threading.Thread:
        """A later burst that waits for the program, once it has said so."""
        programs = kept_programs.LocalKeptPrograms(self.folder)
        waiter = threading.Thread(target=programs.await_earlier, args=(self.said.append,))
        waiter.start()
        waiting.until(lambda: self.said, what="the later burst to say what it waits for")
        return waiter


def write_script(folder: Path, then: str) -> tuple[str, ...]:
    """A program that notes that it began, and goes on."""
    return ("sh", "-c", f"echo >> {folder}/began; {then}")


def test_a_program_goes_on_where_burst_is_killed_and_a_later_burst_waits_for_its_end(tmp_path: Path) -> None:
    argv = write_script(tmp_path, f"until test -e {tmp_path}/over; do sleep 0.02; done; echo figures; exit 5")
    killed = KilledBurst(tmp_path, argv)
    with pytest.raises(errors.Unavailable, match="sh, which an earlier burst started, still runs, until 20"):
        kept_programs.LocalKeptPrograms(tmp_path).run("A", argv, seconds_max=60)
    waiter = killed.await_it()
    (tmp_path / "over").touch()
    waiter.join(30)

    answer = kept_programs.LocalKeptPrograms(tmp_path).run("A", argv, seconds_max=60)

    assert not waiter.is_alive()
    assert (answer.exit_code, answer.output) == (5, b"figures\n")
    assert killed.count_starts() == 1
    assert f"(`kill {killed.keeper.pid}` ends it); waiting for its end" in killed.said[0]


def test_a_program_is_ended_at_its_limit_though_burst_was_killed(tmp_path: Path) -> None:
    argv = write_script(tmp_path, "exec sleep 100")
    killed = KilledBurst(tmp_path, argv, seconds_max=3.0)
    waiting.until(lambda: not killed.keeper.is_running(), what="the keeper to end its program")

    with pytest.raises(errors.Refused, match="sh did not end within 3 s and was killed"):
        kept_programs.LocalKeptPrograms(tmp_path).run("A", argv, seconds_max=60)

    assert killed.count_starts() == 1


def test_a_program_whose_keeper_is_told_to_end_was_cut_and_runs_again(tmp_path: Path) -> None:
    argv = write_script(tmp_path, f"test -e {tmp_path}/again || exec sleep 100")
    killed = KilledBurst(tmp_path, argv)
    (program,) = killed.keeper.children()
    waiter = killed.await_it()
    killed.keeper.terminate()
    waiter.join(30)
    (tmp_path / "again").touch()

    assert not program.is_running()
    assert kept_programs.LocalKeptPrograms(tmp_path).run("A", argv, seconds_max=60).exit_code == 0
    assert killed.count_starts() == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone kills the program of a killed keeper")
def test_what_a_program_left_behind_whose_keeper_was_killed_too_is_named_and_nothing_starts(tmp_path: Path) -> None:
    argv = write_script(tmp_path, f"sleep 100 & echo $! > {tmp_path}/pid; wait")
    killed = KilledBurst(tmp_path, argv)
    waiting.until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), what="the child")
    (program,) = killed.keeper.children()
    child = int((tmp_path / "pid").read_text())
    killed.keeper.kill()
    waiting.until(lambda: not program.is_running(), what="the program to be killed by the kernel")
    programs = kept_programs.LocalKeptPrograms(tmp_path)

    with pytest.raises(errors.Unavailable, match=f"left processes that still run: {child}; wait for their end"):
        programs.await_earlier(print)
    with pytest.raises(errors.Unavailable, match=f"left processes that still run: {child};"):
        programs.run("A", argv, seconds_max=60)

    os.kill(child, signal.SIGKILL)
    waiting.until(lambda: not psutil.pid_exists(child), what="the child to be gone")
    programs.await_earlier(print)
    assert programs.run("A", ["true"], seconds_max=60).exit_code == 0
    assert killed.count_starts() == 1


def test_a_daemon_that_a_program_starts_lives_on_and_is_not_waited_for(tmp_path: Path) -> None:
    daemon = "import os; os.fork() or (os.setsid(), os.fork() and os._exit(0), os.execvp('sh', ['sh', '-c', {}]))"
    script = f"echo $$ > {tmp_path}/daemon; exec sleep 100"
    programs, said = kept_programs.LocalKeptPrograms(tmp_path), list[str]()

    answer = programs.run("A", [sys.executable, "-S", "-c", daemon.format(repr(script))], seconds_max=60)
    programs.await_earlier(said.append)
    waiting.until(lambda: (tmp_path / "daemon").exists() and (tmp_path / "daemon").read_text(), what="the daemon")
    pid = int((tmp_path / "daemon").read_text())

    assert (answer.exit_code, said) == (0, [])
    assert psutil.Process(pid).is_running()
    programs.forget("A")
    programs.await_earlier(said.append)
    os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: not psutil.pid_exists(pid), what="the daemon to be gone")


def test_an_end_that_no_keeper_wrote_is_no_answer(tmp_path: Path) -> None:
    programs = kept_programs.LocalKeptPrograms(tmp_path)
    programs.run("A", ["true"], seconds_max=60)
    (tmp_path / "programs" / "A.end").write_text('{"exit_code": 0, "more": 1}')

    with pytest.raises(errors.EvidenceCorrupt, match=r"A\.end is not what the keeper of a program writes"):
        programs.run("A", ["true"], seconds_max=60)
