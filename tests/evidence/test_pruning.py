"""Pruning: what goes is told and written down first, and nothing that anything rests on ever goes."""

import functools
import json
import os
import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters.aws import s3_store
from burst.adapters.local import folder_store
from burst.control import publication
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models, run_records
from burst.domain.run.events import ending_events
from burst.evidence import places, pruning
from tests import cases
from tests.evidence import evidencing
from tests.evidence.evidencing import SNAPSHOT
from tests.fixtures_aws import Cloud

NO_GRACE = evidence.Keep(newest=0, grace_seconds=0.0)
NOW = datetime(2100, 1, 1, tzinfo=UTC)


class Shelf:
    """A place of runs, in a folder or on S3, and a publisher's store for one of them."""

    def __init__(self, place: str, put: Callable[..., object], store: Callable[[str], Any], client: Any) -> None:
        self.place = place
        self._put = put
        self.store = store
        self.client = client

    def add(self, execution_id: str, contents: dict[str, bytes] | None = None, **case: Any) -> dict[str, bytes]:
        """A run there, sound unless its documents are given."""
        made = evidencing.published(evidencing.case(execution_id, **case)) if contents is None else contents
        self._put(execution_id, made)
        return made

    def prune(self, keep: evidence.Keep = NO_GRACE, *, really: bool = True) -> dict[str, str | None]:
        """Each run and why it was kept; None where it was not."""
        fates = evidence.prune(self.place, keep=keep, really=really, now=NOW, client=self.client)
        return {fate.execution_id: fate.kept for fate in fates}

    def verify(self, execution_id: str) -> evidence.Verified:
        return evidence.verify(f"{self.place}/{execution_id}", client=self.client)


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "folder":
        runs = tmp_path / "runs"
        runs.mkdir()
        return Shelf(
            str(runs),
            functools.partial(evidencing.folder, runs),
            lambda name: folder_store.FolderStore.create(runs, name),
            None,
        )
    cloud: Cloud = request.getfixturevalue("cloud")
    place = f"{cloud.place}/control"

    def put(name: str, contents: dict[str, bytes]) -> None:
        evidencing.on_s3(cloud.s3, f"{place}/{name}", contents)

    return Shelf(place, put, lambda name: s3_store.S3Store(f"{place}/{name}", client=cloud.s3), cloud.s3)


FIRST, SECOND, THIRD = (evidencing.run_id(number) for number in (1, 2, 3))

JOURNAL_MINOR = document_names.JOURNAL_MINOR
PUBLISHED = cases.journal_line(6, ending_events.Published(sha256="0" * 64))


def test_a_pruned_run_keeps_its_snapshot_and_a_receipt_and_says_so(shelf: Shelf) -> None:
    made = shelf.add(FIRST)

    told = shelf.prune()
    found = shelf.verify(FIRST)
    opened = places.Opener(client=shelf.client).run(f"{shelf.place}/{FIRST}").store
    receipt = models.read(run_records.PruneReceipt, opened.read(document_names.PRUNED))

    assert told == {FIRST: None}
    assert sorted(opened.names()) == sorted([SNAPSHOT, document_names.PRUNED])
    assert opened.read(SNAPSHOT) == made[SNAPSHOT]
    assert {gone.name for gone in receipt.removed} == made.keys() - {SNAPSHOT}
    assert (found.finding.state, found.exit_code) == (evidence.EvidenceState.MISSING_DOCUMENT, 8)
    assert "pruned, see pruned.json" in found.finding.why
    assert shelf.prune() == {FIRST: "it was pruned already"}


def test_a_dry_run_removes_nothing(shelf: Shelf) -> None:
    shelf.add(FIRST)

    assert shelf.prune(really=False) == {FIRST: None}
    assert shelf.verify(FIRST).exit_code == 0


def test_the_newest_of_each_phase_are_kept(shelf: Shelf) -> None:
    for execution_id in (FIRST, SECOND, THIRD):
        shelf.add(execution_id)
    shelf.add(evidencing.run_id(4), phase="M10.G", facts=[])

    told = shelf.prune(evidence.Keep(newest=1, grace_seconds=0.0))

    assert [name for name, kept in told.items() if kept is None] == [SECOND, FIRST]
    assert shelf.verify(THIRD).exit_code == 0
    assert shelf.verify(evidencing.run_id(4)).finding.state is evidence.EvidenceState.OK


def test_what_is_named_or_pinned_is_kept(shelf: Shelf) -> None:
    shelf.add(FIRST)
    shelf.add(SECOND, {**evidencing.published(evidencing.case(SECOND)), document_names.PINNED: b""})
    shelf.add(THIRD)
    keep = evidence.Keep(named=frozenset({FIRST}), grace_seconds=0.0)

    told = shelf.prune(keep)

    assert told == {THIRD: None, SECOND: "it is pinned", FIRST: "it is named to be kept"}


def test_every_cited_prior_is_kept_also_of_a_run_that_goes(shelf: Shelf) -> None:
    first = shelf.add(FIRST, passing=False)
    second = shelf.add(SECOND, prior=first[SNAPSHOT], passing=False)
    shelf.add(THIRD, prior=second[SNAPSHOT])

    assert shelf.prune() == {THIRD: None, SECOND: f"{THIRD} rests on it", FIRST: f"{SECOND} rests on it"}
    assert shelf.prune()[SECOND] == f"{THIRD} rests on it"
    assert shelf.verify(SECOND).finding.state is evidence.EvidenceState.OK


def test_the_run_behind_a_baseline_is_kept(shelf: Shelf) -> None:
    shelf.add(FIRST)
    provenance = {**cases.baseline_value()["provenance"], "execution_id": FIRST}
    case = evidencing.case(SECOND).having(baseline=cases.baseline(provenance=provenance))
    shelf.add(SECOND, evidencing.published(case))

    assert shelf.prune()[FIRST] == f"{SECOND} rests on it"


def test_what_is_younger_than_the_grace_is_kept(shelf: Shelf) -> None:
    shelf.add(FIRST)
    keep = evidence.Keep(newest=0, grace_seconds=7 * 86400.0)

    fates = evidence.prune(shelf.place, keep=keep, really=True, now=datetime.now(UTC), client=shelf.client)

    assert [fate.kept for fate in fates] == ["younger than the grace of 604800s"]


@pytest.mark.parametrize("snapshot", [b"\xff", b"[]", b"{}"], ids=repr)
def test_one_snapshot_that_cannot_be_read_stops_it_all(shelf: Shelf, snapshot: bytes) -> None:
    shelf.add(FIRST)
    shelf.add(SECOND, {**evidencing.published(evidencing.case(SECOND)), SNAPSHOT: snapshot})

    with pytest.raises((errors.EvidenceUnknown, errors.EvidenceCorrupt)):
        shelf.prune()
    assert shelf.verify(FIRST).exit_code == 0


def _with_snapshot(change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    made = evidencing.published(evidencing.case(FIRST))
    value = json.loads(made[SNAPSHOT])
    change(value)
    return {**made, SNAPSHOT: canonical.encode(value)}


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(evidence_refs=[1]),
        lambda value: value.update(source_snapshot_refs=[]),
        lambda value: value["source_snapshot_refs"].update(prior="somebody"),
    ],
    ids=["refs that are none", "sources that are none", "a prior that is none"],
)
def test_a_snapshot_of_odd_form_stops_it_all_in_words(shelf: Shelf, change: Callable[[dict[str, Any]], Any]) -> None:
    shelf.add(FIRST, _with_snapshot(change))

    with pytest.raises(errors.EvidenceUnknown, match="nothing was removed"):
        shelf.prune()


@pytest.mark.parametrize("name", [SNAPSHOT, document_names.RUN, "control.json", document_names.PRUNED])
def test_no_snapshot_that_names_it_makes_prune_remove_what_is_no_document(shelf: Shelf, name: str) -> None:
    forged = {"name": name, "sha256": "0" * 64, "size": 1, "media_type": "application/json", "keys": []}
    made = _with_snapshot(lambda value: value["evidence_refs"].append(forged))
    shelf.add(FIRST, {document_names.PRUNED: b"{}", document_names.RUN: b"{}", "control.json": b"{}", **made})

    fates = evidence.prune(shelf.place, keep=NO_GRACE, now=NOW, client=shelf.client)

    assert name not in {document.name for fate in fates for document in fate.documents}


def test_evidence_that_does_not_hold_is_left_for_a_person(shelf: Shelf) -> None:
    shelf.add(FIRST, {**evidencing.published(evidencing.case(FIRST)), cases.METRICS: b"{}"})

    assert shelf.prune() == {FIRST: "its evidence is corrupt: look at it first"}


class Stalling:
    """A publisher's store that waits before it puts the snapshot, until it may go on."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.stalled, self.go_on = threading.Event(), threading.Event()

    def put_once(self, name: str, content: bytes) -> None:
        if name == SNAPSHOT:
            self.stalled.set()
            assert self.go_on.wait(30)
        self._store.put_once(name, content)

    def read(self, name: str) -> bytes:
        found: bytes = self._store.read(name)
        return found

    def names(self) -> Collection[str]:
        found: Collection[str] = self._store.names()
        return found


def test_a_publisher_stalled_before_its_snapshot_loses_nothing_to_a_prune(shelf: Shelf) -> None:
    shelf.add(FIRST)
    contents = evidencing.published(evidencing.case(SECOND))
    snapshot = contents.pop(SNAPSHOT)
    stalling: Any = Stalling(shelf.store(SECOND))

    def publish() -> None:
        publication.spread([stalling], contents)
        publication.commit([stalling], SNAPSHOT, snapshot)

    publisher = threading.Thread(target=publish)
    publisher.start()
    assert stalling.stalled.wait(30)
    told = shelf.prune()
    stalling.go_on.set()
    publisher.join(30)

    assert told == {FIRST: None, SECOND: "it has no snapshot: it may be about to be committed"}
    assert shelf.verify(SECOND).exit_code == 0


def test_a_run_here_that_is_not_published_everywhere_is_kept(tmp_path: Path) -> None:
    """Its snapshot is frozen here before S3 has it: `burst resume` needs the bytes."""
    given = evidencing.case(FIRST)
    journal, result = cases.journal(cases.task(0), cases.task(1), by=given.plan, execution_id=FIRST)
    folder = evidencing.folder(tmp_path, FIRST, evidencing.published(given.having(task_result=result)))
    (folder / document_names.JOURNAL).write_bytes(journal)

    before = evidence.prune(tmp_path, keep=NO_GRACE, now=NOW)
    (folder / document_names.JOURNAL).write_bytes(journal + PUBLISHED + b'{"half')
    after = evidence.prune(tmp_path, keep=NO_GRACE, now=NOW)

    assert [fate.kept for fate in before] == ["its journal does not say that it was published everywhere"]
    assert [fate.kept for fate in after] == [None]


@pytest.mark.parametrize(
    ("minor", "why"), [(JOURNAL_MINOR, "'comet-sighted', which is no event"), (JOURNAL_MINOR + 1, "by a newer burst")]
)
def test_a_run_here_whose_journal_cannot_be_read_is_kept(tmp_path: Path, minor: int, why: str) -> None:
    """Also where a line says that it was published: what is not understood may say otherwise."""
    journal, result = cases.journal(cases.task(0), cases.task(1), minor=minor, execution_id=FIRST)
    folder = evidencing.folder(tmp_path, FIRST, evidencing.published(evidencing.case(FIRST).having(task_result=result)))
    (folder / document_names.JOURNAL).write_bytes(journal + PUBLISHED + cases.forged_line(7, "comet-sighted"))

    (fate,) = evidence.prune(tmp_path, keep=NO_GRACE, now=NOW)

    assert fate.kept is not None
    assert fate.kept.startswith("whether it was published cannot be read: journal.jsonl")
    assert why in fate.kept


def test_a_document_changed_since_it_was_listed_stays(shelf: Shelf) -> None:
    shelf.add(FIRST)
    opener = places.Opener(client=shelf.client)
    fates = pruning.decide(shelf.place, opener, keep=NO_GRACE, now=NOW, tell=print)
    store: Any = opener.run(f"{shelf.place}/{FIRST}").store
    changed = {document_names.PLAN: b"changed"}
    if shelf.client is None:
        (Path(shelf.place) / FIRST / document_names.PLAN).write_bytes(b"changed")
    else:
        evidencing.on_s3(shelf.client, f"{shelf.place}/{FIRST}", changed)

    with pytest.raises(errors.Conflict, match="has changed since it was listed"):
        list(pruning.remove(shelf.place, opener, fates, now=NOW))
    assert store.read(document_names.PLAN) == b"changed"


def test_a_prune_that_died_is_finished_by_the_next(tmp_path: Path) -> None:
    folder = evidencing.folder(tmp_path, FIRST, evidencing.published(evidencing.case(FIRST)))
    opener = places.Opener()
    (fate,) = pruning.decide(str(tmp_path), opener, keep=NO_GRACE, now=NOW, tell=print)
    pruning._write_receipt(folder_store.FolderStore(folder), fate, NOW)
    receipt = (folder / document_names.PRUNED).read_bytes()
    (folder / cases.METRICS).unlink()

    evidence.prune(tmp_path, keep=NO_GRACE, really=True, now=NOW + timedelta(days=1))

    assert sorted(os.listdir(folder)) == sorted([SNAPSHOT, document_names.PRUNED])
    assert (folder / document_names.PRUNED).read_bytes() == receipt
    assert len(json.loads(receipt)["removed"]) == len(evidencing.published(evidencing.case(FIRST))) - 1


def test_saying_nothing_of_what_to_keep_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="say what to keep"):
        evidence.Keep()
