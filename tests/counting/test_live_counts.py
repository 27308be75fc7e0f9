"""Live counts of Postgres by the tail of the table, while others write to it in every way there is."""

import contextlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy

from burst import ports
from burst.adapters.postgres import (
    count_plans,
    postgres_receipts,
    tail_counter,
    tail_leaves,
    tail_reader,
    tail_statements,
    tails,
)
from burst.domain.basics import errors, instants, redaction, windows
from burst.domain.documents import window_metrics
from burst.domain.receipts import receipt_table, receipts
from burst.task import counting
from tests import waiting
from tests.counting import writers

SECONDS = 3.0

Follow = Callable[..., tail_counter.TailCounter]


@pytest.fixture
def follow(database_dsn: str) -> Iterator[Follow]:
    """Follows a burst that begins now, or as many seconds ago; its receipts are marked before unless `marked` says
    no."""
    with contextlib.ExitStack() as sources:

        def begin(
            *,
            seconds: float = 60.0,
            ago: float = 0.0,
            marked: bool = True,
            table: str = "receipts",
            dsn: str = "",
            patience: float = 10.0,
            time_unit: str | None = None,
        ) -> tail_counter.TailCounter:
            source = postgres_receipts.PostgresReceipts(
                redaction.Secret(dsn or database_dsn),
                columns=counting.COLUMNS,
                form=receipt_table.TableForm(name=table, time_unit=time_unit),
            )
            sources.callback(source.close)
            until = instants.later(datetime.now(UTC), seconds)
            if marked:
                source.open(until)
                assert source.wait_for_mark(30)
            counter = source.follow(
                start=instants.later(datetime.now(UTC), -ago), until=until, scope=writers.SCOPE,
                settle_seconds=0.05, every_seconds=1.0, patience_seconds=patience,
            )  # fmt: skip
            assert isinstance(counter, tail_counter.TailCounter)
            return counter

        yield begin


def total_of(counter: ports.Counter, admits: int, *, seconds: float = 30.0) -> receipts.Counts:
    """The total of the slices, once it is so many; for the message, the last one."""

    def counted() -> receipts.Counts | None:
        with contextlib.suppress(errors.Unavailable):
            total = counter.poll(datetime.now(UTC)).total
            return total if total.admit == admits else None
        return None

    return waiting.until(counted, seconds=seconds, what=f"{admits} admits in the slices")


# Writers


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("habits", "marked"),
    [
        (("plain", "late", "savepoint"), True),
        (("plain", "late", "savepoint"), False),
        (("plain", "late", "prepare"), True),
    ],
    ids=["marked", "not marked", "prepared"],
)
def test_slices_add_up_to_the_last_count_though_writers_commit_late_and_out_of_order(
    database_dsn: str, follow: Follow, habits: Sequence[str], marked: bool, seed: int
) -> None:
    writers.insert(database_dsn, 2000, at=datetime(2026, 1, 1, tzinfo=UTC))
    counter = follow(seconds=SECONDS, marked=marked)
    start, until = counter.followed.start, counter.followed.until
    with writers.writing(database_dsn, seed, *habits):
        writers.poll_to_the_end(counter, until, lambda: None)

    assert final_count(database_dsn, start, until) == writers.total_at_the_end(counter)


@pytest.mark.parametrize("seed", [1, 2])
def test_receipts_in_the_space_of_those_rolled_back_are_in_the_slices_or_the_difference_is_said(
    database_dsn: str, follow: Follow, seed: int
) -> None:
    """The server's figures tell of freed space that was used again, but seconds late."""
    writers.insert(database_dsn, 2000, at=datetime(2026, 1, 1, tzinfo=UTC))
    counter = follow(seconds=SECONDS)
    start, until = counter.followed.start, counter.followed.until
    with writers.writing(database_dsn, seed, "plain", "late", "rollback"):
        writers.poll_to_the_end(counter, until, lambda: None)

    slices, final = writers.total_at_the_end(counter), final_count(database_dsn, start, until)
    live = window_metrics.LiveEntry(
        counted_to_utc=until,
        slices=window_metrics.CountsEntry.from_counts(slices),
        counts=window_metrics.CountsEntry.from_counts(final),
    )
    missed = receipts.count_gains(slices, final).total
    assert receipts.count_gains(final, slices).total == 0
    assert missed <= 0.05 * final.total
    assert live.difference == (f"{missed} more" if missed else "")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("habits", [("plain", "delete"), ("plain", "update"), ("sizes", "delete", "late")])
def test_a_tail_that_is_written_over_is_doubted_and_counted_whole(
    database_dsn: str, follow: Follow, habits: Sequence[str], seed: int
) -> None:
    writers.insert(database_dsn, 2000, at=datetime(2026, 1, 1, tzinfo=UTC))
    writers.run(database_dsn, "delete from receipts where random() < 0.5", "vacuum receipts")
    counter = follow(seconds=SECONDS)
    start, until = counter.followed.start, counter.followed.until
    with writers.writing(database_dsn, seed, *habits) as at_work:
        writers.poll_to_the_end(counter, until, lambda: writers.run(database_dsn, "vacuum receipts"))

    live, final = writers.total_at_the_end(counter), final_count(database_dsn, start, until)
    rewritten = sum(writer.rewritten for writer in at_work)
    assert counter.whole_counts > 0
    assert live.total - final.total <= rewritten  # after its slice was closed, or counted in both places
    assert final.total - live.total <= 0.05 * final.total


def final_count(dsn: str, start: datetime, until: datetime) -> receipts.Counts:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(dsn), columns=counting.COLUMNS)
    give_up_at = instants.later(datetime.now(UTC), 30)
    window = windows.Window(start, until)
    return source.count(window, scope=writers.SCOPE, bucket_seconds=60, give_up_at=give_up_at).counts


# Tables


def test_a_marked_burst_needs_no_count_of_the_whole_window(database_dsn: str, follow: Follow) -> None:
    writers.insert(database_dsn, 3000, at=datetime(2026, 1, 1, tzinfo=UTC))
    counter = follow()
    writers.insert(database_dsn, 700)

    assert total_of(counter, 700).total == 700
    assert counter.whole_counts == 0


def test_a_tail_is_read_by_the_place_of_its_rows_whatever_indexes_there_are(database_dsn: str) -> None:
    writers.insert(database_dsn, 5000)
    writers.run(database_dsn, "create index on receipts (platform_run_id)", "vacuum analyze receipts")
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS)
    leaf = tails.Leaf(id=1, schema="public", name="receipts")
    now = datetime.now(UTC)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(database_dsn), poolclass=sqlalchemy.pool.NullPool
    )
    with engine.connect() as c:
        table = source.read_types(c, writers.SCOPE)
        values = {
            **table.bind_window(windows.Window(now, instants.later(now, 60))),
            **tail_statements.bind_tail([leaf], {1: 100}, {1: 120}),
            "scope": writers.SCOPE,
            "bucket": timedelta(seconds=1),
        }
        plan = json.dumps(count_plans.explain(c, tail_statements.count_tail(table, [leaf], scoped=True), values))

    assert '"Tid Range Scan"' in plan
    assert "(receipts.ctid >= '(100,0)'::tid)" in plan
    assert "Index" not in plan


def test_the_writers_of_a_reading_are_looked_for_after_its_sizes(database_dsn: str) -> None:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(database_dsn), poolclass=sqlalchemy.pool.NullPool
    )
    with engine.connect() as c:
        c.execute(sqlalchemy.text("set local max_parallel_workers_per_gather = 0"))
        ids = {"leaves": [1259], "relations": [1259]}
        explain = sqlalchemy.text(f"explain (verbose, format json) {tail_statements.SIZES_THEN_WRITERS.text}")
        whole = c.execute(explain, ids).scalar_one()[0]["Plan"]

    first, second = (json.dumps(part) for part in whole["Plans"] if part["Parent Relationship"] == "Member")
    assert whole["Node Type"] == "Append"
    assert '"pg_class"' in first
    assert "pg_lock_status" in second
    assert "pg_lock_status" not in first


def test_a_poll_is_four_round_trips(database_dsn: str) -> None:
    source = postgres_receipts.PostgresReceipts(redaction.Secret(database_dsn), columns=counting.COLUMNS)
    with contextlib.closing(source):
        now = datetime.now(UTC)
        counter = source.follow(
            start=now,
            until=instants.later(now, 60),
            scope=writers.SCOPE,
            settle_seconds=0.0,
            every_seconds=2.0,
            patience_seconds=10.0,
        )
        for _ in range(5):
            counter.poll(datetime.now(UTC))
        before = source.read_figures()
        counter.poll(datetime.now(UTC))
        after = source.read_figures()

    assert after.statements - before.statements == 3
    assert after.round_trips - before.round_trips == 4
    assert after.reused - before.reused == 2


@pytest.mark.parametrize(
    ("type_", "time_unit", "strange", "now"),
    [
        ("bigint", "ms", "9223372036854775807", "(extract(epoch from clock_timestamp()) * 1000)::bigint"),
        ("text", None, "'0000-00-00T00:00:00Z'", "to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"),
    ],
    ids=["a number beyond every instant", "a text of no day"],
)
def test_a_time_outside_the_window_that_is_no_instant_keeps_no_poll_from_counting_as_it_keeps_no_last_count(
    database_dsn: str, follow: Follow, type_: str, time_unit: str | None, strange: str, now: str
) -> None:
    writers.run(database_dsn, f"create table odd (platform_run_id text, decision text, created_at_utc {type_})")
    counter = follow(table="odd", time_unit=time_unit, ago=5.0)
    values = f"('a', 'ADMIT', {strange}), ('a', 'ADMIT', {now}), ('b', 'ADMIT', {strange})"
    writers.run(database_dsn, f"insert into odd values {values}")  # noqa: S608 - the test's own words

    assert total_of(counter, 1).admit == 1
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(database_dsn),
        columns=counting.COLUMNS,
        form=receipt_table.TableForm(name="odd", time_unit=time_unit),
    )
    whole = windows.Window(instants.later(datetime.now(UTC), -60), instants.later(datetime.now(UTC), 60))
    counted = source.count(
        whole, scope=writers.SCOPE, bucket_seconds=60, give_up_at=instants.later(datetime.now(UTC), 30)
    )
    assert counted.counts.admit == 1
    source.close()


def test_receipts_of_before_the_following_began_are_counted_once(database_dsn: str, follow: Follow) -> None:
    writers.insert(database_dsn, 1500, at=instants.later(datetime.now(UTC), -20))
    writers.insert(database_dsn, 3000, at=datetime(2026, 1, 1, tzinfo=UTC))
    counter = follow(ago=30, marked=False)
    writers.insert(database_dsn, 5)

    total_of(counter, 1505)

    assert counter.whole_counts == 1


def test_a_table_that_is_rewritten_meanwhile_is_counted_whole_again(database_dsn: str, follow: Follow) -> None:
    counter = follow()
    writers.insert(database_dsn, 1000)
    total_of(counter, 1000)
    writers.run(database_dsn, "vacuum full receipts")
    writers.insert(database_dsn, 50)

    total_of(counter, 1050)

    assert counter.whole_counts == 1


def test_a_table_that_is_rewritten_while_a_poll_waits_for_it_has_no_receipt_counted_twice(
    database_dsn: str, follow: Follow
) -> None:
    """Its rows lie elsewhere then, and those before the mark behind it."""
    counter = follow()
    writers.insert(database_dsn, 20_000)
    for _ in range(3):  # the mark moves over what was read before
        total_of(counter, 20_000)
    due = instants.later(counter.poll(datetime.now(UTC)).counted_to, 2.0)
    waiting.until(lambda: datetime.now(UTC) >= due, what="one more slice to be due")
    with futures.ThreadPoolExecutor(1) as threads, psycopg.connect(database_dsn) as writing:
        writing.execute(
            "alter table receipts add column padding text default repeat('x', 100 + (random() * 9)::integer)"
        )
        polled = threads.submit(counter.poll, datetime.now(UTC))
        with writers.connect(database_dsn) as watching:
            waiting.until(
                lambda: watching.execute("select pid from pg_locks where not granted").fetchone(),
                what="the poll waiting for the table",
            )
        writing.commit()
    with contextlib.suppress(errors.Unavailable):
        polled.result()

    assert total_of(counter, 20_000).admit == 20_000


@pytest.mark.parametrize(
    "commands",
    [
        ["alter table receipts rename to earlier", "create table receipts (like earlier)"],
        ["create table later (like receipts)", "drop table receipts", "alter table later rename to receipts"],
    ],
    ids=["set aside", "dropped"],
)
def test_a_table_that_is_exchanged_for_another_of_its_name_is_found_and_counted(
    database_dsn: str, follow: Follow, commands: list[str]
) -> None:
    counter = follow()
    writers.insert(database_dsn, 30)
    total_of(counter, 30)
    writers.run(database_dsn, *commands)
    writers.insert(database_dsn, 50)

    total_of(counter, 50)

    assert counter.whole_counts == 1


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not marked"])
@pytest.mark.parametrize(
    ("table", "commands"),
    [
        ("receipts", ["alter table receipts rename to earlier", "create table receipts (like earlier)"]),
        ("listed", ["create table listed_b partition of listed default"]),
    ],
    ids=["exchanged", "one more partition"],
)
def test_tables_that_change_between_their_finding_and_their_first_reading_are_found_again(
    database_dsn: str, follow: Follow, monkeypatch: pytest.MonkeyPatch, table: str, commands: list[str], marked: bool
) -> None:
    writers.run(
        database_dsn,
        "create table listed (like receipts) partition by list (platform_run_id)",
        "create table listed_a partition of listed for values in ('another')",
    )
    find, due = tail_reader.TailReader.find_leaves, list(commands)

    def find_and_change(reader: tail_reader.TailReader, *given: Any, **named: Any) -> tail_leaves.Leaves:
        leaves = find(reader, *given, **named)
        writers.run(database_dsn, *due)
        due.clear()
        return leaves

    monkeypatch.setattr(tail_reader.TailReader, "find_leaves", find_and_change)
    monkeypatch.setattr(tail_leaves, "_prune", lambda connection, table, leaves, followed: leaves)
    counter = follow(table=table, marked=marked)
    with contextlib.suppress(errors.Unavailable):
        counter.poll(datetime.now(UTC))
    writers.insert(database_dsn, 50, table=table)

    total_of(counter, 50)


def test_a_partition_that_is_dropped_for_another_is_counted_no_more(database_dsn: str, follow: Follow) -> None:
    writers.run(database_dsn, *PARTITIONED)
    counter = follow(table="parts")
    writers.insert(database_dsn, 40, table="parts")
    total_of(counter, 40)
    again = "create table parts_a2 partition of parts_a for values with (modulus 2, remainder 1)"
    writers.run(database_dsn, "drop table parts_a1", again)
    writers.insert(database_dsn, 100, table="parts")
    with writers.connect(database_dsn) as connection:
        (left,) = connection.execute("select count(*) from parts").fetchone() or (0,)

    total_of(counter, left)


def test_where_the_tail_is_lost_meanwhile_the_next_slice_begins_where_the_last_one_ended(
    database_dsn: str, follow: Follow
) -> None:
    name = f"reader_{random.SystemRandom().randrange(10**9)}"
    writers.run(database_dsn, f"create role {name} login password 'x'", f"grant select on receipts to {name}")
    slices: list[receipts.WindowCount] = []

    def has_counted(counter: ports.Counter, admits: int) -> bool:
        with contextlib.suppress(errors.Unavailable):
            live = counter.poll(datetime.now(UTC))
            slices.extend([live.slice] if live.slice is not None else [])
            return live.total.admit == admits
        return False

    try:
        counter = follow(dsn=f"postgresql://{name}:x@{database_dsn.partition('@')[2]}")
        writers.insert(database_dsn, 40)
        waiting.until(lambda: has_counted(counter, 40), what="40 admits in the slices")
        writers.run(database_dsn, "create table heir () inherits (receipts)")
        writers.insert(database_dsn, 10, table="heir")
        waiting.until(lambda: has_counted(counter, 50), what="50 admits in the slices")
    finally:
        writers.run(database_dsn, f"drop owned by {name}", f"drop role {name}")

    assert counter.has_no_tail
    assert sum(counted.counts.admit for counted in slices) == 50
    assert [each.window.start for each in slices[1:]] == [each.window.end for each in slices[:-1]]


@pytest.mark.parametrize(
    "commands",
    [
        ["truncate receipts"],
        ["alter table receipts rename to earlier", "create table receipts (like earlier)"],
    ],
    ids=["emptied", "exchanged"],
)
def test_receipts_that_are_gone_with_their_table_are_said_and_no_slice_calls_the_burst_silent(
    database_dsn: str, follow: Follow, commands: list[str]
) -> None:
    counter = follow()
    writers.insert(database_dsn, 30)
    total_of(counter, 30)
    writers.run(database_dsn, *commands)
    writers.insert(database_dsn, 10)
    slices: list[receipts.WindowCount] = []

    def problem() -> str:
        try:
            live = counter.poll(datetime.now(UTC))
        except errors.Unavailable as exc:
            return str(exc)
        slices.extend([live.slice] if live.slice is not None else [])
        return ""

    said = waiting.until(problem, seconds=30, what="the receipts that are gone to be said")
    assert "20 receipts of those counted before can no longer be found" in said
    assert slices == []

    writers.insert(database_dsn, 25)
    total_of(counter, 35)


@pytest.mark.parametrize(
    ("loses", "has_again"),
    [
        ("revoke select on receipts from {name}", "grant select on receipts to {name}"),
        ("alter table receipts enable row level security", "alter table receipts disable row level security"),
    ],
    ids=["no grant", "a policy"],
)
def test_a_role_that_may_not_read_for_a_while_is_told_so_and_reads_the_tail_again_afterwards(
    database_dsn: str, follow: Follow, loses: str, has_again: str
) -> None:
    name = f"reader_{random.SystemRandom().randrange(10**9)}"
    writers.run(database_dsn, f"create role {name} login password 'x'", f"grant select on receipts to {name}")
    try:
        counter = follow(dsn=f"postgresql://{name}:x@{database_dsn.partition('@')[2]}")
        writers.insert(database_dsn, 40)
        total_of(counter, 40)
        writers.run(database_dsn, loses.format(name=name))
        for _ in range(3):
            with pytest.raises(errors.Refused, match=r"grant SELECT to the user|BYPASSRLS"):
                counter.poll(datetime.now(UTC))
        writers.run(database_dsn, has_again.format(name=name))
        writers.insert(database_dsn, 10)
        total_of(counter, 50)
    finally:
        writers.run(database_dsn, f"drop owned by {name}", f"drop role {name}")

    assert not counter.has_no_tail
    assert counter.whole_counts == 0


PARTITIONED = (
    "create table parts (like receipts) partition by list (platform_run_id)",
    "create table parts_a partition of parts for values in ('a') partition by hash (receipt_id)",
    "create table parts_a0 partition of parts_a for values with (modulus 2, remainder 0)",
    "create table parts_a1 partition of parts_a for values with (modulus 2, remainder 1)",
    "create table \"parts'b\" partition of parts for values in ('b')",
)


def test_the_tail_of_each_partition_is_read_and_a_new_partition_too(database_dsn: str, follow: Follow) -> None:
    writers.run(database_dsn, *PARTITIONED)
    writers.insert(database_dsn, 400, at=datetime(2026, 1, 1, tzinfo=UTC), table="parts")
    counter = follow(table="parts")
    writers.insert(database_dsn, 300, table="parts")
    total_of(counter, 300)
    writers.run(database_dsn, "create table parts_c partition of parts for values in ('c')")
    writers.insert(database_dsn, 20, table="parts")

    total_of(counter, 320)


@pytest.mark.parametrize(
    "kind",
    ["create view other as select * from receipts", "create view other as select * from receipts union all table more"],
)
def test_a_view_is_counted_slice_by_slice(database_dsn: str, follow: Follow, kind: str) -> None:
    writers.run(database_dsn, "create table more (like receipts)", kind)
    counter = follow(table="other", marked=False)
    writers.insert(database_dsn, 40)

    total_of(counter, 40)

    assert counter.has_no_tail
    assert "the receipts come from other, which is no table" in find_live_problem(database_dsn, "other")
    assert find_live_problem(database_dsn, "receipts") == ""


def find_live_problem(dsn: str, table: str) -> str:
    source = postgres_receipts.PostgresReceipts(
        redaction.Secret(dsn), columns=counting.COLUMNS, form=receipt_table.TableForm(name=table)
    )
    now = datetime.now(UTC)
    estimate = source.estimate_count(
        windows.Window(now, instants.later(now, 60)),
        scope=writers.SCOPE,
        bucket_seconds=60,
        give_up_at=instants.later(now, 30),
    )
    assert estimate.live_problem is not None
    return estimate.live_problem


@pytest.mark.parametrize(
    "commands",
    [
        ["grant select on parts to {name}"],
        [
            'grant select on parts, parts_a, parts_a0, parts_a1, "parts\'b" to {name}',
            "alter table parts_a0 enable row level security",
        ],
    ],
    ids=["no grant", "a policy of the partition alone"],
)
def test_partitions_that_the_role_may_not_read_are_counted_through_their_parent(
    database_dsn: str, follow: Follow, commands: list[str]
) -> None:
    name = f"reader_{random.SystemRandom().randrange(10**9)}"
    writers.run(database_dsn, *PARTITIONED, f"create role {name} login password 'x'")
    writers.run(database_dsn, *(command.format(name=name) for command in commands))
    dsn = f"postgresql://{name}:x@{database_dsn.partition('@')[2]}"
    try:
        counter = follow(table="parts", marked=False, dsn=dsn)
        writers.insert(database_dsn, 40, table="parts")

        total_of(counter, 40)

        assert counter.has_no_tail
        assert "the role may not read parts_a0 itself" in find_live_problem(dsn, "parts")
    finally:
        writers.run(database_dsn, f"drop owned by {name}", f"drop role {name}")


# Blindness


def test_a_writer_that_does_not_commit_is_named_after_a_while_and_its_receipts_are_counted_then(
    database_dsn: str, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_counter, "SILENCE_SECONDS", 1.0)
    counter = follow()
    with psycopg.connect(database_dsn, application_name="slow-ingest") as connection:
        connection.execute(writers.INSERT, [writers.SCOPE, "ADMIT", datetime.now(UTC).isoformat(), 10])
        writers.insert(database_dsn, 30)

        def problem() -> str:
            try:
                counter.poll(datetime.now(UTC))
            except errors.Unavailable as exc:
                return str(exc)
            return ""

        said = waiting.until(problem, seconds=20, what="the reason of the silence")
    assert "slow-ingest" in said
    assert "has not committed what it wrote" in said

    total_of(counter, 31)


def test_a_lock_that_keeps_a_poll_waiting_is_said_whatever_its_patience(database_dsn: str, follow: Follow) -> None:
    counter = follow(patience=2.0)
    with psycopg.connect(database_dsn) as connection:
        connection.execute("lock table receipts in access exclusive mode")

        with pytest.raises(errors.Unavailable, match=r"lock timeout.*find what holds the lock"):
            counter.poll(datetime.now(UTC))


def test_a_connection_that_was_cut_is_made_anew_and_nothing_is_lost(database_dsn: str, follow: Follow) -> None:
    counter = follow()
    writers.insert(database_dsn, 30)
    total_of(counter, 30)
    writers.run(
        database_dsn,
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
        " and datname = current_database()",
    )
    writers.insert(database_dsn, 30)

    total_of(counter, 60)

    assert counter.whole_counts == 0


def test_a_server_that_forgets_what_was_prepared_is_asked_without(database_dsn: str, follow: Follow) -> None:
    counter = follow()
    for number in range(1, 6):
        writers.insert(database_dsn, 10)
        total_of(counter, 10 * number)
    kept = counter._reader._live._kept
    assert kept is not None
    with kept.engine.connect() as connection:
        connection.exec_driver_sql("deallocate all")
    writers.insert(database_dsn, 10)

    total_of(counter, 60)
