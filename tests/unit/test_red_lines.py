"""Red lines, conditions of a pause, figures of a check, and the way back: decided from values alone."""

import json
from typing import Any

import pytest

from burst.domain.documents import database_snapshots
from burst.domain.staging import change_grammar, check_figures, foreign_changes, red_lines, stage_files, way_back
from tests import fakes_staging

TABLES = [change_grammar.parse_table("receipts")]


def stage(*limits: dict[str, Any], apply: str = "ANALYZE receipts", **keys: Any) -> stage_files.StageSection:
    """A stage with red lines over the figure p95 of a command."""
    check = {"command": ["figures"]}
    lines = [{"figure": "p95", **limit} for limit in limits]
    return stage_files.StageSection.model_validate({"apply": [apply], "check": check, "red_line": lines, **keys})


@pytest.mark.parametrize(
    ("limit", "before", "after", "holds"),
    [
        ({"at_most": 2}, None, 2.0, True),
        ({"at_most": 2}, None, 2.0000001, False),
        ({"at_most": 2}, 1.0, None, False),
        ({"at_least": 2}, None, 2.0, True),
        ({"at_least": 2}, None, 1.9, False),
        ({"not_worse_than": "5%", "better": "lower"}, 100.0, 105.0, True),
        ({"not_worse_than": "5%", "better": "lower"}, 100.0, 105.1, False),
        ({"not_worse_than": "5%", "better": "lower"}, 100.0, 1.0, True),
        ({"not_worse_than": "5%", "better": "higher"}, 100.0, 95.0, True),
        ({"not_worse_than": "5%", "better": "higher"}, 100.0, 94.9, False),
        ({"not_worse_than": "5%", "better": "higher"}, 100.0, 900.0, True),
        ({"not_worse_than": "5%", "better": "lower"}, None, 1.0, False),
        ({"not_worse_than": "5%", "better": "lower"}, 0.0, 0.0, True),
        ({"not_worse_than": "5%", "better": "lower"}, 0.0, 0.1, False),
        ({"not_worse_than": "0%", "better": "lower"}, 3.0, 3.0, True),
    ],
)
def test_a_red_line_holds_at_its_limit_and_is_broken_beyond_it_and_where_nothing_was_measured(
    limit: dict[str, Any], before: float | None, after: float | None, holds: bool
) -> None:
    figures = [{} if figure is None else {"p95": figure} for figure in (before, after)]

    (line,) = red_lines.judge(stage(limit), *figures)

    assert line.holds is holds


def test_a_regression_within_the_red_line_asks_for_a_person() -> None:
    asking = stage({"not_worse_than": "5%", "better": "lower"}, pause_when=[{"regression": "2%"}])

    assert red_lines.find_regressions(asking, {"p95": 100.0}, {"p95": 102.0}) == ()
    (words,) = red_lines.find_regressions(asking, {"p95": 100.0}, {"p95": 103.0})
    assert words == "p95 is 3.00 % worse than before; 2 % asks for a person"


@pytest.mark.parametrize(
    ("line", "before", "after", "asks"),
    [
        ({"at_most": 9}, {"p95": 4.0}, {"p95": 5.0}, "25.00 % worse"),
        ({"at_most": 9}, {"p95": 5.0}, {"p95": 4.0}, ""),
        ({"at_least": 1}, {"p95": 5.0}, {"p95": 4.0}, "20.00 % worse"),
        ({"at_least": 1}, {"p95": 4.0}, {"p95": 5.0}, ""),
        ({"at_least": 1, "better": "lower"}, {"p95": 4.0}, {"p95": 5.0}, "25.00 % worse"),
        ({"at_most": 9}, {"p95": 0.0}, {"p95": 5.0}, "was 0 before and is 5 now"),
        ({"at_most": 9}, {"p95": -3.0}, {"p95": 5.0}, "was -3 before and is 5 now"),
        ({"at_most": 9}, {"p95": 0.0}, {"p95": 0.0}, ""),
        ({"at_most": 9}, {}, {"p95": 5.0}, "was not measured before and is 5 now"),
    ],
)
def test_a_figure_whose_regression_nobody_can_tell_asks_for_a_person(
    line: dict[str, Any], before: dict[str, float], after: dict[str, float], asks: str
) -> None:
    asking = stage(line, pause_when=[{"regression": "2%"}])

    words = red_lines.find_regressions(asking, before, after)

    assert bool(words) is bool(asks)
    assert asks in "".join(words)


@pytest.mark.parametrize(
    ("lines", "after", "asks"),
    [
        ([{"at_most": 9}, {"at_least": 1}], 5.0, "cannot be told"),
        ([{"at_least": 1}, {"at_most": 9}], 3.0, "cannot be told"),
        ([{"at_most": 9, "better": "lower"}, {"at_least": 1}], 5.0, "25.00 % worse"),
        ([{"at_most": 9, "better": "lower"}, {"at_least": 1, "better": "higher"}], 5.0, "cannot be told"),
        ([{"at_most": 9}, {"not_worse_than": "50%"}], 5.0, "25.00 % worse"),
    ],
)
def test_two_lines_of_a_figure_say_together_which_way_it_gets_better(
    lines: list[dict[str, Any]], after: float, asks: str
) -> None:
    asking = stage(*lines, pause_when=[{"regression": "2%"}])

    assert asks in "".join(red_lines.find_regressions(asking, {"p95": 4.0}, {"p95": after}))


@pytest.mark.parametrize(
    ("value", "effective", "above", "asks"),
    [
        ("'15GB'", "4096", "16GB", False),
        ("'17GB'", "4096", "16GB", True),
        ("'1GB'", "2097153", "16GB", True),
        ("1900000", "1", "16GB", False),
        ("3000000", "1", "16GB", True),
        ("'3000000'", "1", "16GB", True),
        ("'17000 MB'", "1", "16GB", True),
        ("'0.01TB'", "1", "16GB", False),
        ("'much'", None, "16GB", True),
        ("'much'", "4096", "16GB", True),
        ("'5min'", "4096", "16GB", True),
        ("DEFAULT", "4096", "16GB", True),
    ],
)
def test_a_setting_above_its_limit_asks_for_a_person_as_it_is_and_as_it_would_be(
    value: str, effective: str | None, above: str, asks: bool
) -> None:
    asking = stage(
        {"at_most": 1}, apply=f"ALTER SYSTEM SET shared_buffers = {value}",
        pause_when=[{"setting": "shared_buffers", "above": above}],
    )  # fmt: skip
    snapshot = fakes_staging.MemoryStagedDatabase().read_snapshot(TABLES)
    rows = [
        row.model_copy(update={"value": effective, "unit": "8kB"}) if row.name == "shared_buffers" else row
        for row in snapshot.settings
    ]

    words = red_lines.find_conditions(asking, snapshot.model_copy(update={"settings": rows}))

    assert bool(words) is asks


@pytest.mark.parametrize(
    ("value", "unit", "asks"),
    [
        ("'1min'", "ms", False),
        ("'61s'", "ms", True),
        ("60001", "ms", True),
        ("'60000000us'", "ms", False),
        ("'1d'", "min", False),
        ("60001", None, True),
        ("'2kB'", "ms", True),
        ("'60001ms'", None, True),
    ],
)
def test_a_setting_of_time_or_number_is_held_against_its_limit_in_the_unit_of_the_server(
    value: str, unit: str | None, asks: bool
) -> None:
    asking = stage(
        {"at_most": 1}, apply=f"ALTER SYSTEM SET statement_timeout = {value}",
        pause_when=[{"setting": "statement_timeout", "above": 60000}],
    )  # fmt: skip
    row = database_snapshots.EffectiveSetting(
        name="statement_timeout", value="7", unit=unit, source="default", file=None, reset="7", context="user"
    )
    snapshot = fakes_staging.MemoryStagedDatabase().read_snapshot(TABLES).model_copy(update={"settings": [row]})

    words = red_lines.find_conditions(asking, snapshot)

    assert bool(words) is asks


def test_figures_are_the_numbers_of_one_object_by_plain_names() -> None:
    printed = {"p95": 1, "ok": True, "words": "9", "inner": {"hits": 2.5}, "Bad Name": 3, "list": [4], "none": None}

    assert check_figures.read_figures(json.dumps(printed).encode()) == {"p95": 1.0, "ok": 1.0, "inner.hits": 2.5}


@pytest.mark.parametrize("output", [b"", b"{}", b"[1]", b"1", b"nothing", b'{"a": "1"}', b'{"a": 1e999}', b"\xff"])
def test_output_without_figures_is_refused(output: bytes) -> None:
    with pytest.raises(ValueError, match="expected one JSON object"):
        check_figures.read_figures(output)


@pytest.mark.parametrize(
    "output",
    [
        b'{"p95": 9, "p95": 1}',
        b'{"p95": null, "p95": 1}',
        b'{"a": {"p95": 9}, "a.p95": 1}',
        b'{"a": [{"b": 1, "b": 2}]}',
    ],
)
def test_a_figure_that_is_given_twice_is_none(output: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected one JSON object with each .* twice"):
        check_figures.read_figures(output)


def test_the_verdict_of_a_run_has_the_figures_of_its_load() -> None:
    checks = {
        "achieved_multiplier": {"value": 3.1},
        "admit_ratio": {"value": 0.999},
        "duration_seconds": {"value": None},
    }
    verdict = {"overall_pass": True, "burst_load_checks": {**checks, "admits_per_minute": 1300.5}}

    assert check_figures.read_run(json.dumps(verdict).encode()) == {
        "overall_pass": 1.0,
        "achieved_multiplier": 3.1,
        "admit_ratio": 0.999,
        "admits_per_minute": 1300.5,
    }


def test_the_way_back_leaves_alone_what_somebody_else_changed_and_says_so() -> None:
    database = fakes_staging.MemoryStagedDatabase()
    change = change_grammar.parse_change("ALTER SYSTEM SET work_mem = '32MB'")
    foreign = change_grammar.parse_change("ALTER ROLE ada SET work_mem = '1MB'")
    before = database.read_snapshot(TABLES)
    database.apply(change)
    database.apply(foreign)
    after = database.read_snapshot(TABLES)

    (step,) = way_back.plan_way_back(before, after, [change])

    assert step.words == "ALTER SYSTEM RESET work_mem"
    assert foreign_changes.find_foreign(before, after, [change]) == (
        "role setting work_mem of ada in every database: was not there",
    )


@pytest.mark.parametrize(
    ("kept", "values"),
    [
        ("", ("",)),
        ("pg_stat_statements", ("pg_stat_statements",)),
        ('pg_stat_statements, "auto_explain"', ("pg_stat_statements", "auto_explain")),
    ],
)
def test_a_list_goes_back_as_its_values(kept: str, values: tuple[str, ...]) -> None:
    assert way_back.split_values("shared_preload_libraries", kept) == values
    assert way_back.split_values("work_mem", "a, b") == ("a, b",)


def test_the_same_snapshot_has_no_differences_and_the_same_bytes() -> None:
    snapshot = fakes_staging.MemoryStagedDatabase().read_snapshot(TABLES)
    again = database_snapshots.DatabaseSnapshot.model_validate(json.loads(snapshot.content()))

    assert way_back.find_differences(snapshot, again) == ()
    assert again.content() == snapshot.content()
