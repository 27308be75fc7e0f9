"""The contract of `ports.Journal`, on the fake and on the file."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from burst import ports
from burst.adapters.local import journal_file
from burst.domain.basics import instants
from burst.domain.run import journals
from burst.domain.run.events import base, errand_events, launch_events, watch_events
from burst.domain.tasks import tasks
from tests import fakes, fakes_journal

PORT = ports.Journal

ODD = watch_events.Blind(why='a "quoted" line\nand another, mit Umläuten \u2028 and \x00')
ANSWERED = launch_events.LaunchAnswered(
    tasks=(tasks.Task(task_id="local:1:2.5", shard_index=2**53),),
    failures=(tasks.LaunchFailure(shortage=tasks.Shortage.QUOTA, reason="größer"),),
)
NAN = errand_events.OneShotIntended(name="a", timeout_seconds=math.nan, exit_code=0, task_definition=None)
INFINITE = dataclasses.replace(NAN, timeout_seconds=math.inf)
SURROGATE = watch_events.Blind(why="\ud800")


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
    assert list(journal.entries()) == []
    assert journal.prefix() == b""


@pytest.mark.parametrize("event", [ODD, ANSWERED, launch_events.GoIntended()], ids=lambda event: event.wire_name)
def test_an_event_is_given_back_as_it_was_written(journal: ports.Journal, event: base.Event) -> None:
    written = journal.append(event)

    (entry,) = journal.entries()
    assert entry == written
    assert (entry.sequence, entry.at, entry.event) == (1, fakes.START, event)
    assert list(journals.parse(journal.prefix(), "the journal")) == [entry]


def test_facts_written_together_are_lines_of_their_own_in_their_order(journal: ports.Journal) -> None:
    first = journal.append(ODD)

    together = list(journal.append_all([ANSWERED, launch_events.GoIntended()]))
    last = journal.append(ODD)

    assert list(journal.entries()) == [first, *together, last]
    assert [entry.sequence for entry in journal.entries()] == [1, 2, 3, 4]
    assert list(journals.parse(journal.prefix(), "the journal")) == [first, *together, last]


def test_events_are_numbered_from_one_without_a_gap_and_bear_their_instant(
    journal: ports.Journal, clock: fakes.TickingClock
) -> None:
    events = (launch_events.GoIntended(), launch_events.Resumed(minor=1), watch_events.LeaseWritable())
    for event in events:
        journal.append(event)
        clock.sleep(0.25)

    instants_written = [instants.later(fakes.START, 0.25 * number) for number in range(3)]
    entries = [(entry.sequence, entry.event, entry.at) for entry in journal.entries()]
    assert entries == list(zip((1, 2, 3), events, instants_written, strict=True))


def test_the_prefix_only_grows_and_ends_with_a_whole_line(journal: ports.Journal) -> None:
    prefixes = [journal.prefix()]
    for event in (ODD, ANSWERED):
        journal.append(event)
        prefixes.append(journal.prefix())

    assert [prefix.count(b"\n") for prefix in prefixes] == [0, 1, 2]
    assert prefixes[1].endswith(b"\n")
    assert prefixes[2].startswith(prefixes[1])


@pytest.mark.parametrize("event", [NAN, INFINITE, SURROGATE], ids=["nan", "inf", "surrogate"])
def test_an_event_that_json_cannot_hold_is_refused_and_leaves_the_journal_as_it_was(
    journal: ports.Journal, event: base.Event
) -> None:
    journal.append(ODD)
    before = journal.prefix()

    with pytest.raises((TypeError, ValueError)):
        journal.append(event)

    assert journal.prefix() == before
    assert journal.append(ODD).sequence == 2
