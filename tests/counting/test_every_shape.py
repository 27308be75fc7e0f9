"""Any table: the adapter's count equals a count in Python of the same rows, whatever their types, forms and collations.

Each example makes a table of its own shape, fills it, and counts one window of it, in a database whose zone and order
of dates are not ours.
"""

import shutil
import subprocess
import tempfile
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import hypothesis
import psycopg
import pytest
from hypothesis import strategies as st
from psycopg import sql

from burst.adapters.postgres import postgres_receipts
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import receipt_table, receipts
from burst.sandbox import embedded_postgres
from tests import fixtures_postgres

START = datetime(2026, 2, 21, 23, 50, tzinfo=UTC)
SPAN_SECONDS = 1200
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = {"decision": "The Decision", "at": "at;--", "scope": 'sc"ope'}
NONE = "none"

Write = Callable[[datetime], object]


def count_micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def write_offset(hours: float, separator: str = "T", digits: int = 6, style: str = ":") -> Write:
    """Writes an instant in a zone, with so many digits of its second."""

    def write(at: datetime) -> str:
        local = at.astimezone(timezone(timedelta(hours=hours)))
        fraction = f".{local.microsecond:06d}"[: digits + 1] if digits else ""
        offset = local.strftime("%z")
        offset = {":": f"{offset[:3]}:{offset[3:]}", "": offset, "h": offset[:3], "Z": "Z"}[style]
        return local.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + fraction + offset

    return write


TEXT_FORMS: Mapping[str, tuple[Write, int]] = {
    "six digits": (write_offset(0), 1),
    "Z": (write_offset(0, style="Z"), 1),
    "a blank": (write_offset(0, " "), 1),
    "no fraction": (write_offset(0, digits=0), 1_000_000),
    "milliseconds": (write_offset(0, digits=3, style="Z"), 1_000),
    "one digit": (write_offset(0, digits=1), 100_000),
    "two digits": (write_offset(0, digits=2), 10_000),
    "five digits": (write_offset(0, digits=5), 10),
    "east": (write_offset(5.5), 1),
    "far west": (write_offset(-9.5, " ", style=""), 1),
    "hours alone": (write_offset(14, style="h"), 1),
    "basic": (lambda at: at.strftime("%Y%m%dT%H%M%SZ"), 1_000_000),
    "lower case": (lambda at: at.strftime("%Y-%m-%dt%H:%M:%S.%fz"), 1),
    "a named month": (lambda at: at.strftime("%d Feb 2026 %H:%M:%S.%f UTC"), 1),
}
"""How a text writes an instant, and to how many microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShape:
    """The type of a time column, how it holds an instant, and to how many microseconds."""

    type_name: str
    writes: Sequence[Write]
    step: int = 1
    unit: str | None = None


def write_units(nanoseconds: int, make: Callable[[Decimal], object] = int) -> Write:
    return lambda at: make(Decimal(count_micros(at) * 1000) / nanoseconds)


TEXT_SHAPES = [TimeShape(type_name="text", writes=[write], step=step) for write, step in TEXT_FORMS.values()]
TIME_SHAPES = [
    *TEXT_SHAPES,
    TimeShape(type_name="text", writes=[write for write, step in TEXT_FORMS.values() if step == 1]),
    TimeShape(type_name="varchar(60)", writes=[write_offset(0)]),
    TimeShape(type_name='text collate "C"', writes=[write_offset(0)]),
    TimeShape(type_name="text collate american", writes=[write_offset(1)]),
    TimeShape(type_name="timestamptz", writes=[write_offset(0), write_offset(3)]),
    TimeShape(type_name="timestamp", writes=[lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f")]),
    *(
        TimeShape(type_name="bigint", writes=[write_units(each)], step=max(1, each // 1000), unit=unit)
        for unit, each in receipt_table.TIME_UNITS.items()
    ),
    *(
        TimeShape(type_name="numeric", writes=[write_units(each, Decimal)], unit=unit)
        for unit, each in receipt_table.TIME_UNITS.items()
    ),
    *(
        # Quarters of a second, which a floating number holds exactly in every unit.
        TimeShape(type_name="double precision", writes=[write_units(each, float)], step=250_000, unit=unit)
        for unit, each in receipt_table.TIME_UNITS.items()
        if unit != "ns"
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionShape:
    """The type of a decision column, its values, and the words of a plan."""

    type_name: str
    values: Mapping[str, Sequence[object]]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PLAIN = {"ADMIT": ["ADMIT"], "DUPLICATE": ["DUPLICATE"], "QUARANTINE": ["QUARANTINE"]}
TEXTS = {**PLAIN, "other": ["admit", "", "Admit ", "ödd"]}
DECISION_SHAPES = [
    DecisionShape(type_name="text", values=TEXTS),
    DecisionShape(type_name="varchar(20)", values=TEXTS),
    DecisionShape(type_name="citext", values=TEXTS),
    DecisionShape(type_name="text collate american", values=TEXTS),
    DecisionShape(type_name="text collate codepoints", values=TEXTS),
    DecisionShape(type_name="decided", values={**PLAIN, "other": ["odd"]}),
    DecisionShape(type_name="worded", values={**PLAIN, "other": ["admit"]}),
    DecisionShape(
        type_name="boolean",
        values={"ADMIT": [True], "DUPLICATE": [False]},
        words={"ADMIT": ("true",), "DUPLICATE": ("false",)},
    ),
    DecisionShape(
        type_name="smallint",
        values={"ADMIT": [1, 3], "DUPLICATE": [2], "other": [9]},
        words={"ADMIT": ("1", "3"), "DUPLICATE": ("2",)},
    ),
    DecisionShape(
        type_name="text",
        values={"ADMIT": ['it\'s "new"; --', "%s {0} \\"], "DUPLICATE": ["DUPLICATE"], "other": ["ADMIT"]},
        words={"ADMIT": ('it\'s "new"; --', "%s {0} \\")},
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeShape:
    """The type of a scope column and its values; each is another scope."""

    type_name: str
    values: Sequence[str]


WORDS = ("run_1", "RUN_1", "run_1 ", "ru\u0308n", "r\u00fcn", "'; drop table shaped; --")
SCOPE_SHAPES = [
    ScopeShape(type_name="text", values=WORDS),
    ScopeShape(type_name="varchar(40)", values=WORDS),
    ScopeShape(type_name="text collate american", values=WORDS),
    ScopeShape(type_name="text collate codepoints", values=WORDS),
    ScopeShape(type_name="citext", values=WORDS),
    ScopeShape(type_name="uuid", values=[str(uuid.UUID(int=number)) for number in (0, 1, 2**127)]),
    ScopeShape(type_name="scoped", values=["a", "A", "b"]),
    ScopeShape(type_name="integer", values=["-1", "0", "77"]),
    ScopeShape(type_name="bigint", values=["7", str(2**62)]),
]
CONTAINERS = ("plain", "view", "by scope", "by time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row, as places in the shape's values: the instant in microseconds after `START`."""

    decision: tuple[str, int] | None
    micros: int | None
    form: int
    scope: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table of receipts, and the window that is counted."""

    time: TimeShape
    decision: DecisionShape
    scope: ScopeShape
    container: str
    index: bool
    rows: Sequence[Row]
    edges: tuple[int, int]
    bucket_seconds: float
    counted_scope: int | None

    @property
    def form(self) -> receipt_table.TableForm:
        return receipt_table.TableForm(
            name=NAMES[self.container], time_unit=self.time.unit, decision_words=self.decision.words
        )

    @property
    def window(self) -> windows.Window:
        return windows.Window(*(START + edge * MICROSECOND for edge in self.edges))

    def instant(self, row: Row) -> datetime | None:
        """The instant of a row, as far as its column can hold it."""
        if row.micros is None:
            return None
        micros = count_micros(START) + row.micros
        return EPOCH + (micros - micros % self.time.step) * MICROSECOND

    def values(self, row: Row) -> tuple[object, object, object]:
        """The row as it is written."""
        decision = None
        if row.decision is not None:
            values = self.decision.values[row.decision[0]]
            decision = values[row.decision[1] % len(values)]
        at, writes = self.instant(row), self.time.writes
        written = None if at is None else writes[row.form % len(writes)](at)
        return decision, written, None if row.scope is None else self.scope.values[row.scope]


NAMES = {"plain": "shaped", "view": "seen", "by scope": "shaped", "by time": "shaped"}
MICROS = st.integers(-5_000_000, (SPAN_SECONDS + 5) * 1_000_000)
SECONDS = st.integers(-2, SPAN_SECONDS + 2).map(lambda second: second * 1_000_000)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    time, decision = draw(st.sampled_from(TIME_SHAPES)), draw(st.sampled_from(DECISION_SHAPES))
    scope = draw(st.sampled_from(SCOPE_SHAPES))
    by_time = time.type_name in ("timestamptz", "timestamp", "bigint", "numeric")
    container = draw(st.sampled_from([each for each in CONTAINERS if each != "by time" or by_time]))
    words = st.tuples(st.sampled_from(sorted(decision.values)), st.integers(0, 3))
    rows = st.builds(
        Row,
        decision=st.one_of(words, words, words, st.none()),
        micros=st.one_of(MICROS, SECONDS, st.sampled_from([0, -1, 1])),
        form=st.integers(0, 9),
        scope=st.one_of(*[st.integers(0, len(scope.values) - 1)] * 4, st.none()),
    )
    drawn = draw(st.lists(rows, min_size=1, max_size=25))
    if draw(st.integers(0, 9)) == 0:
        drawn.append(Row(decision=None, micros=None, form=0, scope=draw(st.integers(0, len(scope.values) - 1))))
    near = [row.micros + off for row in drawn if row.micros is not None for off in (-1, 0, 1)]
    edge = st.one_of(st.sampled_from(near), MICROS, SECONDS)
    edges = draw(st.tuples(edge, edge).filter(lambda pair: pair[0] != pair[1]))
    return Shape(
        time=time,
        decision=decision,
        scope=scope,
        container=container,
        index=draw(st.booleans()),
        rows=drawn,
        edges=(min(edges), max(edges)),
        bucket_seconds=draw(st.sampled_from([60.0, 97.0, 0.500001, 3600.0])),
        counted_scope=draw(st.one_of(st.integers(0, len(scope.values) - 1), st.none())),
    )


def count_in_python(shape: Shape, window: windows.Window) -> receipts.Counts | None:
    """The count of a person who reads every row; None where a row has no time, so that nothing is known of it."""
    counted: Counter[str] = Counter()
    for row in shape.rows:
        if shape.counted_scope is not None and row.scope != shape.counted_scope:
            continue
        at = shape.instant(row)
        if at is None:
            return None
        if window.start <= at < window.end:
            counted["other" if row.decision is None else row.decision[0]] += 1
    return receipts.Counts(
        admit=counted["ADMIT"],
        duplicate=counted["DUPLICATE"],
        quarantine=counted["QUARANTINE"],
        other=counted["other"],
    )


@pytest.fixture(scope="module")
def american_server() -> Iterator[embedded_postgres.PostgresServer]:
    """A server that knows the locale en_US.UTF-8, which is compiled for it."""
    compiler = shutil.which("localedef")
    if compiler is None:
        pytest.skip("localedef is not installed, so there is no locale en_US.UTF-8")
    with tempfile.TemporaryDirectory(prefix="burst-locales-") as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)
        made = [compiler, "-i", "en_US", "-f", "UTF-8", "--no-archive", f"{folder}/en_US.UTF-8"]
        if subprocess.run(made, check=False, capture_output=True).returncode:
            pytest.skip("the sources of the locale en_US are not installed")
        patch.setenv("LOCPATH", folder)
        server = embedded_postgres.start(durable=False)
        patch.undo()
        with server:
            yield server


@pytest.fixture(scope="module", params=["C", "en_US.UTF-8"])
def dsn(request: pytest.FixtureRequest, postgres_template: fixtures_postgres.TemplatedServer) -> Iterator[str]:
    """A database of one locale, with the types that the shapes name."""
    server, locale = postgres_template.server, str(request.param)
    if locale != "C":
        server = request.getfixturevalue("american_server")
    name = f"shapes_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        create = sql.SQL("create database {} template template0 encoding 'UTF8' locale {}")
        connection.execute(create.format(sql.Identifier(name), sql.Literal(locale)))
    address = urllib.parse.urlsplit(server.dsn)._replace(path=f"/{name}").geturl()
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in (
            "create extension citext",
            f"create collation american (provider = libc, locale = '{locale}')",
            "create collation codepoints (provider = builtin, locale = 'C.UTF-8')",
            "create type decided as enum ('odd', 'DUPLICATE', 'ADMIT', 'QUARANTINE')",
            "create domain worded as text check (value <> 'never')",
            "create type scoped as enum ('b', 'A', 'a')",
            f"alter database {name} set timezone to 'America/New_York'",
            f"alter database {name} set datestyle to 'SQL, DMY'",
        ):
            connection.execute(statement.encode())
    yield address
    server.drop_database(name)


def make_table(connection: psycopg.Connection[object], shape: Shape) -> None:
    """The table of a shape, and its rows."""
    decision, at, scope = (sql.Identifier(COLUMNS[role]) for role in ("decision", "at", "scope"))
    types = [sql.SQL(each.type_name) for each in (shape.decision, shape.time, shape.scope)]
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(name, type_) for name, type_ in zip((decision, at, scope), types, strict=True)
    )
    partition = {
        "by scope": sql.SQL(" partition by hash ({})").format(scope),
        "by time": sql.SQL(" partition by range ({})").format(at),
    }.get(shape.container, sql.SQL(""))
    connection.execute(sql.SQL("create table shaped ({}){}").format(columns, partition))
    if shape.container == "by scope":
        for rest in (0, 1):
            connection.execute(
                sql.SQL("create table part_{} partition of shaped for values with (modulus 2, remainder {})").format(
                    sql.SQL(str(rest)), sql.Literal(rest)
                )
            )
    if shape.container == "by time":
        middle = shape.time.writes[0](START + timedelta(minutes=10))
        connection.execute(
            sql.SQL("create table part_0 partition of shaped for values from (minvalue) to ({})").format(
                sql.Literal(middle)
            )
        )
        connection.execute(sql.SQL("create table part_1 partition of shaped default"))
    if shape.index:
        connection.execute(sql.SQL("create index on shaped ({}, {})").format(scope, at))
    with connection.cursor() as cursor:
        cursor.executemany("insert into shaped values (%s, %s, %s)", [shape.values(row) for row in shape.rows])
    if shape.container == "view":
        connection.execute(sql.SQL("alter table shaped rename {} to plain_scope").format(scope))
        connection.execute(
            sql.SQL("create view seen as select plain_scope as {}, {}, {} from shaped").format(scope, at, decision)
        )


@hypothesis.settings(max_examples=250, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(shape=shapes(), use_index=st.booleans())
def test_a_count_of_any_table_equals_the_count_of_its_rows_in_python(dsn: str, shape: Shape, use_index: bool) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set client_min_messages to error")
        make_table(connection, shape)
        try:
            source = postgres_receipts.PostgresReceipts(
                redaction.Secret(f"{dsn}&options=-c%20enable_seqscan%3D{'off' if use_index else 'on'}"),
                columns=COLUMNS,
                form=shape.form,
            )
            scope = None if shape.counted_scope is None else shape.scope.values[shape.counted_scope]
            expected = count_in_python(shape, shape.window)
            soon = datetime.now(UTC) + timedelta(seconds=30)

            if expected is None:
                with pytest.raises(errors.Refused, match=r"1 receipts of \w+ have no time"):
                    source.count(shape.window, scope=scope, bucket_seconds=shape.bucket_seconds, give_up_at=soon)
                return
            counted = source.count(shape.window, scope=scope, bucket_seconds=shape.bucket_seconds, give_up_at=soon)
        finally:
            connection.execute("drop table shaped cascade")

    assert counted.counts == expected
    assert all(
        bucket.counts == count_in_python(shape, bucket.window) for bucket in counted.buckets if bucket.counts.total
    )
    assert sum((bucket.counts for bucket in counted.buckets), receipts.Counts()) == expected
