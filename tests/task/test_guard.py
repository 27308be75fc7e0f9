"""The guard as a process: programs that obey, resist and escape; exit codes; signals; records; PID 1."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from burst.domain.basics import errors, instants
from burst.task import arguments, guard
from tests import waiting
from tests.task import guarding

LONG = ("--budget", "120s", "--grace", "60s")

MISBEHAVING = {
    "obeys TERM": (guarding.OBEYS, 124, 60.0),
    "ignores TERM": (guarding.IGNORES_TERM, 137, 0.4),
    "ignores every signal it can": (guarding.IGNORES_EVERYTHING, 137, 0.4),
    "double-forks into a new session": (guarding.DOUBLE_FORKS, 124, 60.0),
    "double-forks and ignores TERM": (guarding.DOUBLE_FORKS_AND_IGNORES_TERM, 137, 0.4),
    "stopped by SIGSTOP": (guarding.STOPS_ITSELF, 124, 60.0),
    "twenty sleepers": (guarding.TWENTY_SLEEPERS, 124, 60.0),
}


@pytest.mark.parametrize(("command", "expected", "grace_seconds"), MISBEHAVING.values(), ids=MISBEHAVING.keys())
def test_at_the_budget_nothing_of_the_tree_is_left(
    tmp_path: Path, command: tuple[str, ...], expected: int, grace_seconds: float
) -> None:
    with guarding.start_working_guard(tmp_path, "--grace", str(grace_seconds), command=command) as task:
        code = task.exit_code()
        survivors = task.survivors()
        record = task.record()

    assert code == expected
    assert survivors == []
    assert (record["exit_code"], record["stopped_by"]) == (expected, "guard")
    lived = instants.seconds_between(instants.parse(record["started_at"]), instants.parse(record["stopped_at"]))
    assert lived >= 0.6
    assert record["overshoot_seconds"] < (0.0 if expected == 124 else grace_seconds) + waiting.scheduling_seconds()


@pytest.mark.parametrize(
    ("script", "expected"),
    [("exit 0", 0), ("exit 3", 3), ("exit 64", 64), ("kill -9 $$", 137), ("kill -15 $$", 143), ("kill -2 $$", 130)],
)
def test_a_program_that_ends_by_itself_keeps_its_own_code(tmp_path: Path, script: str, expected: int) -> None:
    with guarding.start_guard(tmp_path, *LONG, command=("sh", "-c", script)) as task:
        code = task.exit_code()
        record = task.record()

    assert code == expected
    assert (record["exit_code"], record["stopped_by"], record["overshoot_seconds"]) == (expected, None, 0.0)


def test_a_missing_program_is_127_and_one_that_is_not_executable_126(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    with guarding.start_guard(tmp_path, *LONG, command=("no-such-program-here",)) as missing:
        missing_code, missing_words = missing.exit_code(), missing.stderr()
    with guarding.start_guard(tmp_path, *LONG, command=(str(plain),)) as forbidden:
        forbidden_code = forbidden.exit_code()
        detail = forbidden.record()["detail"]

    assert (missing_code, forbidden_code) == (127, 126)
    assert "command not found: no-such-program-here" in missing_words
    assert detail == f"command not executable: {plain}"


def test_a_program_the_kernel_refuses_is_126(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    with guarding.start_guard(tmp_path, *LONG, command=(str(broken),)) as task:
        code = task.exit_code()

    assert code == 126


@pytest.mark.parametrize(
    ("command", "killed"), [(guarding.LEAVES_ONE_BEHIND, False), (guarding.LEAVES_A_STUBBORN_ONE_BEHIND, True)]
)
def test_processes_that_a_finished_program_left_are_ended_and_its_code_kept(
    tmp_path: Path, command: tuple[str, ...], killed: bool
) -> None:
    with guarding.start_guard(tmp_path, "--budget", "30", "--grace", "0.4", command=command) as task:
        code = task.exit_code()
        survivors = task.survivors()
        lived, record = task.lived_seconds(), task.record()

    assert (code, survivors, record["stopped_by"]) == (4, [], None)
    assert "left processes behind" in record["detail"]
    assert (lived > 0.4) or not killed


def test_a_program_that_forks_faster_than_it_can_be_listed_is_ended_all_the_same(tmp_path: Path) -> None:
    with guarding.start_working_guard(tmp_path, "--grace", "0.4", command=guarding.CHAIN_FORKS) as task:
        code = task.exit_code()
        record = task.record()
        last_life = task.started.stat().st_mtime_ns
        waiting.never(lambda: task.started.stat().st_mtime_ns > last_life, seconds=0.3, what="a sign of life")

    assert code == 0  # its first process ended by itself; the rest was left behind
    lived = instants.seconds_between(instants.parse(record["started_at"]), instants.parse(record["stopped_at"]))
    assert 0.4 < lived < 0.4 + waiting.scheduling_seconds() + 1  # it would go on for 40


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_guard_ends_the_whole_tree(tmp_path: Path, number: signal.Signals) -> None:
    with guarding.start_guard(tmp_path, *LONG, command=guarding.DOUBLE_FORKS) as task:
        task.running()
        task.process.send_signal(number)
        code = task.exit_code()
        survivors = task.survivors()
        record = task.record()

    assert code == 143
    assert survivors == []
    assert (record["stopped_by"], record["detail"]) == ("controller", f"{number.name} received")


def test_a_program_that_handles_term_keeps_its_own_code_when_the_guard_is_asked_to_end(tmp_path: Path) -> None:
    command = ("sh", "-c", "trap 'exit 5' TERM; touch \"$STARTED\"; while :; do sleep 0.05; done")
    with guarding.start_guard(tmp_path, *LONG, command=command) as task:
        task.running()
        task.process.terminate()
        code = task.exit_code()

    assert code == 5


def test_a_signal_that_is_ignored_by_the_program_ends_in_kill_after_the_grace(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, "--budget", "30", "--grace", "0.4", command=guarding.IGNORES_TERM) as task:
        task.running()
        asked_at = time.monotonic()
        task.process.terminate()
        code = task.exit_code()
        took_seconds = time.monotonic() - asked_at

    assert code == 137
    assert took_seconds >= 0.4


def test_a_repeated_term_does_not_delay_the_kill(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, "--budget", "120", "--grace", "1", command=guarding.IGNORES_TERM) as task:
        task.running()
        asked_at = time.monotonic()
        # A grace that began anew with every TERM would never end.
        task.signal_until_ended(signal.SIGTERM)
        code = task.exit_code()
        took_seconds = time.monotonic() - asked_at

    assert code == 137
    assert took_seconds >= 1


def test_a_program_gets_term_once_since_a_second_term_may_mean_something_else(tmp_path: Path) -> None:
    with guarding.start_working_guard(tmp_path, "--grace", "60", command=guarding.COUNTS_TERM) as task:
        code = task.exit_code()

    assert code == 124
    assert task.started.read_text().splitlines() == ["asked"]


def stopped_beyond_its_grace(folder: Path, budget_seconds: float, grace_seconds: float) -> tuple[int, float]:
    """The exit code of a guard that was suspended from before its budget until after its grace, and the seconds it
    needed to end once it continued."""
    folder.mkdir()
    limits = ("--budget", f"{budget_seconds}", "--grace", f"{grace_seconds}")
    with guarding.start_guard(folder, *limits, command=guarding.IGNORES_TERM) as task:
        waiting.until(task.is_decided, what="the program to run")
        over_at = time.monotonic() + budget_seconds + grace_seconds  # its budget had begun before
        task.process.send_signal(signal.SIGSTOP)
        waiting.until(lambda: time.monotonic() > over_at, seconds=60, what="its grace to be over")
        goes_on_at = time.monotonic()
        task.process.send_signal(signal.SIGCONT)
        return task.exit_code(), time.monotonic() - goes_on_at


def test_a_guard_that_was_stopped_beyond_its_grace_kills_as_soon_as_it_goes_on(tmp_path: Path) -> None:
    # Longer where the machine is too slow to start the program within the budget, or to end it in less than a grace.
    for budget_seconds, grace_seconds in ((1.5, 2.0), (6.0, 8.0), (12.0, 16.0)):
        code, took_seconds = stopped_beyond_its_grace(tmp_path / f"{grace_seconds}", budget_seconds, grace_seconds)
        if code != 124 and took_seconds < grace_seconds:  # 124: the program had not come to work
            break

    assert code == 137
    assert took_seconds < grace_seconds  # another grace is not begun


def test_a_second_term_keeps_the_grace_but_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, *LONG, command=guarding.IGNORES_TERM) as task:
        task.running()
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            task.process.send_signal(number)
            with pytest.raises(subprocess.TimeoutExpired):
                task.process.wait(0.15)
        # Repeated: a second INT that comes while the first is still pending is the same signal.
        task.signal_until_ended(signal.SIGINT)
        code = task.exit_code()

    assert code == 137


def test_the_deadline_still_holds_while_a_signal_is_in_its_grace(tmp_path: Path) -> None:
    with guarding.start_working_guard(
        tmp_path, "--grace", "0.4", budget_seconds=1, command=guarding.IGNORES_TERM
    ) as task:
        task.process.terminate()
        code = task.exit_code()
        record = task.record()

    assert code == 137
    assert record["overshoot_seconds"] < 0.4 + waiting.scheduling_seconds()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_signals_of_the_programs_own_reach_it_and_leave_the_guard_alone(tmp_path: Path, number: signal.Signals) -> None:
    command = ("sh", "-c", f"trap 'exit 5' {number.name[3:]}; touch \"$STARTED\"; while :; do sleep 0.05; done")
    with guarding.start_guard(tmp_path, *LONG, command=command) as task:
        task.running()
        task.process.send_signal(number)
        code = task.exit_code()

    assert code == 5


def test_ctrl_z_does_not_stop_the_guard(tmp_path: Path) -> None:
    with guarding.start_working_guard(tmp_path, "--grace", "60") as task:
        task.process.send_signal(signal.SIGTSTP)
        code = task.exit_code()

    assert code == 124


def test_signals_its_parent_ignored_or_blocked_still_end_it(tmp_path: Path) -> None:
    blocking = (
        "import os, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.execv(sys.argv[1], sys.argv[1:])"
    )
    with guarding.start_guard(tmp_path, *LONG, prefix=(sys.executable, "-c", blocking)) as task:
        task.running()
        task.process.terminate()
        code = task.exit_code()

    assert code == 143


def test_a_hangup_that_its_parent_ignored_on_purpose_does_not_end_it(tmp_path: Path) -> None:
    hangup_is_ignored = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
    with guarding.start_guard(tmp_path, *LONG, prefix=hangup_is_ignored) as task:
        task.running()
        ignored = _read_ignored_signals(task.process.pid)
        task.process.send_signal(signal.SIGHUP)
        task.process.send_signal(signal.SIGTERM)
        code = task.exit_code()
        record = task.record()

    assert signal.SIGHUP in ignored
    assert (code, record["detail"]) == (143, "SIGTERM received")


def _read_ignored_signals(pid: int) -> set[signal.Signals]:
    """The signals that a process ignores, as the kernel has them: two that are pending may arrive in either order."""
    (mask,) = re.findall(r"SigIgn:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
    return {number for number in signal.Signals if int(mask, 16) >> (number - 1) & 1}


UNSEEN = {
    "a program with a child": (("sh", "-c", 'sleep 100 & touch "$STARTED"; sleep 100'), 0),
    "an escaped child, and one descriptor": (guarding.DOUBLE_FORKS_AND_IGNORES_TERM, 3),
}


@pytest.mark.parametrize(("command", "limit"), UNSEEN.values(), ids=UNSEEN.keys())
def test_a_guard_that_can_open_nothing_ends_its_tree_all_the_same(
    tmp_path: Path, command: tuple[str, ...], limit: int
) -> None:
    with guarding.start_guard(tmp_path, *LONG, command=command) as task:
        task.running()
        resource.prlimit(task.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        task.process.terminate()  # the end of its budget, without the wait for it
        code = task.exit_code()
        survivors = task.survivors()
        words = task.stderr()

    assert (code, survivors) == (137, [])
    assert "cannot be seen: Too many open files, so its group was killed; exit 137" in words


def test_a_full_pipe_nobody_reads_does_not_hold_up_the_hard_stop(tmp_path: Path) -> None:
    floods = ("sh", "-c", "trap '' TERM; touch \"$STARTED\"; yes >&2")
    with guarding.start_working_guard(tmp_path, "--grace", "0.4", command=floods) as task:
        code = task.exit_code()

    assert code == 137


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_killing_the_guard_kills_its_program(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, *LONG, command=guarding.IGNORES_EVERYTHING) as task:
        task.running()
        program = psutil.Process(task.process.pid).children()[0]
        task.process.kill()

        waiting.until(lambda: not program.is_running() or program.status() == "zombie", what="the program to die")


def test_a_deadline_is_an_instant_made_relative_once(tmp_path: Path) -> None:
    for seconds in (1.0, 5.0, 25.0):  # longer where the machine is too slow to start it in time
        deadline = instants.text(instants.later(datetime.now(UTC), seconds))
        with guarding.start_guard(tmp_path, "--deadline", deadline) as task:
            code = task.exit_code(seconds + 20)
            record = task.record()
        if task.started.exists():
            break

    assert code == 124
    assert record["detail"] == "the budget was used up"
    past = instants.seconds_between(instants.parse(deadline), instants.parse(record["stopped_at"]))
    assert 0 <= past < waiting.scheduling_seconds() + 0.3


def test_a_deadline_already_past_starts_nothing(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, "--deadline", "2026-02-21T02:00:00Z") as task:
        code = task.exit_code()
        record = task.record()

    assert code == 124
    assert not task.started.exists()
    assert (record["stopped_by"], record["detail"]) == ("guard", "the deadline had passed before the start")
    assert record["overshoot_seconds"] == 0.0  # nothing outlived anything


@pytest.mark.parametrize("limit", ["--budget=99999999999999", "--deadline=9999-12-31T00:00:00Z"])
def test_a_budget_longer_than_any_wait_holds_the_program_to_its_own_end(tmp_path: Path, limit: str) -> None:
    with guarding.start_guard(tmp_path, limit, command=("sh", "-c", "sleep 0.2; exit 7")) as task:
        code = task.exit_code()
        stderr = task.stderr()

    assert (code, stderr) == (7, "")


BAD_USAGE = {
    "no limit": ((), "give either --budget or --deadline"),
    "both limits": (("--budget", "1", "--deadline", "2099-01-01T00:00:00Z"), "not allowed with"),
    "budget without a meaning": (("--budget", "soon"), "'soon' is neither a number of seconds nor a duration"),
    "no budget at all": (("--budget", "0"), "has to be more than nothing"),
    "negative budget": (("--budget=-5",), "'-5' is neither a number"),
    "not a number": (("--budget", "nan"), "'nan' is neither a number"),
    "deadline without zone": (("--deadline", "2099-01-01T00:00:00"), "has no time zone"),
    "unknown lease": (("--budget", "1", "--lease", "gopher://x/y"), "scheme 'gopher' is not known"),
    "waiting for nothing": (("--budget", "1", "--child-waits"), "--child-waits needs --lease"),
    "negative shard": (("--budget", "1", "--shard=-1"), "may not be negative"),
    "record nowhere": (("--budget", "1", "--record", "/nonexistent/folder/r.json"), "No such file or directory"),
}


@pytest.mark.parametrize(("options", "message"), BAD_USAGE.values(), ids=BAD_USAGE.keys())
def test_bad_usage_is_exit_2_says_why_and_starts_nothing(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    started = tmp_path / "started"

    done = subprocess.run(
        [sys.executable, "-m", "burst.task.guard", *options, "--", "touch", str(started)],
        capture_output=True, text=True, cwd=guarding.ROOT, timeout=waiting.PROCESS_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert message in done.stderr
    assert not started.exists()


def test_no_command_is_exit_2() -> None:
    assert guard.main(["--budget", "1", "--"]) == 2


@pytest.mark.parametrize(("text", "expected"), [("90m", 5400.0), ("0.5", 0.5), ("30", 30.0), ("500ms", 0.5)])
def test_durations_are_taken_as_timeout_takes_them_and_as_plans_write_them(text: str, expected: float) -> None:
    assert arguments.parse_seconds(text) == expected


@pytest.mark.parametrize("text", ["", ".", "-1", "1e9", "inf", "nan", "5 s", "1.2.3"])
def test_looser_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number"):
        arguments.parse_seconds(text)


def test_options_need_exactly_one_limit() -> None:
    with pytest.raises(errors.UsageError, match="either"):
        guard.run(arguments.Options(command=("true",)))


def test_the_record_is_there_from_the_start_and_names_the_guard(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, *LONG, "--shard", "7", IG_API_KEY="planted-secret") as task:
        task.running()
        record = task.record()
        task.process.terminate()
        task.exit_code()
        final = task.record_path.read_text()

    assert (record["shard_index"], record["guard_pid"]) == (7, task.process.pid)
    assert record["stopped_at"] is None
    assert "planted-secret" not in final


def test_the_program_keeps_its_input_and_its_output(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "burst.task.guard", "--budget", "60", "--", "tr", "a-z", "A-Z"],
        input="through", capture_output=True, text=True, cwd=guarding.ROOT, check=False,
        timeout=waiting.PROCESS_SECONDS,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "THROUGH", "")


def pid_namespaces_work() -> bool:
    unshare = shutil.which("unshare")
    command = [unshare or "", "--pid", "--fork", "--mount-proc", "true"]
    return unshare is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not pid_namespaces_work(), reason="no permission to make a PID namespace")
class TestAsPid1:
    """In a PID namespace of its own, as in a container: signals without a handler are ignored, and it adopts
    orphans."""

    UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

    def test_it_keeps_the_budget(self, tmp_path: Path) -> None:
        command = guarding.DOUBLE_FORKS_AND_IGNORES_TERM
        with guarding.start_working_guard(tmp_path, "--grace", "0.4", command=command, prefix=self.UNSHARE) as task:
            code = task.exit_code()
            record = task.record()

        assert (code, record["guard_pid"]) == (137, 1)

    def test_it_heeds_term(self, tmp_path: Path) -> None:
        with guarding.start_guard(tmp_path, *LONG, prefix=self.UNSHARE) as task:
            task.running()
            psutil.Process(task.process.pid).children()[0].terminate()
            code = task.exit_code()

        assert code == 143

    def test_a_term_that_comes_while_it_still_starts_up_is_heeded_and_starts_nothing(self, tmp_path: Path) -> None:
        slow = tmp_path / "slow" / "botocore"
        slow.mkdir(parents=True)
        (slow / "__init__.py").touch()
        (slow / "session.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
        options = ("--budget", "60", "--lease", "s3://bucket/run-1/control.json", "--child-waits")
        path = os.pathsep.join((str(slow.parent), *sys.path))
        with guarding.start_guard(tmp_path, *options, prefix=self.UNSHARE, PYTHONPATH=path) as task:
            code = task.exit_code()
            record = task.record()

        assert (code, record["stopped_by"]) == (143, "controller")
        assert not task.started.exists()

    def test_it_reaps_the_orphans_of_others(self, tmp_path: Path) -> None:
        orphans = 'for n in 1 2 3 4 5; do (true &) ; done; touch "$STARTED"; exec sleep 100'
        with guarding.start_guard(tmp_path, *LONG, command=("sh", "-c", orphans), prefix=self.UNSHARE) as task:
            task.running()
            first = psutil.Process(task.process.pid).children()[0]

            waiting.until(lambda: [c.name() for c in first.children()] == ["sleep"], what="the zombies to be reaped")


def test_it_starts_light() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "burst.task.guard", "--budget", "60", "--", "true"],
        capture_output=True, text=True, cwd=guarding.ROOT, check=False, env={**os.environ},
        timeout=waiting.PROCESS_SECONDS,
    )  # fmt: skip

    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert imported.isdisjoint({"click", "pydantic", "sqlalchemy", "boto3", "botocore", "psycopg", "scipy", "rich"})
