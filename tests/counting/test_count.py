"""`burst count`: the options in, the JSON document out."""

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from burst.domain.basics import errors, windows
from burst.task import counting

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(seconds=90))


def fill(dsn: str, decision: str, times: int, scope: str = "a") -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id)"
            " select %s, %s, %s from generate_series(1, %s)",
            (decision, START.isoformat(), scope, times),
        )


def test_a_count_answers_with_everything_needed_to_make_it_again(database_dsn: str) -> None:
    for decision, times in (("ADMIT", 30), ("DUPLICATE", 10), ("QUARANTINE", 2), ("LOST", 1)):
        fill(database_dsn, decision, times)
    fill(database_dsn, "ADMIT", 5, scope="b")

    answer = counting.count_window(
        counting.CountOptions(place=counting.Place(dsn=database_dsn), window=WINDOW, scope="a")
    )

    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    counts = {"ADMIT": 30, "DUPLICATE": 10, "QUARANTINE": 2, "other": 1}
    none = dict.fromkeys(counts, 0)
    assert answer["window"] == {"start_utc": "2026-02-21T02:00:00Z", "end_utc": "2026-02-21T02:01:30Z", "seconds": 90.0}
    assert (answer["scope"], answer["counts"]) == ("a", counts)
    assert (answer["admit_ratio"], answer["admits_per_minute"]) == (0.75, 20.0)
    assert answer["buckets"] == [
        {"start_utc": "2026-02-21T02:00:00Z", "end_utc": "2026-02-21T02:01:00Z", "counts": counts},
        {"start_utc": "2026-02-21T02:01:00Z", "end_utc": "2026-02-21T02:01:30Z", "counts": none},
    ]
    assert answer["binds"] == {
        "start": "2026-02-21T02:00:00Z",
        "end": "2026-02-21T02:01:30Z",
        "start_text": "2026-02-21T01:59:00",
        "end_text": "2026-02-21T02:02:30",
        "bucket": "60s",
        "scope": "a",
    }
    assert (answer["settled"], answer["late"], answer["vanished"]) == (True, none, none)


def test_a_baseline_counts_to_its_golden_rate(database_dsn: str) -> None:
    fill(database_dsn, "ADMIT", 50100)

    window = windows.Window(START, START + timedelta(seconds=7180))
    answer = counting.count_window(
        counting.CountOptions(place=counting.Place(dsn=database_dsn), window=window, scope="a")
    )

    assert answer["admits_per_minute"] == 418.66295264623955


def test_no_receipts_make_no_ratio_and_no_rate(database_dsn: str) -> None:
    answer = counting.count_window(
        counting.CountOptions(place=counting.Place(dsn=database_dsn), window=WINDOW, scope="a")
    )

    assert (answer["admit_ratio"], answer["admits_per_minute"]) == (None, None)


def test_only_duplicates_make_a_rate_of_zero(database_dsn: str) -> None:
    fill(database_dsn, "DUPLICATE", 3)

    answer = counting.count_window(
        counting.CountOptions(place=counting.Place(dsn=database_dsn), window=WINDOW, scope="a")
    )

    assert (answer["admit_ratio"], answer["admits_per_minute"]) == (0.0, 0.0)


def test_the_dsn_may_be_a_reference(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_DSN", database_dsn)
    fill(database_dsn, "ADMIT", 1)

    options = counting.CountOptions(place=counting.Place(dsn="env:A_DSN"), window=WINDOW, scope=None)

    assert counting.count_window(options)["counts"] == {"ADMIT": 1, "DUPLICATE": 0, "QUARANTINE": 0, "other": 0}


@pytest.mark.parametrize(
    "dsn", ["", "REPLACE_ME", "env:NOT_SET_ANYWHERE", "postgresql://burst:<password>@db/x", "ssm:/x"]
)
def test_a_dsn_that_is_none_is_refused(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)

    with pytest.raises(errors.UsageError):
        counting.count_window(counting.CountOptions(place=counting.Place(dsn=dsn), window=WINDOW, scope="a"))


def test_the_answer_and_the_options_as_printed_hold_no_dsn(database_dsn: str) -> None:
    options = counting.CountOptions(place=counting.Place(dsn=database_dsn), window=WINDOW, scope="a")
    password = psycopg.conninfo.conninfo_to_dict(database_dsn)["password"]

    printed = json.dumps(counting.count_window(options)) + repr(options)

    assert password
    assert str(password) not in printed
