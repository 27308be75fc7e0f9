"""Database findings: from a reading of a database to what is in order, what a person should decide, and what refuses.

| status | meaning | exit of `burst db check` |
|---|---|---|
| passed | in order | 0 |
| note | not visible, or worth knowing; nobody has to act | 0 |
| warning | a person decides | 0 |
| unknown | nobody can tell whether it would refuse | 9 |
| refused | no count here can be relied on, or none can be made | 4 |
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from burst.domain.basics import errors, wording
from burst.domain.database import identities
from burst.domain.documents import database_checks

OLDEST_POSTGRES = 14
LEAST_CONNECTIONS = 4
"""What one burst needs at a time: two of preflight, one of its live counts, one of a check."""
MAX_SKEW_SECONDS = 2.0
WORST_REPLAY_SECONDS = 30.0
LARGEST_BLOAT_SHARE = 0.5
LARGEST_DEAD_SHARE = 0.2
LEAST_BLOAT_BYTES = 64 << 20
LEAST_DEAD_ROWS = 10_000
STALE_SHARE = 0.2
LEAST_MODIFIED_ROWS = 10_000
OLD_AGE = 400_000_000
"""Twice the default of autovacuum_freeze_max_age: autovacuum should have frozen the rows long before."""
LAST_AGE = 1_600_000_000
"""Postgres' own emergency vacuum begins here (vacuum_failsafe_age); at 2^31 it takes no more writes."""
_OFF = frozenset({"0", "off"})
ADVISED: Mapping[str, str] = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "5s",
    "statement_timeout": "60s",
}
"""The safeguards that a role which counts should have, each with the value that `infra/` gives it."""

_OWN_ROLE = "let the DSN name a role of its own that has SELECT alone, as infra/reader_role.sql makes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDemands:
    """What a check is held to. `one_database`: DSNs that should be one and are not refuse. `table_named`: the table was
    named on purpose, so that its absence refuses."""

    table: str
    table_named: bool = False
    one_database: bool = False
    max_skew_seconds: float = MAX_SKEW_SECONDS


def judge_reading(
    reading: database_checks.DatabaseReading, demands: CheckDemands
) -> Iterator[database_checks.DatabaseFinding]:
    """Every finding about one database."""
    yield database_checks.DatabaseFinding(check="connect", status="passed", seen=_describe_health(reading))
    yield _judge_version(reading.server)
    yield _judge_standby(reading.server)
    yield _judge_clock(reading.health, demands.max_skew_seconds)
    yield from _judge_settings(reading)
    yield judge_role(reading.role)
    yield _judge_connections(reading.connections)
    yield from _judge_table(reading, demands)
    yield _judge_statements(reading.statements)
    yield from _list_hidden(reading)


def judge_unreached(failure: errors.BurstError) -> database_checks.DatabaseFinding:
    """The finding of a database that could not be read: refused where it gave an answer, else unknown."""
    refused = isinstance(failure, errors.Refused | errors.UsageError)
    return database_checks.DatabaseFinding(
        check="connect",
        status="refused" if refused else "unknown",
        seen=str(failure),
        mend="mend the DSN or the rights of its role" if refused else "check network, server and limits; then again",
    )


def _count_reaching(others: int) -> str:
    if others == 0:
        return "no other DSN is known that should reach it"
    reach = "reaches" if others == 1 else "reach"
    return f"{wording.format_count(others, 'other DSN')} {reach} it, as each should"


def judge_dsns(rows: Sequence[database_checks.DsnRow], demands: CheckDemands) -> database_checks.DatabaseFinding:
    """Whether every DSN that should reach the checked database does."""
    strays, unknown = identities.list_strays(rows, "other"), identities.list_strays(rows, "unknown")
    mend = "let each name the same database, or leave it out where another is meant"
    if strays:
        status = "refused" if demands.one_database else "warning"
        return database_checks.DatabaseFinding.model_validate(
            {"check": "one-database", "status": status, "seen": _name(strays), "mend": mend}
        )
    if unknown:
        status = "unknown" if demands.one_database else "warning"
        words = f"nobody can tell whether this is the same database: {_name(unknown)}"
        return database_checks.DatabaseFinding.model_validate(
            {"check": "one-database", "status": status, "seen": words, "mend": mend}
        )
    expected = [row for row in rows if row.should_be_same and row.same == "same"]
    words = _count_reaching(len(expected))
    return database_checks.DatabaseFinding(check="one-database", status="passed", seen=words)


def choose_status(findings: Iterable[database_checks.DatabaseFinding]) -> str:
    """The status of a whole check: a refusal is certain, so it comes before what nobody can tell."""
    statuses = {finding.status for finding in findings}
    return next((status for status in ("refused", "unknown") if status in statuses), "passed")


def judge_role(role: database_checks.RoleEntry | None) -> database_checks.DatabaseFinding:
    """Whether the sessions of the role have every safeguard of its own."""
    if role is None:
        return database_checks.DatabaseFinding(
            check="role-settings", status="note", seen="the settings of the role are not visible"
        )
    missing = list_missing_safeguards(role)
    words = [f"{name} is {state}" for name, state in missing.items()]
    if role.superuser:
        words.append("it is a superuser, whom no limit of connections holds")
    if not words:
        have = ", ".join(f"{row.name} {row.setting}{row.unit or ''}" for row in role.safeguards if row.name in ADVISED)
        return database_checks.DatabaseFinding(
            check="role-settings", status="passed", seen=f"sessions of {role.name} have {have}"
        )
    return database_checks.DatabaseFinding(
        check="role-settings",
        status="warning",
        seen=f"sessions of {role.name} lack a safeguard: {', '.join(words)}",
        mend=mend_role(role),
    )


def list_missing_safeguards(role: database_checks.RoleEntry) -> dict[str, str]:
    """The advised safeguards that new sessions of the role do not have, each with the value that it has."""
    values = {row.name: row.setting for row in role.safeguards}
    return {name: values.get(name, "not there") for name in ADVISED if values.get(name, "0") in _OFF}


def mend_role(role: database_checks.RoleEntry) -> str:
    """The statements that give a role of burst's own the safeguards that it lacks; of a role that others use none may
    run, as it would keep them from writing."""
    if role.superuser:  # other programs and people work as it, and the settings would hold them too
        return f"leave it as it is, and {_OWN_ROLE}"
    lines = [f"ALTER ROLE {_quote(role.name)} SET {name} = '{ADVISED[name]}'" for name in list_missing_safeguards(role)]
    return f"where burst alone uses this role: {'; '.join(lines)}; else {_OWN_ROLE}"


def _describe_health(reading: database_checks.DatabaseReading) -> str:
    health = reading.health
    sessions = reading.identity.sessions
    active = "an unseen number of them" if sessions.active is None else f"{sessions.active} of them"
    others = "other sessions hidden"
    if sessions.others is not None:
        others = f"{wording.format_count(sessions.others, 'other session')}, {active} active"
    speed = f"{health.connect_seconds * 1000:.1f} ms to connect, {health.round_trip_seconds * 1000:.2f} ms a round trip"
    return f"PostgreSQL {reading.server.version} answers as {reading.identity.role}: {speed}; {others}"


def _judge_version(server: database_checks.ServerEntry) -> database_checks.DatabaseFinding:
    major = server.version_number // 10_000
    if major < OLDEST_POSTGRES:
        mend = f"count in PostgreSQL {OLDEST_POSTGRES} or later"
        return database_checks.DatabaseFinding(check="version", status="refused", seen=f"PostgreSQL {major}", mend=mend)
    return database_checks.DatabaseFinding(check="version", status="passed", seen=f"PostgreSQL {server.version}")


def _judge_standby(server: database_checks.ServerEntry) -> database_checks.DatabaseFinding:
    if not server.standby:
        return database_checks.DatabaseFinding(check="standby", status="passed", seen="a primary")
    replay = server.replay
    if replay is None:
        lag = "how far it has replayed is not visible"
    elif replay.lag_seconds is None:
        lag = "it has replayed no transaction yet"
    else:
        late = " (late)" if replay.lag_seconds > WORST_REPLAY_SECONDS else ""
        lag = f"{replay.lag_seconds:.1f} s behind what it received{late}"
    receiver = f", receiver {replay.receiver_status}" if replay and replay.receiver_status else ""
    return database_checks.DatabaseFinding(
        check="standby",
        status="refused",
        seen=f"a standby: {lag}{receiver}; no count here is known to be all",
        mend="let the DSN name the primary",
    )


def _judge_clock(health: database_checks.HealthEntry, allowed_seconds: float) -> database_checks.DatabaseFinding:
    words = f"clocks differ by at most {health.worst_skew_seconds:.3f} s"
    if health.worst_skew_seconds <= allowed_seconds:
        return database_checks.DatabaseFinding(check="clock", status="passed", seen=words)
    mend = "synchronise the clocks: this one sets the window of a burst"
    return database_checks.DatabaseFinding(
        check="clock", status="warning", seen=f"{words}; allowed {allowed_seconds:g} s", mend=mend
    )


def _judge_settings(reading: database_checks.DatabaseReading) -> Iterator[database_checks.DatabaseFinding]:
    if reading.settings is None:
        yield database_checks.DatabaseFinding(check="settings", status="note", seen="the settings are not visible")
        return
    pending = [row.name for row in reading.settings if row.pending_restart]
    words = f"{wording.format_count(len(reading.settings), 'setting')} differ from their default"
    if pending:
        mend = "restart the server, or take the change back"
        sentence = f"{words}; of them wait for a restart: {', '.join(pending)}"
        yield database_checks.DatabaseFinding(check="settings", status="warning", seen=sentence, mend=mend)
        return
    yield database_checks.DatabaseFinding(check="settings", status="passed", seen=words)


def _judge_connections(entry: database_checks.ConnectionsEntry | None) -> database_checks.DatabaseFinding:
    if entry is None:
        mend = "give the role access to pg_stat_database and pg_stat_activity"
        return database_checks.DatabaseFinding(
            check="connections", status="unknown", seen="connections are not visible", mend=mend
        )
    reserved = entry.superuser_reserved + entry.reserved
    words = f"{entry.in_use} of {entry.maximum} in use, {reserved} reserved"
    if entry.role_limit is not None:
        words += f"; the role {entry.role_in_use} of {entry.role_limit}"
    if entry.database_limit is not None:
        words += f"; the database {entry.database_in_use} of {entry.database_limit}"
    if entry.left < LEAST_CONNECTIONS:
        mend = "end idle sessions, or raise max_connections, or the CONNECTION LIMIT of role or database"
        sentence = f"{entry.left} left, a burst needs {LEAST_CONNECTIONS}: {words}"
        return database_checks.DatabaseFinding(check="connections", status="refused", seen=sentence, mend=mend)
    return database_checks.DatabaseFinding(check="connections", status="passed", seen=f"{entry.left} left: {words}")


def _judge_table(
    reading: database_checks.DatabaseReading, demands: CheckDemands
) -> Iterator[database_checks.DatabaseFinding]:
    hidden = {part.part: part.why for part in reading.hidden}
    if reading.table is None and "table" in hidden:
        mend = "mend what is named, or name another table: --table SCHEMA.NAME"
        yield database_checks.DatabaseFinding(
            check="table", status="unknown", seen=f"{demands.table}: {hidden['table']}", mend=mend
        )
        return
    if reading.table is None:
        mend = "name the receipts table, with its schema where the search path does not hold it: --table SCHEMA.NAME"
        status = "refused" if demands.table_named else "note"
        words = f"there is no table {demands.table} that the role can find"
        yield database_checks.DatabaseFinding.model_validate(
            {"check": "table", "status": status, "seen": words, "mend": mend}
        )
        return
    yield from _judge_rights(reading.table, reading.identity.role)
    yield _judge_indexes(reading.table)
    yield from _judge_vacuum(reading.table)


def _judge_rights(table: database_checks.TableEntry, role: str) -> Iterator[database_checks.DatabaseFinding]:
    """What keeps a role from the table, or from a part of it."""
    relation, quoted = table.relation or table.name, _quote(role)
    match table.readable:
        case "nothing":
            yield database_checks.DatabaseFinding(
                check="table",
                status="refused",
                seen=f"the role {role} may read nothing of {table.name}",
                mend=f"GRANT SELECT ON {relation} TO {quoted}",
            )
        case "some rows":
            yield database_checks.DatabaseFinding(
                check="table",
                status="refused",
                seen=f"a policy may hide rows of {table.name} from the role {role}, and those would not be counted",
                mend=f"ALTER ROLE {quoted} BYPASSRLS, or let the DSN name a role that no policy applies to",
            )
        case "some columns":
            yield database_checks.DatabaseFinding(
                check="table",
                status="note",
                seen=f"the role {role} may read some columns of {table.name} alone; a count needs those of "
                "receipts.columns",
                mend=f"GRANT SELECT ON {relation} TO {quoted}, where one of them is missing",
            )


def _judge_indexes(table: database_checks.TableEntry) -> database_checks.DatabaseFinding:
    broken = [index.name for index in table.indexes if not (index.valid and index.ready)]
    if broken:
        mend = (
            "REINDEX INDEX CONCURRENTLY each, or DROP INDEX CONCURRENTLY what a build left behind; or wait for its end"
        )
        return database_checks.DatabaseFinding(
            check="indexes", status="refused", seen=f"not valid: {', '.join(broken)}", mend=mend
        )
    unused = [index.name for index in table.indexes if index.scans == 0]
    words = f"{len(table.indexes)} index{'' if len(table.indexes) == 1 else 'es'}"
    idle = f"; never used since the statistics began: {', '.join(unused)}" if unused else ""
    return database_checks.DatabaseFinding(
        check="indexes", status="passed", seen=f"{words} of {table.name}, each valid{idle}"
    )


def _judge_vacuum(table: database_checks.TableEntry) -> Iterator[database_checks.DatabaseFinding]:
    total = table.total
    if total is None:
        yield database_checks.DatabaseFinding(
            check="vacuum", status="note", seen=f"{table.name} is a {table.kind} with no table behind it"
        )
        return
    age = total.frozen_age
    if age is not None and age > OLD_AGE:
        yield database_checks.DatabaseFinding(
            check="freeze",
            status="refused" if age > LAST_AGE else "warning",
            seen=f"the oldest row of {table.name} is {age:,} transactions old; at 2^31 the server stops writes",
            mend=f"VACUUM (FREEZE) {_list_vacuumed(table)}, and find out what keeps autovacuum from it",
        )
    problems = list(_list_vacuum_problems(table, total))
    if problems:
        mend = f"VACUUM (ANALYZE) {_list_vacuumed(table)}; where bloat stays, have pg_repack or VACUUM FULL planned"
        yield database_checks.DatabaseFinding(check="vacuum", status="warning", seen="; ".join(problems), mend=mend)
        return
    rows = "an unknown number of rows" if total.live_rows is None else wording.format_count(total.live_rows, "row")
    words = f"{table.name}: {rows}, {wording.format_count(total.pages, 'page')}, {_describe_bloat(total)}"
    yield database_checks.DatabaseFinding(check="vacuum", status="passed", seen=words)


def _list_vacuumed(table: database_checks.TableEntry) -> str:
    """The tables to name to VACUUM, as SQL takes them: of a partitioned table itself alone, of a view those below."""
    if table.relation is not None and table.kind != "view":
        return table.relation
    return ", ".join(row.name for row in table.tables)


def _list_vacuum_problems(table: database_checks.TableEntry, total: database_checks.TableRow) -> Iterator[str]:
    live, dead, bloat_bytes = total.live_rows or 0, total.dead_rows or 0, total.bloat_bytes or 0
    if dead >= LEAST_DEAD_ROWS and dead > LARGEST_DEAD_SHARE * (live + dead):
        yield f"{dead:,} dead rows beside {live:,} live ones"
    if bloat_bytes >= LEAST_BLOAT_BYTES and bloat_bytes > LARGEST_BLOAT_SHARE * total.size_bytes:
        yield f"{_describe_bloat(total)} of {total.size_bytes >> 20} MiB"
    bare = [
        row.name for row in table.tables if row.live_rows and not (row.last_analyze_utc or row.last_autoanalyze_utc)
    ]
    if bare:
        yield f"never analyzed, so the planner guesses: {', '.join(bare)}"
    modified = total.modified_since_analyze or 0
    if not bare and modified >= LEAST_MODIFIED_ROWS and modified > STALE_SHARE * live:
        yield f"{modified:,} rows were changed since the last ANALYZE"


def _describe_bloat(total: database_checks.TableRow) -> str:
    if total.bloat_bytes is None:
        return "bloat unknown: this role sees no statistics of some column, as none was analyzed or it may not read it"
    share = total.bloat_bytes / total.size_bytes if total.size_bytes else 0.0
    return f"about {share:.0%} bloat"


def _judge_statements(entry: database_checks.StatementsEntry | None) -> database_checks.DatabaseFinding:
    if entry is None:
        return database_checks.DatabaseFinding(
            check="statements", status="note", seen="pg_stat_statements cannot be read (hidden)"
        )
    if not entry.visible:
        return database_checks.DatabaseFinding(
            check="statements", status="note", seen="pg_stat_statements shows nothing here", mend=entry.how
        )
    words = f"pg_stat_statements is visible; {_describe_top(len(entry.top))}"
    if entry.others_hidden:
        return database_checks.DatabaseFinding(
            check="statements",
            status="note",
            seen=f"{words}; {entry.others_hidden} of other roles are hidden",
            mend=entry.how,
        )
    return database_checks.DatabaseFinding(check="statements", status="passed", seen=words)


def _describe_top(number: int) -> str:
    """How many statements are shown, which are never all that there may be."""
    if number == 0:
        return "no statement that it shows names such a table"
    longest = "that names such a table" if number == 1 else "that name such a table and took longest"
    return f"{wording.format_count(number, 'statement')} {longest}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list_hidden(reading: database_checks.DatabaseReading) -> Iterator[database_checks.DatabaseFinding]:
    if reading.hidden:
        words = "; ".join(f"{part.part}: {part.why}" for part in reading.hidden)
        yield database_checks.DatabaseFinding(check="hidden", status="note", seen=words)


def _name(rows: Sequence[database_checks.DsnRow]) -> str:
    return "; ".join(f"{row.name} ({row.shown}): {row.why}" for row in rows)
