"""The S3 store under every answer that S3 can give to a write-once document."""

import base64
import functools
import hashlib
import io
import threading
from collections.abc import Callable
from concurrent import futures
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import exceptions as foreign

from burst.adapters.aws import s3_runs, s3_store
from burst.domain.basics import errors, instants
from burst.kit import aws
from tests import fixtures_aws
from tests.fixtures_aws import Cloud

NAME, CONTENT, OTHER = "plan.json", b'{"a":1}', b'{"a":2}'
Step = Callable[[Callable[[], Any]], Any]
"""The fate of one call: it is carried out, fails, or both."""


def error_of(code: str, status: int) -> foreign.ClientError:
    about = {"HTTPStatusCode": status, "RequestId": "r-1"}
    return foreign.ClientError({"Error": {"Code": code, "Message": "as told"}, "ResponseMetadata": about}, "PutObject")


def fail_with(failure: Exception) -> Step:
    def step(_: Callable[[], Any]) -> Any:
        raise failure

    return step


def carry_out_and_fail_with(failure: Exception) -> Step:
    def step(call: Callable[[], Any]) -> Any:
        call()
        raise failure

    return step


TIMEOUT = foreign.ReadTimeoutError(endpoint_url="http://s3")
BUSY, BROKEN = error_of("ConditionalRequestConflict", 409), error_of("InternalError", 500)


class Troubled:
    """A bucket whose next calls go as ordered, by operation; all others go through."""

    def __init__(self, real: Any, **orders: list[Step]) -> None:
        self._real = real
        self._orders = orders
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self.calls.append(operation)
            steps = self._orders.get(operation)
            through: Callable[[], Any] = functools.partial(getattr(self._real, operation), **parameters)
            return steps.pop(0)(through) if steps else through()

        return call


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)


NO_LISTING = {"ResponseMetadata": {"HTTPStatusCode": 200}}
"""What a client makes of the page of a proxy, and of an empty answer, with status 200."""


@pytest.fixture
def trouble(cloud: Cloud) -> Callable[..., tuple[s3_store.S3Store, Troubled]]:
    def make(**orders: list[Step]) -> tuple[s3_store.S3Store, Troubled]:
        troubled = Troubled(cloud.s3, **orders)
        return s3_store.S3Store(cloud.place, client=troubled), troubled

    return make


def versions(cloud: Cloud) -> dict[str, bytes]:
    listed = cloud.s3.list_objects_v2(Bucket=fixtures_aws.BUCKET, Prefix=f"{cloud.name}/").get("Contents", [])
    return {
        entry["Key"].removeprefix(f"{cloud.name}/"): cloud.s3.get_object(Bucket=fixtures_aws.BUCKET, Key=entry["Key"])[
            "Body"
        ].read()
        for entry in listed
    }


def test_a_document_is_put_with_its_digest_twice_and_its_type(cloud: Cloud) -> None:
    s3_store.S3Store(cloud.place, client=cloud.s3).put_once(NAME, CONTENT)

    answer = cloud.s3.head_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{NAME}", ChecksumMode="ENABLED")
    digest = hashlib.sha256(CONTENT)
    assert answer["ChecksumSHA256"] == base64.b64encode(digest.digest()).decode()
    assert answer["Metadata"] == {"sha256": digest.hexdigest()}
    assert answer["ContentType"] == "application/json"


PUTS_THAT_SUCCEED: dict[str, tuple[list[Step], list[str]]] = {
    "created": ([], ["put_object", "get_object"]),
    "409 then created": ([fail_with(BUSY)], ["put_object", "head_object", "put_object", "get_object"]),
    "timeout, not applied": ([fail_with(TIMEOUT)], ["put_object", "head_object", "put_object", "get_object"]),
    "timeout, applied": ([carry_out_and_fail_with(TIMEOUT)], ["put_object", "head_object"]),
    "500, applied": ([carry_out_and_fail_with(BROKEN)], ["put_object", "head_object"]),
    "503, then 500, then created": (
        [fail_with(error_of("SlowDown", 503)), fail_with(BROKEN)],
        ["put_object", "head_object", "put_object", "head_object", "put_object", "get_object"],
    ),
}


@pytest.mark.parametrize(("orders", "calls"), PUTS_THAT_SUCCEED.values(), ids=PUTS_THAT_SUCCEED.keys())
def test_a_put_reconciles_a_lost_answer(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], orders: list[Step], calls: list[str]
) -> None:
    store, troubled = trouble(put_object=list(orders))

    store.put_once(NAME, CONTENT)

    assert troubled.calls == calls
    assert versions(cloud) == {NAME: CONTENT}


def test_412_with_the_same_bytes_is_success_and_with_others_a_conflict(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    store, troubled = trouble()
    store.put_once(NAME, CONTENT)
    store.put_once(NAME, CONTENT)

    with pytest.raises(errors.Conflict, match="exists with other content"):
        store.put_once(NAME, OTHER)

    assert troubled.calls == ["put_object", "get_object", *["put_object", "head_object"] * 2]
    assert versions(cloud) == {NAME: CONTENT}


def test_a_document_whose_reading_back_fails_is_looked_for_before_it_is_called_written(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    store, troubled = trouble(get_object=[fail_with(TIMEOUT)] * aws.READ_ATTEMPTS)

    store.put_once(NAME, CONTENT)

    assert troubled.calls == ["put_object", *["get_object"] * aws.READ_ATTEMPTS, "put_object", "head_object"]


def test_a_document_that_reads_back_as_other_bytes_is_a_conflict(
    trouble: Callable[..., tuple[s3_store.S3Store, Troubled]],
) -> None:
    store, _ = trouble(get_object=[fail_with(foreign.FlexibleChecksumError(error_msg="differs"))])

    with pytest.raises(errors.Conflict, match="reads back as other bytes"):
        store.put_once(NAME, CONTENT)


def test_a_lost_answer_over_other_bytes_is_a_conflict_and_not_tried_again(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{NAME}", Body=OTHER)
    store, troubled = trouble(put_object=[fail_with(TIMEOUT)])

    with pytest.raises(errors.Conflict):
        store.put_once(NAME, CONTENT)

    assert troubled.calls.count("put_object") == 1
    assert versions(cloud) == {NAME: OTHER}


def test_the_same_bytes_put_by_another_tool_are_the_same_document(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{NAME}", Body=CONTENT)
    store, _ = trouble()

    store.put_once(NAME, CONTENT)

    assert versions(cloud) == {NAME: CONTENT}


@pytest.mark.parametrize("heads", [[], [fail_with(TIMEOUT)] * 9], ids=["absent", "silent too"])
def test_when_nobody_can_tell_the_outcome_is_unknown_and_nothing_is_deleted(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], heads: list[Step]
) -> None:
    store, troubled = trouble(put_object=[fail_with(TIMEOUT)] * 9, head_object=list(heads))

    with pytest.raises(errors.Unavailable, match="cannot tell whether it was written, after 4 attempts"):
        store.put_once(NAME, CONTENT)

    assert troubled.calls.count("put_object") == s3_store.ATTEMPTS
    assert not [call for call in troubled.calls if "delete" in call]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (error_of("AccessDenied", 403), r"grant s3:PutObject"),
        (error_of("NoSuchBucket", 404), r"NoSuchBucket.*request r-1"),
        (error_of("BadDigest", 400), r"BadDigest"),
        (error_of("InvalidRequest", 400), r"InvalidRequest"),
    ],
    ids=["403", "404", "bad digest", "400"],
)
def test_what_s3_refuses_is_refused_at_once_and_says_where_and_why(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], failure: Exception, message: str
) -> None:
    store, troubled = trouble(put_object=[fail_with(failure)])

    with pytest.raises(errors.Refused, match=message) as caught:
        store.put_once(NAME, CONTENT)

    assert f"{cloud.place}/{NAME}" in str(caught.value)
    assert troubled.calls == ["put_object"]


def test_a_denied_look_is_refused_and_says_what_to_grant(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    store, _ = trouble(put_object=[fail_with(TIMEOUT)], head_object=[fail_with(error_of("403", 403))])

    with pytest.raises(errors.Refused, match="s3:ListBucket"):
        store.put_once(NAME, CONTENT)


def test_of_sixteen_writers_one_wins_and_the_others_say_conflict(cloud: Cloud) -> None:
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            s3_store.S3Store(cloud.place, client=cloud.s3).put_once(NAME, b"%d" % number)
        except errors.Conflict:
            outcomes.append("conflict")
        else:
            outcomes.append("won")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [*["conflict"] * 15, "won"]
    assert len(versions(cloud)) == 1


def test_bytes_that_are_not_those_that_were_put_are_corrupt(cloud: Cloud) -> None:
    cloud.s3.put_object(
        Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{NAME}", Body=OTHER,
        Metadata={"sha256": hashlib.sha256(CONTENT).hexdigest()},
    )  # fmt: skip

    with pytest.raises(errors.EvidenceCorrupt, match="SHA-256 differs"):
        s3_store.S3Store(cloud.place, client=cloud.s3).read(NAME)


def test_a_checksum_botocore_finds_wrong_is_corrupt_too(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    store, _ = trouble(get_object=[fail_with(foreign.FlexibleChecksumError(error_msg="differs"))])

    with pytest.raises(errors.EvidenceCorrupt, match="checksum differs"):
        store.read(NAME)


@pytest.mark.parametrize(
    "failure",
    [TIMEOUT, BROKEN, error_of("AccessDenied", 403), error_of("NoSuchBucket", 404)],
    ids=["timeout", "500", "403", "bucket"],
)
def test_what_cannot_be_read_or_listed_is_unknown_and_not_absent(
    trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], failure: Exception
) -> None:
    away = [fail_with(failure)] * aws.READ_ATTEMPTS
    store, _ = trouble(get_object=[*away], list_objects_v2=[*away])

    with pytest.raises(errors.EvidenceUnknown, match="cannot be read"):
        store.read(NAME)
    with pytest.raises(errors.EvidenceUnknown, match="cannot be listed"):
        store.names()


def test_reading_and_listing_are_asked_again_where_no_answer_came(
    cloud: Cloud, trouble: Callable[..., tuple[s3_store.S3Store, Troubled]]
) -> None:
    s3_store.S3Store(cloud.place, client=cloud.s3).put_once(NAME, CONTENT)
    busy = [fail_with(error_of("SlowDown", 503)), fail_with(TIMEOUT)]
    store, troubled = trouble(get_object=[*busy], list_objects_v2=[*busy])

    assert (store.read(NAME), store.names()) == (CONTENT, [NAME])
    assert troubled.calls == ["get_object"] * 3 + ["list_objects_v2"] * 3


def test_a_document_too_large_to_be_ours_is_not_read(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_store.S3Store(cloud.place, client=cloud.s3)
    store.put_once(NAME, CONTENT)
    monkeypatch.setattr(s3_store, "LARGEST_BYTES", len(CONTENT) - 1)

    with pytest.raises(errors.EvidenceUnknown, match="larger than"):
        store.read(NAME)


def test_names_go_over_pages_and_leave_out_what_lies_deeper_or_is_odd(cloud: Cloud) -> None:
    store = s3_store.S3Store(cloud.place, client=cloud.s3)
    for name in ("a.json", "b.json"):
        store.put_once(name, CONTENT)
    for key in ("deeper/c.json", ".hidden", "x y"):
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{key}", Body=b"")

    class Pages:
        """The bucket, with pages of one key."""

        def list_objects_v2(self, **parameters: Any) -> Any:
            return cloud.s3.list_objects_v2(MaxKeys=1, **parameters)

    assert list(s3_store.S3Store(cloud.place, client=Pages()).names()) == ["a.json", "b.json"]


def test_settings_reach_the_call(trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], cloud: Cloud) -> None:
    sent: dict[str, Any] = {}

    class Notes:
        """Accepts every put, and keeps its parameters."""

        def put_object(self, **parameters: Any) -> dict[str, Any]:
            sent.update(parameters)
            return {}

        def get_object(self, **_: Any) -> dict[str, Any]:
            return {"Body": io.BytesIO(CONTENT), "ContentLength": len(CONTENT)}

    until = instants.later(datetime.now(UTC), 3600)
    settings = s3_store.StoreSettings(
        kms_key_id="key-1", bucket_owner="123456789012", lock_mode="GOVERNANCE", lock_until=until,
        checksums="when_required",
    )  # fmt: skip
    s3_store.S3Store(cloud.place, settings=settings, client=Notes()).put_once(NAME, CONTENT)

    assert (sent["ServerSideEncryption"], sent["SSEKMSKeyId"]) == ("aws:kms", "key-1")
    assert sent["ExpectedBucketOwner"] == "123456789012"
    assert (sent["ObjectLockMode"], sent["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    assert "ChecksumAlgorithm" not in sent
    assert sent["Metadata"] == {"sha256": hashlib.sha256(CONTENT).hexdigest()}


def test_half_an_object_lock_is_refused() -> None:
    with pytest.raises(ValueError, match="both its mode"):
        s3_store.StoreSettings(lock_mode="COMPLIANCE")


@pytest.mark.parametrize("place", ["s3://bucket", "s3://bucket/", "runs/x", "s3://B/x", "s3://bucket/a b"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(errors.UsageError, match="evidence place"):
        s3_store.S3Store(place, client=object())


# Stores that break their word


class Gapped:
    """A store that looks whether a key is free and writes some time later: so many writers at once all find it free."""

    def __init__(self, real: Any, writers: int) -> None:
        self._real = real
        self._looked, self._written = threading.Barrier(writers), threading.Barrier(writers)
        self._left = threading.Semaphore(writers)

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._real, operation)

    def put_object(self, **parameters: Any) -> Any:
        if not self._left.acquire(blocking=False):
            return self._real.put_object(**parameters)
        condition = parameters.pop("IfNoneMatch")
        place = {name: parameters[name] for name in ("Bucket", "Key")}
        assert condition == "*"
        assert not self._real.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"]).get("Contents")
        self._looked.wait(20)
        answer = self._real.put_object(**parameters)
        self._written.wait(20)
        return answer


class WithoutIfMatch:
    """A store that knows If-None-Match alone."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._real, operation)

    def put_object(self, **parameters: Any) -> Any:
        parameters.pop("IfMatch", None)
        return self._real.put_object(**parameters)


def test_of_two_writers_that_a_store_both_lets_create_one_document_one_is_told_so(cloud: Cloud) -> None:
    store = s3_store.S3Store(cloud.place, client=Gapped(cloud.s3, 2))

    def put(content: bytes) -> errors.BurstError | None:
        try:
            store.put_once(NAME, content)
        except errors.BurstError as exc:
            return exc
        return None

    with futures.ThreadPoolExecutor(2) as threads:
        outcomes = dict(zip((CONTENT, OTHER), threads.map(put, (CONTENT, OTHER)), strict=True))

    (kept,) = versions(cloud).values()
    assert [content for content, failure in outcomes.items() if failure is None] == [kept]
    (conflict,) = filter(None, outcomes.values())
    assert isinstance(conflict, errors.Conflict)
    assert "the store let two writers create it" in str(conflict)


def test_a_store_that_keeps_its_word_passes_every_trial(cloud: Cloud) -> None:
    store = s3_store.S3Store(cloud.place, client=cloud.s3)

    creates, swap = store.try_creates("probe.json"), store.try_swap("control.json")

    assert (creates.succeeded, creates.problem, swap.problem) == (1, "", "")


def test_a_store_that_looks_before_it_writes_is_found_by_creates_at_once(cloud: Cloud) -> None:
    store = s3_store.S3Store(cloud.place, client=Gapped(cloud.s3, s3_store.CREATES_AT_ONCE))

    creates = store.try_creates("probe.json")

    assert creates.later_refused
    assert creates.succeeded == s3_store.CREATES_AT_ONCE
    assert "told 4 of 4 writers" in creates.problem


def test_a_store_that_ignores_a_stale_etag_is_found(cloud: Cloud) -> None:
    store = s3_store.S3Store(cloud.place, client=WithoutIfMatch(cloud.s3))

    assert store.try_creates("probe.json").problem == ""
    assert "replaced an object by a stale ETag" in store.try_swap("control.json").problem


@pytest.mark.parametrize("code", s3_store.AT_WORK_CODES)
def test_creates_that_s3_answers_with_a_conflict_are_tried_once_more(
    trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], code: str
) -> None:
    store, _ = trouble(put_object=[fail_with(error_of(code, 409))] * s3_store.CREATES_AT_ONCE)

    creates = store.try_creates("probe.json")

    assert (creates.succeeded, creates.problem) == (1, "")


def test_an_answer_that_is_no_listing_is_no_empty_place(
    trouble: Callable[..., tuple[s3_store.S3Store, Troubled]], cloud: Cloud
) -> None:
    store, troubled = trouble(list_objects_v2=[lambda _: NO_LISTING] * 2 * aws.READ_ATTEMPTS)
    runs = s3_runs.S3Runs(cloud.place, troubled, store.beneath)

    with pytest.raises(errors.EvidenceUnknown, match="no listing"):
        store.names()
    with pytest.raises(errors.EvidenceUnknown, match="no listing"):
        list(runs.newest_first("m10", instants.parse("2026-02-21T02:00:00Z")))
    assert store.names() == []


@pytest.mark.parametrize("place", ["s3://", "s3://evidence", "s3://evidence/", "s3://Evidence/runs"])
def test_a_place_of_runs_without_bucket_or_prefix_is_no_empty_place(place: str, cloud: Cloud) -> None:
    with pytest.raises(errors.UsageError, match=r"allowed is s3://BUCKET/PREFIX"):
        s3_runs.S3Runs(place, cloud.s3, lambda address: s3_store.S3Store(address, client=cloud.s3))
