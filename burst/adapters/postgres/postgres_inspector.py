"""A Postgres database as its role sees it: health, server, settings, role, connections, indexes, tables, statements.

Each part is read on its own, in a savepoint, so that a part that the role may not see hides no other. It is then named
in `hidden` with the words that make it visible.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy

from burst.adapters.postgres import connections, failures, inspection_statements, role_reading, statements
from burst.domain.basics import instants, redaction
from burst.domain.database import shown_settings, table_figures
from burst.domain.documents import database_checks
from burst.domain.receipts import receipt_table

T = TypeVar("T")
Row = sqlalchemy.Row[*tuple[Any, ...]]

_USUAL = connections.Timeouts(statement_seconds=10.0, lock_seconds=2.0)
_TOP_STATEMENTS = 5
_LONGEST_QUERY = 300
_NO_ROWS_STATES = frozenset({"55P03", "57014", "55000"})
"""A lock that did not come, a statement that took too long, an object that is not ready: the part alone is not read."""
_RIGHTS = {
    "system identifier": "EXECUTE ON FUNCTION pg_control_system()",
    "sessions": "SELECT ON pg_catalog.pg_stat_activity",
    "settings": "SELECT ON pg_catalog.pg_settings",
    "table": "SELECT ON pg_catalog.pg_stats, pg_catalog.pg_stat_all_tables, pg_catalog.pg_stat_all_indexes",
    "connections": "SELECT ON pg_catalog.pg_stat_database, pg_catalog.pg_stat_activity, pg_catalog.pg_roles",
    "role": "SELECT ON pg_catalog.pg_roles, pg_catalog.pg_db_role_setting, pg_catalog.pg_settings",
    "extensions": "SELECT ON pg_catalog.pg_extension",
}
"""What a role lacks that may not read a part, where membership in pg_monitor would not do."""
_KINDS = {"r": "table", "p": "partitioned table", "m": "materialized view", "v": "view", "f": "foreign table"}


class PostgresInspector:
    """`ports.DatabaseInspector` on a Postgres database (14 or later). `now` is this side of the clock."""

    def __init__(
        self,
        dsn: redaction.Secret | connections.ResolveDsn,
        *,
        application_name: str = "burst/db-check",
        timeouts: connections.Timeouts = _USUAL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = connections.ReadOnlyDatabase(
            dsn, application_name=application_name, timeouts=timeouts, now=now
        )
        self._now = now

    def inspect(self, table: str, *, give_up_at: datetime) -> database_checks.DatabaseReading:
        """Reads everything in one transaction."""
        asked_at = time.monotonic()

        def work(connection: sqlalchemy.Connection) -> database_checks.DatabaseReading:
            connect_seconds = time.monotonic() - asked_at
            return _Reader(connection, self._database.redact).read(
                table, self._read_health(connection, connect_seconds)
            )

        return self._database.perform("inspecting the database", work, give_up_at)

    def identify(self, *, give_up_at: datetime) -> database_checks.DatabaseIdentity:
        """Reads what tells the database from others."""
        return self._database.perform(
            "identifying the database",
            lambda connection: _Reader(connection, self._database.redact).read_identity(),
            give_up_at,
        )

    def _read_health(self, connection: sqlalchemy.Connection, connect_seconds: float) -> database_checks.HealthEntry:
        before, began = self._now(), time.monotonic()
        database_now = connection.execute(statements.CLOCK).scalar_one()
        round_trip_seconds = time.monotonic() - began
        skew_seconds = instants.seconds_between(instants.later(before, round_trip_seconds / 2), database_now)
        return database_checks.HealthEntry(
            connect_seconds=connect_seconds,
            round_trip_seconds=round_trip_seconds,
            clock_skew_seconds=skew_seconds,
            worst_skew_seconds=abs(skew_seconds) + round_trip_seconds / 2,
            database_clock_utc=instants.utc(database_now),
        )


class _Reader:
    """Reads the parts of one database in one transaction, and keeps those that are hidden."""

    def __init__(self, connection: sqlalchemy.Connection, redact: Callable[[str], str]) -> None:
        self._connection = connection
        self._redact = redact
        self._hidden: list[database_checks.HiddenPart] = []
        self._role = ""

    def read(self, table: str, health: database_checks.HealthEntry) -> database_checks.DatabaseReading:
        """Every part. A failure that is about the whole database is raised."""
        identity = self.read_identity()
        role = self._read_part("role", lambda: role_reading.read_role(self._connection, self._redact))
        return database_checks.DatabaseReading(
            identity=identity,
            health=health,
            server=self._read_server(identity.standby),
            role=role,
            connections=self._read_part("connections", self._read_connections),
            settings=self._read_part("settings", lambda: self._read_settings(role)),
            extensions=self._read_part("extensions", self._read_extensions),
            table=self._read_part("table", lambda: self._read_table(table)),
            statements=self._read_part("statements", lambda: self._read_statements(_split_name(table)[1])),
            hidden=self._hidden,
        )

    def read_identity(self) -> database_checks.DatabaseIdentity:
        """What tells this database from others."""
        row = self._one(inspection_statements.IDENTITY)
        self._role = row.role
        system = self._read_part(
            "system identifier", lambda: self._one(inspection_statements.SYSTEM_IDENTIFIER).system_identifier
        )
        return database_checks.DatabaseIdentity(
            system_identifier=system,
            started_utc=row.started_at,
            address=row.address,
            port=row.port,
            database=row.database,
            database_oid=row.database_oid,
            role=row.role,
            standby=row.standby,
            sessions=self._read_sessions(),
        )

    def _read_sessions(self) -> database_checks.SessionsEntry:
        row = self._read_part("sessions", lambda: self._one(inspection_statements.SESSIONS))
        if row is None:
            return database_checks.SessionsEntry(others=None, active=None)
        if row.unseen:
            self._hide("other sessions", self._grant("pg_monitor"))
        return database_checks.SessionsEntry(others=row.others, active=None if row.unseen else row.active)

    def _read_server(self, standby: bool) -> database_checks.ServerEntry:
        row = self._one(inspection_statements.IDENTITY)
        return database_checks.ServerEntry(
            version=row.version,
            version_number=row.version_number,
            standby=standby,
            replay=self._read_part("replay", self._read_replay) if standby else None,
        )

    def _read_replay(self) -> database_checks.ReplayEntry:
        row, receivers = self._one(inspection_statements.REPLAY), self._all(inspection_statements.RECEIVER)
        receiver = receivers[0] if receivers else None
        if receiver is not None and receiver.status is None:
            self._hide("wal receiver", self._grant("pg_monitor"))
        lag_seconds = None if row.seconds is None else float(row.seconds)
        return database_checks.ReplayEntry(
            replayed_utc=row.replayed_at,
            caught_up=row.caught_up,
            lag_seconds=0.0 if row.caught_up else lag_seconds,
            receiver_status=receiver.status if receiver else None,
            receiver_heard_utc=receiver.heard_at if receiver else None,
        )

    def _read_connections(self) -> database_checks.ConnectionsEntry:
        row = self._one(inspection_statements.CONNECTIONS)
        return database_checks.ConnectionsEntry(
            maximum=row.maximum,
            superuser_reserved=row.superuser_reserved,
            reserved=row.reserved,
            in_use=int(row.in_use),
            role_limit=role_reading.read_limit(row.role_limit),
            role_in_use=row.role_in_use,
            database_limit=role_reading.read_limit(row.database_limit),
            database_in_use=row.database_in_use,
        )

    def _read_settings(self, role: database_checks.RoleEntry | None) -> list[database_checks.SettingRow]:
        if role is not None and not (role.superuser or role.reads_all_settings):
            self._hide("settings of superusers", self._grant("pg_read_all_settings"))
        own = role.settings if role else []
        return [
            database_checks.SettingRow(
                name=row.name,
                setting=role_reading.clean(row.setting, self._redact)
                if shown_settings.may_show(row.name, row.type_name)
                else None,
                unit=row.unit,
                source=role_reading.name_source(row.name, row.source, own),
                pending_restart=row.pending_restart,
            )
            for row in self._all(inspection_statements.SETTINGS, own=list(inspection_statements.OWN_SETTINGS))
        ]

    def _read_extensions(self) -> list[database_checks.ExtensionRow]:
        rows = self._all(inspection_statements.EXTENSIONS)
        return [database_checks.ExtensionRow(name=row.name, version=row.version) for row in rows]

    def _read_table(self, table: str) -> database_checks.TableEntry | None:
        """The table with every table that its rows come from; None where there is no such relation."""
        name = _quote_table(table)
        if self._lacks_schema(*_split_name(table)):
            return None
        named = self._all(inspection_statements.TABLE, table_name=name)
        if not named:
            return None
        sources = self._all(statements.SOURCES, table_name=name)
        ids = {"ids": [source.id for source in sources]}
        self._connection.execute(inspection_statements.CATALOG_PATH)
        tables = [_table_row(row) for row in self._all(inspection_statements.TABLES, **ids)]
        kind = _KINDS.get(named[0].kind, "other")
        return database_checks.TableEntry.model_validate(
            {
                "name": table,
                "kind": kind,
                "total": table_figures.sum_tables(table, tables),
                "tables": tables,
                "indexes": [_index_row(row) for row in self._all(inspection_statements.INDEXES, **ids)],
                "relation": named[0].name,
                "readable": named[0].readable,
            }
        )

    def _lacks_schema(self, schema: str, bare: str) -> bool:
        """Whether the role may not use the schema that is named, which `hidden` then says."""
        rows = self._all(inspection_statements.MAY_USE_SCHEMA, schema_name=schema) if schema else []
        if not rows or rows[0].allowed:
            return False
        usage = f"USAGE ON SCHEMA {_quote(schema)}"
        self._hide("table", f"{self._grant(usage)}; {self._write_grant(f'SELECT ON {_quote(schema)}.{_quote(bare)}')}")
        return True

    def _read_statements(self, bare: str) -> database_checks.StatementsEntry:
        place = self._connection.execute(inspection_statements.STATEMENTS_PLACE).scalar()
        loaded = self._connection.execute(inspection_statements.STATEMENTS_LOADED).scalar_one()
        if place is None or not loaded:
            how = self._say_how_to_load(installed=place is not None, loaded=loaded)
            return database_checks.StatementsEntry(visible=False, how=how, others_hidden=0, top=[])
        top = self._connection.execute(
            inspection_statements.select_statements(place, _TOP_STATEMENTS),
            {"naming": inspection_statements.match_name(bare)},
        ).all()
        hidden = self._connection.execute(inspection_statements.count_hidden_statements(place)).scalar_one()
        return database_checks.StatementsEntry(
            visible=True,
            how=self._grant("pg_monitor") if hidden else "",
            others_hidden=hidden,
            top=[self._statement_row(row) for row in top],
        )

    def _say_how_to_load(self, *, installed: bool, loaded: bool) -> str:
        ships = installed or self._connection.execute(inspection_statements.STATEMENTS_SHIP).scalar_one()
        acts = [] if ships else ["install the server's contrib package"]
        acts += [] if loaded else ["put pg_stat_statements into shared_preload_libraries", "restart"]
        acts += [] if installed else ["CREATE EXTENSION pg_stat_statements here"]
        return ", then ".join(acts)

    def _statement_row(self, row: Row) -> database_checks.StatementRow:
        query = redaction.Redactor().text(self._redact(row.query))
        return database_checks.StatementRow(
            query=query if len(query) <= _LONGEST_QUERY else f"{query[: _LONGEST_QUERY - 1]}…",
            calls=row.calls,
            total_milliseconds=row.total_exec_time,
            mean_milliseconds=row.mean_exec_time,
            rows=row.rows,
            pages_hit=row.shared_blks_hit,
            pages_read=row.shared_blks_read,
        )

    def _read_part(self, part: str, read: Callable[[], T]) -> T | None:
        """What `read` returns; None where the role may not see it, which `hidden` then says."""
        try:
            with self._connection.begin_nested():
                return read()
        except sqlalchemy.exc.DBAPIError as failure:
            state = failures.read_state(failure)
            if state == failures.MISSING_PRIVILEGE:
                self._hide(part, self._grant(_RIGHTS.get(part, "pg_monitor")))
            elif failures.is_about_the_query(failure) or state in _NO_ROWS_STATES:
                self._hide(part, f"not read: {failures.show_words(failure, self._redact)}")
            else:
                raise
            return None

    def _hide(self, part: str, why: str) -> None:
        if part not in {hidden.part for hidden in self._hidden}:
            self._hidden.append(database_checks.HiddenPart(part=part, why=why))

    def _grant(self, right: str) -> str:
        return f"not visible to role {self._role}: {self._write_grant(right)}"

    def _write_grant(self, right: str) -> str:
        return f"GRANT {right} TO {_quote(self._role)}"

    def _one(self, statement: sqlalchemy.TextClause) -> Row:
        return self._connection.execute(statement).one()

    def _all(self, statement: sqlalchemy.TextClause, **values: object) -> Sequence[Row]:
        return self._connection.execute(statement, values).all()


def _quote_table(table: str) -> str:
    """The name as `to_regclass` takes it. Raises `errors.UsageError` for what cannot be a name."""
    form = receipt_table.TableForm(name=table)
    return statements.describe_table(form, {role: role for role in statements.ROLES}).quoted_name


def _split_name(table: str) -> tuple[str, str]:
    """Schema and name; without a schema where it names none."""
    schema, _, bare = table.rpartition(".")
    return schema, bare


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table_row(row: Row) -> database_checks.TableRow:
    holds_rows = row.kind != "p"
    bloat_bytes = table_figures.estimate_bloat_bytes(
        size_bytes=row.size_bytes,
        rows=row.rows_estimated,
        row_width=None if row.row_width is None else float(row.row_width),
        fill_percent=row.fill_percent,
        page_bytes=row.page_bytes,
    )
    return database_checks.TableRow.model_validate(
        {
            "name": row.name,
            "kind": _KINDS[row.kind],
            "live_rows": row.live_rows if holds_rows else None,
            "dead_rows": row.dead_rows if holds_rows else None,
            "modified_since_analyze": row.modified_since_analyze if holds_rows else None,
            "last_vacuum_utc": row.last_vacuum,
            "last_autovacuum_utc": row.last_autovacuum,
            "last_analyze_utc": row.last_analyze,
            "last_autoanalyze_utc": row.last_autoanalyze,
            "pages": row.pages,
            "size_bytes": row.size_bytes,
            "total_bytes": row.total_bytes,
            "bloat_bytes": bloat_bytes if holds_rows else None,
            "frozen_age": row.frozen_age,
        }
    )


def _index_row(row: Row) -> database_checks.IndexRow:
    return database_checks.IndexRow(
        name=row.name,
        table=row.table_name,
        definition=row.definition,
        valid=row.valid,
        ready=row.ready,
        unique=row.is_unique,
        primary=row.is_primary,
        scans=row.scans,
        size_bytes=row.size_bytes,
    )
