"""Stage files: parsed as strictly as plans, each mistake with its line, and frozen without loss."""

import json
from typing import Any

import pytest

from burst.domain.basics import errors
from burst.domain.staging import changes, stage_files

WHOLE = """\
schema: burst.stages/v1
environment: prod
operator: ada
table: ingest.receipts
roll_back_to: start
stages:
  A:
    confirm: true
    apply:
      - ALTER SYSTEM SET track_io_timing = on
      - CREATE INDEX CONCURRENTLY i ON receipts (a) WHERE b <> 'x' AND c < 5
      - {command: [tune, --now], timeout: 5m}
    restart: true
    check:
      count: {scope: s, from: "2026-02-21T02:00:00Z", to: "2026-02-21T02:20:00Z", columns: {at: created_at}, repeats: 3}
      timeout: 10m
    red_line:
      - {figure: seconds, not_worse_than: 2.5%}
      - {figure: pages, at_most: 594}
    pause_when:
      - {setting: shared_buffers, above: 16GB}
      - {regression: 1%}
  b-2:
    apply: [ANALYZE receipts]
    check: {command: [figures]}
    red_line: [{figure: hit.ratio, not_worse_than: 5%, better: higher}, {figure: p95, at_least: 1}]
  C:
    apply: [VACUUM receipts]
    check: {plan: plan.yaml}
"""
LEAST = {"environment": "dev", "stages": {"A": {"apply": ["ANALYZE receipts"]}}}


def parse(value: Any) -> stage_files.StageFile:
    return stage_files.parse(json.dumps(value), source="stages.yaml")


def with_stage(**keys: Any) -> dict[str, Any]:
    """The least file with more keys in its stage."""
    return {**LEAST, "stages": {"A": {"apply": ["ANALYZE receipts"], **keys}}}


def test_a_whole_file_is_read_in_the_order_of_its_stages() -> None:
    file = stage_files.parse(WHOLE, source="stages.yaml")

    stage = file.stages["A"]
    assert list(file.stages) == ["A", "b-2", "C"]
    assert (file.is_guarded, file.table_name) == (True, changes.TableName(schema="ingest", name="receipts"))
    assert stage.changes[2] == changes.RunProgram(argv=("tune", "--now"), seconds_max=300.0)
    assert [line.not_worse_than for line in stage.red_lines] == [0.025, None]
    assert [condition.above for condition in stage.pause_when] == [16 * 2**30, None]
    assert file.tables == (file.table_name, changes.TableName(schema=None, name="receipts"))
    assert file.stages["b-2"].red_lines[0].figure == "hit.ratio"


def test_a_frozen_file_is_the_same_file() -> None:
    file = stage_files.parse(WHOLE, source="stages.yaml")

    frozen = stage_files.freeze(file)

    assert stage_files.parse(frozen.decode(), source="stages.json") == file
    assert list(stage_files.parse(frozen.decode(), source="stages.json").stages) == list(file.stages)


@pytest.mark.parametrize(
    ("value", "line", "words"),
    [
        ({}, 1, "environment: saw nothing"),
        ({**LEAST, "environment": "test"}, 1, "'local', 'dev', 'ci', 'staging', 'pilot' or 'prod'"),
        ({**LEAST, "stages": {}}, 1, "stages: saw"),
        ({**LEAST, "tabel": "x"}, 1, "did you mean table?"),
        ({**LEAST, "table": "a; b"}, 1, "without a semicolon"),
        ({**LEAST, "operator": "REPLACE_ME"}, 1, "the real value"),
        (with_stage(apply=["DROP TABLE receipts"]), 1, "stages.A.apply[0]: saw 'DROP TABLE receipts'; allowed: one of"),
        (with_stage(apply=["ANALYZE receipts", "x"]), 1, "stages.A.apply[1]"),
        (with_stage(apply=[]), 1, "stages.A.apply"),
        (with_stage(apply=[{"command": []}]), 1, "stages.A.apply[0]"),
        (with_stage(red_line=[{"figure": "p95", "at_most": 1}]), 1, "a check beside it"),
        (with_stage(pause_when=[{"regression": "2%"}]), 1, "a check beside it"),
        (
            with_stage(check={"command": ["x"]}, pause_when=[{"regression": "2%"}]),
            1,
            "a red_line that names the figure which may get worse",
        ),
        (with_stage(pause_when=[{"setting": "work_mem"}]), 1, "setting with above, or regression"),
        (with_stage(check={}), 1, "one of count, database, plan, command"),
        (with_stage(check={"plan": "p", "command": ["x"]}), 1, "one of count, database, plan, command"),
        (with_stage(check={"command": ["x"]}, red_line=[{"figure": "p95"}]), 1, "one of at_most, at_least"),
        (
            with_stage(check={"command": ["x"]}, red_line=[{"figure": "p95", "not_worse_than": "5%"}]),
            1,
            "better: lower or better: higher",
        ),
        (with_stage(check={"plan": "p"}, red_line=[{"figure": "p95", "not_worse_than": 0.05}]), 1, "such as 5%"),
        (with_stage(apply=["ALTER SYSTEM SET track_io_timing = on"]), 1, "held against the figures before it"),
        (
            with_stage(apply=["CREATE EXTENSION pg_stat_statements"], check={"command": ["x"]}),
            1,
            "a red_line that names the figure of the overhead",
        ),
        (
            with_stage(check={"count": {"from": "2026-02-21T02:00:00Z", "to": "2026-02-21T02:00:00Z"}}),
            1,
            "an instant after from",
        ),
        ({**LEAST, "stages": {"a b": {"apply": ["ANALYZE r"]}}}, 1, "stages"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line_what_was_seen_and_what_is_allowed(
    value: Any, line: int, words: str
) -> None:
    with pytest.raises(errors.UsageError) as refused:
        parse(value)

    assert f"stages.yaml:{line}: " in str(refused.value)
    assert words in str(refused.value)
    assert "nothing was applied" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("environment: dev\nenvironment: dev\n", "stages.yaml:2: environment: saw the key a second time"),
        ("environment: dev\nstages:\n  A: {apply: [x]}\n  A: {apply: [x]}\n", "stages.yaml:4: stages.A"),
        ("environment: &a dev\n", "stages.yaml:1: (syntax): saw an anchor"),
        ("environment: [\n", "stages.yaml:2: (syntax)"),
        ("[]", "saw a list"),
        (
            "environment: dev\nstages:\n  A:\n    apply:\n      - ANALYZE r\n      - DROP r\n",
            "stages.yaml:6: stages.A.apply[1]",
        ),
    ],
)
def test_yaml_is_read_as_strictly_as_a_plan(text: str, words: str) -> None:
    with pytest.raises(errors.UsageError) as refused:
        stage_files.parse(text, source="stages.yaml")

    assert words in str(refused.value)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE reader PASSWORD 'ex-cel-lent'",
        "alter role reader with encrypted password 'it''s ex-cel-lent'",
        'CREATE ROLE reader PASSWORD "ex-cel-lent"',
        "ALTER ROLE reader PASSWORD 'ex-cel-lent",
        "CREATE SUBSCRIPTION s CONNECTION 'host=h password=ex-cel-lent' PUBLICATION p",
    ],
)
def test_a_password_in_a_refused_statement_is_not_shown(statement: str) -> None:
    with pytest.raises(errors.UsageError) as refused:
        parse(with_stage(apply=[statement]))

    assert "***" in str(refused.value)
    assert "cel" not in str(refused.value)


def test_a_change_that_observes_gets_a_red_line_where_the_file_gives_none() -> None:
    count = {"from": "2026-02-21T02:00:00Z", "to": "2026-02-21T02:20:00Z"}
    observing = with_stage(apply=["ALTER SYSTEM SET track_io_timing = on"], check={"count": count})

    (line,) = parse(observing).stages["A"].red_lines

    assert (line.figure, line.not_worse_than) == ("least_seconds", stage_files.OVERHEAD_MAX)
    assert parse(with_stage(check={"count": count})).stages["A"].red_lines == ()


def test_a_red_line_about_something_else_does_not_stand_for_the_one_about_the_overhead() -> None:
    count = {"from": "2026-02-21T02:00:00Z", "to": "2026-02-21T02:20:00Z"}
    observing = {"apply": ["ALTER SYSTEM SET track_io_timing = on"], "check": {"count": count}}
    beside = parse(with_stage(**observing, red_line=[{"figure": "receipts", "at_least": 0}])).stages["A"].red_lines
    instead = parse(with_stage(**observing, red_line=[{"figure": "seconds", "at_most": 2}])).stages["A"].red_lines

    assert [line.figure for line in beside] == ["receipts", "least_seconds"]
    assert beside[1].not_worse_than == stage_files.OVERHEAD_MAX
    assert [line.figure for line in instead] == ["seconds"]


def test_a_table_with_a_dot_in_its_name_is_refused_where_a_check_would_ask_another() -> None:
    count = {"from": "2026-02-21T02:00:00Z", "to": "2026-02-21T02:20:00Z"}
    dotted = {"table": '"my.sch"."re.ceipts"'}

    with pytest.raises(errors.UsageError, match=r"table: saw .*allowed: a schema and a table without a dot in them"):
        parse({**with_stage(check={"count": count}), **dotted})

    assert parse({**with_stage(), **dotted}).table_name.name == "re.ceipts"
