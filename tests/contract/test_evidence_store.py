"""The contract of an evidence store, kept by the folder, by S3 and by the fake."""

from pathlib import Path

import pytest

from burst import ports
from burst.adapters.aws import s3_store
from burst.adapters.local import folder_store
from burst.domain.basics import errors
from tests import fakes_evidence, fixtures_aws

PORT = ports.EvidenceStore

ODD_NAMES = ["", ".", "..", "../plan.json", "a/b", "/etc/passwd", ".hidden", "a\0b", "a b", "a.json\n", "é", "x" * 201]


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ports.EvidenceStore:
    if request.param == "s3":
        cloud: fixtures_aws.Cloud = request.getfixturevalue("cloud")
        return s3_store.S3Store(cloud.place, client=cloud.s3)
    return fakes_evidence.MemoryEvidenceStore() if request.param == "memory" else folder_store.FolderStore(tmp_path)


def test_a_new_store_is_empty(store: ports.EvidenceStore) -> None:
    assert list(store.names()) == []


def test_a_document_is_read_back_as_it_was_put(store: ports.EvidenceStore) -> None:
    store.put_once("plan.json", b"{}\x00\xff")

    assert store.read("plan.json") == b"{}\x00\xff"


def test_an_empty_document_is_a_document(store: ports.EvidenceStore) -> None:
    store.put_once("journal.jsonl", b"")

    assert store.read("journal.jsonl") == b""
    assert list(store.names()) == ["journal.jsonl"]


def test_the_same_bytes_again_are_a_success(store: ports.EvidenceStore) -> None:
    store.put_once("plan.json", b"{}")
    store.put_once("plan.json", b"{}")

    assert store.read("plan.json") == b"{}"


def test_other_bytes_are_a_conflict_and_change_nothing(store: ports.EvidenceStore) -> None:
    store.put_once("plan.json", b"{}")

    with pytest.raises(errors.Conflict, match=r"plan\.json exists"):
        store.put_once("plan.json", b"[]")
    assert store.read("plan.json") == b"{}"


def test_a_document_that_is_not_there_is_incomplete_evidence(store: ports.EvidenceStore) -> None:
    with pytest.raises(errors.EvidenceIncomplete, match="not there"):
        store.read("plan.json")


def test_names_are_sorted(store: ports.EvidenceStore) -> None:
    for name in ("m10_f_facts.json", "baseline.json", "plan.json", "_x.json"):
        store.put_once(name, b"{}")

    assert list(store.names()) == ["_x.json", "baseline.json", "m10_f_facts.json", "plan.json"]


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_a_name_that_could_leave_the_store_is_refused(store: ports.EvidenceStore, name: str) -> None:
    with pytest.raises(errors.UsageError, match="no document name"):
        store.put_once(name, b"{}")
    with pytest.raises(errors.UsageError, match="no document name"):
        store.read(name)
