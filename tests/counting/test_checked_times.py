"""Text times whose form a CHECK keeps are not looked at, and are counted as exactly, whatever becomes of the CHECK."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from burst.adapters.postgres import column_types, postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipt_table, receipts

COLUMNS = {"decision": "decision", "at": "at", "scope": "scope"}
WINDOW = windows.Window(datetime(2026, 2, 21, 4, tzinfo=UTC), datetime(2026, 2, 21, 5, tzinfo=UTC))
INSIDE, OUTSIDE = "2026-02-21T04:30:00.000000+00:00", "2026-02-21T07:30:00+00:00"
INSIDE_ELSEWHERE = "2026-02-21T07:30:00+03:00"
"""In the window by its instant, and outside of it by its text."""
USUAL = f"~ '{column_types.USUAL_TEXT}'"
KEPT = f'check ("at" {USUAL})'


def _execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _insert(table: str, *times: str | None) -> str:
    rows = ", ".join(f"('ADMIT', {'null' if at is None else repr(at)}, 's')" for at in times)
    return f"insert into {table} (decision, at, scope) values {rows}"  # noqa: S608 - the test's own


def _create(dsn: str, *, at_type: str = "text", options: str = "") -> None:
    _execute(dsn, f"create table given (decision text, at {at_type}, scope text) {options}")


def _source(dsn: str, table: str = "given", at: str = "at") -> postgres_receipts.PostgresReceipts:
    return postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns={**COLUMNS, "at": at}, form=receipt_table.TableForm(name=table)
    )


def _count(source: postgres_receipts.PostgresReceipts) -> receipts.WindowCount:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    return source.count(WINDOW, scope="s", bucket_seconds=600, give_up_at=soon)


def _trusts_check(counted: receipts.WindowCount) -> bool:
    return "pg_constraint" in counted.sql


@pytest.mark.parametrize("at_type", ["text", "text not null", "varchar(40)"])
def test_a_check_of_the_form_is_trusted(database_dsn: str, at_type: str) -> None:
    _create(database_dsn, at_type=at_type)
    _execute(database_dsn, f"alter table given add {KEPT}", _insert("given", INSIDE, OUTSIDE))

    counted = _count(_source(database_dsn))

    assert _trusts_check(counted)
    assert counted.counts == receipts.Counts(admit=1)


def test_a_column_with_a_quoted_name_is_trusted_too(database_dsn: str) -> None:
    name = 'At "the" gate'
    quoted = name.replace('"', '""')
    _execute(
        database_dsn,
        f'create table given (decision text, "{quoted}" text check ("{quoted}" {USUAL}), scope text)',
        f"insert into given (decision, \"{quoted}\", scope) values ('ADMIT', '{INSIDE}', 's')",  # noqa: S608
    )

    counted = _count(_source(database_dsn, at=name))

    assert _trusts_check(counted)
    assert counted.counts == receipts.Counts(admit=1)


def test_a_partition_keeps_the_check_of_its_table(database_dsn: str) -> None:
    _create(database_dsn, options="partition by list (scope)")
    _execute(
        database_dsn,
        f"alter table given add {KEPT}",
        "create table part partition of given default",
        _insert("given", INSIDE, OUTSIDE),
    )

    counted = _count(_source(database_dsn))

    assert _trusts_check(counted)
    assert counted.counts == receipts.Counts(admit=1)


@pytest.mark.parametrize(
    "statements",
    [
        (_insert("given", INSIDE_ELSEWHERE), f"alter table given add {KEPT} not valid"),
        (f"alter table given add {KEPT} no inherit", "create table heir () inherits (given)"),
        ("alter table given add check (at ~ '^2026')",),
        (f"alter table given add check (at {USUAL} or decision <> 'NOTHING')",),
        (f"alter table given add check (scope {USUAL} or true)",),
    ],
    ids=["not valid", "not of heirs", "of less", "or of something else", "of another column"],
)
def test_a_check_that_proves_nothing_of_every_row_is_not_trusted(
    database_dsn: str, statements: tuple[str, ...]
) -> None:
    _create(database_dsn)
    _execute(database_dsn, *statements)
    before = _count(_source(database_dsn))
    _execute(database_dsn, _insert("heir" if "heir" in statements[-1] else "given", INSIDE))
    if "not valid" not in statements[-1]:
        _execute(database_dsn, _insert("heir" if "heir" in statements[-1] else "given", INSIDE_ELSEWHERE))

    counted = _count(_source(database_dsn))

    assert not _trusts_check(before)
    assert not _trusts_check(counted)
    assert counted.counts == receipts.Counts(admit=2)


def test_a_check_by_an_operator_of_the_table_s_owner_is_not_trusted(database_dsn: str) -> None:
    """The server prints it as its own `~`, because the types of its arguments fit the column better."""
    _execute(
        database_dsn,
        "create function accept(varchar, text) returns boolean language sql immutable as 'select true'",
        "create operator ~ (leftarg = varchar, rightarg = text, function = accept)",
    )
    _create(database_dsn, at_type="varchar(40)")
    _execute(database_dsn, f"alter table given add {KEPT}", _insert("given", INSIDE, INSIDE_ELSEWHERE))

    assert _count(_source(database_dsn)).counts == receipts.Counts(admit=2)


@pytest.mark.parametrize("checked", [True, False], ids=["text with a CHECK", "timestamptz"])
def test_a_receipt_without_a_time_in_an_heir_is_refused(database_dsn: str, checked: bool) -> None:
    """A table can be NOT NULL where its heir is not."""
    columns = f"(decision text, at {'text' if checked else 'timestamptz'}, scope text)"
    kept = f"add constraint kept {KEPT}" if checked else "owner to current_user"
    _execute(
        database_dsn,
        f"create table given {columns}",
        f"create table heir {columns}",
        f"alter table given {kept}",
        f"alter table heir {kept}",
        "alter table heir inherit given",
        "alter table only given alter at set not null",
        _insert("given", INSIDE),
        _insert("heir", None),
    )

    with pytest.raises(errors.Refused, match="1 receipts of given have no time"):
        _count(_source(database_dsn))


def test_a_receipt_without_a_time_is_refused_where_not_null_was_never_validated(database_dsn: str) -> None:
    """Since Postgres 18 a column can be marked NOT NULL while older rows hold none."""
    _create(database_dsn)
    _execute(database_dsn, f"alter table given add {KEPT}", _insert("given", INSIDE, None))
    with psycopg.connect(database_dsn) as connection:
        if connection.info.server_version < 180_000:
            pytest.skip("this server has no NOT NULL that is not valid")
    _execute(database_dsn, "alter table given add constraint timed not null at not valid")

    with pytest.raises(errors.Refused, match="1 receipts of given have no time"):
        _count(_source(database_dsn))


def test_a_check_of_a_view_s_table_is_not_asked(database_dsn: str) -> None:
    _create(database_dsn)
    _execute(database_dsn, f"alter table given add {KEPT}", "create view seen as select * from given")
    _execute(database_dsn, _insert("given", INSIDE))

    counted = _count(_source(database_dsn, "seen"))

    assert not _trusts_check(counted)
    assert counted.counts == receipts.Counts(admit=1)


def test_a_foreign_partition_ends_the_trust(database_dsn: str) -> None:
    """The server keeps no CHECK of rows that are elsewhere: a reader that trusted it counts them all the same."""
    _create(database_dsn, options="partition by list (scope)")
    _execute(
        database_dsn,
        f"alter table given add {KEPT}",
        "create table part partition of given for values in ('other')",
    )
    source = _source(database_dsn)
    assert _trusts_check(_count(source))

    _execute(
        database_dsn,
        "create foreign data wrapper nowhere",
        "create server elsewhere foreign data wrapper nowhere",
        "create foreign table away partition of given for values in ('away') server elsewhere",
        _insert("given", INSIDE).replace("'s'", "'other'"),
    )

    assert not _trusts_check_anew(database_dsn)


def _trusts_check_anew(dsn: str) -> bool:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set plan_cache_mode to force_custom_plan")
        sql = f"select not {column_types.TIMES_UNCHECKED.text}"
        for name, value in {
            "receipts_table": '"given"',
            "time_column": "at",
            "usual_text": column_types.USUAL_TEXT,
        }.items():
            sql = sql.replace(f":{name}", "'" + value + "'")
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return bool(row[0])


def test_a_time_in_another_form_is_counted_after_the_check_was_dropped(database_dsn: str) -> None:
    _create(database_dsn)
    _execute(database_dsn, f"alter table given add constraint kept {KEPT}", _insert("given", INSIDE, OUTSIDE))
    source = _source(database_dsn)
    assert _count(source).counts == receipts.Counts(admit=1)

    _execute(database_dsn, "alter table given drop constraint kept", _insert("given", INSIDE_ELSEWHERE))

    assert _count(source).counts == receipts.Counts(admit=2)


def test_a_receipt_without_a_time_is_refused_as_ever(database_dsn: str) -> None:
    _create(database_dsn)
    _execute(database_dsn, f"alter table given add {KEPT}", _insert("given", INSIDE, None))

    with pytest.raises(errors.Refused, match="1 receipts of given have no time"):
        _count(_source(database_dsn))


def test_a_count_that_trusts_the_check_reads_the_table_once_and_looks_at_no_form(database_dsn: str) -> None:
    _create(database_dsn)
    _execute(database_dsn, f"alter table given add {KEPT}", _insert("given", INSIDE, OUTSIDE))
    counted = _count(_source(database_dsn))
    statement = counted.sql
    for name, value in sorted(counted.binds, key=lambda bind: -len(bind[0])):
        statement = statement.replace(f":{name}", "'" + value + "'")

    with psycopg.connect(database_dsn) as connection:
        connection.execute("set enable_indexscan to off")
        connection.execute("set timezone to 'UTC'")
        lines = [
            str(row[0])
            for row in connection.execute(f"explain (analyze, costs off, timing off) {statement}".encode()).fetchall()
        ]

    scans = [line for line in lines if "Scan on given" in line]
    assert [("never executed" in line) for line in scans] == [False, True], lines
    read = "\n".join(lines[: lines.index(scans[1])])
    assert "~~" not in read, read
