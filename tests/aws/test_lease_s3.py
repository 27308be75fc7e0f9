"""Faults that only a lease on S3 can have: races, lost answers, silence; then claims and records."""

import itertools
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import exceptions

from burst.adapters.aws import s3_leases
from burst.domain.basics import errors, instants
from burst.domain.tasks import leases, task_records, tasks
from burst.kit import aws
from burst.rehearsal import armed_faults
from tests import fixtures_aws, waiting
from tests.fixtures_aws import Cloud

REFUSED = armed_faults.FaultOptions(manner=armed_faults.REFUSE)
NOW = datetime.now(UTC)
HOLD = leases.Lease(
    execution_id="run-1",
    state=leases.LeaseState.WAIT,
    deadline=instants.later(NOW, 60),
    beat=1,
    heartbeat_at=NOW,
)
GO = replace(HOLD, state=leases.LeaseState.GO, go_at=NOW)
STOP = replace(HOLD, state=leases.LeaseState.STOP, reason="operator")


@pytest.fixture
def lease(cloud: Cloud) -> s3_leases.S3LeaseStore:
    return s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=cloud.s3)


def test_the_uri_leads_back_to_the_object(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    lease.create(HOLD)

    assert lease.uri == f"{cloud.place}/control.json"
    assert lease.records_uri == f"{cloud.place}/tasks/"
    assert s3_leases.from_uri(lease.uri).read() == HOLD


@pytest.mark.parametrize(
    "uri", ["s3://bucket", "s3://bucket/control.json", "s3://B/x/control.json", "s3://bucket/x/", "file:///x/y", "x/y"]
)
def test_any_other_uri_is_refused(uri: str) -> None:
    with pytest.raises(errors.UsageError, match="lease"):
        s3_leases.from_uri(uri)


def test_a_creation_whose_answer_is_lost_is_known_to_be_ours(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    cloud.world.faults.arm("response-lost:PutObject")

    lease.create(HOLD)

    assert lease.read() == HOLD


def test_a_creation_whose_answer_is_lost_over_another_runs_lease_is_a_conflict(
    cloud: Cloud, lease: s3_leases.S3LeaseStore
) -> None:
    lease.create(replace(HOLD, execution_id="run-2"))
    cloud.world.faults.arm("response-lost:PutObject")

    with pytest.raises(errors.Conflict):
        lease.create(HOLD)


def test_a_write_whose_answer_is_lost_is_unavailable_and_the_next_one_succeeds_it(
    cloud: Cloud, lease: s3_leases.S3LeaseStore
) -> None:
    lease.create(HOLD)
    cloud.world.faults.arm("response-lost:PutObject")

    with pytest.raises(errors.Unavailable, match="s3:PutObject"):
        lease.write(GO)
    written = lease.write(GO)

    assert (written.state, written.beat) == (leases.LeaseState.GO, 3)


def test_writers_at_once_lose_no_beat_and_none_undoes_a_stop(
    cloud: Cloud, lease: s3_leases.S3LeaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_leases, "SWAPS", 100)
    lease.create(HOLD)
    threads = [
        threading.Thread(target=lease.write, args=(lease_to_write,)) for lease_to_write in (GO, GO, STOP, GO, GO)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    written = lease.read()

    assert written is not None
    assert (written.state, written.beat) == (leases.LeaseState.STOP, 6)


def test_a_write_that_collides_with_another_is_made_again_over_the_newer_lease(
    cloud: Cloud, lease: s3_leases.S3LeaseStore
) -> None:
    lease.create(GO)
    met: list[object] = []

    class Meets:
        """The bucket, in which the first write collides with another: S3 answers 409 and has written nothing."""

        def __getattr__(self, name: str) -> object:
            return getattr(cloud.s3, name)

        def put_object(self, **parameters: object) -> object:
            if not met:
                met.append(parameters)
                error = {"Error": {"Code": "ConditionalRequestConflict"}, "ResponseMetadata": {"HTTPStatusCode": 409}}
                raise exceptions.ClientError(error, "PutObject")
            return cloud.s3.put_object(**parameters)

    late = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=Meets())

    written = late.write(STOP)

    assert met
    assert written.state is leases.LeaseState.STOP
    assert lease.read() == written


def test_a_claim_whose_answer_is_lost_is_known_to_be_ours(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    owner = leases.Owner(controller="1f0a", host="runner-1", since=NOW)
    lease.create(GO)
    cloud.world.faults.arm("response-lost:PutObject")

    claimed = lease.claim(GO, owner, instants.later(NOW, 5))

    assert claimed.owner == owner
    assert lease.read() == claimed == lease.claim(GO, owner, instants.later(NOW, 5))


def test_a_writer_that_always_loses_gives_up_as_unavailable(
    cloud: Cloud, lease: s3_leases.S3LeaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_leases, "SWAPS", 2)
    lease.create(HOLD)

    beats = itertools.count(10)

    class Overtaken:
        """The bucket, where another writer always comes first."""

        def __getattr__(self, name: str) -> object:
            return getattr(cloud.s3, name)

        def put_object(self, **parameters: object) -> object:
            theirs = leases.encode(replace(GO, beat=next(beats)))
            cloud.s3.put_object(Bucket=parameters["Bucket"], Key=parameters["Key"], Body=theirs)
            return cloud.s3.put_object(**parameters)

    late = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=Overtaken())

    with pytest.raises(errors.Unavailable, match="changed by others 2 times"):
        late.write(replace(GO, reason="mine"))
    assert lease.read() == replace(GO, beat=11)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"], ids=repr)
def test_an_object_that_is_no_lease_is_unavailable_and_only_a_stop_replaces_it(
    cloud: Cloud, lease: s3_leases.S3LeaseStore, content: bytes
) -> None:
    cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/control.json", Body=content)

    with pytest.raises(errors.Unavailable, match="not a lease"):
        lease.read()
    with pytest.raises(errors.Unavailable):
        lease.write(GO)
    assert lease.write(STOP) == STOP
    assert lease.read() == STOP


def test_a_bucket_that_is_not_there_is_unavailable_and_not_an_empty_lease(cloud: Cloud) -> None:
    lease = s3_leases.S3LeaseStore(bucket="no-such-bucket", key="x/control.json", client=cloud.s3)

    for ask in (lease.read, lease.ready, lambda: lease.mark_ready(0), lambda: lease.create(HOLD)):
        with pytest.raises(errors.Unavailable, match="NoSuchBucket"):
            ask()


def test_silence_is_unavailable_soon(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    lease.create(HOLD)
    cloud.world.faults.arm("s3-down", duration_seconds=30)

    with pytest.raises(errors.Unavailable):
        lease.read()

    cloud.world.faults.disarm("s3-down")
    assert lease.read() == HOLD


def test_without_credentials_the_lease_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")

    with pytest.raises(errors.Unavailable, match="credentials"):
        s3_leases.from_uri("s3://bucket/x/control.json").read()


def test_ready_goes_over_pages_and_counts_only_shards(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/ready/note.txt", Body=b"")
    lease.mark_ready(3)

    class Pages:
        """The bucket, with pages of one key."""

        def list_objects_v2(self, **parameters: object) -> object:
            return cloud.s3.list_objects_v2(MaxKeys=1, **parameters)

    paged = s3_leases.S3LeaseStore(bucket=fixtures_aws.BUCKET, key=f"{cloud.name}/control.json", client=Pages())
    assert paged.ready() == {3}


def test_shards_are_claimed_from_the_hint_upwards_and_round(lease: s3_leases.S3LeaseStore) -> None:
    claimed = [lease.claim_shard(2, 4, f"task-{number}") for number in range(4)]

    assert claimed == [2, 3, 0, 1]
    with pytest.raises(errors.Conflict, match="all 4 shards"):
        lease.claim_shard(2, 4, "task-4")


def test_a_claim_asked_again_is_the_same(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    cloud.world.faults.arm("response-lost:PutObject")

    with pytest.raises(errors.Unavailable):
        lease.claim_shard(0, 4, "task-a")

    assert lease.claim_shard(0, 4, "task-a") == 0
    assert lease.claim_shard(0, 4, "task-b") == 1


def test_tasks_claiming_at_once_share_no_shard(cloud: Cloud, lease: s3_leases.S3LeaseStore) -> None:
    claimed: list[int] = []
    threads = [
        threading.Thread(target=lambda name: claimed.append(lease.claim_shard(0, 6, name)), args=(f"task-{number}",))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == list(range(6))


def test_claims_name_the_task_of_each_shard_and_once_closed_leave_none_free(lease: s3_leases.S3LeaseStore) -> None:
    lease.claim_shard(2, 4, "task-a")
    lease.claim_shard(2, 4, "task-b")
    assert lease.claims() == {"task-a": 2, "task-b": 3}

    lease.close_claims(4)
    lease.close_claims(4)

    with pytest.raises(errors.Conflict, match="all 4 shards"):
        lease.claim_shard(0, 4, "task-late")
    assert lease.claims() == {"task-a": 2, "task-b": 3}
    assert lease.claim_shard(0, 4, "task-b") == 3


@pytest.mark.parametrize(("hint", "count"), [(4, 4), (-1, 4), (0, 0)])
def test_a_hint_that_is_no_shard_is_refused(lease: s3_leases.S3LeaseStore, hint: int, count: int) -> None:
    with pytest.raises(errors.UsageError, match="shard hint"):
        lease.claim_shard(hint, count, "task-a")


ARN = "arn:aws:ecs:eu-west-2:1:task/burst/abc"
BEGUN = task_records.GuardRecord(shard_index=3, guard_pid=1, guard_started=1.0, started_at=NOW)
Lacking = task_records.Lacking
ENDED = replace(BEGUN, stopped_at=NOW, exit_code=124, stopped_by=tasks.Layer.GUARD, cause=tasks.EndCause.BUDGET)


@pytest.fixture
def records(cloud: Cloud) -> s3_leases.S3GuardRecords:
    return s3_leases.S3GuardRecords(f"{cloud.place}/tasks/", client=cloud.s3)


def test_a_record_is_found_by_the_tasks_arn_or_its_last_part(records: s3_leases.S3GuardRecords) -> None:
    records.begin("abc", task_records.encode_guard(BEGUN))
    begun = records.read(ARN)
    records.end(ARN, task_records.encode_guard(ENDED))

    assert begun == BEGUN
    assert records.read("abc") == ENDED


def test_a_start_that_comes_late_never_hides_an_end(records: s3_leases.S3GuardRecords) -> None:
    records.end(ARN, task_records.encode_guard(ENDED))
    records.begin(ARN, task_records.encode_guard(BEGUN))

    assert records.read(ARN) == ENDED


def test_a_record_is_told_as_absent_malformed_or_out_of_reach(cloud: Cloud, records: s3_leases.S3GuardRecords) -> None:
    records.end("half", b"{")
    absent, half = records.read("absent"), records.read("half")
    cloud.world.faults.arm("s3-down", duration_seconds=30, options=REFUSED)

    assert (absent, half) == (Lacking.ABSENT, Lacking.MALFORMED)
    assert (records.read("half"), records.read("../x y")) == (Lacking.OUT_OF_REACH, Lacking.OUT_OF_REACH)


@pytest.mark.parametrize("uri", ["s3://bucket/tasks", "s3://bucket/", "file:///x/", "s3://B/x/"])
def test_records_lie_in_a_folder(uri: str) -> None:
    with pytest.raises(errors.UsageError, match="records"):
        s3_leases.S3GuardRecords(uri)


def test_the_client_is_made_with_little_patience(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    client_settings: dict[str, object] = {}
    make = aws.client

    def make_and_note(service: str, **settings: float) -> object:
        client_settings.update(settings)
        return make(service)

    monkeypatch.setattr(aws, "client", make_and_note)
    s3_leases.from_uri(f"{cloud.place}/control.json").read()

    assert client_settings == {"connect_seconds": s3_leases.CONNECT_SECONDS, "read_seconds": s3_leases.READ_SECONDS}


def test_records_of_a_silent_s3_are_waited_for_a_few_times_in_a_row_and_then_left_for_a_while(
    cloud: Cloud, records: s3_leases.S3GuardRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_leases, "SILENCE_SECONDS", 60.0)
    records.begin(ARN, task_records.encode_guard(BEGUN))
    calls: list[object] = []

    class Hangs:
        """The bucket, of which twice as many answers time out as make a silence."""

        def get_object(self, **parameters: Any) -> object:
            calls.append(parameters)
            if len(calls) <= 2 * s3_leases.SILENT_READS:
                raise exceptions.ReadTimeoutError(endpoint_url="http://s3")
            return cloud.s3.get_object(**parameters)

    hangs = Hangs()
    hanging = s3_leases.S3GuardRecords(f"{cloud.place}/tasks/", client=hangs)
    monkeypatch.setattr(s3_leases, "SILENCE_SECONDS", 0.2)
    later = s3_leases.S3GuardRecords(f"{cloud.place}/tasks/", client=hangs)

    read = [hanging.read(ARN) for _ in range(50)]
    asked_meanwhile = len(calls)
    read += [later.read(ARN) for _ in range(s3_leases.SILENT_READS)]

    assert set(read) == {Lacking.OUT_OF_REACH}
    assert asked_meanwhile == s3_leases.SILENT_READS
    waiting.until(lambda: later.read(ARN) == BEGUN, what="records to be asked for again")


def test_one_record_that_is_not_read_in_time_keeps_no_other_from_being_read(
    cloud: Cloud, records: s3_leases.S3GuardRecords
) -> None:
    records.begin(ARN, task_records.encode_guard(BEGUN))
    slow = f"{ARN}0"

    class SlowOnce:
        def get_object(self, **parameters: Any) -> object:
            if parameters["Key"].endswith("0.json"):
                raise exceptions.ReadTimeoutError(endpoint_url="http://s3")
            return cloud.s3.get_object(**parameters)

    reader = s3_leases.S3GuardRecords(f"{cloud.place}/tasks/", client=SlowOnce())

    assert [reader.read(slow), reader.read(ARN)] == [Lacking.OUT_OF_REACH, BEGUN]
