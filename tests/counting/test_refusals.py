"""What cannot be counted is refused, what is hostile stays a value or a name, and nothing can be changed."""

import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipt_table, receipts
from burst.task import counting
from tests import fixtures_postgres

START = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
WINDOW = windows.Window(START, START + timedelta(minutes=20))

Source = Callable[..., postgres_receipts.PostgresReceipts]
Insert = Callable[..., None]


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=20)


@pytest.fixture(scope="module")
def module_dsn(postgres_template: fixtures_postgres.TemplatedServer) -> Iterator[str]:
    """One database for all tests of this module, with what hostile queries want to use."""
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    run(
        dsn,
        'create schema "sch""ema;"',
        "create type decisions as enum ('ADMIT', 'DUPLICATE', 'QUARANTINE')",
        "create sequence counter",
        "create function write_one() returns int language sql volatile"
        " as $$ insert into receipts (decision) values ('ADMIT') returning 1 $$",
    )
    yield dsn
    postgres_template.server.drop_database(urllib.parse.urlsplit(dsn).path.lstrip("/"))


@pytest.fixture
def dsn(module_dsn: str) -> str:
    """The module's database, with no receipts in it."""
    run(module_dsn, "truncate receipts")
    return module_dsn


@pytest.fixture
def source(dsn: str) -> Source:
    """Makes a source on the test's database."""

    def make(
        table: str = "receipts", columns: Mapping[str, str] = counting.COLUMNS
    ) -> postgres_receipts.PostgresReceipts:
        return postgres_receipts.PostgresReceipts(
            redaction.Secret(dsn), columns=columns, form=receipt_table.TableForm(name=table)
        )

    return make


@pytest.fixture
def insert(dsn: str) -> Insert:
    """Inserts one receipt into the test's database."""

    def run(decision: str | None = "ADMIT", at: str | None = "2026-02-21T02:00:00+00:00", scope: str = "a") -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "insert into receipts (decision, created_at_utc, platform_run_id) values (%s, %s, %s)",
                (decision, at, scope),
            )

    return run


def run(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def counts(source: postgres_receipts.PostgresReceipts, scope: str | None = "a") -> receipts.Counts:
    return source.count(WINDOW, scope=scope, bucket_seconds=60, give_up_at=soon()).counts


@pytest.mark.parametrize("decision", ["admit", " ADMIT", "ADMIT ", "ADMIT\n", "", "REJECT", None])
def test_a_decision_is_compared_exactly(source: Source, insert: Insert, decision: str | None) -> None:
    insert(decision)

    assert counts(source()) == receipts.Counts(other=1)


@pytest.mark.parametrize("column_type", ["decisions", "varchar(20)", "char(10)"])
def test_the_type_of_the_decision_column_makes_no_difference(
    source: Source, dsn: str, insert: Insert, column_type: str
) -> None:
    for decision in receipts.DECISIONS:
        insert(decision)
    run(dsn, "drop table if exists typed", "create table typed as select * from receipts")
    run(dsn, f"alter table typed alter decision type {column_type} using decision::{column_type}")

    assert counts(source(table="typed")) == receipts.Counts(admit=1, duplicate=1, quarantine=1)


@pytest.mark.parametrize(
    "at", ["yesterday-ish", "", "2026-02-30 00:00:00Z", "2026-02-21T02:00:99Z", "21/02/2026 02:00"]
)
def test_a_time_that_is_no_instant_is_refused_by_column(source: Source, insert: Insert, at: str) -> None:
    insert()
    insert(at=at)

    with pytest.raises(errors.Refused, match=r"every row must hold an instant in created_at_utc") as refusal:
        counts(source())

    assert at in str(refusal.value)


def test_a_text_of_the_usual_form_that_sorts_outside_the_window_is_outside_whatever_it_means(
    source: Source, insert: Insert
) -> None:
    insert()
    insert(at="2026-02-30T00:00:00Z")

    assert counts(source()) == receipts.Counts(admit=1)


def test_a_receipt_without_a_time_is_refused_in_its_own_scope_only(source: Source, insert: Insert) -> None:
    insert(scope="a")
    insert(at=None, scope="b")

    with pytest.raises(errors.Refused, match=r"1 receipts of receipts have no time \(created_at_utc is NULL\)"):
        counts(source(), scope="b")
    assert counts(source(), scope="a") == receipts.Counts(admit=1)


HOSTILE_NAMES = ['re"ceipts; drop', "Receipts", "select", "%s %(scope)s %%", ":start", "a'b--", "täble", "x" * 63]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("schema", ["", "public.", 'sch"ema;.'])
def test_a_hostile_name_is_only_a_name(source: Source, dsn: str, name: str, schema: str) -> None:
    columns = {"decision": f"d{name}"[:60], "at": f"a{name}"[:60], "scope": f"s{name}"[:60]}
    table = sql.Identifier(*f"{schema}{name}".split("."))
    with psycopg.connect(dsn) as connection:
        connection.execute(sql.SQL("drop table if exists {}").format(table))
        made = sql.SQL("create table {} as select 'ADMIT' {}, '2026-02-21T02:00:00Z' {}, 'a' {}")
        connection.execute(made.format(table, *(sql.Identifier(columns[role]) for role in ("decision", "at", "scope"))))

    hostile = source(table=f"{schema}{name}", columns=columns)

    assert counts(hostile) == receipts.Counts(admit=1)
    assert list(hostile.problems(give_up_at=soon())) == []
    assert counts(source()) == receipts.Counts()


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "ä" * 32, ".receipts", "public.", "a.b.c"])
def test_what_cannot_be_a_name_is_refused_before_anything_is_asked(source: Source, name: str) -> None:
    with pytest.raises(errors.UsageError, match="table"):
        source(table=name)
    with pytest.raises(errors.UsageError):
        source(columns={**counting.COLUMNS, "at": name} if "." not in name else {"at": name})


HOSTILE_SCOPES = [
    "'; drop table receipts; --",
    "%",
    "%(scope)s",
    ":scope",
    "\\",
    "",
    " a",
    "A",
    "a\nb",
    "☃",
    "a" * 5000,
]


@pytest.mark.parametrize("scope", HOSTILE_SCOPES)
def test_a_hostile_scope_is_only_a_value(source: Source, insert: Insert, scope: str) -> None:
    insert(scope="a")
    insert(scope=scope)

    assert counts(source(), scope=scope) == receipts.Counts(admit=1)
    assert counts(source(), scope=None) == receipts.Counts(admit=2)
    assert (
        source().ask("select count(*) from receipts where platform_run_id = :scope", scope=scope, give_up_at=soon())
        == 1
    )


@pytest.mark.parametrize("scope", ["a\0b", "\ud800"])
def test_a_scope_that_is_no_text_is_refused(source: Source, scope: str) -> None:
    with pytest.raises(errors.UsageError, match="scope"):
        counts(source(), scope=scope)
    with pytest.raises(errors.UsageError, match="scope"):
        source().ask("select :scope", scope=scope, give_up_at=soon())


@pytest.mark.parametrize(
    "bucket_seconds",
    [0, -1, float("nan"), 1 / 3, 0.0000001, 0.001],
    ids=["none", "negative", "nan", "third", "0.1us", "too many"],
)
def test_a_bucket_that_postgres_would_cut_elsewhere_is_refused(source: Source, bucket_seconds: float) -> None:
    with pytest.raises(errors.UsageError, match="bucket"):
        source().count(WINDOW, scope="a", bucket_seconds=bucket_seconds, give_up_at=soon())


WRITES = [
    "select write_one()",
    "select nextval('counter')",
    "insert into receipts (decision) values ('ADMIT') returning 1",
    "with one as (insert into receipts (decision) values ('ADMIT') returning 1) select * from one",
    "select 1; insert into receipts (decision) values ('ADMIT')",
    "select 1) as fact; commit; insert into receipts (decision) values ('ADMIT'); select 1 from (select 1",
    "select 1) as fact; set transaction read write; select write_one() from (select 1",
    "select set_config('transaction_read_only', 'off', true) || write_one()::text",
    "update receipts set decision = 'ADMIT'",
    "drop table receipts",
]


@pytest.mark.parametrize("query", WRITES)
def test_a_fact_query_that_writes_is_refused_and_writes_nothing(
    source: Source, insert: Insert, dsn: str, query: str
) -> None:
    insert("DUPLICATE")

    with pytest.raises(errors.UsageError):
        source().ask(query, scope="a", give_up_at=soon())

    with psycopg.connect(dsn) as connection:
        assert connection.execute("select decision from receipts").fetchall() == [("DUPLICATE",)]


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("select count(*) from receipts where platform_run_id = :scope", 0),
        ("select 1.5::numeric;", 1.5),
        ("select 2.0::numeric", 2),
        ("select 12345678901234567890::numeric", 12345678901234567890),
        ("select 0.25::float8 -- a comment", 0.25),
        ("select true", True),
        ("select null", None),
        ("select max(created_at_utc) from receipts", None),
        ("select 'PUBLISH_AMBIGUOUS: 5 % \\:x'::text", "PUBLISH_AMBIGUOUS: 5 % :x"),
        ("select timestamptz '2026-02-21T03:00:00+01:00'", "2026-02-21T02:00:00Z"),
        ("select timestamp '2026-02-21 02:00:00.5'", "2026-02-21T02:00:00.500000Z"),
        ("with one as (select 1 as n) select n from one order by n", 1),
    ],
)  # fmt: skip
def test_a_fact_query_answers_a_plain_value(source: Source, query: str, value: object) -> None:
    answer = source().ask(query, scope="a", give_up_at=soon())

    assert (answer, type(answer)) == (value, type(value))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("selec 1", "syntax error"),
        ("select * from nowhere", 'relation "nowhere" does not exist'),
        ("select 1/0", "division by zero"),
        ("select timestamptz 'soon'", "invalid input syntax"),
        ("select :other", "only :scope is bound"),
        ("select interval '1 s'", "cast it"),
        ("select 'nan'::float8", "cast it"),
        ("select 'infinity'::timestamptz", "timestamp too large"),
        ("select", "0 columns|no columns"),
        ("", "no columns|0 columns|syntax error"),
    ],
)
def test_a_wrong_fact_query_is_named_with_what_is_wrong(source: Source, query: str, said: str) -> None:
    with pytest.raises(errors.UsageError, match=said):
        source().ask(query, scope="a", give_up_at=soon())


def test_problems_are_named_one_by_one(source: Source, dsn: str, insert: Insert) -> None:
    run(dsn, "create table odd (decision text, at uuid, soon text)", "insert into odd (soon) values ('soon')")
    by_column = {"decision": "decision", "at": "at", "scope": "scope"}

    assert list(source(table="nowhere").problems(give_up_at=soon())) == [
        'table nowhere: relation "nowhere" does not exist'
    ]
    assert list(source(table="odd", columns=by_column).problems(give_up_at=soon())) == [
        "column at of odd (at): cannot cast type uuid to timestamp with time zone",
        'column scope of odd (scope): column "scope" does not exist',
    ]
    assert list(source(table="odd", columns={"decision": "decision", "at": "soon", "scope": "soon"}).problems(
        give_up_at=soon()
    )) == ['column soon of odd (at): invalid input syntax for type timestamp with time zone: "soon"']  # fmt: skip


@pytest.mark.parametrize(
    ("table", "at", "said"),
    [
        ("nowhere", "created_at_utc", "nowhere"),
        ("receipts", "nothing", "nothing"),
        ("receipts", "eb_partition", "holds numbers"),
    ],
)
def test_a_count_of_a_wrong_table_or_column_is_a_mistake_in_the_plan(
    source: Source, table: str, at: str, said: str
) -> None:
    with pytest.raises(errors.UsageError, match=said):
        counts(source(table=table, columns={**counting.COLUMNS, "at": at}))


def test_a_user_that_may_not_read_is_told_what_to_grant(dsn: str) -> None:
    role = f"reader_{dsn.rpartition('/burst_')[2][:12]}"
    run(dsn, f"create role {role} login password 'reader'")
    own = dsn.partition("@")[2]
    try:
        reader = postgres_receipts.PostgresReceipts(
            redaction.Secret(f"postgresql://{role}:reader@{own}"), columns=counting.COLUMNS
        )

        with pytest.raises(errors.Refused, match="grant SELECT"):
            counts(reader)
        assert list(reader.problems(give_up_at=soon())) == ["table receipts: permission denied for table receipts"]
    finally:
        run(dsn, f"drop role {role}")


@pytest.fixture
def policed(database_dsn: str) -> Iterator[postgres_receipts.PostgresReceipts]:
    """Receipts of two kinds, one of which a policy hides from the role that asks: on a table, behind a view that asks
    with the rights of the role, behind one whose owner is subject to the policy, and behind one whose owner is not."""
    role = f"policed_{database_dsn.rpartition('/burst_')[2][:12]}"
    run(
        database_dsn,
        "insert into receipts (decision, created_at_utc, platform_run_id)"
        " values ('ADMIT', '2026-02-21T02:00:00Z', 'a')",
        "insert into receipts (decision, created_at_utc, platform_run_id)"
        " values ('DUPLICATE', '2026-02-21T02:00:00Z', 'a')",
        f"create role {role} login password 'policed'",
        f"grant all on schema public to {role}",
        f"grant select on receipts to {role}",
        "alter table receipts enable row level security",
        "create policy admits on receipts using (decision = 'ADMIT')",
        "create view as_the_owner as select * from receipts",
        f"grant select on as_the_owner to {role}",
        f"set role {role}",
        "create view as_the_role as select * from receipts",
    )
    url = f"postgresql://{role}:policed@{database_dsn.partition('@')[2]}"
    source = postgres_receipts.PostgresReceipts(redaction.Secret(url), columns=counting.COLUMNS)
    yield source
    source.close()
    run(database_dsn, f"drop owned by {role} cascade", f"drop role {role}")


@pytest.mark.parametrize("table", ["receipts", "as_the_role"])
def test_rows_that_a_policy_hides_are_refused_and_never_left_out(
    policed: postgres_receipts.PostgresReceipts, table: str
) -> None:
    query = f"select count(*) from {table} where decision = 'DUPLICATE'"  # noqa: S608 - the test's own name
    with pytest.raises(errors.Refused, match=r"row-level security policy.*BYPASSRLS") as refusal:
        policed.ask(query, scope="a", give_up_at=soon())

    assert "grant SELECT" not in str(refusal.value)
    assert policed.ask("select count(*) from as_the_owner", scope="a", give_up_at=soon()) == 2


def test_a_count_of_a_table_with_a_policy_is_refused_in_every_question(
    policed: postgres_receipts.PostgresReceipts,
) -> None:
    counter = policed.follow(
        start=START, until=WINDOW.end, scope="a", settle_seconds=0.0, every_seconds=1.0, patience_seconds=10.0
    )

    with pytest.raises(errors.Refused, match="BYPASSRLS"):
        counts(policed)
    with pytest.raises(errors.Refused, match="BYPASSRLS"):
        counter.poll(datetime.now(UTC))
    with pytest.raises(errors.Refused, match="BYPASSRLS"):
        contents(policed)
    (problem,) = policed.problems(give_up_at=soon())
    assert "row-level security policy" in problem
    assert "BYPASSRLS" in problem


def test_a_role_that_no_policy_applies_to_counts_every_row(
    policed: postgres_receipts.PostgresReceipts, database_dsn: str
) -> None:
    owner = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS)

    assert counts(owner) == receipts.Counts(admit=1, duplicate=1)


def contents(source: postgres_receipts.PostgresReceipts, event_column: str = "event_id") -> receipt_table.ScopeContents:
    return source.scope_contents("a", event_column=event_column, give_up_at=soon())


def test_a_table_without_the_column_of_event_ids_has_no_known_canaries(source: Source, insert: Insert) -> None:
    insert()

    assert contents(source(), "nothing").canaries is None
    assert contents(source(), "nothing").counts == receipts.Counts(admit=1)
    with pytest.raises(errors.UsageError, match='column "nothing" does not exist'):
        source().find_receipt("one", scope="a", event_column="nothing", give_up_at=soon())


def test_admissions_are_not_known_where_there_is_no_such_table_or_it_has_other_columns(database_dsn: str) -> None:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS)
    run(
        database_dsn,
        "insert into admissions (dedupe_key, platform_run_id, event_id) values ('1', 'a', 'one')",
        "insert into admissions (dedupe_key, platform_run_id, event_id) values ('2', 'a', 'burst-canary-2')",
    )
    known = contents(source)
    run(database_dsn, "alter table admissions rename column event_id to id")
    renamed = contents(source)
    run(database_dsn, "drop table admissions")

    assert [known.admissions, renamed.admissions, contents(source).admissions] == [1, None, None]


def test_receipts_of_a_scope_without_a_time_are_refused_before_a_burst(source: Source, insert: Insert) -> None:
    insert(at=None)

    with pytest.raises(errors.Refused, match="1 receipts of receipts have no time"):
        contents(source())


def test_admissions_that_may_not_be_read_are_refused_and_not_taken_for_none(database_dsn: str) -> None:
    role = f"counter_{database_dsn.rpartition('/burst_')[2][:12]}"
    run(database_dsn, f"create role {role} login password 'reader'", f"grant select on receipts to {role}")
    own = database_dsn.partition("@")[2]
    reader = postgres_receipts.PostgresReceipts(
        redaction.Secret(f"postgresql://{role}:reader@{own}"), columns=counting.COLUMNS
    )
    try:
        with pytest.raises(errors.Refused, match="permission denied for table admissions; grant SELECT"):
            contents(reader)
    finally:
        run(database_dsn, f"drop owned by {role}", f"drop role {role}")


def test_the_rights_to_write_of_a_role_are_named_and_whether_its_sessions_use_them(database_dsn: str) -> None:
    role = f"writer_{database_dsn.rpartition('/burst_')[2][:12]}"
    run(database_dsn, f"create role {role} login password 'writer'", f"grant select on receipts to {role}")
    own = database_dsn.partition("@")[2]
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(f"postgresql://{role}:writer@{own}"), columns=counting.COLUMNS
    )
    try:
        reader = source.privileges(give_up_at=soon())
        run(database_dsn, f"grant insert, truncate on receipts to {role}")
        writer = source.privileges(give_up_at=soon())
        run(database_dsn, f"alter role {role} set default_transaction_read_only = on")
        careful = source.privileges(give_up_at=soon())
    finally:
        run(database_dsn, f"drop owned by {role}", f"drop role {role}")

    assert reader == receipt_table.TablePrivileges(writes=(), read_only_sessions=False)
    assert writer == receipt_table.TablePrivileges(writes=("INSERT", "TRUNCATE"), read_only_sessions=False)
    assert careful == receipt_table.TablePrivileges(writes=("INSERT", "TRUNCATE"), read_only_sessions=True)


@pytest.mark.parametrize(
    ("column_type", "values", "expected"),
    [
        ("text", ["2026-02-21T02:00:00Z", "2026-02-21T02:00:00", "2026-02-21 02:00:00+01"], (3, 1, True)),
        ("varchar(40)", ["2026-02-21T02:00:00"], (1, 1, True)),
        ("timestamptz", ["2026-02-21T02:00:00"], (1, 0, False)),
        ("timestamp", ["2026-02-21T02:00:00"], (1, 1, False)),
        ("text", ["2026-11-29", "01-02-2026", "2026-02-21+01", "infinity"], (4, 4, True)),
        ("text", ["20260221T020000Z", "2026-02-21T02:00:00.5+0530", "2026-02-21 02:00:00 +05:30:30"], (3, 0, True)),
        ("date", ["2026-02-21"], (1, 1, False)),
        ("timestamptz", ["infinity"], (1, 1, False)),
    ],
)
def test_the_times_of_every_type_are_sampled(
    source: Source, dsn: str, column_type: str, values: list[str], expected: tuple[int, int, bool]
) -> None:
    columns = {"decision": "decision", "at": "a:t'", "scope": "scope"}
    run(dsn, "drop table if exists timed", f'create table timed (decision text, "a:t\'" {column_type}, scope text)')
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany("insert into timed values ('ADMIT', %s, 'a')", [(value,) for value in values])

    sample = source(table="timed", columns=columns).sample_times(10, give_up_at=soon())

    assert (sample.sampled, sample.without_offset, sample.textual) == expected
    assert sample.without_time_of_day == sum("T" not in value and ":" not in value for value in values)


@pytest.mark.parametrize("at_type", ["text", "timestamp", "timestamptz"])
def test_an_infinite_time_lies_outside_every_window_and_is_no_problem_of_the_table(
    source: Source, dsn: str, at_type: str
) -> None:
    run(
        dsn,
        f"create table endless_{at_type} (decision text, at {at_type}, scope text)",
        *(
            f"insert into endless_{at_type} values ('ADMIT', '{at}', 'a')"  # noqa: S608 - the test's own
            for at in ("infinity", "-infinity", "2026-02-21T02:00:00+00:00", "30000-01-01 00:00:00+00")
        ),
    )
    endless = source(table=f"endless_{at_type}", columns={"decision": "decision", "at": "at", "scope": "scope"})

    assert counts(endless) == receipts.Counts(admit=1)
    assert list(endless.problems(give_up_at=soon())) == []


def test_a_receipt_that_carries_no_finite_instant_is_refused_with_its_column(source: Source, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into receipts (decision, created_at_utc, platform_run_id, event_id)"
            " values ('ADMIT', 'infinity', 'a', 'one'), ('ADMIT', 'soon', 'a', 'two')"
        )

    with pytest.raises(errors.Refused, match="created_at_utc is infinite, which is no instant"):
        source().find_receipt("one", scope="a", event_column="event_id", give_up_at=soon())
    with pytest.raises(errors.Refused, match="every row must hold an instant in created_at_utc"):
        source().find_receipt("two", scope="a", event_column="event_id", give_up_at=soon())


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_only_a_name_to_every_question(source: Source, dsn: str, name: str) -> None:
    columns = {"decision": f"d{name}"[:60], "at": f"a{name}"[:60], "scope": f"s{name}"[:60]}
    event = f"e{name}"[:60]
    with psycopg.connect(dsn) as connection:
        connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(name)))
        made = sql.SQL("create table {} as select 'ADMIT' {}, '2026-02-21T02:00:00Z' {}, 'a' {}, $$'%:x$$ {}")
        names = (columns["decision"], columns["at"], columns["scope"], event)
        connection.execute(made.format(sql.Identifier(name), *map(sql.Identifier, names)))

    hostile = source(table=name, columns=columns)

    assert contents(hostile, event).counts == receipts.Counts(admit=1)
    assert contents(hostile, event).canaries == 0
    assert hostile.find_receipt("'%:x", scope="a", event_column=event, give_up_at=soon()) is not None
    assert hostile.find_receipt("'%:y", scope="a", event_column=event, give_up_at=soon()) is None
    assert hostile.sample_times(1, give_up_at=soon()).sampled == 1
    assert hostile.privileges(give_up_at=soon()).writes == receipt_table.WRITE_PRIVILEGES


@pytest.mark.parametrize("column_type", ["uuid", "varchar(80)", "char(80)"])
def test_the_type_of_the_event_column_makes_no_difference(source: Source, dsn: str, column_type: str) -> None:
    event_id = "0f0e0d0c-0b0a-4908-8706-050403020100"
    run(dsn, "drop table if exists typed", "create table typed as select * from receipts")
    run(dsn, f"alter table typed alter event_id type {column_type} using event_id::{column_type}")
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into typed (decision, created_at_utc, platform_run_id, event_id) values ('ADMIT', %s, 'a', %s)",
            (START.isoformat(), event_id),
        )

    receipt = source(table="typed").find_receipt(event_id, scope="a", event_column="event_id", give_up_at=soon())

    assert receipt == receipt_table.EventReceipt(decision="ADMIT", at=START)
