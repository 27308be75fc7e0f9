"""Ten thousand runs in one bucket: how many calls the consumer's tools make, counted."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import config
from moto.s3.models import s3_backends

from burst import evidence
from burst.domain.basics import instants
from burst.domain.documents import document_names
from tests import publishing
from tests.evidence import evidencing

RUNS = 10_000
BUCKET, PREFIX = "evidence", "control"
PLACE = f"s3://{BUCKET}/{PREFIX}"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Counted:
    """A bucket that counts the calls made to it."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.calls: Counter[str] = Counter()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self.calls[{"list_objects_v2": "LIST", "get_object": "GET"}.get(operation, operation)] += 1
            return getattr(self._real, operation)(**parameters)

        return call


def run_id(index: int, apart: timedelta) -> str:
    return f"m10_{instants.stamp(NOW - index * apart)}_{index:06x}"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """Runs one every hour for over a year: the newest three hold documents, all others only their plan."""
    with publishing.simulated_account():
        yield filled()


def filled() -> Any:
    """A client of moto in this process, and the bucket behind it: seeded past the client, which would take minutes."""
    session = boto3.session.Session("made-up", "made-up", region_name="us-east-1")
    s3 = session.client("s3", config=config.Config(ignore_configured_endpoint_urls=True))
    s3.create_bucket(Bucket=BUCKET)
    backend: Any = s3_backends["123456789012"]["aws"]
    for index in range(RUNS):
        backend.put_object(BUCKET, f"{PREFIX}/{run_id(index, timedelta(hours=1))}/{document_names.PLAN}", b"{}")
    held = evidencing.published(evidencing.case(run_id(2, timedelta(hours=1)), passing=False))
    evidencing.on_s3(s3, f"{PLACE}/{run_id(2, timedelta(hours=1))}", held)
    for index, prior in ((1, None), (0, held[evidencing.SNAPSHOT])):
        name = run_id(index, timedelta(hours=1))
        made = evidencing.published(evidencing.case(name, prior=prior))
        evidencing.on_s3(s3, f"{PLACE}/{name}", made)
    return s3


def test_verify_lists_one_run_and_reads_each_document_once(bucket: Any) -> None:
    counted = Counted(bucket)

    found = evidence.verify(f"{PLACE}/{run_id(1, timedelta(hours=1))}", client=counted)

    assert found.exit_code == 0
    # Snapshot, report, and what the snapshot names: plan, task result, metrics, facts, baseline.
    assert counted.calls == {"LIST": 1, "GET": 7}


def test_verify_of_a_rerun_adds_its_prior(bucket: Any) -> None:
    counted = Counted(bucket)

    found = evidence.verify(f"{PLACE}/{run_id(0, timedelta(hours=1))}", client=counted)

    assert [link.state for link in found.chain] == ["ok"]
    assert counted.calls == {"LIST": 1 + 2, "GET": 8 + 7}


def test_latest_lists_a_page_and_never_scans(bucket: Any) -> None:
    counted = Counted(bucket)

    found = evidence.latest(PLACE, phase="M10.F", now=NOW, everywhere=False, client=counted)

    assert found.execution_id == run_id(0, timedelta(hours=1))
    # One page of folders, three looks at the run (what it is, its phase, its evidence), two at its prior.
    assert counted.calls == {"LIST": 1 + 3 + 2, "GET": 8 + 7}


@pytest.mark.parametrize("away", [timedelta(days=-400), timedelta(days=3), timedelta(days=2000)], ids=str)
def test_latest_lists_a_few_pages_wherever_the_clock_of_the_consumer_is(bucket: Any, away: timedelta) -> None:
    counted = Counted(bucket)

    found = evidence.latest(PLACE, phase="M10.F", now=NOW + away, client=counted)

    assert found.execution_id == run_id(0, timedelta(hours=1))
    assert counted.calls["LIST"] <= 30


def test_latest_of_no_phase_leaps_over_the_groups(bucket: Any) -> None:
    counted = Counted(bucket)

    found = evidence.latest(PLACE, now=NOW, client=counted)

    assert found.execution_id == run_id(0, timedelta(hours=1))
    assert counted.calls["LIST"] == 2 + 1 + 2 + 2


def test_diff_costs_two_verifications(bucket: Any) -> None:
    counted = Counted(bucket)

    change = evidence.diff(
        f"{PLACE}/{run_id(2, timedelta(hours=1))}", f"{PLACE}/{run_id(1, timedelta(hours=1))}", client=counted
    )

    assert change.cleared == ("B1",)
    assert counted.calls == {"LIST": 2, "GET": 14}


def test_ls_lists_one_page_of_folders_and_each_run_shown(bucket: Any) -> None:
    counted = Counted(bucket)

    found = evidence.ls(PLACE, phase="M10.F", limit=2, now=NOW, client=counted)

    assert [one.execution_id for one in found] == [run_id(index, timedelta(hours=1)) for index in (0, 1)]
    assert counted.calls["LIST"] <= 1 + 2 * 3 + 2
