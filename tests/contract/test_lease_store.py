"""The contract of `ports.LeaseStore`, on the fake, the file and S3; then what only a file can do wrong."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.aws import s3_leases
from burst.adapters.local import file_leases
from burst.domain.basics import errors, instants
from burst.domain.tasks import leases, masters
from tests import fakes, fixtures_aws, waiting

PORT = ports.LeaseStore

HOLD = leases.Lease(
    execution_id="run-1",
    state=leases.LeaseState.WAIT,
    deadline=instants.later(fakes.START, 60),
    beat=1,
    heartbeat_at=fakes.START,
)
GO = replace(HOLD, state=leases.LeaseState.GO, beat=2, heartbeat_at=instants.later(fakes.START, 1), go_at=fakes.START)
STOP = replace(
    HOLD, state=leases.LeaseState.STOP, beat=3, heartbeat_at=instants.later(fakes.START, 2), reason="operator"
)


FIRST = leases.Owner(controller="1f0a", host="runner-1", since=fakes.START)
SECOND = leases.Owner(controller="2e1b", host="runner-2", since=instants.later(fakes.START, 9))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.json"


@pytest.fixture(params=["memory", "file", "s3"])
def lease(request: pytest.FixtureRequest, path: Path) -> ports.LeaseStore:
    def on_s3() -> ports.LeaseStore:
        cloud: fixtures_aws.Cloud = request.getfixturevalue("cloud")
        return s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)

    made: dict[str, Callable[[], ports.LeaseStore]] = {
        "memory": fakes.MemoryLeaseStore,
        "file": lambda: file_leases.FileLeaseStore(path),
        "s3": on_s3,
    }
    return made[request.param]()


def test_nothing_stands_before_the_first_control(lease: ports.LeaseStore) -> None:
    assert lease.read() is None
    assert lease.ready() == frozenset()
    assert lease.claims() == {}


def test_the_master_is_found_where_its_task_said_and_a_later_one_replaces_it(lease: ports.LeaseStore) -> None:
    first = masters.MasterAddress(host="10.0.0.7", port=5557, version="locust 2.47.0, burst 0.2.0")
    assert lease.find_master() is None
    lease.create(HOLD)

    lease.tell_master(first)
    assert lease.find_master() == first
    lease.tell_master(replace(first, host="10.0.0.8"))

    assert lease.find_master() == replace(first, host="10.0.0.8")
    assert lease.read() == HOLD
    assert lease.ready() == frozenset()


def test_what_was_created_is_read_back_whole(lease: ports.LeaseStore) -> None:
    lease.create(GO)

    assert lease.read() == GO


def test_a_second_create_is_a_conflict_and_changes_nothing(lease: ports.LeaseStore) -> None:
    lease.create(HOLD)

    with pytest.raises(errors.Conflict):
        lease.create(GO)

    assert lease.read() == HOLD


def test_a_write_replaces_and_returns_what_stands(lease: ports.LeaseStore) -> None:
    lease.create(HOLD)

    standing = lease.write(GO)

    assert standing == GO
    assert lease.read() == GO


def test_stop_sticks_and_only_its_heartbeat_moves_on(lease: ports.LeaseStore) -> None:
    lease.create(HOLD)
    lease.write(STOP)

    standing = lease.write(replace(GO, beat=9))

    assert standing == replace(STOP, beat=9, heartbeat_at=GO.heartbeat_at)
    assert lease.read() == standing


def test_go_is_taken_back_by_nobody_who_has_not_heard_of_it(lease: ports.LeaseStore) -> None:
    lease.create(HOLD)
    lease.write(GO)

    standing = lease.write(replace(HOLD, beat=9, heartbeat_at=STOP.heartbeat_at))

    assert standing == replace(GO, beat=9, heartbeat_at=STOP.heartbeat_at)
    assert lease.read() == standing


def test_every_write_is_a_new_beat_even_from_a_controller_that_lost_count(lease: ports.LeaseStore) -> None:
    lease.create(replace(HOLD, beat=7))

    beats = [lease.write(replace(GO, beat=0)).beat for _ in range(3)]

    assert beats == [8, 9, 10]


def test_a_write_in_the_name_of_another_controller_is_refused_and_names_the_owner(lease: ports.LeaseStore) -> None:
    lease.create(replace(HOLD, owner=FIRST))
    claimed = lease.claim(replace(HOLD, owner=FIRST), SECOND, GO.heartbeat_at)

    with pytest.raises(errors.ControllerAtWork, match="run-1 is driven by controller 2e1b on runner-2 since 2026"):
        lease.write(replace(STOP, owner=FIRST))

    assert lease.read() == claimed == replace(HOLD, owner=SECOND, beat=2, heartbeat_at=GO.heartbeat_at)


def test_a_write_of_nobody_keeps_the_owner_and_the_first_owner_takes_what_has_none(lease: ports.LeaseStore) -> None:
    lease.create(HOLD)
    owned = lease.write(replace(GO, owner=FIRST))

    stopped = lease.write(STOP)

    assert owned == replace(GO, owner=FIRST)
    assert stopped == replace(STOP, owner=FIRST)
    assert lease.write(replace(GO, owner=FIRST, beat=9)).owner == FIRST


def test_a_count_stays_until_a_later_one_comes_whoever_writes(lease: ports.LeaseStore) -> None:
    count = leases.LeaseCount(
        counted_to=fakes.START, seconds=9.0, receipts=(5, 1, 0, 0), recent_seconds=5.0, recent_receipts=(3, 0, 0, 0)
    )
    lease.create(HOLD)

    lease.write(replace(GO, counted=count))
    lease.write(STOP)
    kept = lease.read()
    lease.write(replace(GO, counted=replace(count, seconds=11.0)))
    later = lease.read()

    assert kept is not None
    assert kept.counted == count
    assert later is not None
    assert later.counted == replace(count, seconds=11.0)


def test_a_lease_is_claimed_as_it_was_last_read_or_not_at_all(lease: ports.LeaseStore) -> None:
    with pytest.raises(errors.Conflict):
        lease.claim(HOLD, FIRST, HOLD.heartbeat_at)
    lease.create(HOLD)
    lease.write(STOP)

    with pytest.raises(errors.Conflict):
        lease.claim(HOLD, FIRST, HOLD.heartbeat_at)

    assert lease.read() == STOP


def test_of_all_claimants_of_the_same_lease_one_succeeds(lease: ports.LeaseStore) -> None:
    lease.create(GO)
    owners = [replace(FIRST, controller=f"{number}") for number in range(8)]
    claimed: list[leases.Lease] = []

    def claim(owner: leases.Owner) -> None:
        with contextlib.suppress(errors.Conflict):
            claimed.append(lease.claim(GO, owner, STOP.heartbeat_at))

    threads = [threading.Thread(target=claim, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == 1
    assert lease.read() == claimed[0]
    assert claimed[0].owner in owners


def test_another_run_may_not_write_this_lease(lease: ports.LeaseStore) -> None:
    lease.create(HOLD)

    with pytest.raises(errors.Conflict):
        lease.write(replace(STOP, execution_id="run-2"))

    assert lease.read() == HOLD


def test_ready_shards_are_a_set(lease: ports.LeaseStore) -> None:
    lease.mark_ready(0)
    lease.mark_ready(11)
    lease.mark_ready(0)

    assert lease.ready() == {0, 11}


def test_claims_name_the_task_of_each_shard_over_all_pages(cloud: fixtures_aws.Cloud) -> None:
    lease = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)
    arns = [f"arn:aws:ecs:eu-west-2:123456789012:task/burst/{number:032x}" for number in range(12)]
    taken = {arn: lease.claim_shard(0, len(arns), arn) for arn in arns}

    assert lease.claims() == taken
    assert sorted(taken.values()) == list(range(12))


def test_a_freed_shard_is_ready_only_once_it_is_marked_again(lease: ports.LeaseStore) -> None:
    lease.mark_ready(0)
    lease.mark_ready(1)

    lease.free_shard(1)
    lease.free_shard(2)

    assert lease.ready() == {0}
    lease.mark_ready(1)
    lease.mark_ready(2)
    assert lease.ready() == {0, 1, 2}


def test_where_nobody_claims_there_are_no_claims_to_close(lease: ports.LeaseStore) -> None:
    assert lease.claims() == {}

    lease.close_claims(2)

    assert lease.claims() == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        leases.encode(GO)[:-20],
        b"[]",
        b"null",
        b"{}",
        leases.encode(GO).replace(b'"GO"', b'"MAYBE"'),
        leases.encode(GO).replace(b"burst.control/v1", b"burst.control/v2"),
        leases.encode(GO).replace(b"02:00:00Z", b"02:00:00"),
        leases.encode(GO).replace(b'"beat": 2', b'"beat": true'),
        leases.encode(GO).replace(b'"run-1"', b"7"),
        leases.encode(replace(GO, owner=FIRST)).replace(b'"runner-1"', b"7"),
        leases.encode(replace(GO, owner=FIRST)).replace(b'"since"', b'"until"'),
        b"\xff\xfe",
        b" " * (2 << 20),
    ],
)
def test_a_file_that_is_no_whole_control_is_unavailable(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(errors.Unavailable, match=r"control\.json"):
        file_leases.FileLeaseStore(path).read()


def test_over_an_unreadable_control_only_stop_is_written(path: Path) -> None:
    path.write_bytes(b"{")
    lease = file_leases.FileLeaseStore(path)

    with pytest.raises(errors.Unavailable):
        lease.write(GO)
    standing = lease.write(STOP)

    assert standing == STOP
    assert lease.read() == STOP


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_not_a_plain_file_is_never_followed(tmp_path: Path, path: Path, kind: str) -> None:
    (tmp_path / "elsewhere.json").write_bytes(leases.encode(GO))
    make: dict[str, Callable[[], None]] = {
        "link": lambda: path.symlink_to(tmp_path / "elsewhere.json"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    make[kind]()
    lease = file_leases.FileLeaseStore(path)

    with pytest.raises(errors.Unavailable):
        lease.read()
    with pytest.raises(errors.Conflict):
        lease.create(HOLD)


def test_a_folder_that_is_missing_is_unavailable_to_a_writer(tmp_path: Path) -> None:
    lease = file_leases.FileLeaseStore(tmp_path / "absent" / "control.json")

    with pytest.raises(errors.Unavailable):
        lease.create(HOLD)
    assert lease.read() is None


def test_names_in_the_ready_folder_that_are_no_shard_do_not_count(tmp_path: Path, path: Path) -> None:
    lease = file_leases.FileLeaseStore(path)
    lease.mark_ready(3)
    (tmp_path / "ready" / "note.txt").touch()
    (tmp_path / "ready" / "-1").touch()

    assert lease.ready() == {3}
    with pytest.raises(errors.UsageError):
        lease.mark_ready(-1)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/run/x/control.json", "/run/x/control.json"),
        ("file:///run/x/control.json", "/run/x/control.json"),
        ("file://localhost/run/x/control.json", "/run/x/control.json"),
        ("file:///run/a%20b/control.json", "/run/a b/control.json"),
    ],
)
def test_a_uri_or_a_path_names_the_file(uri: str, expected: str) -> None:
    assert file_leases.from_uri(uri).path == Path(expected)


@pytest.mark.parametrize("uri", ["s3://bucket/control.json", "file://host/control.json", "file:///a?b", "ftp://x/y"])
def test_any_other_uri_is_refused(uri: str) -> None:
    with pytest.raises(errors.UsageError, match="lease"):
        file_leases.from_uri(uri)


def test_the_uri_leads_back_to_the_file(tmp_path: Path) -> None:
    lease = file_leases.FileLeaseStore(tmp_path / "a b" / "control.json")

    assert file_leases.from_uri(lease.uri).path == lease.path


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from burst.adapters.local import file_leases
from tests.contract.test_lease_store import GO
lease = file_leases.FileLeaseStore(Path(sys.argv[1]))
file_leases.LOCK_WAIT_SECONDS = 50.0  # whoever writes again at once may take the lock from one that waits
for _ in range(15):
    lease.write(GO)
"""


def test_writers_at_once_lose_no_beat_and_readers_never_see_a_part(path: Path) -> None:
    lease = file_leases.FileLeaseStore(path)
    lease.create(HOLD)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(3)]

    seen = [lease.read()]
    while any(writer.poll() is None for writer in writers):
        seen.append(lease.read())

    beats = [one.beat for one in seen if one is not None]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(beats) == len(seen)
    assert beats == sorted(beats)
    standing = lease.read()
    assert standing is not None
    assert standing.beat == 1 + 3 * 15


HOLDER = """
import fcntl, os, signal, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
open(sys.argv[2], "w").close()
signal.pause()
"""


def test_a_writer_stuck_on_the_lock_makes_the_lease_unavailable_and_not_the_controller_stuck(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = file_leases.FileLeaseStore(path)
    lease.create(HOLD)
    held = tmp_path / "held"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, f"{path}.lock", str(held)])
    waiting.until(held.exists, what="the lock to be held")
    monkeypatch.setattr(file_leases, "LOCK_WAIT_SECONDS", 0.1)

    with pytest.raises(errors.Unavailable, match="lock"):
        lease.write(STOP)

    holder.kill()
    holder.wait()
    assert lease.write(STOP).state is leases.LeaseState.STOP


def test_a_lease_with_an_owner_says_to_every_guard_what_it_says_without_one(path: Path) -> None:
    owned = json.loads(leases.encode(replace(GO, owner=FIRST)))

    assert owned.pop("owner") == {"controller": "1f0a", "host": "runner-1", "since": "2026-02-21T02:00:00Z"}
    assert owned == json.loads(leases.encode(GO))
    later = {**owned, "owner": {**leases.owner_fields(FIRST), "added": 1}, "added": 1}
    assert leases.decode(json.dumps(later).encode()) == replace(GO, owner=FIRST)


def test_the_file_is_plain_json_a_person_can_read(path: Path) -> None:
    file_leases.FileLeaseStore(path).create(STOP)

    assert json.loads(path.read_bytes()) == {
        "schema": "burst.control/v1",
        "execution_id": "run-1",
        "state": "STOP",
        "deadline": "2026-02-21T02:01:00Z",
        "beat": 3,
        "heartbeat_at": "2026-02-21T02:00:02Z",
        "go_at": None,
        "reason": "operator",
        "counted": None,
    }


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"host": "a b", "port": 1, "version": ""}'])
def test_an_address_that_makes_no_sense_is_unavailable(path: Path, content: bytes) -> None:
    path.with_name("master.json").write_bytes(content)

    with pytest.raises(errors.Unavailable, match="master"):
        file_leases.FileLeaseStore(path).find_master()
