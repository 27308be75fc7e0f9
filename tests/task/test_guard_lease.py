"""The guard under a lease, as a process: barrier, GO, STOP, and every way a heartbeat can end."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst.adapters.local import file_leases
from burst.domain.basics import instants
from burst.domain.tasks import leases
from tests import waiting
from tests.task import guarding

LIMITS = ("--budget", "120", "--grace", "60")


class Lease:
    """A lease that a test writes: the file, and the last lease in it."""

    def __init__(self, folder: Path) -> None:
        self.file = file_leases.FileLeaseStore(folder / "control.json")
        self._last = leases.Lease(
            execution_id="run-1",
            state=leases.LeaseState.WAIT,
            deadline=instants.later(datetime.now(UTC), 60),
            beat=1,
            heartbeat_at=datetime.now(UTC),
        )

    def write(self, state: leases.LeaseState, *, old_seconds: float = 0.0, deadline_seconds: float = 120.0) -> None:
        now = datetime.now(UTC)
        self._last = self.file.write(
            replace(
                self._last,
                state=state,
                heartbeat_at=instants.later(now, -old_seconds),
                deadline=instants.later(now, deadline_seconds),
            )
        )

    def beat_until_running(self, task: guarding.Guarded) -> None:
        """Writes GO with new heartbeats until the program runs."""
        waiting.until(lambda: self.beats(task.started.exists), what="the program to run")

    def beats(self, condition: Callable[[], bool]) -> bool:
        """Whether the condition holds; writes GO with a new heartbeat where it does not."""
        if condition():
            return True
        self.write(leases.LeaseState.GO)
        return False

    def ready(self) -> None:
        waiting.until(lambda: self.file.ready() == {0}, what="the task to be ready")


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(tmp_path)


@pytest.fixture
def options(lease: Lease) -> tuple[str, ...]:
    return (*LIMITS, "--lease", lease.file.uri)


def test_while_the_lease_waits_the_task_is_ready_and_the_program_not_started(
    tmp_path: Path, lease: Lease, options: tuple[str, ...]
) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options) as task:
        lease.ready()
        waiting.never(task.started.exists, seconds=0.4, what="a start that may not be")
        lease.write(leases.LeaseState.GO)
        task.running()


def test_stop_in_the_lease_ends_the_task(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.GO)
    with guarding.start_guard(tmp_path, *options, command=guarding.DOUBLE_FORKS) as task:
        task.running()
        lease.write(leases.LeaseState.STOP)
        code = task.exit_code()
        survivors = task.survivors()
        record = task.record()

    assert (code, survivors) == (124, [])
    assert (record["stopped_by"], record["detail"]) == ("lease", "the lease says STOP")


def test_stop_is_obeyed_with_kill_where_term_is_not(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.GO)
    with guarding.start_guard(tmp_path, *options, "--grace", "0.4", command=guarding.IGNORES_TERM) as task:
        task.running()
        lease.write(leases.LeaseState.STOP)
        code = task.exit_code()

    assert code == 137


def test_a_stop_while_the_lease_waits_starts_nothing(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options) as task:
        lease.ready()
        lease.write(leases.LeaseState.STOP)
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "lease")
    assert not task.started.exists()


def test_a_term_while_the_lease_waits_starts_nothing(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options) as task:
        lease.ready()
        task.process.terminate()
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (143, "controller")
    assert not task.started.exists()


def test_the_budget_runs_while_the_lease_waits(tmp_path: Path, lease: Lease) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, "--budget", "0.5", "--lease", lease.file.uri) as task:
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "guard")
    assert not task.started.exists()


def test_a_heartbeat_gone_stale_ends_the_task(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options, "--lease-ttl", "1.5") as task:
        lease.beat_until_running(task)
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "lease")
    assert "heartbeat was stale" in record["detail"]


def test_a_heartbeat_keeps_the_task_alive_beyond_its_ttl(
    tmp_path: Path, lease: Lease, options: tuple[str, ...]
) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options, "--lease-ttl", "1.5") as task:
        lease.beat_until_running(task)
        waiting.never(lambda: lease.beats(task.has_ended), seconds=2.0, what="an end that may not be")


@pytest.mark.parametrize("content", [None, b"{", b"\x00" * 100], ids=["absent", "half", "zeros"])
def test_a_lease_that_cannot_be_read_starts_nothing_and_ends_the_task_after_the_ttl(
    tmp_path: Path, lease: Lease, options: tuple[str, ...], content: bytes | None
) -> None:
    if content is not None:
        lease.file.path.write_bytes(content)
    with guarding.start_guard(tmp_path, *options, "--lease-ttl", "0.4") as task:
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "lease")
    assert "the lease was unreadable for" in record["detail"]
    assert not task.started.exists()


def test_a_lease_that_was_taken_away_ends_the_task(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options, "--lease-ttl", "1.5") as task:
        lease.beat_until_running(task)
        os.unlink(lease.file.path)
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "lease")


def test_a_stale_go_never_starts_load(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.GO, old_seconds=40)
    with guarding.start_guard(tmp_path, *options, "--lease-ttl", "30s") as task:
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "lease")
    assert "GO was stale when first read" in record["detail"]
    assert not task.started.exists()


def test_an_earlier_deadline_in_the_lease_is_obeyed(tmp_path: Path, lease: Lease, options: tuple[str, ...]) -> None:
    lease.write(leases.LeaseState.GO)
    with guarding.start_guard(tmp_path, *options) as task:
        task.running()
        lease.write(leases.LeaseState.GO, deadline_seconds=0.5)
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "guard")
    assert record["overshoot_seconds"] < waiting.scheduling_seconds() + 0.3


def test_a_later_deadline_in_the_lease_is_not(tmp_path: Path, lease: Lease) -> None:
    lease.write(leases.LeaseState.GO, deadline_seconds=60)
    with guarding.start_guard(tmp_path, "--budget", "0.7", "--lease", lease.file.uri) as task:
        code = task.exit_code()
        record = task.record()

    assert (code, record["stopped_by"]) == (124, "guard")
    lived = instants.seconds_between(instants.parse(record["started_at"]), instants.parse(record["stopped_at"]))
    assert lived < 0.7 + waiting.scheduling_seconds()


_WAITS = """
touch "$STARTED"
while [ ! -e "$STARTED.warm" ]; do sleep 0.02; done
touch "$BURST_READY_FILE"
while [ ! -e "$BURST_GO_FILE" ]; do sleep 0.02; done
touch "$STARTED.went"
exec sleep 100
"""
WAITS = ("sh", "-c", _WAITS)


def test_a_program_that_waits_itself_is_ready_when_it_says_so_and_told_to_go(
    tmp_path: Path, lease: Lease, options: tuple[str, ...]
) -> None:
    warm, went = tmp_path / "started.warm", tmp_path / "started.went"
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options, "--child-waits", command=WAITS) as task:
        task.running()
        waiting.never(lease.file.ready, seconds=0.3, what="a readiness nobody declared")
        warm.touch()
        lease.ready()
        waiting.never(went.exists, seconds=0.3, what="a start that may not be")
        lease.write(leases.LeaseState.GO)
        waiting.until(went.exists, what="the program to go")
        task.process.terminate()
        code = task.exit_code()

    assert code == 143


def test_a_program_that_fails_while_it_warms_up_keeps_its_code(
    tmp_path: Path, lease: Lease, options: tuple[str, ...]
) -> None:
    lease.write(leases.LeaseState.WAIT)
    with guarding.start_guard(tmp_path, *options, "--child-waits", command=("sh", "-c", "exit 9")) as task:
        code = task.exit_code()

    assert code == 9
    assert lease.file.ready() == frozenset()


def test_a_stale_go_is_not_passed_on_to_a_program_that_waits(
    tmp_path: Path, lease: Lease, options: tuple[str, ...]
) -> None:
    (tmp_path / "started.warm").touch()
    lease.write(leases.LeaseState.GO, old_seconds=40)
    with guarding.start_guard(tmp_path, *options, "--child-waits", command=WAITS) as task:
        code = task.exit_code()

    assert code == 124
    assert not (tmp_path / "started.went").exists()


def test_the_private_folder_of_go_and_ready_lies_beside_the_record_and_is_taken_away(
    tmp_path: Path, lease: Lease, options: tuple[str, ...]
) -> None:
    lease.write(leases.LeaseState.GO)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = ("sh", "-c", 'dirname "$BURST_GO_FILE" > "$STARTED.where"; stat -c %a "$(dirname "$BURST_GO_FILE")" >&2')
    with guarding.start_guard(tmp_path, *options, "--child-waits", command=command, TMPDIR=str(scratch)) as task:
        code = task.exit_code()
        stderr = task.stderr()

    where = Path((tmp_path / "started.where").read_text().strip())
    assert (code, stderr) == (0, "700\n")
    assert where.parent == task.record_path.parent
    assert not where.exists()
    assert list(scratch.iterdir()) == []
