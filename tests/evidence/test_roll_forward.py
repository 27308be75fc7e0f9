"""A run whose controller died while it published, its folder lost: another machine finishes the same bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters import signing
from burst.adapters.local import folder_store, journal_file
from burst.control import ownership, run_documents
from burst.domain.basics import canonical, instants
from burst.domain.documents import document_names, run_records
from burst.domain.plan import catalogues, plans
from burst.kit import aws
from burst.wiring import announcements, takeover
from tests import cases, fakes, fakes_journal, publishing

SIGNATURE = document_names.signature_name("m10_f", catalogues.Kind.BURST)
REGION = "eu-west-1"
ABROAD = "eu-north-1"
LONG_AFTER = instants.later(cases.moment(0), 86_400)
"""When nobody waits for a controller that may still live."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto's S3, in this process."""
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)
    with publishing.aws_in_this_process(REGION, monkeypatch):
        yield aws.client("s3")


@pytest.fixture
def buckets(client: Any, request: pytest.FixtureRequest) -> tuple[str, str]:
    """A bucket here and one in another region, both with versions."""
    mark = canonical.digest(request.node.name.encode())[:12]
    names = f"here-{mark}", f"abroad-{mark}"
    for name, region in zip(names, (REGION, ABROAD), strict=True):
        made = aws.client("s3", region_name=region)
        made.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        made.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return names


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A signing key and its public half."""
    private, public = signing.generate_key_pair()
    made = tmp_path / "signing.pem", tmp_path / "signing.pub"
    made[0].touch(mode=0o600)
    made[0].write_bytes(private)
    made[1].write_bytes(public)
    return made


def _plan(buckets: tuple[str, str], key: Path) -> plans.Plan:
    here, abroad = buckets
    return cases.plan(
        execution_id=cases.EXECUTION_ID,
        baseline={"admits": 600, "seconds": 600, "source": "a test"},
        evidence={
            "run_control": f"s3://{here}/control",
            "run_scoped": [f"s3://{here}/runs", f"s3://{abroad}/runs"],
            "regions": {abroad: ABROAD},
            "sign": {"key": f"file:{key}"},
        },
    )


def _begun(plan: plans.Plan, runs: Path, key: Path) -> publishing.Run:
    """A run announced under run control, whose controller has come to publishing."""
    store = folder_store.FolderStore.create(runs, cases.EXECUTION_ID)
    for name, content in run_documents.input_documents(plan, None, None):
        store.put_once(name, content)
    announcement = run_records.Announcement(
        execution_id=cases.EXECUTION_ID,
        created_utc=cases.moment(0),
        deadline_utc=cases.moment(900),
        early_stop=True,
        barrier=True,
        plan_sha256=canonical.digest(store.read(document_names.PLAN)),
    )
    announcements.announce(plan, store, announcement)
    journal = journal_file.FileJournal.create(store.folder / document_names.JOURNAL, fakes.TickingClock().now)
    plan_sha256 = canonical.digest(store.read(document_names.PLAN))
    journal.append(cases.run_created(deadline=cases.moment(900), plan_sha256=plan_sha256))
    return _run(plan, store, journal, key)


def _run(
    plan: plans.Plan, store: folder_store.FolderStore, journal: journal_file.FileJournal, key: Path
) -> publishing.Run:
    signer = signing.open_signer(f"file:{key}", fakes.TickingClock())
    return publishing.Run(plan=plan, store=store, journal=journal, bucket="", signer=lambda: signer)


def _taken_over(plan: plans.Plan, runs: Path) -> Path:
    clock = fakes.TickingClock(LONG_AFTER)
    with ownership.Ownership(clock) as own:
        return takeover.take_over(cases.EXECUTION_ID, str(plan.evidence.authority), runs, clock, own)


PUTS = 5
"""Documents in each place: plan, journal, task result, report, signature."""
POINTS = {
    "the task result in one place": 3,
    "all documents in one place": PUTS,
    "the snapshot in one place": 6 * PUTS + 1,
    "the snapshot everywhere but in the authority": 6 * PUTS + 4,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_signed_publication_is_rolled_forward_from_whichever_place_it_reached(
    client: Any, buckets: tuple[str, str], keys: tuple[Path, Path], tmp_path: Path, point: str
) -> None:
    plan = _plan(buckets, keys[0])
    lost = _begun(plan, tmp_path / "lost", keys[0])
    striking = publishing.Striking(client, at=POINTS[point], fault=publishing.applied(publishing.CRASH))
    with pytest.raises(fakes_journal.Crashed):
        lost.publish(striking)

    folder = _taken_over(plan, tmp_path / "here")
    journal = journal_file.FileJournal.open(folder / document_names.JOURNAL, fakes.TickingClock().now)
    _run(plan, folder_store.FolderStore(folder), journal, keys[0]).publish(client)

    for place in (*plan.folders(cases.EXECUTION_ID), str(folder)):
        found = evidence.verify(place, key=str(keys[1]), require_signature=True, everywhere=True)
        assert (found.finding.state, found.exit_code) == (evidence.EvidenceState.OK, 3), found.finding.why
        assert found.signature is not None
        assert found.signature.state == "verified"
    for name in buckets:
        assert set(publishing.versions(client, name).values()) == {1}


def test_a_place_of_another_run_is_not_taken_for_this_one(
    client: Any, buckets: tuple[str, str], keys: tuple[Path, Path], tmp_path: Path
) -> None:
    plan = _plan(buckets, keys[0])
    _begun(plan, tmp_path / "lost", keys[0])
    prefix = plan.folders(cases.EXECUTION_ID)[1].removeprefix(f"s3://{buckets[0]}/")
    for name in (document_names.PLAN, document_names.JOURNAL, publishing.SNAPSHOT):
        client.put_object(Bucket=buckets[0], Key=f"{prefix}/{name}", Body=b"{}")

    folder = _taken_over(plan, tmp_path / "here")

    assert publishing.SNAPSHOT not in folder_store.FolderStore(folder).names()
    assert b"run-created" in (folder / document_names.JOURNAL).read_bytes()
