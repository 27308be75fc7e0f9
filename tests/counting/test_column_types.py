"""Tables of any shape: the count is exact whatever the types of scope and time, and index and partitions serve."""

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import psycopg
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from burst.adapters.postgres import column_types, postgres_receipts, statements
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipt_table, receipts
from burst.task import counting
from tests import waiting

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))
ROLES = {"decision": "decision", "at": "at", "scope": "scope"}
FIRST, SECOND = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
MakeTable = Callable[..., postgres_receipts.PostgresReceipts]


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=20)


@pytest.fixture
def make_table(database_dsn: str) -> MakeTable:
    """A source over a table of its own: two receipts of the first scope in the window, one after it, one of another."""

    def make(
        *,
        scope_type: str = "text",
        at_type: str = "text",
        decision_type: str = "text",
        scopes: tuple[str, str] = ("a", "b"),
        options: str = "",
        form: receipt_table.TableForm = receipt_table.PLAIN_FORM,
    ) -> postgres_receipts.PostgresReceipts:
        with psycopg.connect(database_dsn) as connection:
            connection.execute("set timezone to 'UTC'")
            connection.execute("create extension if not exists citext")
            connection.execute("create type scopes as enum ('a', 'b', 'A')")
            connection.execute("create domain scope_domain as text check (value <> '')")
            connection.execute("create domain scope_uuid as uuid")
            columns = f"decision {decision_type}, at {at_type}, scope {scope_type}, event_id text"
            connection.execute(f"create table typed ({columns}) {options}".encode())
            if options:
                for day in (20, 21, 22):
                    connection.execute(
                        f"create table typed_{day} partition of typed"
                        f" for values from ('2026-02-{day} 00:00+00') to ('2026-02-{day + 1} 00:00+00')".encode()
                    )
            connection.execute("create index on typed (scope, at)")
            first, second = scopes
            rows = [("ADMIT", 0, first), ("DUPLICATE", 19, first), ("ADMIT", 20, first), ("ADMIT", 5, second)]
            for decision, minutes, scope in rows:
                moment = START + timedelta(minutes=minutes)
                at = moment.isoformat() if form.time_unit is None else write_number(moment, form.time_unit)
                decision = (form.decision_words.get(decision) or (decision,))[-1]
                connection.execute("insert into typed values (%s, %s, %s, 'e')", [decision, at, scope])
        return postgres_receipts.PostgresReceipts(
            redaction.Secret(database_dsn), columns=ROLES, form=replace(form, name="typed")
        )

    return make


def write_number(at: datetime, unit: str) -> str:
    """An instant as a number since 1970 in a unit."""
    return str(Fraction(int(at.timestamp()) * receipt_table.TIME_UNITS["s"], receipt_table.TIME_UNITS[unit]))


def make_engine(dsn: str) -> sqlalchemy.Engine:
    """As the source makes its own; it keeps no connection."""
    return sqlalchemy.create_engine(
        dsn.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sqlalchemy.pool.NullPool
    )


def explain(dsn: str, scope: str, form: receipt_table.TableForm = receipt_table.PLAIN_FORM) -> str:
    """The plan of the shipped statement, where the planner prefers an index."""
    engine = make_engine(dsn)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("set timezone to 'UTC'"))
        connection.execute(sqlalchemy.text("set enable_seqscan to off"))
        table = statements.read_types(connection, statements.describe_table(replace(form, name="typed"), ROLES))
        statement = statements.count_receipts(table, scoped=True)
        values = {**table.bind_window(WINDOW), "bucket": timedelta(minutes=20), "scope": scope}
        compiled = statement.compile(engine, compile_kwargs={"render_postcompile": True})
        rows = connection.exec_driver_sql(f"explain {compiled}", values).all()
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize(
    ("scope_type", "scopes"),
    [
        ("text", ("a", "b")),
        ("varchar(40)", ("a", "b")),
        ('text collate "C"', ("a", "b")),
        ("scope_domain", ("a", "b")),
        ("char(40)", ("a", "b")),
        ("citext", ("a", "A")),
        ("scopes", ("a", "A")),
        ("uuid", (FIRST, SECOND)),
        ("scope_uuid", (FIRST, SECOND)),
        ("integer", ("7", "77")),
        ("bigint", ("7", "77")),
    ],
    ids=str,
)
def test_the_value_takes_the_type_of_the_scope_so_that_its_index_serves(
    make_table: MakeTable, database_dsn: str, scope_type: str, scopes: tuple[str, str]
) -> None:
    source = make_table(scope_type=scope_type, scopes=scopes)

    counted = source.count(WINDOW, scope=scopes[0], bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=1, duplicate=1)
    assert re.search(r"Index Cond: \(.*scope", explain(database_dsn, scopes[0]))


@pytest.mark.parametrize(
    ("scope_type", "scopes", "scope"),
    [("uuid", (FIRST, SECOND), "platform_1"), ("scopes", ("a", "b"), "c"), ("integer", ("7", "8"), "7x")],
    ids=str,
)
def test_a_scope_that_its_column_cannot_hold_is_a_mistake_in_the_plan(
    make_table: MakeTable, scope_type: str, scopes: tuple[str, str], scope: str
) -> None:
    source = make_table(scope_type=scope_type, scopes=scopes)

    with pytest.raises(errors.UsageError, match=f"scope: '{scope}' cannot be in column scope of typed"):
        source.count(WINDOW, scope=scope, bucket_seconds=60, give_up_at=soon())
    assert source.count(WINDOW, scope=None, bucket_seconds=60, give_up_at=soon()).counts.total == 3


@pytest.mark.parametrize("at_type", ["timestamptz", "timestamp"])
def test_a_window_reads_its_own_partition_alone(make_table: MakeTable, database_dsn: str, at_type: str) -> None:
    source = make_table(at_type=f"{at_type} not null", options="partition by range (at)")

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=1, duplicate=1)
    assert set(re.findall(r" on (typed_[0-9]+)\b", explain(database_dsn, "a"))) == {"typed_21"}


@pytest.mark.parametrize("unit", receipt_table.TIME_UNITS)
@pytest.mark.parametrize("at_type", ["bigint", "numeric", "double precision"])
def test_a_time_that_is_a_number_of_units_is_counted_exactly(
    make_table: MakeTable, database_dsn: str, at_type: str, unit: str
) -> None:
    form = receipt_table.TableForm(time_unit=unit)
    source = make_table(at_type=f"{at_type} not null", form=form)

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=1, duplicate=1)
    assert [bucket.counts.total for bucket in counted.buckets] == [1, *[0] * 18, 1]
    assert source.problems(give_up_at=soon()) == []
    assert source.sample_times(10, give_up_at=soon()).without_time_of_day == 0
    assert at_type != "bigint" or re.search(r"Index Cond: \(.*\bat\b", explain(database_dsn, "a", form))


@pytest.mark.parametrize(
    ("at_type", "unit", "words"),
    [
        ("date", None, "column at holds dates, and a date is no instant"),
        ("bigint", None, "column at holds numbers; say in receipts.time_unit of which unit since 1970: s, ms, us, ns"),
        ("timestamptz", "ms", "column at holds timestamptz, and receipts.time_unit is for numbers"),
    ],
)
def test_a_time_that_is_no_instant_by_its_type_is_a_mistake_in_the_plan_and_found_by_preflight(
    make_table: MakeTable, database_dsn: str, at_type: str, unit: str | None, words: str
) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute(f"create table bare (decision text, at {at_type}, scope text)".encode())
    form = receipt_table.TableForm(name="bare", time_unit=unit)
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=ROLES, form=form)

    with pytest.raises(errors.UsageError, match=words):
        source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    (problem,) = source.problems(give_up_at=soon())
    assert words in problem


@pytest.mark.parametrize("at_type", ["numeric", "double precision"])
@pytest.mark.parametrize("number", ["NaN", "1e40"])
def test_a_number_that_is_no_instant_refuses_the_count_and_names_its_column(
    make_table: MakeTable, database_dsn: str, at_type: str, number: str
) -> None:
    source = make_table(at_type=at_type, form=receipt_table.TableForm(time_unit="s"))
    with psycopg.connect(database_dsn) as connection:
        connection.execute("insert into typed values ('ADMIT', %s, 'a', 'e')", [number])

    with pytest.raises(errors.Refused, match="every row must hold an instant in at"):
        source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    assert source.count(WINDOW, scope="b", bucket_seconds=60, give_up_at=soon()).counts.total == 1


def test_a_column_whose_type_changes_between_two_counts_is_counted_as_it_is_then(
    make_table: MakeTable, database_dsn: str
) -> None:
    source = make_table(scopes=("a", "b"), at_type="text not null")

    def count() -> int:
        return source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon()).counts.total

    counted = [count()]
    for change in (
        "alter table typed alter column scope type citext",
        "insert into typed select decision, at, 'A', event_id from typed",
        "alter table typed alter column at type timestamptz using at::timestamptz",
    ):
        with psycopg.connect(database_dsn) as connection:
            connection.execute(change.encode())
        counted.append(count())
    with psycopg.connect(database_dsn) as connection:
        connection.execute("alter table typed alter column at drop not null")
        connection.execute("insert into typed values ('ADMIT', null, 'a', 'e')")

    assert counted == [2, 2, 2, 2]
    with pytest.raises(errors.Refused, match="1 receipts of typed have no time"):
        count()


@given(
    unit=st.sampled_from(sorted(receipt_table.TIME_UNITS)),
    number=st.integers(0, 4_000_000_000),
    edge=st.integers(-2_000_000, 2_000_000),
)
def test_a_whole_number_is_in_a_window_exactly_where_its_instant_is(unit: str, number: int, edge: int) -> None:
    """The bound in units decides as the instant does, cut to its microsecond."""
    nanoseconds = number * receipt_table.TIME_UNITS[unit]
    instant_us = nanoseconds // 1000
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=max(0, instant_us + edge))

    begins = column_types.count_units(start, unit)

    assert (number >= begins) is (instant_us >= max(0, instant_us + edge))


@pytest.mark.parametrize(
    ("decision_type", "words"),
    [
        ("boolean", {"ADMIT": ("true",), "DUPLICATE": ("false",)}),
        ("text", {"ADMIT": ("ok", "accepted"), "DUPLICATE": ("seen before",)}),
        ("text", {"ADMIT": ('it\'s "new", {1} \\',), "DUPLICATE": ("%s :scope",)}),
        ("smallint", {"ADMIT": ("1",), "DUPLICATE": ("2",)}),
    ],
    ids=["boolean", "words", "hostile words", "numbers"],
)
def test_the_words_of_a_decision_are_the_plan_s(
    make_table: MakeTable, database_dsn: str, decision_type: str, words: dict[str, tuple[str, ...]]
) -> None:
    source = make_table(decision_type=decision_type, form=receipt_table.TableForm(decision_words=words))

    counted = source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
    receipt = source.find_receipt("e", scope="a", event_column="event_id", give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=1, duplicate=1)
    assert receipt is not None
    assert (receipt.decision, receipt.at) == ("ADMIT", START)
    assert dict(counted.binds)["admit_words"].startswith("{")


def test_a_word_that_stands_for_nothing_is_another_decision(make_table: MakeTable) -> None:
    source = make_table(form=receipt_table.TableForm(decision_words={"ADMIT": ("yes",)}))
    strict = receipt_table.TableForm(decision_words={"ADMIT": ("ok",)})

    assert source.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon()).counts == receipts.Counts(
        admit=1, duplicate=1
    )
    assert strict.name_decision("ok") == "ADMIT"
    assert strict.name_decision("DUPLICATE") == "DUPLICATE"
    assert strict.name_decision("ADMIT") != "ADMIT"


def test_the_columns_of_the_platform_are_counted_by_the_index_of_their_scope(database_dsn: str) -> None:
    engine = make_engine(database_dsn)
    with engine.connect() as connection:
        table = statements.read_types(connection, statements.describe_table(receipt_table.PLAIN_FORM, counting.COLUMNS))

    assert {role: type_.name for role, type_ in table.types.items()} == {
        "decision": "text",
        "at": "text",
        "scope": "text",
    }


@pytest.mark.parametrize(
    "changes",
    [
        ("alter table typed alter column event_id type integer using 7",),
        ("alter table typed alter column at type timestamptz using at::timestamptz",),
        ("alter table typed rename to earlier", "create table typed as select * from earlier"),
    ],
    ids=["another column", "the column of times", "exchanged"],
)
def test_a_table_that_is_rewritten_while_a_count_waits_for_it_is_counted_as_it_is_then(
    make_table: MakeTable, database_dsn: str, changes: tuple[str, ...]
) -> None:
    source = make_table()
    with writing_while_counting(database_dsn, source, *changes) as (writing, counting_now):
        writing.commit()

    assert counting_now.result().counts == receipts.Counts(admit=1, duplicate=1)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("create unlogged table part partition of given for values in ('a')", "alter table part set logged"),
        ("create table part (own integer) inherits (given)", "alter table part alter column own type bigint"),
        (
            "create table part (own integer) inherits (given)",
            "create table other as table part; drop table part; alter table other inherit given",
        ),
    ],
    ids=["partition", "heir", "exchanged heir"],
)
def test_a_part_of_a_table_that_is_rewritten_while_a_count_waits_for_it_is_counted(
    database_dsn: str, part: str, change: str
) -> None:
    partitioned = "partition by list (scope)" if "partition" in part else ""
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(f"create table given (decision text, at text, scope text) {partitioned}".encode())
        connection.execute(part.encode())
        connection.execute("insert into part (decision, at, scope) values ('ADMIT', %s, 'a')", [START.isoformat()])
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(database_dsn), columns=ROLES, form=receipt_table.TableForm(name="given")
    )
    with writing_while_counting(database_dsn, source, change) as (writing, counting_now):
        writing.commit()

    assert counting_now.result().counts == receipts.Counts(admit=1)


@pytest.mark.parametrize(
    ("earlier", "changes"),
    [
        ("", ("create table other as table part", "drop table part")),
        ("", ("create table other as table part", "alter table middle detach partition part")),
        (
            "create table other (like given)",
            ("insert into other table part", "alter table middle detach partition part"),
        ),
    ],
    ids=["dropped", "detached", "made before"],
)
def test_a_partition_of_a_partition_that_is_exchanged_while_a_count_waits_for_it_is_counted(
    database_dsn: str, earlier: str, changes: tuple[str, ...]
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        for statement in (
            "create table given (decision text, at text, scope text) partition by list (scope)",
            "create table middle partition of given for values in ('a') partition by list (decision)",
            "create table part partition of middle for values in ('ADMIT')",
            earlier,
        ):
            connection.execute(statement.encode())
        connection.execute("insert into given values ('ADMIT', %s, 'a')", [START.isoformat()])
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(database_dsn), columns=ROLES, form=receipt_table.TableForm(name="given")
    )
    with writing_while_counting(database_dsn, source, *changes) as (writing, counting_now):
        writing.execute("alter table middle attach partition other for values in ('ADMIT')")
        writing.commit()

    assert counting_now.result().counts == receipts.Counts(admit=1)


@pytest.fixture
def column_reader(make_table: MakeTable, database_dsn: str) -> Iterator[postgres_receipts.PostgresReceipts]:
    """Counts by a role that may read the columns of a count alone, and may not lock the table."""
    make_table()
    name = f"reader_{uuid.uuid4().hex}"
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(f"create role {name} login password 'x'".encode())
        connection.execute(f"grant select (decision, at, scope) on typed to {name}".encode())
        try:
            dsn = f"postgresql://{name}:x@{database_dsn.partition('@')[2]}"
            yield postgres_receipts.PostgresReceipts(
                redaction.Secret(dsn), columns=ROLES, form=receipt_table.TableForm(name="typed")
            )
        finally:
            connection.execute(f"drop owned by {name}".encode())
            connection.execute(f"drop role {name}".encode())


def test_a_reader_of_some_columns_counts_though_it_may_not_lock_the_table(
    column_reader: postgres_receipts.PostgresReceipts,
) -> None:
    counted = column_reader.count(WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())

    assert counted.counts == receipts.Counts(admit=1, duplicate=1)


@pytest.mark.parametrize(
    "changes",
    [
        ("alter table typed alter column event_id type integer using 7",),
        ("create temp table kept on commit drop as table typed", "truncate typed", "insert into typed table kept"),
        (
            "alter table typed rename to earlier",
            "create table typed as table earlier",
            "grant select on typed to public",
        ),
    ],
    ids=["rewritten", "emptied and filled", "exchanged"],
)
def test_a_reader_of_some_columns_counts_no_table_that_was_rewritten_meanwhile_as_empty(
    column_reader: postgres_receipts.PostgresReceipts, database_dsn: str, changes: tuple[str, ...]
) -> None:
    with writing_while_counting(database_dsn, column_reader, *changes) as (writing, counting_now):
        writing.commit()

    assert counting_now.result().counts == receipts.Counts(admit=1, duplicate=1)


def test_a_fact_of_a_table_that_is_rewritten_while_it_is_asked_is_that_of_its_rows(database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("insert into admissions (dedupe_key, state) values ('k', 'PUBLISH_AMBIGUOUS')")
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=ROLES)
    query = "select count(*) from admissions where state = 'PUBLISH_AMBIGUOUS'"
    with futures.ThreadPoolExecutor(1) as threads, psycopg.connect(database_dsn) as writing:
        writing.execute("alter table admissions alter column payload_hash type integer using 7")
        asking = threads.submit(source.ask, query, scope="a", give_up_at=soon())
        wait_for_a_lock(database_dsn)
        writing.commit()

    assert asking.result() == 1


@contextlib.contextmanager
def writing_while_counting(
    dsn: str, source: postgres_receipts.PostgresReceipts, *changes: str
) -> Iterator[tuple[psycopg.Connection, "futures.Future[receipts.WindowCount]"]]:
    """A transaction that has made the changes, and a count that waits for it."""
    with futures.ThreadPoolExecutor(1) as threads, psycopg.connect(dsn) as writing:
        for change in changes:
            writing.execute(change.encode())
        counting_now = threads.submit(source.count, WINDOW, scope="a", bucket_seconds=60, give_up_at=soon())
        wait_for_a_lock(dsn)
        yield writing, counting_now


def wait_for_a_lock(dsn: str) -> None:
    """Waits until somebody waits for a table of the database."""
    waits = "select from pg_locks where not granted and database = (select oid from pg_database where datname = %s)"
    with psycopg.connect(dsn, autocommit=True) as watching:
        waiting.until(
            lambda: watching.execute(waits, [watching.info.dbname]).fetchall(), what="a statement waiting for a lock"
        )


def test_a_window_beyond_the_last_nanosecond_of_a_whole_number_is_a_mistake_of_the_window(
    make_table: MakeTable,
) -> None:
    source = make_table(at_type="bigint", form=receipt_table.TableForm(time_unit="ns"))
    last = datetime(2262, 4, 11, 23, 47, 16, tzinfo=UTC)
    within = windows.Window(last - timedelta(minutes=1), last)
    beyond = windows.Window(last, last + timedelta(seconds=1))

    assert source.count(within, scope="a", bucket_seconds=60, give_up_at=soon()).counts == receipts.Counts()
    with pytest.raises(errors.UsageError, match=r"column at of typed holds whole numbers of ns.*2262-04-11T23:47:16Z"):
        source.count(beyond, scope="a", bucket_seconds=60, give_up_at=soon())


@pytest.mark.parametrize("at_type", ["numeric", "double precision"])
def test_a_window_of_any_year_is_counted_where_numbers_reach_it(make_table: MakeTable, at_type: str) -> None:
    source = make_table(at_type=at_type, form=receipt_table.TableForm(time_unit="ns"))
    window = windows.Window(datetime(2300, 1, 1, tzinfo=UTC), datetime(2300, 1, 2, tzinfo=UTC))

    assert source.count(window, scope="a", bucket_seconds=86400, give_up_at=soon()).counts == receipts.Counts()
