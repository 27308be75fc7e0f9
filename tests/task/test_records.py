"""Task records and small files: a written record is read back, and half a record is refused."""

import json
import os
import stat
from pathlib import Path

import pytest

from burst.domain.basics import instants
from burst.domain.tasks import leases, task_records, tasks
from burst.kit import files, process_tree
from tests import fakes

BEGUN = task_records.GuardRecord(shard_index=3, guard_pid=4711, guard_started=1795260780.09, started_at=fakes.START)
ENDED = task_records.GuardRecord(
    shard_index=3,
    guard_pid=4711,
    guard_started=1795260780.09,
    started_at=fakes.START,
    stopped_at=instants.later(fakes.START, 90.000001),
    exit_code=137,
    stopped_by=tasks.Layer.GUARD,
    detail="the budget was used up",
    overshoot_seconds=0.000001,
    cause=tasks.EndCause.BUDGET,
    asked_at=instants.later(fakes.START, 90),
)
OLD = {
    key: value
    for key, value in json.loads(task_records.encode_guard(ENDED)).items()
    if key not in ("cause", "asked_at")
}
"""The record as guards of burst 0.1.0 wrote it."""
KILLS = (
    task_records.Kill(shard_index=0, pid=1, killed_at=fakes.START),
    task_records.Kill(shard_index=1, pid=2, killed_at=instants.later(fakes.START, 0.5)),
)


@pytest.mark.parametrize("record", [BEGUN, ENDED], ids=["begun", "ended"])
def test_a_guards_record_is_read_back_whole(record: task_records.GuardRecord) -> None:
    assert task_records.decode_guard(task_records.encode_guard(record)) == record


@pytest.mark.parametrize(
    ("stopped_by", "detail", "cause"),
    [
        (None, "", tasks.EndCause.PROGRAM_ENDED),
        ("guard", "the budget was used up", tasks.EndCause.BUDGET),
        ("controller", "SIGTERM received", tasks.EndCause.SIGNAL),
        ("lease", "the lease says STOP: operator", tasks.EndCause.LEASE_STOP),
        ("lease", "the lease was unreadable for 20.1 s: no answer", tasks.EndCause.LEASE_UNREADABLE),
        ("lease", "there was no shard for this task: all are claimed", tasks.EndCause.NO_SHARD),
        ("lease", "the lease's heartbeat was stale: no new beat for 20.3 s", tasks.EndCause.LEASE_STALE),
        ("lease", "the lease's GO was stale when first read: its heartbeat is 21 s old", tasks.EndCause.LEASE_STALE),
    ],
)
def test_the_cause_in_a_record_of_the_first_release_follows_from_its_layer_and_words(
    stopped_by: str | None, detail: str, cause: tasks.EndCause
) -> None:
    record = task_records.decode_guard(json.dumps({**OLD, "stopped_by": stopped_by, "detail": detail}).encode())

    assert (record.cause, record.asked_at) == (cause, None)


def test_a_record_of_the_first_release_without_an_end_has_no_cause() -> None:
    begun = {**OLD, "stopped_at": None, "stopped_by": None, "exit_code": None}

    assert task_records.decode_guard(json.dumps(begun).encode()).cause is None


def test_a_cause_that_a_later_guard_added_proves_nothing_and_hides_nothing() -> None:
    record = task_records.decode_guard(json.dumps({**OLD, "cause": "of the future"}).encode())

    assert record.cause is None
    assert record.stopped_at == ENDED.stopped_at


def test_a_watchdogs_record_is_read_back_whole() -> None:
    assert task_records.decode_kills(task_records.encode_kills(KILLS)) == KILLS
    assert task_records.decode_kills(b"[]") == ()


NESTED = b"[" * 100_000


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", task_records.encode_guard(ENDED)[:-9], NESTED], ids=range(7)
)
def test_half_a_guards_record_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        task_records.decode_guard(content)


@pytest.mark.parametrize(
    ("field", "value"),
    [("shard_index", "3"), ("shard_index", True), ("guard_pid", 1.5), ("guard_started", None), ("exit_code", "0"),
     ("exit_code", False), ("detail", None), ("overshoot_seconds", "1"), ("stopped_by", "nobody"), ("started_at", 5)],
)  # fmt: skip
def test_a_guards_record_of_other_kinds_is_refused(field: str, value: object) -> None:
    fields = {**json.loads(task_records.encode_guard(ENDED)), field: value}

    with pytest.raises(ValueError, match=r".+"):
        task_records.decode_guard(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "content", [b"", b"[{}]", b"7", b'[{"shard_index": 1, "pid": 2, "killed_at": "today"}]', NESTED], ids=range(5)
)
def test_half_a_watchdogs_record_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        task_records.decode_kills(content)


def test_bytes_nested_without_end_are_no_lease() -> None:
    with pytest.raises(ValueError, match="not a lease"):
        leases.decode(NESTED)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("run-1:0", ("run-1", 0)), ("a:b:12", ("a:b", 12)), ("", None), ("run-1", None), (":1", None), ("run-1:x", None)],
)
def test_a_mark_names_run_and_shard(value: str, expected: tuple[str, int] | None) -> None:
    assert process_tree.parse_mark(value) == expected
    assert expected is None or process_tree.format_mark(*expected) == value


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    files.replace(path, b"old")

    files.replace(path, b"new")

    assert files.read(path) == b"new"
    assert os.listdir(tmp_path) == ["small.json"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.mkdir()

    with pytest.raises(OSError, match="taken"):
        files.replace(path, b"new")

    assert os.listdir(tmp_path) == ["taken"]


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "link"
    elsewhere.write_bytes(b"theirs")
    path.symlink_to(elsewhere)

    files.replace(path, b"ours")

    assert elsewhere.read_bytes() == b"theirs"
    assert files.read(path) == b"ours"


def test_no_file_is_none() -> None:
    assert files.read(Path("/nonexistent/file")) is None
