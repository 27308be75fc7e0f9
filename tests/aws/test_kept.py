"""Documents on S3 are kept by the plan's settings in every place, through a client of each bucket's own region."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from burst.domain.basics import instants
from burst.domain.documents import questions
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.kit import aws
from burst.wiring.preflight import checks
from burst.wiring.targets import ecs_places, receipt_sources
from tests import cases, fakes, fakes_receipts, publishing

HERE, ABROAD = "eu-west-1", "eu-north-1"
BUCKETS = {"kept-here": HERE, "kept-abroad": ABROAD}
PLACES = ["s3://kept-here/control", "s3://kept-abroad/control", "s3://kept-here/runs", "s3://kept-abroad/runs"]
KEY = f"arn:aws:kms:{HERE}:123456789012:key/0f5ad4a6-0000-4000-8000-000000000000"


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """S3 of each bucket's region, in this process; both buckets have Object Lock."""
    with publishing.aws_in_this_process(HERE, monkeypatch):
        by_bucket = {name: aws.client("s3", region_name=region) for name, region in BUCKETS.items()}
        for name, client in by_bucket.items():
            where = {"LocationConstraint": BUCKETS[name]}
            client.create_bucket(Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
        yield by_bucket


def _plan() -> plans.Plan:
    return cases.plan(
        execution_id=cases.EXECUTION_ID,
        target={
            "kind": "ecs",
            "tasks": 2,
            "cluster": "c",
            "task_definition": "d:1",
            "container": "burst",
            "subnets": ["subnet-a"],
            "security_groups": ["sg-a"],
        },
        evidence={
            "run_control": PLACES[:2],
            "run_scoped": PLACES[2:],
            "regions": {"kept-abroad": ABROAD},
            "kms_key": KEY,
            "bucket_owner": "123456789012",
            "object_lock": {"mode": "GOVERNANCE", "retain": "365d"},
        },
    )


def _list_kept(clients: dict[str, Any], beneath: str) -> list[tuple[str, dict[str, Any]]]:
    """Place and settings of everything under a folder of each place."""
    objects = []
    for place in PLACES:
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        for entry in clients[bucket].list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/{beneath}").get("Contents", ()):
            objects.append(
                (place, clients[bucket].head_object(Bucket=bucket, Key=entry["Key"], ChecksumMode="ENABLED"))
            )
    return objects


def _as_the_plan_says(kept: dict[str, Any], until: Any) -> bool:
    return (
        (kept["ServerSideEncryption"], kept["SSEKMSKeyId"]) == ("aws:kms", KEY)
        and (kept["ObjectLockMode"], kept["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
        and len(kept["ChecksumSHA256"]) == 44
    )


def _try_places(clock: fakes.TickingClock) -> list[Any]:
    """The findings of preflight on the places of the plan."""
    all_checks = checks.list_checks(
        _plan(),
        problems={},
        baseline=None,
        open_source=lambda: fakes_receipts.MemoryReceiptSource(now=clock.now),
        signer=None,
        clock=clock,
    )
    return [check.ask() for check in all_checks if check.name == "evidence-write-once"]


def test_preflight_probes_every_place_as_documents_will_be_kept_there(clients: dict[str, Any]) -> None:
    clock = fakes.TickingClock()
    until = instants.later(clock.now(), timedelta(days=365).total_seconds())
    answers = _try_places(clock)

    assert len(answers) == len(PLACES)
    assert all(isinstance(answer, findings.Finding) and answer.passed for answer in answers), answers
    kept = _list_kept(clients, "preflight/")
    assert sorted({place for place, _ in kept}) == sorted(PLACES)
    assert all(_as_the_plan_says(settings, until) for _, settings in kept)


class _WithoutIfMatch:
    """A client of a store that knows `If-None-Match` alone."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._real, operation)

    def put_object(self, **parameters: Any) -> Any:
        parameters.pop("IfMatch", None)
        return self._real.put_object(**parameters)


def test_preflight_refuses_the_places_of_a_lease_where_a_stale_etag_replaces_it(
    clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = aws.client
    monkeypatch.setattr(aws, "client", lambda *names, **settings: _WithoutIfMatch(real(*names, **settings)))

    answers = dict(zip(PLACES, _try_places(fakes.TickingClock()), strict=True))

    assert [answer.refused for answer in answers.values()] == [True, True, False, False]
    seen = [answers[place].seen for place in PLACES[:2]]
    assert ["replaced an object by a stale ETag" in words for words in seen] == [True, True], seen


def test_questions_of_a_count_are_kept_as_the_plan_says(clients: dict[str, Any]) -> None:
    clock = fakes.TickingClock()
    until = instants.later(clock.now(), timedelta(days=365).total_seconds())

    receipt_sources.open_places(_plan(), clock.now())("count-001").put_once(
        questions.SESSION, questions.SessionEnd().content()
    )

    ((place, kept),) = _list_kept(clients, f"{cases.EXECUTION_ID}/counts/")
    assert place == PLACES[0]
    assert _as_the_plan_says(kept, until)


@pytest.mark.parametrize(("days", "locked"), [(364, True), (366, False)])
def test_a_lock_that_would_be_over_is_not_asked_for(clients: dict[str, Any], days: int, locked: bool) -> None:
    deadline = cases.moment(900)
    now = deadline + timedelta(days=days)
    name = f"late-{days}"

    for place in ecs_places.publication_places(_plan(), deadline, now):
        place.beneath(name).put_once("plan.json", b"{}")

    kept = [entry for entry in _everything(clients) if f"/{name}/" in entry[0]]
    assert len(kept) == len(PLACES)
    assert ["ObjectLockMode" in entry for _, entry in kept] == [locked] * len(PLACES)


def _everything(clients: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and settings of every object."""
    for bucket, client in clients.items():
        for entry in client.list_objects_v2(Bucket=bucket)["Contents"]:
            yield entry["Key"], client.head_object(Bucket=bucket, Key=entry["Key"])
