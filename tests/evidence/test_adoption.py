"""A folder whose run another controller published takes that over; what it held itself is kept, and it verifies."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.local import folder_store, journal_file
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.run.events import launch_events
from burst.evidence import soundness, verification
from burst.kit import aws
from burst.report import html
from burst.wiring import adoption
from tests import cases, fakes, fakes_journal, publishing
from tests.publishing import SNAPSHOT, UNPUBLISHED

REGION = "eu-west-1"
CLOCK = fakes.TickingClock()
_numbers = itertools.count()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("AWS_REGION", REGION)
    with publishing.aws_in_this_process(REGION, monkeypatch):
        yield aws.client("s3")


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"adopted-{next(_numbers)}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def folder_of(run: publishing.Run) -> Path:
    assert isinstance(run.store, folder_store.FolderStore)
    return run.store.folder


def adopt(run: publishing.Run) -> str | None:
    return adoption.adopt(folder_of(run), run.plan, cases.moment(900), CLOCK)


def reopened(run: publishing.Run) -> publishing.Run:
    """The run with the journal that lies in its folder now."""
    path = folder_of(run) / document_names.JOURNAL
    return dataclasses.replace(run, journal=journal_file.FileJournal.open(path, CLOCK.now))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"}


@pytest.fixture
def winner(client: Any, bucket: str, tmp_path: Path) -> publishing.Run:
    """A run that was taken over, and published by the machine that did."""
    run = publishing.Run.begin(bucket, folder=tmp_path / "there", mark="_taken_over")
    run.publish(client)
    return run


@pytest.fixture
def loser(client: Any, bucket: str, winner: publishing.Run, tmp_path: Path) -> publishing.Run:
    """The same run in its first folder, whose controller came too late to publish it."""
    run = publishing.Run.begin(bucket, folder=tmp_path / "here").with_documents(cases.passing().without("baseline"))
    with pytest.raises(errors.PublicationFailed, match="exists with other content"):
        run.publish(client)
    assert run.here().name == UNPUBLISHED
    return run


def test_the_losers_folder_adopts_the_published_run_keeps_its_own_and_verifies(
    client: Any, winner: publishing.Run, loser: publishing.Run
) -> None:
    own, versions = contents(folder_of(loser)), publishing.versions(client, loser.bucket)

    words = adopt(loser)
    again = reopened(loser)
    again.publish(client)

    folder = folder_of(loser)
    assert words is not None
    assert f"this folder's own are kept in {folder / 'superseded' / '1'}" in words
    kinds = [type(entry.event) for entry in reopened(loser).journal.entries()]
    assert launch_events.JournalRecovered in kinds
    found = verification.verify(loser.store, render=html.render)
    assert (found.state, found.name) == (soundness.EvidenceState.OK, SNAPSHOT)
    assert loser.store.read(SNAPSHOT) == winner.store.read(SNAPSHOT)
    kept = contents(folder / "superseded" / "1")
    assert {document_names.JOURNAL, SNAPSHOT, UNPUBLISHED} <= kept.keys()
    assert kept == {name: own[name] for name in kept}
    assert own.keys() <= kept.keys() | {n for n in own if own[n] == contents(folder).get(n)}
    assert publishing.versions(client, loser.bucket) == versions


def test_a_folder_that_was_published_from_itself_has_nothing_to_adopt(client: Any, winner: publishing.Run) -> None:
    before = contents(folder_of(winner))

    assert adopt(winner) is None

    assert contents(folder_of(winner)) == before
    assert not (folder_of(winner) / "superseded").exists()


@pytest.mark.parametrize("point", range(1, 12))
def test_an_adoption_that_a_crash_cuts_short_loses_nothing_and_is_done_again(
    client: Any, winner: publishing.Run, loser: publishing.Run, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, calls = contents(folder_of(loser)), itertools.count(1)

    def crash_at(method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if next(calls) == point:
                raise fakes_journal.Crashed(f"at write {point}")
            return method(*arguments)

        return call

    with monkeypatch.context() as patched, contextlib.suppress(fakes_journal.Crashed):
        for name in ("set_aside", "put_once"):
            patched.setattr(folder_store.FolderStore, name, crash_at(getattr(folder_store.FolderStore, name)))
        adopt(loser)

    adopt(loser)
    reopened(loser).publish(client)

    folder = folder_of(loser)
    found = verification.verify(loser.store, render=html.render)
    assert (found.state, found.name) == (soundness.EvidenceState.OK, SNAPSHOT)
    everything = [
        *contents(folder).items(),
        *(pair for aside in (folder / "superseded").iterdir() for pair in contents(aside).items()),
    ]
    assert all((name, content) in everything for name, content in own.items())


def test_a_snapshot_that_does_not_hold_is_not_adopted(
    client: Any, winner: publishing.Run, loser: publishing.Run
) -> None:
    authority = winner.places(client)[-1].place.removeprefix(f"s3://{winner.bucket}/")
    changed = winner.store.read(SNAPSHOT).replace(b"false", b"true")
    client.put_object(Bucket=winner.bucket, Key=f"{authority}/{SNAPSHOT}", Body=changed)
    before = contents(folder_of(loser))

    assert adopt(loser) is None

    assert contents(folder_of(loser)) == before


def test_a_run_of_another_plan_under_the_same_id_is_not_adopted(
    client: Any, bucket: str, winner: publishing.Run, tmp_path: Path
) -> None:
    store = folder_store.FolderStore.create(tmp_path / "foreign", cases.EXECUTION_ID)
    store.put_once(document_names.PLAN, winner.store.read(document_names.PLAN).replace(b'"ci"', b'"qa"'))
    journal_file.FileJournal.create(store.folder / document_names.JOURNAL, CLOCK.now).append(cases.run_created())

    assert adopt(dataclasses.replace(winner, store=store)) is None
