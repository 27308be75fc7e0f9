"""Findings about a database: each fault has its finding and its status, and what nobody saw never passes as zero."""

from collections.abc import Mapping
from datetime import timedelta

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import errors
from burst.domain.database import database_findings, identities, shown_settings, table_figures
from burst.domain.documents import database_checks
from tests import fakes_database

DEMANDS = database_findings.CheckDemands(table="receipts", table_named=True)
GIB = 1 << 30


def judge(
    reading: database_checks.DatabaseReading, demands: database_findings.CheckDemands = DEMANDS
) -> dict[str, database_checks.DatabaseFinding]:
    return {finding.check: finding for finding in database_findings.judge_reading(reading, demands)}


def with_table(**changes: object) -> database_checks.DatabaseReading:
    row = fakes_database.table_row().model_copy(update=changes)
    table = database_checks.TableEntry(
        name="receipts", kind="table", total=row, tables=[row], indexes=[fakes_database.index_row()]
    )
    return fakes_database.reading(table=table)


def with_entry(**changes: object) -> database_checks.DatabaseReading:
    table = fakes_database.reading().table
    assert table is not None
    return fakes_database.reading(table=table.model_copy(update=changes))


def with_indexes(*indexes: database_checks.IndexRow) -> database_checks.DatabaseReading:
    table = fakes_database.reading().table
    assert table is not None
    return fakes_database.reading(table=table.model_copy(update={"indexes": list(indexes)}))


def with_server(**changes: object) -> database_checks.DatabaseReading:
    return fakes_database.reading(server=fakes_database.reading().server.model_copy(update=changes))


def with_connections(**changes: object) -> database_checks.DatabaseReading:
    entry = fakes_database.reading().connections
    assert entry is not None
    return fakes_database.reading(connections=entry.model_copy(update=changes))


def with_skew(seconds: float) -> database_checks.DatabaseReading:
    health = fakes_database.reading().health.model_copy(update={"worst_skew_seconds": seconds})
    return fakes_database.reading(health=health)


def with_safeguards(**changes: str) -> database_checks.DatabaseReading:
    safeguards = [
        row.model_copy(update={"setting": changes.get(row.name, row.setting)})
        for row in fakes_database.role().safeguards
    ]
    return fakes_database.reading(role=fakes_database.role(safeguards=safeguards))


def hiding(part: str, **changes: object) -> database_checks.DatabaseReading:
    hidden = [database_checks.HiddenPart(part=part, why="not visible to role r: GRANT pg_monitor")]
    return fakes_database.reading(hidden=hidden, **changes)


REPLAY = database_checks.ReplayEntry(
    replayed_utc=fakes_database.STARTED,
    caught_up=False,
    lag_seconds=75.0,
    receiver_status="streaming",
    receiver_heard_utc=None,
)
PENDING = database_checks.SettingRow(
    name="shared_buffers", setting="16384", unit="8kB", source="configuration file", pending_restart=True
)
UNREADABLE = database_checks.StatementsEntry(visible=False, how="CREATE EXTENSION it", others_hidden=0, top=[])
FAULTS: Mapping[str, tuple[database_checks.DatabaseReading, str, str, str]] = {
    "an old server": (with_server(version="13.9", version_number=130009), "version", "refused", "13"),
    "a standby": (with_server(standby=True, replay=REPLAY), "standby", "refused", "75.0 s behind"),
    "a standby of which nothing is seen": (with_server(standby=True), "standby", "refused", "not visible"),
    "clocks that differ": (with_skew(3.0), "clock", "warning", "3.000 s"),
    "a setting that waits for a restart": (
        fakes_database.reading(settings=[PENDING]), "settings", "warning", "shared_buffers",
    ),
    "no connection left": (with_connections(in_use=95), "connections", "refused", "2 left"),
    "the role's own limit": (with_connections(role_limit=4, role_in_use=2), "connections", "refused", "2 of 4"),
    "the database's limit": (with_connections(database_limit=6), "connections", "refused", "5 of 6"),
    "connections that nobody sees": (
        fakes_database.reading(connections=None), "connections", "unknown", "not visible",
    ),
    "an index that is not valid": (
        with_indexes(fakes_database.index_row(valid=False)), "indexes", "refused", "receipts_scope",
    ),
    "an index that is not ready": (
        with_indexes(fakes_database.index_row(ready=False)), "indexes", "refused", "receipts_scope",
    ),
    "no such table": (fakes_database.reading(table=None), "table", "refused", "no table receipts"),
    "a table that the role may not read": (
        with_entry(readable="nothing"), "table", "refused", "may read nothing of receipts",
    ),
    "a policy that may hide rows": (with_entry(readable="some rows"), "table", "refused", "a policy may hide rows"),
    "some columns alone": (
        with_entry(readable="some columns"), "table", "note", "some columns of receipts alone",
    ),
    "a table that nobody sees": (hiding("table", table=None), "table", "unknown", "GRANT pg_monitor"),
    "dead rows": (with_table(live_rows=50_000, dead_rows=50_000), "vacuum", "warning", "50,000 dead rows"),
    "bloat": (with_table(size_bytes=GIB, bloat_bytes=GIB * 3 // 4), "vacuum", "warning", "75% bloat of 1024 MiB"),
    "no ANALYZE yet": (with_table(last_analyze_utc=None), "vacuum", "warning", "never analyzed"),
    "an old ANALYZE": (
        with_table(live_rows=50_000, modified_since_analyze=20_000), "vacuum", "warning", "20,000 rows were changed",
    ),
    "old rows": (with_table(frozen_age=500_000_000), "freeze", "warning", "500,000,000 transactions"),
    "rows near the end": (with_table(frozen_age=1_700_000_000), "freeze", "refused", "1,700,000,000"),
    "no statement_timeout": (with_safeguards(statement_timeout="0"), "role-settings", "warning", "statement_timeout"),
    "sessions that may write": (
        with_safeguards(default_transaction_read_only="off"), "role-settings", "warning", "read_only is off",
    ),
    "a superuser": (
        fakes_database.reading(role=fakes_database.role(superuser=True)), "role-settings", "warning", "superuser",
    ),
    "no pg_stat_statements": (
        fakes_database.reading(statements=UNREADABLE), "statements", "note", "shows nothing here",
    ),
    "a part that is hidden": (hiding("wal receiver"), "hidden", "note", "GRANT pg_monitor"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_finding_and_every_other_check_goes_on(fault: str) -> None:
    reading, check, status, words = FAULTS[fault]

    findings = judge(reading)

    assert findings[check].status == status
    assert words in findings[check].seen
    assert status in ("note", "warning", "unknown", "refused")
    assert findings[check].mend or check in ("hidden",)
    assert {finding.status for name, finding in findings.items() if name != check} <= {"passed", "note"}


def test_a_database_in_good_order_passes_every_check() -> None:
    findings = judge(fakes_database.reading())

    assert {finding.status for finding in findings.values()} == {"passed"}
    assert database_findings.choose_status(findings.values()) == "passed"


def test_an_absent_table_that_nobody_named_is_a_note() -> None:
    demands = database_findings.CheckDemands(table="receipts")

    assert judge(fakes_database.reading(table=None), demands)["table"].status == "note"


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        ((), "passed"),
        (("passed", "note", "warning"), "passed"),
        (("warning", "unknown"), "unknown"),
        (("unknown", "refused", "passed"), "refused"),
    ],
)
def test_a_refusal_is_certain_and_comes_before_what_nobody_can_tell(statuses: tuple[str, ...], whole: str) -> None:
    findings = [
        database_checks.DatabaseFinding.model_validate({"check": "c", "status": status, "seen": "s"})
        for status in statuses
    ]

    assert database_findings.choose_status(findings) == whole


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (errors.Unavailable("no answer"), "unknown"),
        (errors.Refused("wrong password"), "refused"),
        (errors.UsageError("no DSN"), "refused"),
    ],
)
def test_a_database_that_did_not_answer_is_unknown_and_one_that_said_no_refuses(
    failure: errors.BurstError, status: str
) -> None:
    assert database_findings.judge_unreached(failure).status == status


def test_the_statements_that_mend_a_role_name_it_quoted_and_only_what_it_lacks() -> None:
    safeguards = [row for row in fakes_database.role().safeguards if row.name != "lock_timeout"]
    role = fakes_database.role(name='odd"role', safeguards=safeguards)

    mend = database_findings.mend_role(role)

    assert 'where burst alone uses this role: ALTER ROLE "odd""role" SET lock_timeout = \'5s\'; else' in mend
    assert mend.count("ALTER ROLE") == 1


def test_no_statement_is_advised_that_would_make_every_session_of_a_superuser_read_only() -> None:
    safeguards = [row.model_copy(update={"setting": "0"}) for row in fakes_database.role().safeguards]

    mend = database_findings.mend_role(fakes_database.role(superuser=True, safeguards=safeguards))

    assert "ALTER ROLE" not in mend
    assert "infra/reader_role.sql" in mend


@pytest.mark.parametrize(
    ("kind", "relation", "advised"),
    [
        ("table", '"Odd".receipts', 'VACUUM (ANALYZE) "Odd".receipts;'),
        ("partitioned table", "public.receipts", "VACUUM (ANALYZE) public.receipts;"),
        ("view", "public.receipts", 'VACUUM (ANALYZE) a."One", b.two;'),
    ],
)
def test_vacuum_is_advised_of_tables_as_sql_takes_their_names(kind: str, relation: str, advised: str) -> None:
    rows = [fakes_database.table_row(name, last_analyze_utc=None) for name in ('a."One"', "b.two")]
    table = fakes_database.reading().table
    assert table is not None
    changes = {"kind": kind, "relation": relation, "tables": rows}

    findings = judge(fakes_database.reading(table=table.model_copy(update=changes)))

    assert advised in findings["vacuum"].mend


# Whether two DSNs reach one database

IDENTITY = fakes_database.IDENTITY
LATER = IDENTITY.started_utc + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, "same"),
        ({}, {"role": "ingest", "address": "10.9.9.9"}, "same"),
        ({}, {"database_oid": 5, "database": "postgres"}, "other"),
        ({}, {"system_identifier": "7"}, "other"),
        ({}, {"started_utc": LATER, "standby": True}, "other"),
        ({}, {"system_identifier": None}, "same"),
        ({"system_identifier": None}, {"system_identifier": None}, "same"),
        ({"system_identifier": None}, {"system_identifier": None, "address": None}, "unknown"),
        ({"system_identifier": None, "address": None}, {"system_identifier": None, "address": None}, "unknown"),
        ({"system_identifier": None}, {"address": "10.0.0.6"}, "unknown"),
        ({"system_identifier": None}, {"port": 6432}, "unknown"),
        ({"system_identifier": None}, {"system_identifier": None, "started_utc": LATER}, "other"),
    ],
    ids=[
        *("itself", "by another way", "another database", "another server", "a standby of it"),
        *("one sees no system", "none sees it", "a socket on one side", "sockets", "another address", "another port"),
        "another start",
    ],
)
def test_two_identities_are_the_same_only_where_that_is_certain(
    one: dict[str, object], other: dict[str, object], same: str
) -> None:
    first, second = IDENTITY.model_copy(update=one), IDENTITY.model_copy(update=other)

    assert identities.compare(first, second).same == same
    assert identities.compare(second, first).same == same


IDENTITIES = st.builds(
    lambda system, later, address, port, oid: IDENTITY.model_copy(
        update={
            "system_identifier": system,
            "started_utc": IDENTITY.started_utc + timedelta(seconds=later),
            "address": address,
            "port": port,
            "database_oid": oid,
        }
    ),
    st.sampled_from([None, "1", "2"]),
    st.integers(0, 1),
    st.sampled_from([None, "10.0.0.5", "10.0.0.6"]),
    st.sampled_from([5432, 6432]),
    st.integers(1, 2),
)


@hypothesis.given(IDENTITIES, IDENTITIES)
def test_what_is_called_the_same_agrees_in_all_that_both_know(
    one: database_checks.DatabaseIdentity, other: database_checks.DatabaseIdentity
) -> None:
    compared, turned = identities.compare(one, other), identities.compare(other, one)

    assert compared.same == turned.same
    if compared.same == "same":
        assert (one.database_oid, one.started_utc) == (other.database_oid, other.started_utc)
        assert None in (one.system_identifier, other.system_identifier) or (
            one.system_identifier == other.system_identifier
        )
    if compared.same == "other":
        assert one != other


@pytest.mark.parametrize(
    ("same", "demanded", "status"),
    [
        ("same", True, "passed"),
        ("other", False, "warning"),
        ("other", True, "refused"),
        ("unknown", False, "warning"),
        ("unknown", True, "unknown"),
    ],
)
def test_dsns_that_should_be_one_warn_or_refuse_as_the_plan_demands(same: str, demanded: bool, status: str) -> None:
    row = database_checks.DsnRow.model_validate(
        {
            "origin": "also", "name": "--also env:X", "shown": "host/db as r", "should_be_same": True, "same": same,
            "why": "for a reason", "identity": None,
        }
    )  # fmt: skip
    stray = row.model_copy(update={"should_be_same": False, "same": "other", "name": "variable Y"})
    demands = database_findings.CheckDemands(table="receipts", one_database=demanded)

    finding = database_findings.judge_dsns([row, stray], demands)

    assert finding.status == status
    assert "variable Y" not in finding.seen


# Settings that may be shown

SECRET_NAMES = (
    *("primary_conninfo", "archive_command", "restore_command", "ssl_passphrase_command", "recovery_end_command"),
    *("ssl_key_file", "krb_server_keyfile", "archive_cleanup_command", "oauth_validator_libraries"),
    *("app.jwt", "app.api_token", "cron.password"),
)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_text_that_may_hold_a_secret_is_never_shown(name: str) -> None:
    assert not shown_settings.may_show(name, "string")
    assert shown_settings.show_assignment(name, "hunter2 hunter2") is None


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("shared_buffers", "integer"), ("authentication_timeout", "integer"), ("password_encryption", "enum"),
        ("fsync", "bool"), ("search_path", "string"), ("log_line_prefix", "string"), ("TimeZone", "string"),
        ("auto_explain.log_min_duration", "integer"),
    ],
)  # fmt: skip
def test_a_number_a_choice_and_a_plain_text_are_shown(name: str, type_name: str) -> None:
    assert shown_settings.may_show(name, type_name)


@hypothesis.given(st.from_regex(r"[a-z]{1,8}\.[a-z_]{1,12}", fullmatch=True), st.text(min_size=1))
def test_a_text_of_an_application_is_shown_only_where_it_is_a_number_or_a_switch(name: str, value: str) -> None:
    hypothesis.assume(name.partition(".")[0] not in ("plpgsql", "pg"))

    shown = shown_settings.show_assignment(name, value)

    assert shown is None or shown.lower().strip("-0123456789. ").lower() in (
        *("", "b", "kb", "mb", "gb", "tb", "us", "ms", "s", "min", "h", "d"),
        *("on", "off", "true", "false", "yes", "no"),
    )


# Figures of tables


@hypothesis.given(
    size=st.integers(0, 1 << 40),
    rows=st.floats(0, 1e9),
    width=st.floats(0, 8000),
    fill_percent=st.integers(10, 100),
)
def test_the_estimated_bloat_lies_between_nothing_and_the_whole_table(
    size: int, rows: float, width: float, fill_percent: int
) -> None:
    bloat_bytes = table_figures.estimate_bloat_bytes(
        size_bytes=size, rows=rows, row_width=width, fill_percent=fill_percent, page_bytes=8192
    )

    assert bloat_bytes is not None
    assert 0 <= bloat_bytes <= size


def test_a_sum_of_partitions_knows_what_each_of_them_knows_and_no_more() -> None:
    first = fakes_database.table_row("p1", live_rows=5, bloat_bytes=None, frozen_age=7)
    second = fakes_database.table_row("p2", live_rows=6, frozen_age=9, last_vacuum_utc=None)
    parent = fakes_database.table_row("p", kind="partitioned table", live_rows=None, frozen_age=None)

    total = table_figures.sum_tables("p", [parent, first, second])

    assert total is not None
    assert (total.live_rows, total.bloat_bytes, total.frozen_age) == (11, None, 9)
    assert total.last_vacuum_utc is None
    assert total.last_analyze_utc == fakes_database.STARTED
    assert table_figures.sum_tables("p", [parent]) is None
