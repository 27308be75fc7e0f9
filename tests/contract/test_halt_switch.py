"""The contract of `ports.HaltSwitch`, on the fake, on a folder of runs and on S3."""

from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.aws import s3_halts
from burst.adapters.local import file_halts
from burst.domain.basics import errors
from burst.domain.documents import document_names, halts
from tests import cases, fakes_stop_signs, fixtures_aws

PORT = ports.HaltSwitch
HALT = halts.Halt(reason="customers see errors", by="ada@laptop", at_utc=cases.moment(0))
LATER = halts.Halt(reason="me too", by="bob@desk", at_utc=cases.moment(9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A switch, and how anything at all gets under its name."""

    switch: ports.HaltSwitch
    put: Callable[[bytes], object]
    address: str


def memory_stage() -> Stage:
    switch = fakes_stop_signs.MemoryHaltSwitch()
    return Stage(switch=switch, put=lambda content: setattr(switch, "content", content), address="memory/halt.json")


def folder_stage(folder: Path) -> Stage:
    runs = folder / "not" / "there" / "yet"

    def put(content: bytes) -> None:
        runs.mkdir(parents=True, exist_ok=True)
        (runs / "halt.json").write_bytes(content)

    return Stage(switch=file_halts.FileHaltSwitch(runs), put=put, address=str(runs / "halt.json"))


def s3_stage(cloud: fixtures_aws.Cloud) -> Stage:
    def put(content: bytes) -> None:
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/{document_names.HALT}", Body=content)

    return Stage(
        switch=s3_halts.S3HaltSwitch(cloud.place, client=cloud.s3), put=put, address=f"{cloud.place}/halt.json"
    )


@pytest.fixture(params=["memory", "folder", "s3"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    if request.param == "memory":
        return memory_stage()
    return folder_stage(tmp_path) if request.param == "folder" else s3_stage(request.getfixturevalue("cloud"))


def test_nothing_is_halted_before_somebody_halts(stage: Stage) -> None:
    assert stage.switch.address == stage.address
    assert stage.switch.read() is None
    assert stage.switch.lift() is False


def test_a_halt_stands_as_it_was_set_until_it_is_lifted(stage: Stage) -> None:
    standing = stage.switch.set_halt(HALT)
    read = stage.switch.read()
    lifted = stage.switch.lift()

    assert (standing, read, lifted) == (HALT, HALT, True)
    assert stage.switch.read() is None
    assert stage.switch.lift() is False


def test_a_second_halt_changes_nothing_and_returns_the_first(stage: Stage) -> None:
    stage.switch.set_halt(HALT)

    assert stage.switch.set_halt(LATER) == HALT
    assert stage.switch.set_halt(HALT) == HALT
    assert stage.switch.read() == HALT


def test_after_it_was_lifted_another_halt_may_be_set(stage: Stage) -> None:
    stage.switch.set_halt(HALT)
    stage.switch.lift()

    assert stage.switch.set_halt(LATER) == LATER
    assert stage.switch.read() == LATER


def test_of_many_halts_at_once_one_stands_and_all_say_which(stage: Stage) -> None:
    tried = [halts.Halt(reason=f"reason {number}", by="ada", at_utc=cases.moment(number)) for number in range(6)]

    if isinstance(stage.switch, fakes_stop_signs.MemoryHaltSwitch):
        answers = [stage.switch.set_halt(halt) for halt in tried]
    else:
        with futures.ThreadPoolExecutor() as pool:
            answers = list(pool.map(stage.switch.set_halt, tried))

    assert len({answer.reason for answer in answers}) == 1
    assert stage.switch.read() == answers[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schema":"burst.halt/v2","reason":"r","by":"b","at_utc":"2026-02-21T02:00:00Z"}',
        b'{"schema":"burst.halt/v1","reason":"","by":"b","at_utc":"2026-02-21T02:00:00Z"}',
        b'{"schema":"burst.halt/v1","reason":"r","by":"b"}',
        b'{"schema":"burst.halt/v1","reason":"r","by":"b","at_utc":"yesterday"}',
    ],
    ids=["empty", "cut", "list", "nothing in it", "another schema", "no reason", "no instant", "no such instant"],
)
def test_what_is_no_halt_is_unknown_is_not_overwritten_and_can_be_lifted(stage: Stage, content: bytes) -> None:
    stage.put(content)

    with pytest.raises(errors.EvidenceUnknown, match=r"halt\.json"):
        stage.switch.read()
    with pytest.raises(errors.EvidenceUnknown, match=r"halt\.json"):
        stage.switch.set_halt(HALT)

    assert stage.switch.lift() is True
    assert stage.switch.read() is None


def test_a_field_of_a_later_minor_version_is_passed_over(stage: Stage) -> None:
    stage.put(HALT.content()[:-1] + b',"ticket":"OPS-1"}')

    assert stage.switch.read() == HALT
