"""A fault at every S3 call of a publication: nothing half-published is ever read as evidence, and resume ends it."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as foreign

from burst.adapters.local import folder_store, journal_file
from burst.control import ownership
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.run.events import launch_events
from burst.evidence import soundness, verification
from burst.kit import aws
from burst.report import html
from burst.wiring import takeover
from tests import cases, fakes, publishing
from tests.fakes_journal import Crashed
from tests.publishing import SNAPSHOT, UNPUBLISHED, answered, applied, not_applied

State = soundness.EvidenceState
CALLS = 36
"""Six documents (plan, journal, task result, records, report, snapshot), put, read back at once and once more, in two
places."""
TIMEOUT = foreign.ReadTimeoutError(endpoint_url="http://s3")
HEALED = {
    "answer lost, not applied": not_applied(TIMEOUT),
    "answer lost, applied": applied(TIMEOUT),
    "409": not_applied(answered("ConditionalRequestConflict", 409)),
    "503": not_applied(answered("SlowDown", 503)),
    "500, applied": applied(answered("InternalError", 500)),
}
ENDING = {
    "crash before": not_applied(publishing.CRASH),
    "crash after": applied(publishing.CRASH),
    "403": not_applied(answered("AccessDenied", 403)),
}
FAULTS = {**HEALED, **ENDING}
POINTS = list(itertools.product(FAULTS, range(1, CALLS + 1)))
SCOPED_COMMIT = 31
"""The call that puts the snapshot to the first place."""
_numbers = itertools.count()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)
    with publishing.aws_in_this_process("eu-west-1", monkeypatch):
        yield aws.client("s3")


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"evidence-{next(_numbers)}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def test_the_table_strikes_every_call_of_a_publication_at_144_points_or_more(client: Any, bucket: str) -> None:
    counting = publishing.Striking(client)

    publishing.Run.begin(bucket).publish(counting)

    assert counting.calls == CALLS
    assert len(POINTS) == len(FAULTS) * CALLS == 288
    assert len(POINTS) >= 144


@pytest.mark.parametrize(("fault", "call"), POINTS, ids=[f"{fault} at {call}" for fault, call in POINTS])
def test_a_fault_at_any_call_leaves_nothing_half_published_and_resume_ends_it(
    client: Any, bucket: str, fault: str, call: int
) -> None:
    run = publishing.Run.begin(bucket)
    striking = publishing.Striking(client, at=call, fault=FAULTS[fault])

    try:
        run.publish(striking)
    except (Crashed, errors.PublicationFailed):
        assert fault in ENDING
        frozen = run.store.read(SNAPSHOT) if SNAPSHOT in run.store.names() else None
        _require_nothing_half_published(run, client)
        run.publish(client)
        assert run.store.read(SNAPSHOT) == (frozen or run.store.read(SNAPSHOT))

    assert striking.calls >= call
    _require_whole(run, client)


@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_a_publication_whose_folder_is_lost_is_rolled_forward_and_no_second_snapshot_is_made(
    client: Any, bucket: str, call: int
) -> None:
    run = publishing.Run.begin(bucket)
    with pytest.raises(Crashed):
        run.publish(publishing.Striking(client, at=call, fault=FAULTS["crash after"]))
    snapshots = {place.read(SNAPSHOT) for place in run.places(client) if SNAPSHOT in place.names()}

    again = run.lost(client)
    again.publish(client)

    _require_whole(again, client)
    assert snapshots <= {again.store.read(SNAPSHOT)}
    if snapshots:
        assert again.store.read(SNAPSHOT) == run.store.read(SNAPSHOT)


def test_a_run_taken_over_in_the_middle_of_its_publication_is_continued_in_a_folder_of_its_own(
    client: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    run = publishing.Run.begin(bucket, folder=tmp_path / "here")
    announcement = run_records.Announcement(
        execution_id=cases.EXECUTION_ID,
        created_utc=cases.moment(0),
        deadline_utc=cases.moment(0),
        early_stop=True,
        barrier=True,
        plan_sha256=canonical.digest(run.store.read(document_names.PLAN)),
    )
    for name, content in (
        (document_names.PLAN, run.store.read(document_names.PLAN)),
        (document_names.RUN, announcement.content()),
    ):
        run.places(client)[-1].put_once(name, content)
    with pytest.raises(Crashed):
        run.publish(publishing.Striking(client, at=SCOPED_COMMIT, fault=FAULTS["crash after"]))

    long_after = fakes.TickingClock(instants.later(cases.moment(0), 86_400))
    with ownership.Ownership(long_after) as own:
        folder = takeover.take_over(cases.EXECUTION_ID, f"s3://{bucket}/control", tmp_path / "there", long_after, own)

    journal = journal_file.FileJournal.open(folder / document_names.JOURNAL, fakes.TickingClock().now)
    assert isinstance(journal.entries()[-1].event, launch_events.JournalRecovered)
    store = folder_store.FolderStore(folder)
    dataclasses.replace(run, store=store, journal=journal).publish(client)
    assert verification.verify(store, render=html.render).name == SNAPSHOT
    assert store.read(SNAPSHOT) == run.store.read(SNAPSHOT)
    assert [place.state for place in run.there(client)] == [State.OK, State.OK]


def test_a_folder_lost_with_a_place_that_cannot_be_read_is_not_guessed_at(client: Any, bucket: str) -> None:
    run = publishing.Run.begin(bucket)
    with pytest.raises(Crashed):
        run.publish(publishing.Striking(client, at=SCOPED_COMMIT, fault=FAULTS["crash after"]))

    with pytest.raises(errors.EvidenceUnknown, match="AccessDenied"):
        run.lost(publishing.Striking(client, at=2, fault=FAULTS["403"]))

    assert run.lost(client).store.read(SNAPSHOT) == run.store.read(SNAPSHOT)


def test_a_snapshot_that_does_not_hold_is_not_rolled_forward(client: Any, bucket: str) -> None:
    run = publishing.Run.begin(bucket)
    with pytest.raises(Crashed):
        run.publish(publishing.Striking(client, at=SCOPED_COMMIT, fault=FAULTS["crash after"]))
    scoped = run.places(client)[0].place.removeprefix(f"s3://{bucket}/")
    client.put_object(
        Bucket=bucket, Key=f"{scoped}/{SNAPSHOT}", Body=run.store.read(SNAPSHOT).replace(b"false", b"true")
    )

    with pytest.raises(errors.EvidenceCorrupt):
        run.lost(client)


def test_a_scope_taken_by_another_run_is_not_taken_for_the_lost_ones(client: Any, bucket: str) -> None:
    publishing.Run.begin(bucket).publish(client)

    lost = publishing.Run.begin(bucket, execution_id="m10_20260222T020923Z").lost(client)

    assert lost.store.names() == [document_names.PLAN]


def _require_nothing_half_published(run: publishing.Run, client: Any) -> None:
    scoped, control = run.there(client)
    folder = run.here()
    assert {scoped.state, control.state} <= {State.ABSENT, State.INCOMPLETE, State.OK}
    if SNAPSHOT in run.places(client)[-1].names():
        assert control.state is State.OK
        assert scoped.state is State.OK
    assert folder.name != SNAPSHOT, "the folder's own reader takes the verdict for published"
    assert set(publishing.versions(client, run.bucket).values()) <= {1}


def _require_whole(run: publishing.Run, client: Any) -> None:
    folder, places = run.here(), run.there(client)
    assert [place.state for place in places] == [State.OK, State.OK]
    assert (folder.state, folder.name) == (State.OK, SNAPSHOT)
    assert {place.sha256 for place in (folder, *places)} == {folder.sha256}
    versions = publishing.versions(client, run.bucket)
    assert set(versions.values()) == {1}, "something was overwritten or deleted"
    assert len([key for key in versions if "/failures/" not in key]) == CALLS // 3


def test_a_denied_publication_holds_here_says_so_there_and_is_ended_by_resume(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    passing = cases.passing(baseline={"admits": 600, "seconds": 600, "source": "a test"}).without("baseline")
    run = publishing.Run.begin(bucket, folder=tmp_path).with_documents(passing)
    denied = publishing.Striking(client, at=9, fault=FAULTS["403"])

    with pytest.raises(errors.PublicationFailed, match="grant s3:PutObject"):
        run.publish(denied)

    folder = run.here()
    assert (folder.state, folder.exit_code, folder.name) == (State.OK, 3, UNPUBLISHED)
    assert folder.snapshot is not None
    assert folder.snapshot["blockers"] == ["M10F-B3"]
    assert folder.snapshot["exit_code"] == 5
    assert folder.snapshot["supersedes"]
    assert "AccessDenied (HTTP 403) after 1 attempt;" in folder.why
    failure_keys = [key for key in publishing.versions(client, bucket) if "/failures/" in key]
    assert len(failure_keys) == 2
    body = client.get_object(Bucket=bucket, Key=failure_keys[0])["Body"].read()
    failure = models.read(run_records.PublicationFailure, body)
    assert (failure.code, failure.http_status, failure.attempts) == ("AccessDenied", 403, 1)
    run.publish(client)
    assert (run.here().exit_code, run.here().name) == (0, SNAPSHOT)
    receipt = models.read(run_records.Publication, run.store.read(document_names.PUBLICATION))
    assert [place.place for place in receipt.places] == list(run.plan.folders(run.plan.execution_id))
    assert all(document.version_id for place in receipt.places for document in place.documents)


def test_a_place_taken_by_another_run_is_a_conflict_that_resume_reports_again(client: Any, bucket: str) -> None:
    publishing.Run.begin(bucket).publish(client)
    second = publishing.Run.begin(bucket, execution_id="m10_20260222T020923Z")
    before = publishing.versions(client, bucket)

    for _ in range(2):
        with pytest.raises(errors.PublicationFailed, match="exists with other content"):
            second.publish(client)

    assert second.here().name == UNPUBLISHED
    assert SNAPSHOT not in second.places(client)[-1].names()
    changed = {key: count for key, count in publishing.versions(client, bucket).items() if before.get(key) != count}
    assert all("/failures/" in key for key in changed)
