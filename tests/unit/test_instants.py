"""Instants are UTC or refused; durations read back as they were written."""

from datetime import UTC, datetime, timedelta, timezone

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import instants

AWARE = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 (hypothesis wants naive bounds)
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.builds(timezone, st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23))),
)


@hypothesis.given(moment=AWARE)
def test_an_instant_reads_back_from_its_text_exactly(moment: datetime) -> None:
    assert instants.parse(instants.text(moment)) == moment


@hypothesis.given(moment=AWARE)
def test_every_zone_prints_as_one_text_ending_in_z(moment: datetime) -> None:
    printed = instants.text(moment)

    assert printed == instants.text(moment.astimezone(UTC))
    assert printed.endswith("Z")
    assert "+" not in printed


@hypothesis.given(start=AWARE, microseconds=st.integers(-(10**12), 10**12))
def test_seconds_between_are_exact_to_the_microsecond(start: datetime, microseconds: int) -> None:
    hypothesis.assume(1 < start.year < 9999)

    end = start + timedelta(microseconds=microseconds)

    assert round(instants.seconds_between(start, end) * 1_000_000) == microseconds
    assert instants.seconds_between(end, start) == -instants.seconds_between(start, end)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("2026-02-21T02:00:00Z", "2026-02-21T02:00:00Z"),
        ("2026-02-21T02:00:00+00:00", "2026-02-21T02:00:00Z"),
        ("2026-02-21T02:00:00.500000+00:00", "2026-02-21T02:00:00.500000Z"),
        ("2026-02-21T02:00:00.000001Z", "2026-02-21T02:00:00.000001Z"),
        ("2026-02-21 04:30:00+02:30", "2026-02-21T02:00:00Z"),
    ],
)
def test_an_instant_is_printed_in_one_way(text: str, printed: str) -> None:
    assert instants.text(instants.parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-02-21T02:00:00", id="no zone"),
        pytest.param("2026-02-21", id="a day"),
        pytest.param("", id="nothing"),
        pytest.param("yesterday", id="a word"),
        pytest.param("2026-02-30T02:00:00Z", id="no such day"),
        pytest.param("0001-01-01T00:00:00+05:00", id="before year 1 in UTC"),
        pytest.param("9999-12-31T23:59:59-05:00", id="after year 9999 in UTC"),
    ],
)
def test_what_is_no_instant_is_refused_as_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        instants.parse(text)


def test_a_naive_datetime_is_refused_everywhere() -> None:
    naive = datetime(2026, 2, 21)  # noqa: DTZ001 (the point of the test)

    for use in (instants.utc, instants.text, instants.stamp):
        with pytest.raises(ValueError, match="no time zone"):
            use(naive)


def test_the_stamp_inside_an_id_is_utc() -> None:
    assert instants.stamp(instants.parse("2026-02-21T04:09:23.9+02:00")) == "20260221T020923Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400.0),
        ("16m30s", 990.0),
        ("1h", 3600.0),
        ("1h30m15s250ms", 5415.25),
        ("500ms", 0.5),
        ("1.1h", 3960.0),
        ("0.7m", 42.0),
        ("0s", 0.0),
        ("0.000001s", 0.000001),
        ("3650h", 13_140_000.0),
    ],
)
def test_a_duration_is_summed_exactly(text: str, seconds: float) -> None:
    assert instants.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", "20", "20.5", "-5s", "+5s", "5 s", " 5s", "5s ", "5s\n", "5S", "5sec", "5s5m", "5m5m", ".5s", "5.s", "1e3s",
        "1_000s", "½h", "٣m", "infs", "nans", "m", "1.5ms", "0.0000001s", "1d", "99999999h", "9" * 400 + "h",
    ],
)  # fmt: skip
def test_a_looser_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer|finer"):
        instants.parse_duration(text)


@hypothesis.given(microseconds=st.integers(0, 3650 * 86_400 * 10**6))
def test_a_duration_reads_back_to_the_same_value(microseconds: int) -> None:
    seconds = microseconds / 1_000_000

    assert instants.parse_duration(instants.duration_text(seconds)) == seconds


@hypothesis.given(microseconds=st.integers(0, 3650 * 86_400 * 10**6) | st.integers(0, 10**6).map(lambda s: s * 10**6))
def test_a_duration_as_a_person_writes_it_reads_back_to_the_same_value(microseconds: int) -> None:
    seconds = microseconds / 1_000_000

    assert instants.parse_duration(instants.write_duration(seconds)) == seconds


@pytest.mark.parametrize("written", ["0s", "0.5s", "45s", "30m", "90m", "16m30s", "2h", "60.5s"])
def test_a_duration_is_written_as_plans_write_it(written: str) -> None:
    assert instants.write_duration(instants.parse_duration(written)) == written


@hypothesis.given(
    hours=st.integers(0, 1000), minutes=st.integers(0, 100), seconds=st.integers(0, 100), millis=st.integers(0, 1000)
)
def test_the_units_of_a_duration_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"

    assert instants.parse_duration(text) == (hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + millis) / 1000
