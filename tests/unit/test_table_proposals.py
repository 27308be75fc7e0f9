"""Proposals for a plan's receipts section: table, columns, unit and words, and what a sample shows."""

import re
from typing import TypeAlias

import pytest

from burst.domain.receipts import table_proposals

Column: TypeAlias = table_proposals.CatalogColumn
Table: TypeAlias = table_proposals.CatalogTable
Row: TypeAlias = table_proposals.SampledRow
NOW = 1_771_639_200.0


def column(name: str, type_name: str = "text", *, labels: tuple[str, ...] = ()) -> Column:
    return Column(name=name, type_name=type_name, declared=type_name, kind="e" if labels else "b", labels=labels)


def table(*columns: Column, name: str = "receipts", row_count: int = 10, visible: bool = True) -> Table:
    return Table(schema="public", name=name, kind="r", row_count=row_count, visible=visible, columns=columns)


PLATFORM = table(
    column("receipt_id", "int8"),
    column("event_id"),
    column("platform_run_id"),
    column("decision"),
    column("created_at_utc"),
)


def test_the_columns_of_the_platform_are_found_by_name() -> None:
    (candidate,) = table_proposals.rank_candidates([PLATFORM])

    assert candidate.columns == {"decision": "decision", "at": "created_at_utc", "scope": "platform_run_id"}
    assert candidate.event is not None
    assert candidate.event.name == "event_id"
    assert all("its name" in choice.why for choice in candidate.choices.values())


def test_an_enum_of_decisions_and_the_only_instant_are_found_whatever_their_names() -> None:
    mood = column("k", "mood", labels=("accepted", "seen_before"))
    odd = table(mood, column("moment", "timestamptz"), column("run_id"))

    candidate = table_proposals.propose(odd, {})

    assert candidate is not None
    assert candidate.columns == {"decision": "k", "at": "moment", "scope": "run_id"}
    assert candidate.choices["decision"].why == "an enum of accepted, seen_before"


def test_no_column_has_two_roles() -> None:
    narrow = table(column("status"), column("run_status_at"), column("run_id"))

    candidate = table_proposals.propose(narrow, {})

    assert candidate is not None
    assert len(set(candidate.columns.values())) == 3


def test_a_table_of_receipts_comes_before_one_of_events_and_one_without_a_time_not_at_all() -> None:
    events = table(column("status"), column("created_at", "timestamptz"), column("batch_id"), name="events")
    users = table(column("status"), column("scope"), column("birth", "date"), name="users")

    ranked = table_proposals.rank_candidates([events, users, PLATFORM])

    assert [candidate.table.name for candidate in ranked] == ["receipts", "events"]


def test_a_table_whose_name_no_plan_can_write_is_no_candidate() -> None:
    dotted = table(*PLATFORM.columns, name="a.b")

    assert table_proposals.rank_candidates([dotted]) == ()


@pytest.mark.parametrize("name", ["createdAt", "Created At", "CREATED_AT", "created_at"])
def test_a_name_is_read_in_any_spelling(name: str) -> None:
    candidate = table_proposals.propose(table(column("decision"), column(name), column("runId")), {})

    assert candidate is not None
    assert candidate.columns["at"] == name


def test_a_name_given_by_hand_wins_and_one_that_is_no_column_finds_nothing() -> None:
    given = {"decision": "event_id"}

    candidate = table_proposals.propose(PLATFORM, given)

    assert candidate is not None
    assert candidate.columns["decision"] == "event_id"
    assert table_proposals.propose(PLATFORM, {"decision": "nobody"}) is None


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (10**3, "ms"), (10**6, "us"), (10**9, "ns")])
def test_the_unit_of_numbers_is_the_one_that_puts_them_into_this_century(factor: int, unit: str) -> None:
    rows = [Row(decision="ADMIT", at=str(int(NOW) * factor + n), scope="a") for n in (0, 1, -5)]

    assert table_proposals.judge_unit(column("ts", "int8"), rows)[0] == unit


@pytest.mark.parametrize("text", ["12345", "4", "-3", "inf", "9999999999999999999999"])
def test_numbers_that_are_no_instant_of_this_century_have_no_unit(text: str) -> None:
    rows = [Row(decision="ADMIT", at=text, scope="a")]

    unit, why = table_proposals.judge_unit(column("ts", "float8"), rows)

    assert unit is None
    assert why


@pytest.mark.parametrize(
    ("labels", "words", "mapping", "unknown"),
    [
        ((), ["ADMIT", "DUPLICATE"], {}, ()),
        ((), ["admitted", "dup"], {"ADMIT": ("admitted",), "DUPLICATE": ("dup",)}, ()),
        ((), ["ADMIT", "accepted"], {"ADMIT": ("ADMIT", "accepted")}, ()),
        ((), ["ADMIT", "odd"], {}, ("odd",)),
        (("Seen-Before", "OK"), ["OK"], {"ADMIT": ("OK",), "DUPLICATE": ("Seen-Before",)}, ()),
        ((), ["rejected", "DUPLICATE"], {"QUARANTINE": ("rejected",)}, ()),
    ],
    ids=["burst's own", "others", "both", "unknown", "an enum's, not only the sampled", "quarantine"],
)
def test_words_are_mapped_where_they_are_not_burst_s_own(
    labels: tuple[str, ...], words: list[str], mapping: dict[str, tuple[str, ...]], unknown: tuple[str, ...]
) -> None:
    found = table_proposals.map_decisions(column("decision", "mood" if labels else "text", labels=labels), words)

    assert dict(found.words) == mapping
    assert found.unknown == unknown
    assert found.guessed is bool(mapping)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("admitted", {"ADMIT": ("true",), "DUPLICATE": ("false",)}),
        ("is_duplicate", {"ADMIT": ("false",), "DUPLICATE": ("true",)}),
    ],
)
def test_a_boolean_is_mapped_by_its_name_and_said_to_be_a_guess(name: str, words: dict[str, tuple[str, ...]]) -> None:
    found = table_proposals.map_decisions(column(name, "bool"), [])

    assert dict(found.words) == words
    assert found.guessed


def check(*rows: Row, at: Column | None = None, problem: str = "") -> dict[str, str]:
    """The words of what is not sound, by subject."""
    columns = (column("decision"), at or column("created_at_utc"), column("platform_run_id"))
    candidate = table_proposals.propose(table(*columns), {"at": columns[1].name})
    assert candidate is not None
    found = table_proposals.check_sample(candidate, rows, unit=None, now_seconds=NOW, problem=problem)
    return {each.subject: each.words for each in found if not each.sound}


def row(decision: str | None = "ADMIT", at: str | None = "2026-02-21T02:00:00Z", seconds: float | None = NOW) -> Row:
    return Row(decision=decision, at=at, scope="a", seconds=seconds)


def test_a_sample_as_the_platform_writes_it_is_sound() -> None:
    assert check(row(), row("DUPLICATE"), row("QUARANTINE", "2026-02-21 04:00:00.5+02")) == {}


@pytest.mark.parametrize(
    ("rows", "subject", "words"),
    [
        ([row(at="2026-02-21T02:00:00")], "times say their offset", "1 of 1 sampled in created_at_utc have no offset"),
        ([row(at="2026-02-21")], "times say their offset", "1 of 1"),
        ([row(), row(at=None, seconds=None)], "no NULL", "1 of 2 in created_at_utc; a receipt without a time refuses"),
        ([row(None)], "no NULL", "1 of 1 in decision"),
        ([row("odd")], "decision words are known", "'odd' in decision would count as other"),
        ([row(), row(seconds=NOW + 60)], "no time in the future", "1 of 2 in created_at_utc are ahead.*by 60 s"),
        ([row(at="infinity", seconds=None)], "times can be read", "1 of 1 sampled in created_at_utc are no instant"),
        ([], "sample", "the table holds no row"),
    ],
    ids=["no offset", "a date", "no time", "no decision", "unknown word", "ahead", "infinite", "empty"],
)
def test_what_a_sample_shows_is_said(rows: list[Row], subject: str, words: str) -> None:
    found = check(*rows)

    assert re.search(words, found[subject])


def test_times_that_cannot_be_read_are_said_in_the_database_s_words() -> None:
    assert "no such time" in check(row(), problem="no such time")["times can be read"]


def test_a_timestamp_without_zone_is_said_to_be_taken_for_utc() -> None:
    assert "taken for UTC" in check(row(), at=column("created_at", "timestamp"))["times say their offset"]
