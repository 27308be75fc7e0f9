"""Journals of other versions: a change is told from what a newer burst wrote, and a newer run can still be seen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.local import journal_file
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names
from burst.domain.run import journals
from burst.domain.run.events import errand_events, launch_events, watch_events
from burst.domain.tasks import services, tasks
from tests import cases, fakes

OURS = document_names.JOURNAL_MINOR
NEWER = OURS + 1
LAUNCH = cases.events_of_launch(cases.task(0))
COMET = {"event": "comet-sighted", "tail": True}
ARMED = {"event": "layer-armed", "layer": "guard", "detail": "armed"}
SEEN = json.loads(cases.journal_line(1, LAUNCH[-1]))
CHANGE = services.ServiceChange(name="api", before=1, desired=2)
INTENDED = json.loads(cases.journal_line(1, errand_events.ServicesIntended(services=(CHANGE,))))


def journal(minor: int | None, *lines: Mapping[str, Any]) -> bytes:
    """A journal of a minor version whose first line is followed by these; None: of burst 0.1.0, which had none."""
    created = json.loads(cases.journal_line(1, cases.run_created(minor=minor or 0)))
    if minor is None:
        del created["minor"]
    numbered = [
        {**line, "sequence": number, "at": cases.at(number)} for number, line in enumerate((created, *lines), 1)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in numbered)


def parse(content: bytes) -> tuple[journals.Entry, ...]:
    return journals.parse(content, "journal.jsonl")


@pytest.mark.parametrize("minor", [None, 0, OURS])
def test_an_event_that_no_burst_of_its_minor_wrote_is_corrupt(minor: int | None) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match="event 2 is 'comet-sighted', which is no event") as raised:
        parse(journal(minor, COMET))

    assert raised.value.exit_code == 8


def test_an_event_of_a_newer_minor_is_unknown_and_named() -> None:
    with pytest.raises(errors.EvidenceUnknown, match=r"was written by a newer burst.*comet-sighted") as raised:
        parse(journal(NEWER, ARMED, COMET, COMET))

    assert raised.value.exit_code == 9
    assert str(raised.value).count("comet-sighted") == 1


@pytest.mark.parametrize("name", ["Comet", "comet sighted", "\x1b[2J", "", "comet_sighted"])
def test_a_name_that_no_event_ever_has_is_corrupt_whatever_the_minor(name: str) -> None:
    with pytest.raises(errors.EvidenceCorrupt) as raised:
        parse(journal(NEWER, {"event": name}))

    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("minor", [-1, True, "2", 1.5, None, [3]])
def test_a_minor_that_is_no_count_is_corrupt(minor: object) -> None:
    content = journal(OURS).replace(f'"minor": {OURS}'.encode(), f'"minor": {json.dumps(minor)}'.encode())

    with pytest.raises(errors.EvidenceCorrupt, match=r"event 1 \(run-created\).*minor"):
        parse(content)


def test_a_run_that_a_newer_burst_continued_is_of_its_minor() -> None:
    continued = {"event": "resumed", "minor": NEWER}

    with pytest.raises(errors.EvidenceUnknown, match=rf"as burst.journal/v1 minor {NEWER};.*comet-sighted"):
        parse(journal(None, ARMED, continued, COMET))
    with pytest.raises(errors.EvidenceUnknown, match="continue it with the burst that wrote it"):
        journals.parse_to_continue(journal(OURS, continued, ARMED), "journal.jsonl")


def test_a_run_that_this_burst_continues_stays_of_the_higher_minor() -> None:
    resumed = {"event": "resumed", "minor": OURS}

    with pytest.raises(errors.EvidenceUnknown, match="newer burst"):
        parse(journal(NEWER, resumed, COMET))
    assert len(parse(journal(None, {"event": "resumed"}, resumed))) == 3


def test_no_other_line_says_the_minor() -> None:
    with pytest.raises(errors.EvidenceCorrupt, match="says more than such an event"):
        parse(journal(OURS, {**ARMED, "minor": NEWER}, COMET))


# Fields


FURTHER = {
    "beside the others": {**ARMED, "by": "hand"},
    "within a value": {**INTENDED, "services": [{**INTENDED["services"][0], "zone": "a"}]},
}


@pytest.mark.parametrize("line", FURTHER.values(), ids=FURTHER)
@pytest.mark.parametrize("minor", [None, OURS])
def test_a_further_field_is_corrupt_where_every_field_of_the_minor_is_known(
    minor: int | None, line: Mapping[str, Any]
) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match="says more than such an event"):
        parse(journal(minor, line))


@pytest.mark.parametrize("line", FURTHER.values(), ids=FURTHER)
def test_a_further_field_of_a_newer_minor_is_ignored(line: Mapping[str, Any]) -> None:
    known = {"layer-armed": ARMED, "services-intended": INTENDED}[line["event"]]

    assert parse(journal(NEWER, line)) == parse(journal(NEWER, known))


@pytest.mark.parametrize("minor", [None, OURS, NEWER])
def test_a_field_that_an_event_lacks_is_corrupt_at_any_minor(minor: int | None) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match=r"event 2 \(layer-armed\) cannot be understood: it lacks detail"):
        parse(journal(minor, {"event": "layer-armed", "layer": "guard"}))


ODD = {
    "another status": {**SEEN, "status": "HIBERNATING"},
    "a number for a text": {**SEEN, "detail": 5},
    "a text for a number": {**SEEN, "shard_index": "0"},
    "an instant without a zone": {**SEEN, "stopped_at": "2026-02-21T02:00:00"},
    "no list": {"event": "tasks-found", "tasks": 5, "accounted": True},
    "counts below nothing": {"event": "measured", "counts": {"admit": -1}, "rounds": 2, "settled": True},
}


@pytest.mark.parametrize("line", ODD.values(), ids=ODD)
def test_a_value_that_an_event_cannot_have_is_corrupt_and_of_a_newer_minor_not_understood(
    line: Mapping[str, Any],
) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match=rf"event 2 \({line['event']}\) cannot be understood"):
        parse(journal(OURS, line))
    with pytest.raises(errors.EvidenceUnknown, match=f"does not understand: {line['event']};"):
        parse(journal(NEWER, line))


# What can be done with a newer journal


def test_a_journal_of_an_older_minor_is_continued() -> None:
    entries = journals.parse_to_continue(journal(None, ARMED), "journal.jsonl")

    assert [entry.event.wire_name for entry in entries] == ["run-created", "layer-armed"]


@pytest.mark.parametrize("lines", [(ARMED,), (ARMED, COMET)], ids=["understood", "not understood"])
def test_only_a_burst_that_knows_the_minor_continues_a_run(
    tmp_path: Path, lines: tuple[Mapping[str, Any], ...]
) -> None:
    path, content = tmp_path / "journal.jsonl", journal(NEWER, *lines) + b'{"half'
    path.write_bytes(content)

    with pytest.raises(errors.EvidenceUnknown, match=r"newer burst.*continue it with the burst that wrote it"):
        journal_file.FileJournal.open(path, lambda: fakes.START)

    assert path.read_bytes() == content


def test_a_newer_journal_that_is_understood_line_by_line_is_evidence_like_any_other() -> None:
    assert parse(journal(NEWER, ARMED))[-1].event == launch_events.LayerArmed(layer="guard", detail="armed")


def test_a_newer_run_is_read_as_far_as_it_is_known() -> None:
    launched = [json.loads(cases.journal_line(1, event)) for event in LAUNCH]
    started = json.loads(cases.journal_line(1, errand_events.OneShotStarted(name="migrate", task_id="m")))

    reading = journals.read_as_far_as_known(journal(NEWER, *launched[:2], COMET, started, *launched[2:]), "the journal")

    assert reading.newer is not None
    assert "comet-sighted" in reading.newer
    assert reading.run.execution_id == cases.EXECUTION_ID
    assert reading.run.deadline == cases.moment(0)
    assert [truth.status for truth in reading.run.truths.values()] == [tasks.TaskStatus.STOPPED]
    assert reading.run.shots == {}


def test_a_run_of_a_known_minor_is_read_whole_or_not_at_all() -> None:
    content = journal(OURS, ARMED)
    lost = json.loads(cases.journal_line(1, watch_events.SightRegained()))

    assert journals.read_as_far_as_known(content, "it") == journals.JournalReading(
        run=journals.fold(parse(content)), newer=None
    )
    for odd in (COMET, lost):
        with pytest.raises(errors.EvidenceCorrupt):
            journals.read_as_far_as_known(journal(OURS, odd), "it")


def test_the_first_line_of_a_run_says_when_it_was_created() -> None:
    run = journals.fold(parse(journal(OURS)))

    assert run.created_at == instants.parse(cases.at(1))
