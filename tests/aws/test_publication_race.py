"""Sixteen publishers of one execution id: S3 lets one through, and no document of it is overwritten."""

import threading
from pathlib import Path

from burst.adapters.aws import s3_store
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.evidence import soundness
from tests import publishing
from tests.fixtures_aws import Cloud
from tests.publishing import SNAPSHOT, UNPUBLISHED

PUBLISHERS = 16


def test_of_sixteen_publishers_of_one_execution_id_one_wins_and_the_others_say_conflict(
    cloud: Cloud, tmp_path: Path
) -> None:
    bucket = f"evidence-{cloud.name}"
    cloud.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.s3.meta.region_name})
    cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    runs = [
        publishing.Run.begin(bucket, folder=tmp_path / str(number), mark=f"controller {number}")
        for number in range(PUBLISHERS)
    ]
    outcomes: dict[int, str] = {}

    def publish(number: int) -> None:
        try:
            runs[number].publish(cloud.s3)
        except errors.PublicationFailed as exc:
            outcomes[number] = str(exc)
        else:
            outcomes[number] = "won"

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(PUBLISHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winners = [number for number, outcome in outcomes.items() if outcome == "won"]
    assert len(outcomes) == PUBLISHERS
    assert len(winners) == 1
    assert all("exists with other content" in outcomes[number] for number in outcomes if number != winners[0])
    versions = publishing.versions(cloud.s3, bucket)
    assert set(versions.values()) == {1}
    assert [place.state for place in runs[0].there(cloud.s3)] == [soundness.EvidenceState.OK] * 2
    authority = s3_store.S3Store(runs[0].plan.folders(runs[0].plan.execution_id)[0], client=cloud.s3)
    for number, run in enumerate(runs):
        assert run.here().name == (SNAPSHOT if number == winners[0] else UNPUBLISHED)
        assert (run.store.read(SNAPSHOT) == authority.read(SNAPSHOT)) == (number == winners[0])
    assert document_names.PUBLICATION in runs[winners[0]].store.names()
