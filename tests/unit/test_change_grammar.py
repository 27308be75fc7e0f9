"""Statements of a stage: the few kinds that are recognised, and everything else refused with its place."""

import re

import hypothesis
import pytest
from hypothesis import strategies
from psycopg import sql

from burst.adapters.postgres import change_statements
from burst.domain.staging import allowed_settings, change_grammar, changes, sql_tokens

RECOGNISED = [
    ("alter system set work_mem = '64MB'", "ALTER SYSTEM SET work_mem = '64MB'"),
    ("ALTER SYSTEM SET random_page_cost TO 1.1", "ALTER SYSTEM SET random_page_cost = '1.1'"),
    ("ALTER SYSTEM SET log_min_duration_statement = -1", "ALTER SYSTEM SET log_min_duration_statement = '-1'"),
    ("ALTER SYSTEM SET work_mem = DEFAULT", "ALTER SYSTEM RESET work_mem"),
    ("ALTER SYSTEM RESET work_mem", "ALTER SYSTEM RESET work_mem"),
    ("ALTER SYSTEM SET pg_stat_statements.track = all", "ALTER SYSTEM SET pg_stat_statements.track = 'all'"),
    (
        "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements, 'auto_explain'",
        "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', 'auto_explain'",
    ),
    ("ALTER ROLE burst SET statement_timeout = '5s'", "ALTER ROLE burst SET statement_timeout = '5s'"),
    (
        'ALTER ROLE "a\'b" IN DATABASE Ingest RESET work_mem',
        'ALTER ROLE "a\'b" IN DATABASE ingest RESET work_mem',
    ),
    ("ALTER DATABASE ingest SET work_mem = '8MB'", "ALTER DATABASE ingest SET work_mem = '8MB'"),
    (
        "CREATE INDEX CONCURRENTLY i ON s.r (a, \"B c\" DESC NULLS LAST) INCLUDE (d) WHERE a = 'it''s' AND b IS NULL",
        (
            'CREATE INDEX CONCURRENTLY i ON s.r USING btree (a, "B c" DESC NULLS LAST) INCLUDE (d) '
            "WHERE a = 'it''s' AND b IS NULL"
        ),
    ),
    (
        "CREATE INDEX CONCURRENTLY i ON r USING brin (a) WITH (pages_per_range = 32)",
        "CREATE INDEX CONCURRENTLY i ON r USING brin (a) WITH (pages_per_range = 32)",
    ),
    ("DROP INDEX CONCURRENTLY s.i", "DROP INDEX CONCURRENTLY s.i"),
    ("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", "CREATE EXTENSION pg_stat_statements"),
    ("CREATE EXTENSION x WITH SCHEMA s VERSION '1.1'", "CREATE EXTENSION x SCHEMA s VERSION '1.1'"),
    ("ANALYZE receipts", "ANALYZE receipts"),
    ("VACUUM\n  ANALYZE receipts", "VACUUM (ANALYZE) receipts"),
    ("VACUUM (ANALYZE) receipts", "VACUUM (ANALYZE) receipts"),
    ("VACUUM receipts", "VACUUM receipts"),
]
LONG = "x" * 10_000
HOSTILE = [
    ("ANALYZE receipts; DROP TABLE receipts", 17, "one statement"),
    ("ANALYZE receipts;", 17, "one statement"),
    ("; ANALYZE receipts", 1, "one statement"),
    ("ANALYZE receipts -- DROP TABLE receipts", 18, "without comments"),
    ("ANALYZE /* */ receipts", 9, "without comments"),
    ("ALTER SYSTEM SET work_mem = $$1MB$$", 29, "not in dollar quotes"),
    ("ALTER SYSTEM SET work_mem = $1", 29, "no parameter"),
    ("ALTER SYSTEM SET work_mem = E'\\x27'", 30, "without a prefix"),
    ("ALTER SYSTEM SET work_mem = U&'\\0027'", 30, "without a prefix"),
    ("ALTER SYSTEM SET work_mem = '1MB", 29, "a quote that is closed"),
    ('ANALYZE "receipts', 9, "a quote that is closed"),
    ('ANALYZE ""', 9, "a name that is not empty"),
    (f"ANALYZE {LONG}", 8001, "at most 8000 characters"),
    (f"ANALYZE {LONG[:7000]}", 9, "names of at most 63 bytes"),
    (f'ANALYZE "{"ä" * 32}"', 9, "names of at most 63 bytes"),
    ("ANALYZE receipts\x00", 17, "without control characters"),
    ("ANALYZE rece\u2028ipts", 13, "without control characters"),
    ("ANALYZE réceipts", 10, "words, numbers"),
    ("ANALYZE receipts, admissions", 17, "the end of the statement"),
    ("ANALYZE", 8, "the name of a table"),
    ("VACUUM", 7, "the name of a table"),
    ("VACUUM FULL receipts", 8, "keeps everybody out"),
    ("VACUUM (FULL) receipts", 9, "ANALYZE"),
    ("DROP TABLE receipts", 6, "one of ALTER SYSTEM"),
    ("DROP INDEX receipts_idx", 6, "INDEX CONCURRENTLY"),
    ("DROP INDEX CONCURRENTLY a, b", 26, "the end"),
    ("DROP INDEX CONCURRENTLY a CASCADE", 27, "the end"),
    ("DROP INDEX CONCURRENTLY IF EXISTS a", 25, "without IF EXISTS"),
    ("DROP EXTENSION pg_stat_statements", 6, "one of ALTER SYSTEM"),
    ("CREATE INDEX i ON r (a)", 8, "INDEX CONCURRENTLY"),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON r (a)", 8, "a unique index is a rule"),
    ("CREATE INDEX CONCURRENTLY ON r (a)", 27, "the name of the index"),
    ("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON r (a)", 27, "without IF NOT EXISTS"),
    ("CREATE INDEX CONCURRENTLY i ON r (lower(a))", 40, "an index of expressions"),
    ("CREATE INDEX CONCURRENTLY i ON r ((a))", 35, "a column"),
    ("CREATE INDEX CONCURRENTLY i ON r (a) WHERE pg_sleep(9) = 1", 52, "one of ="),
    ("CREATE INDEX CONCURRENTLY i ON r (a) WHERE a = b", 48, "a quoted text or a number"),
    ("CREATE INDEX CONCURRENTLY i ON r (a) WHERE a = 1 OR b = 2", 50, "the end"),
    ("CREATE INDEX CONCURRENTLY i ON r (a) TABLESPACE t", 38, "the end"),
    ("CREATE INDEX CONCURRENTLY i ON r (a) WHERE a = '1'::evil", 53, "one of timestamp"),
    ("CREATE EXTENSION x CASCADE", 20, "without CASCADE"),
    ("CREATE EXTENSION x FROM unpackaged", 20, "the end"),
    ("ALTER SYSTEM SET archive_command = 'rm -rf /'", 18, "change any other by hand"),
    ("ALTER SYSTEM SET fsync = off", 18, "change any other by hand"),
    ('ALTER SYSTEM SET "fsync" = off', 18, "change any other by hand"),
    ("ALTER SYSTEM SET session_preload_libraries = x", 18, "change any other by hand"),
    ("ALTER SYSTEM SET shared_preload_libraries = '/tmp/evil.so'", 45, "one library of"),
    ("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements,evil'", 45, "one library of"),
    ("ALTER SYSTEM SET work_mem = 64MB", 29, "in quotes such as '64MB'"),
    ("ALTER SYSTEM SET work_mem = 1, 2", 30, "the end"),
    ("ALTER SYSTEM SET work_mem FROM CURRENT", 27, "= and a value"),
    ("ALTER SYSTEM RESET ALL", 20, "change any other by hand"),
    ("ALTER ROLE ALL SET work_mem = '1MB'", 12, "the name of one role"),
    ("ALTER ROLE CURRENT_USER SET work_mem = '1MB'", 12, "the name of one role"),
    ("ALTER ROLE burst SUPERUSER", 18, "SET or RESET"),
    ("ALTER ROLE burst PASSWORD 'x'", 18, "SET or RESET"),
    ("ALTER ROLE burst SET role = postgres", 22, "change any other by hand"),
    ("ALTER ROLE burst RENAME TO other", 18, "SET or RESET"),
    ("ALTER DATABASE ingest OWNER TO burst", 23, "SET or RESET"),
    ("ALTER USER burst SET work_mem = '1MB'", 1, "one of ALTER SYSTEM"),
    ("COPY r TO PROGRAM 'sh'", 1, "one of ALTER SYSTEM"),
    ("DO 'begin end'", 1, "one of ALTER SYSTEM"),
    ("'ANALYZE receipts'", 1, "one of ALTER SYSTEM"),
    ("", 1, "one of ALTER SYSTEM"),
]
NAMES = strategies.text(
    strategies.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"),
    min_size=1,
    max_size=15,
)


@pytest.mark.parametrize(("statement", "words"), RECOGNISED)
def test_an_allowed_statement_is_recognised_and_its_words_are_the_same_change(statement: str, words: str) -> None:
    change = change_grammar.parse_change(statement)

    assert change.words == words
    assert change_grammar.parse_change(change.words) == change


@pytest.mark.parametrize(("statement", "place", "words"), HOSTILE, ids=[row[0][:40] for row in HOSTILE])
def test_every_other_statement_is_refused_with_its_place(statement: str, place: int, words: str) -> None:
    with pytest.raises(sql_tokens.StatementRefused) as refused:
        change_grammar.parse_change(statement)

    assert words in str(refused.value)
    assert f"(character {place}: saw " in str(refused.value)
    assert len(str(refused.value)) < 700


def test_a_refusal_shows_no_text_that_may_be_a_secret() -> None:
    with pytest.raises(sql_tokens.StatementRefused) as refused:
        change_grammar.parse_change("ALTER ROLE burst 'hunter2'")

    assert "hunter2" not in str(refused.value)
    assert "a quoted text" in str(refused.value)


@hypothesis.given(strategies.text(max_size=200))
def test_any_text_is_recognised_or_refused_and_never_anything_else(text: str) -> None:
    try:
        change = change_grammar.parse_change(text)
    except sql_tokens.StatementRefused:
        return
    assert change_grammar.parse_change(change.words) == change


@hypothesis.given(
    strategies.lists(
        strategies.sampled_from(
            [*"();,.='\"$-", "--", "/*", "*/", "::", "ALTER", "SYSTEM", "SET", "CREATE", "INDEX", "CONCURRENTLY", "ON",
             "work_mem", "ANALYZE", "VACUUM", "WHERE", "'a'", '"b"', "1", "DROP", "TABLE", "r", " ", "\n", "E'\\''"]
        ),
        max_size=15,
    )
)  # fmt: skip
def test_a_recognised_mix_of_words_holds_one_statement_of_an_allowed_kind(parts: list[str]) -> None:
    text = " ".join(parts)
    try:
        change = change_grammar.parse_change(text)
    except sql_tokens.StatementRefused:
        return
    built = change_statements.build_statement(change).as_string(None)
    assert re.match(
        r"(ALTER (SYSTEM|ROLE|DATABASE)|(CREATE|DROP) INDEX CONCURRENTLY|CREATE EXTENSION|ANALYZE|VACUUM) ", built
    )
    assert ";" not in re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", built)


@hypothesis.given(NAMES, NAMES, NAMES)
def test_names_and_texts_are_quoted_whatever_they_hold(table: str, column: str, text: str) -> None:
    hypothesis.assume(all(len(name.encode()) <= 63 for name in (table, column)))
    condition = changes.IndexCondition(column=column, operator="=", operand=text)
    index = changes.CreateIndex(
        name=table, table=changes.TableName(schema=table, name=table), method="btree",
        keys=(changes.IndexKey(column=column),), include=(column,), conditions=(condition,),
    )  # fmt: skip

    built = change_statements.build_statement(index).as_string(None)

    assert change_grammar.parse_change(index.words) == index
    assert built.count(sql.Identifier(table).as_string(None)) >= 3
    assert sql.Literal(text).as_string(None) in built


def test_an_allowed_setting_runs_no_program_loads_no_file_and_loses_no_row() -> None:
    dangerous = ("command", "library", "conninfo", "file", "directory", "path", "ssl", "password", "fsync", "role")

    for name in allowed_settings.SYSTEM - {"shared_preload_libraries", "temp_file_limit", "log_temp_files"}:
        assert not any(word in name for word in dangerous), name
