"""The contract of `ports.EvidencePlace`, on the fake and on S3; as a store each keeps that contract too."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from burst import ports
from burst.adapters.aws import s3_store
from burst.domain.basics import errors
from tests import fakes_evidence, fixtures_aws

PORT = ports.EvidencePlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A place, and the same place as another process meets it."""

    place: ports.EvidencePlace
    again: Callable[[], ports.EvidencePlace]
    name: str


def memory_stage() -> Stage:
    place = fakes_evidence.MemoryEvidenceStore()

    def again() -> ports.EvidencePlace:
        another = fakes_evidence.MemoryEvidenceStore()
        another.documents = place.documents
        return another

    return Stage(place=place, again=again, name="memory")


def s3_stage(cloud: fixtures_aws.Cloud) -> Stage:
    def open_place() -> ports.EvidencePlace:
        return s3_store.S3Store(cloud.place, client=cloud.s3)

    return Stage(place=open_place(), again=open_place, name=cloud.place)


@pytest.fixture(params=["memory", "s3"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return memory_stage() if request.param == "memory" else s3_stage(request.getfixturevalue("cloud"))


def test_a_place_is_named(stage: Stage) -> None:
    assert stage.place.place == stage.name
    assert stage.place.beneath("failures").place == f"{stage.name}/failures"


def test_a_stamp_is_empty_until_the_document_was_put(stage: Stage) -> None:
    before = stage.place.stamp("plan.json")
    stage.place.put_once("plan.json", b"{}")

    assert before == ports.Stamp()
    assert stage.place.stamp("plan.json") != ports.Stamp()
    assert stage.place.stamp("baseline.json") == ports.Stamp()


def test_a_document_that_another_process_put_is_stamped_once_it_is_put_again(stage: Stage) -> None:
    stage.place.put_once("plan.json", b"{}")
    again = stage.again()
    before = again.stamp("plan.json")

    again.put_once("plan.json", b"{}")

    assert before == ports.Stamp()
    assert again.stamp("plan.json") != ports.Stamp()


def test_a_document_beneath_is_its_folders_own(stage: Stage) -> None:
    beneath = stage.place.beneath("failures")
    beneath.put_once("one.json", b"{}")

    assert stage.again().beneath("failures").read("one.json") == b"{}"
    assert list(beneath.names()) == ["one.json"]
    assert list(stage.place.names()) == []
    with pytest.raises(errors.EvidenceIncomplete):
        stage.place.read("one.json")


@pytest.mark.parametrize("folder", ["", "failures"], ids=["the place", "beneath"])
def test_a_document_that_is_not_written_says_where_and_which(stage: Stage, folder: str) -> None:
    place = stage.place.beneath(folder) if folder else stage.place
    place.put_once("plan.json", b"{}")

    with pytest.raises(errors.Conflict) as refusal:
        place.put_once("plan.json", b"[]")

    assert refusal.value.unwritten is not None
    assert (refusal.value.unwritten.place, refusal.value.unwritten.name) == (place.place, "plan.json")
