"""The contract of `ports.Journal`, on the fake and on the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst import ports
from burst.adapters.local import journal_file
from burst.domain.basics import instants
from tests import fakes, fakes_journal

PORT = ports.Journal

FIELDS: dict[str, Any] = {
    "layer": "guard",
    "why": 'a "quoted" line\nand another, mit Umläuten \u2028 and \x00',
    "count": 2**53,
    "share": 0.995,
    "nothing": None,
    "yes": True,
    "tasks": [{"task_id": "local:1:2.5", "shard_index": 0}, []],
}


@pytest.fixture
def clock() -> fakes.TickingClock:
    return fakes.TickingClock()


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: fakes.TickingClock) -> ports.Journal:
    made: dict[str, Callable[[], ports.Journal]] = {
        "memory": lambda: fakes_journal.MemoryJournal(clock.now),
        "file": lambda: journal_file.FileJournal.create(tmp_path / "journal.jsonl", clock.now),
    }
    return made[request.param]()


def test_a_new_journal_is_empty(journal: ports.Journal) -> None:
    assert list(journal.events()) == []
    assert journal.prefix() == b""


def test_an_event_is_given_back_as_it_was_written(journal: ports.Journal) -> None:
    written = journal.append("layer-armed", **FIELDS)

    (read,) = journal.events()
    assert read == written
    assert (read.sequence, read.at, read.name, read.fields) == (1, fakes.START, "layer-armed", FIELDS)


def test_events_are_numbered_from_one_without_a_gap_and_bear_their_instant(
    journal: ports.Journal, clock: fakes.TickingClock
) -> None:
    for name in ("one", "two", "three"):
        journal.append(name)
        clock.sleep(0.25)

    found = [(event.sequence, event.name, event.at) for event in journal.events()]
    assert found == [
        (1, "one", fakes.START),
        (2, "two", instants.later(fakes.START, 0.25)),
        (3, "three", instants.later(fakes.START, 0.5)),
    ]


def test_the_prefix_only_grows_and_ends_with_a_whole_line(journal: ports.Journal) -> None:
    prefixes = [journal.prefix()]
    for name in ("one", "two"):
        journal.append(name, **FIELDS)
        prefixes.append(journal.prefix())

    assert [prefix.count(b"\n") for prefix in prefixes] == [0, 1, 2]
    assert prefixes[1].endswith(b"\n")
    assert prefixes[2].startswith(prefixes[1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes"], ids=["nan", "inf", "bytes"])
def test_what_json_cannot_hold_is_refused_and_leaves_the_journal_as_it_was(
    journal: ports.Journal, value: object
) -> None:
    journal.append("one")
    before = journal.prefix()

    with pytest.raises((TypeError, ValueError)):
        journal.append("two", value=value)

    assert journal.prefix() == before
    assert journal.append("two").sequence == 2
