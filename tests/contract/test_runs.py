"""The contract of a place of runs, kept by a folder and by S3; a bundle keeps the part that reads."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst import ports
from burst.adapters import archive
from burst.adapters.aws import s3_runs, s3_store
from burst.adapters.local import folder_runs, folder_store
from burst.domain.basics import errors
from tests import fixtures_aws

PORT = ports.Runs

NOW = datetime(2026, 2, 21, 12, tzinfo=UTC)
OLD, NEW, OTHER = "m10_20260101T000000Z_a1", "m10_20260201T000000Z_b2", "m11_20260301T000000Z"
Made = tuple[ports.Runs, Callable[[str, str, bytes], None]]


@pytest.fixture(params=["folder", "s3"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """A place, and how a document gets there."""
    if request.param == "folder":

        def write(execution_id: str, name: str, content: bytes) -> None:
            (tmp_path / execution_id).mkdir(exist_ok=True)
            (tmp_path / execution_id / name).write_bytes(content)

        return folder_runs.FolderRuns(tmp_path, folder_store.FolderStore), write
    cloud: fixtures_aws.Cloud = request.getfixturevalue("cloud")

    def put(execution_id: str, name: str, content: bytes) -> None:
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{execution_id}/{name}", Body=content)

    def store_of(place: str) -> ports.EvidenceStore:
        return s3_store.S3Store(place, client=cloud.s3)

    return s3_runs.S3Runs(cloud.place, cloud.s3, store_of), put


def test_runs_come_newest_first_of_all_groups_or_one(made: Made) -> None:
    runs, put = made
    for execution_id in (OLD, OTHER, NEW, "untimed"):
        put(execution_id, "plan.json", b"{}")

    assert list(runs.newest_first(None, NOW)) == [OTHER, NEW, OLD, "untimed"]
    assert [name for name in runs.newest_first("m10", NOW) if name != "untimed"] == [NEW, OLD]


def test_an_empty_place_has_no_runs(made: Made) -> None:
    runs, _ = made

    assert list(runs.newest_first(None, NOW)) == []
    assert list(runs.newest_first("m10", NOW)) == []


@pytest.mark.parametrize("name", ["a.b", "x", "é" * 4, "a b c"])
def test_a_folder_whose_name_is_no_execution_id_is_no_run(made: Made, name: str) -> None:
    runs, put = made
    put(OLD, "plan.json", b"{}")
    put(name, "plan.json", b"{}")

    assert list(runs.newest_first(None, NOW)) == [OLD]


def test_the_store_of_a_run_reads_its_documents(made: Made) -> None:
    runs, put = made
    put(OLD, "plan.json", b"{}")

    assert runs.store(OLD).read("plan.json") == b"{}"
    with pytest.raises(errors.EvidenceIncomplete):
        runs.store(NEW).read("plan.json")


def test_a_listed_document_tells_its_size_and_another_tag_for_other_bytes(made: Made) -> None:
    runs, put = made
    put(OLD, "plan.json", b"{}")
    (before,) = runs.list_documents(OLD)
    put(OLD, "plan.json", b"[ ]")
    (after,) = runs.list_documents(OLD)

    assert (before.name, before.size, after.size) == ("plan.json", 2, 3)
    assert before.tag != after.tag
    assert abs((datetime.now(UTC) - before.modified_at).total_seconds()) < 3600


def test_a_removal_takes_what_was_listed_and_nothing_that_changed_since(made: Made) -> None:
    runs, put = made
    put(OLD, "plan.json", b"{}")
    put(OLD, "baseline.json", b"{}")
    baseline, plan = runs.list_documents(OLD)
    put(OLD, "plan.json", b"[]")

    runs.remove(OLD, baseline)
    runs.remove(OLD, baseline)

    with pytest.raises(errors.Conflict, match="has changed since it was listed"):
        runs.remove(OLD, plan)
    assert list(runs.store(OLD).names()) == ["plan.json"]


def test_a_bundle_reads_its_runs_and_removes_nothing() -> None:
    runs = archive.BundleRuns({f"{OLD}/plan.json": b"{}", f"{NEW}/plan.json": b"[]", "README.txt": b""})

    assert list(runs.newest_first(None, NOW)) == [NEW, OLD]
    assert runs.store(NEW).read("plan.json") == b"[]"
    with pytest.raises(errors.EvidenceIncomplete):
        runs.store(OTHER).names()
    with pytest.raises(errors.UsageError, match="read only"):
        runs.list_documents(OLD)


def test_a_place_that_is_not_there_is_incomplete_or_unknown(tmp_path: Path, cloud: fixtures_aws.Cloud) -> None:
    nowhere = folder_runs.FolderRuns(tmp_path / "nowhere", folder_store.FolderStore)
    closed = s3_runs.S3Runs(
        "s3://no-such-bucket-here/x", cloud.s3, lambda place: s3_store.S3Store(place, client=cloud.s3)
    )

    with pytest.raises(errors.EvidenceIncomplete):
        list(nowhere.newest_first(None, NOW))
    with pytest.raises(errors.EvidenceUnknown, match="cannot be listed"):
        list(closed.newest_first(None, NOW))


class Unordered:
    """A store that lists in no order, as directory buckets do."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def list_objects_v2(self, **parameters: Any) -> Any:
        answer = self._real.list_objects_v2(**parameters)
        for kind in ("CommonPrefixes", "Contents"):
            answer[kind] = answer.get(kind, [])[::-1]
        return answer


class Restarting(Unordered):
    """A store that lists from the beginning, wherever a page should start."""

    def list_objects_v2(self, **parameters: Any) -> Any:
        return self._real.list_objects_v2(**{**parameters, "StartAfter": ""})


@pytest.mark.parametrize("client", [Unordered, Restarting])
def test_a_store_that_does_not_list_in_order_gives_no_run_as_the_newest(
    cloud: fixtures_aws.Cloud, client: type[Unordered]
) -> None:
    for execution_id in (OLD, NEW, OTHER):
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{execution_id}/plan.json", Body=b"{}")
    runs = s3_runs.S3Runs(cloud.place, client(cloud.s3), lambda place: s3_store.S3Store(place, client=cloud.s3))

    for group in (None, "m10"):
        with pytest.raises(errors.EvidenceUnknown, match="does not list in order") as failure:
            list(runs.newest_first(group, NOW))
        assert failure.value.exit_code == 9


def test_a_page_of_folders_that_begin_before_its_start_is_in_order_where_their_keys_lie_behind_it(
    cloud: fixtures_aws.Cloud,
) -> None:
    for key in (f"{OLD}/plan.json", f"{OLD}/é", f"{NEW}/plan.json"):
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{key}", Body=b"{}")
    runs = s3_runs.S3Runs(cloud.place, cloud.s3, lambda place: s3_store.S3Store(place, client=cloud.s3))

    assert list(runs.newest_first(None, NOW)) == [NEW, OLD]
