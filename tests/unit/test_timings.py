"""Timings: the lanes of a run add up to the whole, and the dominant one is named."""

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import errors, instants
from burst.domain.closure import timings
from burst.domain.documents import document_names, load_documents, models
from burst.domain.receipts import receipts
from burst.domain.run import journals
from burst.domain.run.events import base, ending_events, errand_events, launch_events, watch_events
from tests import cases


def test_the_shares_of_the_field() -> None:
    s4 = timings.make_table({"input_validation": 1.48, "overlay": 34.11, "rest": 54.875 - 34.11 - 1.48})
    s5 = timings.make_table({"recomposition": 221.44, "rest": 0.529})

    assert s4.dominant is not None
    assert (s4.dominant.name, s4.dominant.percent) == ("overlay", 62.16)
    assert s4.lanes[0].percent == 2.70
    assert s4.seconds == 54.875
    assert s5.dominant is not None
    assert (s5.dominant.name, s5.dominant.percent) == ("recomposition", 99.76)


def _events() -> list[tuple[float, base.Event]]:
    intended, answered, seen = cases.events_of_launch(cases.task(0, stopped_utc=cases.at(906)))
    return [
        (0.0, cases.run_created()),
        (0.2, launch_events.LayerArming(layer="lease")),
        (0.5, errand_events.ServicesIntended(services=())),
        (1.5, intended),
        (2.0, answered),
        (5.0, launch_events.GoGiven(go_at=cases.moment(5))),
        (905.0, ending_events.StopIntended(reason="window-complete", force=False, early_stop=None)),
        (907.0, seen),
        (909.0, ending_events.MeasureIntended(window=None)),
        (914.0, ending_events.Measured(counts=receipts.Counts(admit=1), rounds=2, settled=True)),
        (915.0, ending_events.PublishIntended()),
        (916.25, ending_events.RunFinished(exit_code=0, why="PASS")),
    ]


def _write(events: list[tuple[float, base.Event]]) -> bytes:
    return b"".join(
        journals.line(journals.Entry(sequence=number, at=cases.moment(at), event=event))
        for number, (at, event) in enumerate(events, start=1)
    )


def test_each_lane_has_its_seconds() -> None:
    table = timings.measure_lanes(_write(_events()))

    assert {lane.name: lane.seconds for lane in table.lanes} == {
        "arm": 0.5, "before": 1.0, "launch": 0.5, "start": 3.0, "burst": 900.0, "stop": 2.0, "after": 2.0,
        "count": 6.0, "publish": 1.25,
    }  # fmt: skip
    assert table.seconds == 916.25
    assert table.dominant is not None
    assert table.dominant.name == "burst"


@hypothesis.given(spans=st.lists(st.integers(0, 10**9), min_size=11, max_size=11), cut=st.integers(1, 12))
def test_lanes_add_up_to_the_whole(spans: list[int], cut: int) -> None:
    """Wherever the journal ends, and whatever each span took, in microseconds."""
    at, events = 0, []
    for (_, event), span in zip(_events(), [0, *spans], strict=True):
        at += span
        events.append((at / 1e6, event))
    events = events[:cut]

    table = timings.measure_lanes(_write(events))

    whole = instants.seconds_between(cases.moment(0), cases.moment(events[-1][0]))
    assert table.seconds == pytest.approx(whole, abs=1e-6)
    assert sum(lane.seconds for lane in table.lanes) == pytest.approx(table.seconds, abs=1e-6)
    if table.seconds:
        assert sum(lane.share for lane in table.lanes) == pytest.approx(1)


def test_a_launch_that_is_repeated_stays_before_the_burst() -> None:
    events = _events()
    again = launch_events.LaunchIntended(token="u", shards=(1,), capacity=None)
    events.insert(5, (4.0, again))

    table = timings.measure_lanes(_write(events))

    assert table.find_seconds("burst") == 900.0
    assert (table.find_seconds("launch") or 0) + (table.find_seconds("start") or 0) == 3.5


def test_a_clock_that_went_back_tells_no_lanes() -> None:
    events = _events()
    events[7] = (904.0, events[7][1])

    with pytest.raises(errors.EvidenceUnknown, match="the clock went back"):
        timings.measure_lanes(_write(events))


def test_an_empty_journal_is_incomplete() -> None:
    with pytest.raises(errors.EvidenceIncomplete, match=document_names.JOURNAL):
        timings.measure_lanes(b"")


def test_a_counted_poll_begins_no_lane() -> None:
    poll = watch_events.Counted(start=cases.moment(5), end=cases.moment(7), counts=receipts.Counts(admit=1))
    events = [*_events()[:6], (7.0, poll), *_events()[6:]]

    assert timings.measure_lanes(_write(events)).find_seconds("burst") == 900.0


def test_markers_are_lanes_each_up_to_the_next() -> None:
    value = {
        **cases.load(),
        "markers": {"overlay": 2, "validation": 1},
        "marked_utc": {"overlay": cases.at(61.48), "validation": cases.at(60)},
    }
    load = models.read(load_documents.Load, cases.content(value))

    lanes = timings.list_marker_lanes(load, 1000.0)

    assert [(lane.name, lane.seconds, lane.percent) for lane in lanes] == [
        ("validation", 1.48, 0.15),
        ("overlay", 899.52, 89.95),
    ]
    assert timings.list_marker_lanes(models.read(load_documents.Load, cases.content(cases.load())), 1.0) == ()
