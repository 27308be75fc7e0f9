"""A run whose publication failed, as its consumer meets it: it holds, in its folder and in a bundle, though signed."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters import archive, signing
from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.kit import aws
from tests import cases, fakes, publishing
from tests.publishing import SNAPSHOT, UNPUBLISHED
from tests.unit import test_schemas

BUCKET = "unpublished"


class Denying:
    """A client that may put every document but the snapshot."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._real, operation)

    def put_object(self, **parameters: Any) -> Any:
        if parameters["Key"].endswith(SNAPSHOT):
            raise publishing.answered("AccessDenied", 403)
        return self._real.put_object(**parameters)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """moto's S3, in this process."""
    monkeypatch.setattr(aws, "PAUSE_SECONDS", 0.0)
    with publishing.aws_in_this_process("eu-west-1", monkeypatch):
        made = aws.client("s3")
        made.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield made


def test_a_signed_pass_that_was_not_published_holds_wherever_it_is_taken(client: Any, tmp_path: Path) -> None:
    passing = cases.passing(baseline={"admits": 600, "seconds": 600, "source": "a test"}).without("baseline")
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    for file, content in zip((private, public), signing.generate_key_pair(), strict=True):
        file.touch(mode=0o600)
        file.write_bytes(content)
    signer = signing.open_signer(f"file:{private}", fakes.TickingClock())
    begun = publishing.Run.begin(BUCKET, folder=tmp_path / "runs").with_documents(passing)
    run = dataclasses.replace(begun, signer=lambda: signer)
    folder, zipped = tmp_path / "runs" / cases.EXECUTION_ID, tmp_path / "run.zip"

    with pytest.raises(errors.PublicationFailed):
        run.publish(Denying(client))
    zipped.write_bytes(evidence.bundle(folder))

    for place in (str(folder), str(zipped)):
        found = evidence.verify(place, key=str(public), require_signature=True)
        assert (found.finding.state, found.finding.name, found.exit_code) == (evidence.EvidenceState.OK, UNPUBLISHED, 3)
        assert found.finding.why.startswith("the verdict is not published")
        assert found.signature is not None
        assert found.signature.state == "verified"
    places = run.plan.folders(cases.EXECUTION_ID)
    assert [evidence.verify(place, client=client).exit_code for place in places] == [7, 7]
    without = {name: content for name, content in archive.read(zipped).items() if not name.endswith(UNPUBLISHED)}
    zipped.write_bytes(archive.pack(without))
    assert evidence.verify(zipped).exit_code == 8, "the frozen PASS alone is no evidence of one"
    written = {UNPUBLISHED: "snapshot", document_names.signature_name("m10_f", catalogues.Kind.BURST): "signature"}
    for name, kind in written.items():
        assert test_schemas.problems(kind, json.loads(run.store.read(name))) == []
    run.publish(client)
    assert [evidence.verify(place, client=client).exit_code for place in (*places, str(folder))] == [0, 0, 0]
    assert test_schemas.problems("publication", json.loads(run.store.read(document_names.PUBLICATION))) == []
    listed = client.list_objects_v2(Bucket=BUCKET)["Contents"]
    failures = [entry["Key"] for entry in listed if "/failures/" in entry["Key"]]
    assert len(failures) == 2
    for key in failures:
        told = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert test_schemas.problems("publication-failure", json.loads(told)) == []
