"""The guard with lease, shard and record on S3: a process that reads its environment, as in an image."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst.adapters.aws import s3_leases
from burst.control import load_accounts
from burst.domain.basics import errors, instants
from burst.domain.tasks import leases, masters
from burst.kit import process_tree
from burst.task import s3_link
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud
from tests.task import guarding

OBEYS = ("sh", "-c", 'echo "$BURST_SHARD_INDEX" > "$STARTED"; exec sleep 100')
COUNTS = (
    *("sh", "-c"),
    """
    trap 'echo "{\\"at\\": 1772000001, \\"status\\": 503}" >> "$BURST_ACCOUNT_FILE"; exit 0' TERM
    echo '{"at": 1772000000, "status": 200}' >> "$BURST_ACCOUNT_FILE"
    while :; do sleep 0.1; done
    """,
)
"""A program that counts an event at once, and one more at TERM."""


class Lease:
    """A lease that a test writes, and its last state."""

    def __init__(self, cloud: Cloud) -> None:
        self.at = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)
        now = datetime.now(UTC)
        self._last = leases.Lease(
            execution_id="run-1",
            state=leases.LeaseState.WAIT,
            deadline=instants.later(now, 60),
            beat=1,
            heartbeat_at=now,
        )
        self.at.create(self._last)

    def write(self, state: leases.LeaseState) -> None:
        now = datetime.now(UTC)
        go_at = now if state is leases.LeaseState.GO else None
        self._last = self.at.write(replace(self._last, state=state, heartbeat_at=now, go_at=go_at))

    def beats(self, started: Path) -> bool:
        """Whether the program has started; writes GO with a new heartbeat where it has not."""
        if started.exists():
            return True
        self.write(leases.LeaseState.GO)
        return False


@pytest.fixture
def lease(cloud: Cloud) -> Lease:
    return Lease(cloud)


def start_guard(
    cloud: Cloud, folder: Path, command: Sequence[str] = OBEYS, **environment: str
) -> AbstractContextManager[guarding.Guarded]:
    """`burst guard -- CMD` with everything else in its environment."""
    mark, started = f"{folder.name}-{os.getpid()}:0", folder / "started"
    variables = {
        "BURST_BUDGET_SECONDS": "60",
        "BURST_GRACE_SECONDS": "20",
        "BURST_CONTROL_URI": f"{cloud.place}/control.json",
        "BURST_LEASE_TTL_SECONDS": "60",
        "BURST_RECORD_URI": f"{cloud.place}/tasks/",
        "BURST_SHARD_HINT": "0",
        "BURST_SHARD_COUNT": "2",
        "STARTED": str(started),
        process_tree.TASK_MARK: mark,
        **environment,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "burst.task.guard", "--", *command],
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        text=True,
        cwd=guarding.ROOT,
        start_new_session=True,
    )
    return guarding.kill_at_end(
        guarding.Guarded(
            process=process, record_path=folder / "none", started=started, mark=mark, begun_at=time.monotonic()
        )
    )


def records(cloud: Cloud) -> list[dict[str, object]]:
    """Every record that guards wrote."""
    listed = cloud.s3.list_objects_v2(Bucket=fixtures_aws.BUCKET, Prefix=f"{cloud.name}/tasks/").get("Contents", [])
    contents = []
    for entry in listed:
        content = cloud.s3.get_object(Bucket=fixtures_aws.BUCKET, Key=entry["Key"])["Body"].read()
        contents.append(dict(json.loads(content)))
    return contents


def test_a_guard_claims_its_shard_holds_goes_and_stops_by_the_lease(cloud: Cloud, tmp_path: Path, lease: Lease) -> None:
    with start_guard(cloud, tmp_path, BURST_SHARD_HINT="1") as task:
        waiting.until(lambda: lease.at.ready() == {1}, seconds=40, what="the claimed shard to be ready")
        assert not task.started.exists()
        lease.write(leases.LeaseState.GO)
        waiting.until(lambda: task.started.exists() and task.started.read_text(), seconds=30, what="the program to run")
        shard = task.started.read_text().strip()
        lease.write(leases.LeaseState.STOP)
        code = task.exit_code()
        survivors = task.survivors()

    assert (shard, code, survivors) == ("1", 124, [])
    (record,) = records(cloud)
    assert (record["shard_index"], record["stopped_by"], record["exit_code"]) == (1, "lease", 124)


def test_a_guard_puts_the_load_account_of_its_program_beside_its_record_while_it_runs_and_once_more_at_the_end(
    cloud: Cloud, tmp_path: Path, lease: Lease
) -> None:
    accounts = s3_leases.S3LoadAccounts(f"{cloud.place}/tasks/", client=cloud.s3)
    with start_guard(cloud, tmp_path, COUNTS, BURST_SHARD_HINT="1") as task:
        waiting.until(lambda: lease.at.ready() == {1}, seconds=40, what="the claimed shard to be ready")
        lease.write(leases.LeaseState.GO)
        waiting.until(lambda: accounts.read(), seconds=30, what="the account of the running program")
        meanwhile = load_accounts.parse(accounts.read())
        lease.write(leases.LeaseState.STOP)
        task.exit_code()

    (account,) = load_accounts.parse(accounts.read()).values()
    assert [(shard, dict(each.refused)) for shard, each in meanwhile.items()] == [(1, {})]
    assert dict(account.refused) == {"5xx": 1}
    assert sum(counts["sent"] for counts in account.seconds.values()) == 2


def test_a_guard_in_the_place_of_one_that_died_takes_its_shard_without_a_claim(
    cloud: Cloud, tmp_path: Path, lease: Lease
) -> None:
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    with start_guard(cloud, folders[0], BURST_SHARD_COUNT="1") as first:
        waiting.until(lambda: lease.at.ready() == {0}, seconds=40, what="the shard to be ready")
        first.process.kill()
        first.exit_code()
    lease.at.free_shard(0)
    assert lease.at.ready() == frozenset()

    with start_guard(cloud, folders[1], BURST_SHARD_COUNT="1", BURST_SHARD_INDEX="0") as second:
        waiting.until(lambda: lease.at.ready() == {0}, seconds=40, what="the shard to be ready again")
        lease.write(leases.LeaseState.STOP)
        code = second.exit_code()

    assert code == 124
    assert len(lease.at.claims()) == 1


def test_a_second_guard_with_the_same_hint_takes_the_next_shard_and_a_third_has_none(
    cloud: Cloud, tmp_path: Path, lease: Lease
) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    with start_guard(cloud, folders[0]), start_guard(cloud, folders[1]):
        waiting.until(lambda: lease.at.ready() == {0, 1}, seconds=40, what="both shards to be ready")
        with start_guard(cloud, folders[2]) as third:
            code = third.exit_code()
            stderr = third.stderr()

    assert code == 124
    assert "all 2 shards" in stderr
    assert not (folders[2] / "started").exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentEnd:
    """The end of a guard whose S3 fell silent once its program ran; seconds count from the guard's start."""

    started_after: float
    ended_after: float
    lived: float
    code: int
    stderr: str


def end_in_silence(cloud: Cloud, folder: Path, budget_seconds: float) -> SilentEnd | None:
    """How a guard with this budget ends; None where the budget was over before S3 fell silent on a running program."""
    folder.mkdir()
    with start_guard(cloud, folder, BURST_BUDGET_SECONDS=f"{budget_seconds:g}", BURST_SHARD_COUNT="4") as task:
        waiting.until(task.is_decided, seconds=budget_seconds + 30, what="the program to run")
        started_after = task.lived_seconds()
        cloud.world.faults.arm("s3-down", duration_seconds=60)
        in_time = not task.has_ended() and task.survivors()
        waiting.until(lambda: not task.survivors(), seconds=budget_seconds + 30, what="the program to be ended")
        ended_after = task.lived_seconds()
        code = task.exit_code()
        lived = task.lived_seconds()
        stderr = task.stderr()
    cloud.world.faults.disarm("s3-down")
    if not in_time:
        return None
    return SilentEnd(started_after=started_after, ended_after=ended_after, lived=lived, code=code, stderr=stderr)


def test_the_budget_ends_the_task_on_time_while_s3_is_silent(cloud: Cloud, tmp_path: Path, lease: Lease) -> None:
    for budget_seconds in (10, 25):  # longer where the machine is too slow to start the program in time
        lease.write(leases.LeaseState.GO)
        end = end_in_silence(cloud, tmp_path / f"{budget_seconds}", budget_seconds)
        if end is not None:
            break

    assert end is not None
    # The budget began before the program.
    latest = end.started_after + budget_seconds + waiting.scheduling_seconds()
    assert budget_seconds - 0.5 < end.ended_after < latest
    assert end.code == 124
    assert "the budget was used up" in end.stderr
    assert "the record could not be written" in end.stderr
    assert end.lived < end.ended_after + s3_link.LAST_RECORD_SECONDS + 1 + waiting.scheduling_seconds()


def test_a_lease_that_falls_silent_for_its_ttl_ends_the_task(cloud: Cloud, tmp_path: Path, lease: Lease) -> None:
    with start_guard(
        cloud, tmp_path, BURST_LEASE_TTL_SECONDS="6", BURST_RECORD_URI=str(tmp_path / "record.json")
    ) as task:
        waiting.until(lambda: lease.beats(task.started), what="the program to run")
        cloud.world.faults.arm("s3-down", duration_seconds=60)
        code = task.exit_code()
        stderr = task.stderr()

    cloud.world.faults.disarm("s3-down")
    assert code == 124
    assert "the lease" in stderr
    assert json.loads((tmp_path / "record.json").read_bytes())["stopped_by"] == "lease"


def test_a_deadline_from_the_environment_holds_beside_a_longer_budget(
    cloud: Cloud, tmp_path: Path, lease: Lease
) -> None:
    for seconds in (3.0, 9.0, 27.0):  # longer where the machine is too slow to start it in time
        deadline = instants.text(instants.later(datetime.now(UTC), seconds))
        variables = {"BURST_DEADLINE_UTC": deadline, "BURST_RECORD_URI": str(tmp_path / "record.json")}
        with start_guard(cloud, tmp_path, **variables) as task:
            code = task.exit_code(50)
            stderr = task.stderr()
        if "passed before the start" not in stderr:
            break

    assert code == 124
    assert "the budget was used up" in stderr
    record = json.loads((tmp_path / "record.json").read_bytes())
    past = instants.seconds_between(instants.parse(deadline), instants.parse(record["stopped_at"]))
    assert 0 <= past < waiting.scheduling_seconds() + 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"BURST_BUDGET_SECONDS": "soon"}, "BURST_BUDGET_SECONDS is 'soon'"),
        ({"BURST_DEADLINE_UTC": "2026-02-21"}, "BURST_DEADLINE_UTC is"),
        ({"BURST_GRACE_SECONDS": "a while"}, "a while"),
        ({"BURST_SHARD_HINT": "first"}, "BURST_SHARD_HINT is 'first'"),
        ({"BURST_CONTROL_URI": "s3://bucket"}, "s3://BUCKET/PREFIX"),
        ({"BURST_CONTROL_URI": "file:///tmp/control.json"}, "a shard is claimed beside the lease"),
        ({"BURST_RECORD_URI": "s3://bucket/tasks"}, "with a slash at its end"),
    ],
    ids=["budget", "deadline", "grace", "hint", "lease", "claim without s3", "record"],
)
def test_an_environment_that_is_wrong_starts_nothing_and_says_what(
    cloud: Cloud, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with start_guard(cloud, tmp_path, **change) as task:
        code = task.exit_code()
        stderr = task.stderr()

    assert (code, task.started.exists()) == (2, False)
    assert message in stderr


class Denying(s3_leases.S3LeaseStore):
    """A lease beside which S3 answers 403 for a master that is not there yet, as to a task that may not list."""

    asked = 0

    def find_master(self) -> masters.MasterAddress | None:
        self.asked += 1
        raise errors.Unavailable("s3:GetObject: 403")


def test_a_master_that_is_not_there_yet_is_no_word_on_the_lease(
    cloud: Cloud, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Denying(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)
    monkeypatch.setattr(s3_leases, "from_uri", lambda uri: store)
    link, threads = s3_link.S3Link(lease_uri=store.uri, records_uri=None, claim=None), threading.active_count()
    link.start(1, lambda shard: b"")
    try:
        waiting.until(lambda: link.find_master() is None and store.asked >= 2, what="a master to be looked for twice")
        held = link.read()
    finally:
        link.refusal = "the test is over"
        waiting.until(lambda: threading.active_count() <= threads, what="the thread to end")

    assert held is not None
    assert held.state is leases.LeaseState.WAIT
