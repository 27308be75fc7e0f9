"""Events: each is written as it always was, reads back as itself, and changes of a run what the table says."""

import dataclasses
import enum
import json
import re
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, task_results
from burst.domain.receipts import receipts
from burst.domain.run import events, journals, runs
from burst.domain.run.events import base, codec, launch_events
from burst.domain.tasks import drills, one_shots, services, tasks
from tests import cases

JOURNALS = Path(__file__).parents[1] / "fixtures" / "journal"
FIRST = (JOURNALS / "minor_0.jsonl").read_bytes().splitlines(keepends=True)
"""Lines that every place of burst 0.1.0 wrote, at least one for each of its events."""
LATER = [
    line
    for name in ("minor_2.jsonl", "minor_3.jsonl", "minor_4.jsonl", "minor_4_samples.jsonl")
    for line in (JOURNALS / name).read_bytes().splitlines(keepends=True)
]
"""Lines of the events and fields that came later."""
WRITTEN = FIRST + LATER
AT = cases.moment(7)


def read(line: bytes) -> journals.Entry:
    """The entry of one line of minor 0, whatever its sequence."""
    fields = json.loads(line)
    sequence, at, name = fields.pop("sequence"), fields.pop("at"), fields.pop("event")
    event = codec.decode(codec.EVENTS[name], {**codec.EVENTS[name].added, **fields})
    return journals.Entry(sequence=sequence, at=instants.parse(at), event=event)


def name_of(line: bytes) -> str:
    return str(json.loads(line)["event"])


def test_every_event_has_a_line() -> None:
    assert {name_of(line) for line in WRITTEN} == codec.EVENTS.keys()


@pytest.mark.parametrize("line", WRITTEN, ids=name_of)
def test_an_event_is_written_as_it_always_was_but_for_fields_that_came_later(line: bytes) -> None:
    written, added = journals.line(read(line)), codec.EVENTS[name_of(line)].added

    if not added:
        assert written == line
    assert json.loads(written) == {**added, **json.loads(line)}


@pytest.mark.parametrize("line", WRITTEN, ids=name_of)
def test_a_line_of_the_first_release_reads_back_as_the_event_it_was_written_from(line: bytes) -> None:
    (entry,) = journals.parse(re.sub(rb'"sequence": \d+', b'"sequence": 1', line), "the journal")

    assert entry.event == read(line).event


def test_a_run_created_now_says_its_minor_beside_the_schema() -> None:
    line = cases.journal_line(1, cases.run_created())

    minor = b'"minor": %d' % document_names.JOURNAL_MINOR
    assert b'"event": "run-created", "schema": "burst.journal/v1", ' + minor + b', "execution_id"' in line


# What is written is read

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNTS = st.integers(0, 2**63)
KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: COUNTS,
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    type(None): st.none(),
    task_results.EarlyStop: st.builds(
        task_results.EarlyStop,
        rule=TEXTS,
        at_utc=st.datetimes(timezones=st.just(UTC)),
        receipts_seen=COUNTS,
        seconds_saved=st.floats(0, 1e6),
        detail=TEXTS,
    ),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that events have in their fields."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint in KNOWN:
        return KNOWN[hint]
    if origin is typing.Annotated:
        return values(parts[0])
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(part) for part in parts])
    if origin is typing.Literal:
        return st.sampled_from(parts)
    if origin is tuple:
        return st.lists(values(parts[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values(parts[0]), values(parts[1]), max_size=3)
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    return whole(hint)


def whole(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a dataclass."""
    hints = typing.get_type_hints(hint, include_extras=True)
    return st.builds(hint, **{field.name: values(hints[field.name]) for field in dataclasses.fields(hint)})


@pytest.mark.parametrize("name", codec.EVENTS)
@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(data=st.data())
def test_every_event_reads_back_as_itself(name: str, data: st.DataObject) -> None:
    event: base.Event = data.draw(whole(codec.EVENTS[name]))
    if isinstance(event, launch_events.RunCreated | launch_events.Resumed):
        event = dataclasses.replace(event, minor=document_names.JOURNAL_MINOR)

    written = journals.line(journals.Entry(sequence=1, at=AT, event=event))

    assert codec.decode(type(event), codec.encode(event)) == event
    assert journals.parse(written, "the journal") == (journals.Entry(sequence=1, at=AT, event=event),)


@pytest.mark.parametrize("line", WRITTEN, ids=name_of)
def test_a_line_without_one_of_its_fields_is_corrupt(line: bytes) -> None:
    value = {**json.loads(line), "sequence": 1}
    for field in codec.encode(read(line).event).keys() - codec.EVENTS[name_of(line)].added.keys():
        without = json.dumps({key: part for key, part in value.items() if key != field}).encode()

        with pytest.raises(errors.EvidenceCorrupt, match=f"it lacks {field}"):
            journals.parse(without, "the journal")


# The table

_ROW = re.compile(r"^    (?P<name>[a-z-]+) +(?P<event>[A-Z]\w+) +(?P<changes>[a-z_, ]+)$", re.MULTILINE)
TABLE = {
    match["name"]: (match["event"], set() if match["changes"] == "nothing" else set(match["changes"].split(", ")))
    for match in re.finditer(_ROW, events.__doc__)
}
TASK = tasks.TaskTruth(task=tasks.Task(task_id="t", shard_index=0), status=tasks.TaskStatus.PENDING)
DEAD = dataclasses.replace(TASK, task=tasks.Task(task_id="dead", shard_index=1), status=tasks.TaskStatus.STOPPED)
BEGUN = runs.Run(
    truths={"dead": DEAD},
    ready=frozenset({1}),
    withdrawn={"t": "late"},
    claims={"t": 0},
    scaling=runs.Scaling(changes=(services.ServiceChange(name="a", before=1, desired=2),), at=AT),
    strikes={"restart-writer": drills.Strike(intended_at=AT, deployment="ecs-svc/1", tasks_before=("t1",))},
    shots={"migrate": one_shots.Shot(asked_at=AT, deadline=AT, truth=TASK)},
    outages=(task_results.Outage(blind_since_utc=AT),),
    unclear_signs=(task_results.UnclearSign(sign="lag", since_utc=AT),),
    attempts=(runs.LaunchAttempt(at=AT),),
    early_stop_allowed=False,
    barrier=False,
    early_stop=task_results.EarlyStop(rule="x", at_utc=AT, receipts_seen=0, seconds_saved=0.0),
    settled_counts=receipts.Counts(other=1),
)
BEFORE = (
    BEGUN,
    dataclasses.replace(BEGUN, unaccounted=True),
    dataclasses.replace(BEGUN, shots={}),
    dataclasses.replace(BEGUN, strikes={}),
    dataclasses.replace(
        BEGUN,
        stopping=runs.Stopping(at=AT, reason="x", unsent=frozenset({"fake:m10_20260221T020923Z:0"})),
        lease_lost=True,
    ),
    dataclasses.replace(BEGUN, count_blindnesses=(task_results.CountBlindness(since_utc=AT, why="x"),)),
)


def test_the_table_names_every_event_and_its_class() -> None:
    assert {name: event for name, (event, _) in TABLE.items()} == {
        name: event_class.__name__ for name, event_class in codec.EVENTS.items()
    }


@pytest.mark.parametrize("name", codec.EVENTS)
def test_an_event_changes_what_the_table_says_and_nothing_else(name: str) -> None:
    changed = set()
    for line in WRITTEN:
        event = read(line).event
        for before in BEFORE if event.wire_name == name else ():
            try:
                after = event.apply(before, cases.moment(30))
            except (LookupError, ValueError):  # a one-shot that was never asked for, a run that does not stop
                continue
            changed |= {
                field.name
                for field in dataclasses.fields(runs.Run)
                if getattr(after, field.name) != getattr(before, field.name)
            }

    assert changed == TABLE[name][1]


@pytest.mark.parametrize("name", [name for name, (_, changes) in TABLE.items() if not changes])
def test_an_event_that_changes_nothing_says_so_by_what_it_inherits(name: str) -> None:
    assert codec.EVENTS[name].apply is base.Event.apply
