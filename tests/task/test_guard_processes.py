"""A guard over several processes of one task: their parts, their barrier, and an end that none of them outlives."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from burst.domain.tasks import leases, masters
from burst.task import guard
from tests import waiting
from tests.task import guarding
from tests.task.test_guard_lease import Lease

# Says in a file of its own what it knows, is ready, and waits. The program of the master opens itself first.
_TELLS = """
import json, os, signal, sys, time
if sys.argv[1] == "ignores":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
names = ("ROLE", "PROCESS_INDEX", "PROCESS_COUNT", "SHARD_INDEX", "SHARD_COUNT", "MASTER_ADDRESS", "WORKER_COUNT")
known = {name: os.environ.get("BURST_" + name) for name in (*names, "PROCESSES", "TOPOLOGY")}
known["pid"] = os.getpid()
if known["ROLE"] == "master":
    with open(os.environ["BURST_MASTER_FILE"] + ".new", "w") as opened:
        json.dump({"port": 41234, "version": "1"}, opened)
    os.rename(os.environ["BURST_MASTER_FILE"] + ".new", os.environ["BURST_MASTER_FILE"])
else:
    known["VERSION"] = os.environ.get("BURST_MASTER_VERSION")
place = os.path.join(os.path.dirname(os.environ["STARTED"]), f"told-{os.getpid()}")
with open(place + ".new", "w") as told:
    json.dump(known, told)
os.rename(place + ".new", place + ".json")
if "BURST_READY_FILE" in os.environ:
    open(os.environ["BURST_READY_FILE"], "w").close()
open(os.environ["STARTED"], "w").close()
while True:
    time.sleep(100)
"""
TELLS = (sys.executable, "-S", "-E", "-c", _TELLS, "obeys")
TELLS_AND_IGNORES_TERM = (*TELLS[:-1], "ignores")
LONG = ("--budget", "120", "--grace", "60")


def read_told(folder: Path) -> list[dict[str, object]]:
    """What the processes of a task know, in the order of their parts."""
    told = [json.loads(path.read_text()) for path in folder.glob("told-*.json")]
    return sorted(told, key=lambda known: (str(known["ROLE"]), int(known["SHARD_INDEX"] or 0)))


def wait_for(folder: Path, count: int) -> list[dict[str, object]]:
    """What so many processes know, once each has told."""
    waiting.until(lambda: len(read_told(folder)) == count, what=f"{count} processes")
    return read_told(folder)


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(tmp_path)


def test_each_process_knows_its_part_and_a_guard_below_starts_no_more(tmp_path: Path) -> None:
    variables = {"BURST_PROCESSES": "3", "BURST_SHARD_INDEX": "1", "BURST_SHARD_COUNT": "4"}
    with guarding.start_guard(tmp_path, *LONG, command=TELLS, **variables) as task:
        told = wait_for(tmp_path, 3)
        task.process.terminate()
        task.exit_code()
        survivors = task.survivors()

    assert [(known["PROCESS_INDEX"], known["SHARD_INDEX"]) for known in told] == [("0", "1"), ("1", "5"), ("2", "9")]
    assert {(known["PROCESS_COUNT"], known["SHARD_COUNT"]) for known in told} == {("3", "12")}
    assert {known["PROCESSES"] for known in told} == {None}
    assert survivors == []


@pytest.mark.parametrize(("program", "expected"), [(TELLS, 124), (TELLS_AND_IGNORES_TERM, 137)])
def test_at_the_deadline_no_process_of_the_task_is_left(
    tmp_path: Path, lease: Lease, program: tuple[str, ...], expected: int
) -> None:
    lease.write(leases.LeaseState.WAIT)
    options = ("--budget", "60", "--grace", "1" if expected == 137 else "60", "--lease", lease.file.uri)
    variables = {"BURST_PROCESSES": "3", "BURST_TOPOLOGY": "distributed", "BURST_SHARD_COUNT": "2"}
    with guarding.start_guard(tmp_path, *options, "--child-waits", command=program, **variables) as task:
        wait_for(tmp_path, 4)
        lease.write(leases.LeaseState.WAIT, deadline_seconds=0.1)  # the deadline moves to now
        code = task.exit_code()
        survivors = task.survivors()
        record = task.record()

    assert (code, record["exit_code"], record["stopped_by"]) == (expected, expected, "guard")
    assert survivors == []


def test_the_first_process_that_ends_ends_the_task_and_is_named(tmp_path: Path) -> None:
    with guarding.start_guard(tmp_path, *LONG, command=TELLS, BURST_PROCESSES="3") as task:
        told = wait_for(tmp_path, 3)
        os.kill(int(str(told[1]["pid"])), signal.SIGKILL)
        code = task.exit_code()
        survivors = task.survivors()
        record = task.record()

    assert (code, survivors) == (137, [])
    assert record["stopped_by"] is None
    assert record["detail"] == "process 2 of 3 ended (killed by signal 9), and the others were ended"


def test_a_guard_that_is_killed_leaves_no_process_behind(tmp_path: Path, lease: Lease) -> None:
    lease.write(leases.LeaseState.WAIT)
    variables = {"BURST_PROCESSES": "2", "BURST_TOPOLOGY": "distributed"}
    options = (*LONG, "--lease", lease.file.uri, "--child-waits")
    with guarding.start_guard(tmp_path, *options, command=TELLS_AND_IGNORES_TERM, **variables) as task:
        wait_for(tmp_path, 3)
        task.process.kill()
        task.process.wait()
        waiting.until(lambda: not task.survivors(), what="the processes to end with their guard")


def test_a_master_says_where_it_is_and_its_own_workers_and_those_of_other_tasks_join_it(
    tmp_path: Path, lease: Lease
) -> None:
    lease.write(leases.LeaseState.WAIT)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    options = (*LONG, "--lease", lease.file.uri, "--child-waits")
    variables = {"BURST_PROCESSES": "2", "BURST_TOPOLOGY": "distributed", "BURST_SHARD_COUNT": "2"}
    with guarding.start_guard(second, *options, "--shard", "1", command=TELLS, **variables) as other:
        waiting.never(lambda: read_told(second), seconds=0.4, what="a worker without a master")
        with guarding.start_guard(first, *options, "--shard", "0", command=TELLS, **variables) as task:
            workers, others = wait_for(first, 3), wait_for(second, 2)
            waiting.until(lambda: lease.file.ready() == {0, 1}, what="both tasks to be ready")
            for each in (task, other):
                each.process.terminate()
                each.exit_code()

    master = workers.pop(0)
    assert (master["ROLE"], master["WORKER_COUNT"]) == ("master", "4")
    assert lease.file.find_master() == masters.MasterAddress(host="127.0.0.1", port=41234, version="1")
    joined = [(known["ROLE"], known["SHARD_INDEX"], known["MASTER_ADDRESS"]) for known in workers + others]
    assert joined == [("worker", part, "127.0.0.1:41234") for part in ("0", "2", "1", "3")]
    assert {known["VERSION"] for known in workers + others} == {"1"}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"BURST_PROCESSES": "0"}, "0 processes; allowed: 1 to 64"),
        ({"BURST_PROCESSES": "x"}, "BURST_PROCESSES is 'x'"),
        ({"BURST_TOPOLOGY": "star"}, "BURST_TOPOLOGY is 'star'; allowed: independent, distributed"),
        ({"BURST_TOPOLOGY": "distributed"}, "waits for GO"),
    ],
)
def test_processes_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], variables: dict[str, str], words: str
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)

    assert guard.main(["--budget", "60", "--", "true"]) == guard.EXIT_USAGE
    assert words in capfd.readouterr().err
