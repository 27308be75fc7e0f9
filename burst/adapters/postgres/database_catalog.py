"""The catalog of a database, read into a database snapshot: what a new session sees, nothing that passes by itself.

A value that may hold a secret is replaced by its digest, so that it can be compared and not read.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import rows

from burst.adapters.postgres import change_statements
from burst.domain.basics import canonical, redaction
from burst.domain.documents import database_snapshots
from burst.domain.staging import changes

_SECRETIVE = ("command", "conninfo", "password", "passphrase", "secret", "key_file", "token")
_PASSING_SOURCES = ["client", "session", "interactive", "test"]
"""Sources of settings that this very session brought."""

_IDENTITY = "SELECT current_database() AS database, current_user AS role"
_SYSTEM_IDENTIFIER = "SELECT system_identifier::text AS identifier FROM pg_control_system()"
_MAY_READ_FILES = (
    "SELECT has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')"
    " AND has_table_privilege('pg_file_settings', 'SELECT') AS allowed"
)
_FILES = """
SELECT sourcefile, name, setting FROM pg_file_settings WHERE name IS NOT NULL
ORDER BY sourcefile COLLATE "C", name COLLATE "C", seqno"""
_MARKED_PENDING = "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name"
_PENDING = """
SELECT name FROM pg_settings WHERE pending_restart AND (
    EXISTS (SELECT FROM pg_file_settings AS kept WHERE lower(kept.name) = lower(pg_settings.name)
        AND kept.error IS NOT NULL)
    OR (source = 'configuration file'
        AND NOT EXISTS (SELECT FROM pg_file_settings AS kept WHERE lower(kept.name) = lower(pg_settings.name)))
) ORDER BY name"""
_SETTINGS = (
    "SELECT name, setting, unit, source, sourcefile, reset_val, context FROM pg_settings"
    ' WHERE source <> ALL (%(passing)s) ORDER BY name COLLATE "C"'
)
_ROLE_SETTINGS = """
SELECT database.datname AS database, role.rolname AS role, split_part(one.setting, '=', 1) AS name,
    substr(one.setting, strpos(one.setting, '=') + 1) AS value
FROM pg_db_role_setting AS kept CROSS JOIN LATERAL unnest(kept.setconfig) AS one (setting)
LEFT JOIN pg_database AS database ON database.oid = kept.setdatabase
LEFT JOIN pg_roles AS role ON role.oid = kept.setrole
ORDER BY database.datname COLLATE "C" NULLS FIRST, role.rolname COLLATE "C" NULLS FIRST,
    split_part(one.setting, '=', 1) COLLATE "C\""""
_EXTENSIONS = """
SELECT extname AS name, extversion AS version, namespace.nspname AS schema_name
FROM pg_extension JOIN pg_namespace AS namespace ON namespace.oid = extnamespace ORDER BY extname COLLATE "C\""""
_TABLES = """
WITH RECURSIVE named (id) AS (
    SELECT to_regclass(asked.name)::oid FROM unnest(%(tables)s::text[]) AS asked (name)
    UNION
    SELECT inhrelid FROM pg_inherits JOIN named ON inhparent = named.id
)
SELECT relation.oid::bigint AS id, namespace.nspname AS schema_name, relation.relname AS name
FROM named JOIN pg_class AS relation ON relation.oid = named.id AND relation.relkind IN ('r', 'p', 'm')
JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
ORDER BY namespace.nspname COLLATE "C", relation.relname COLLATE "C\""""
_INDEXES = """
SELECT namespace.nspname AS schema_name, index.relname AS name, kept.indrelid::regclass::text AS "table",
    pg_get_indexdef(kept.indexrelid) AS definition,
    (SELECT spcname::text FROM pg_tablespace AS place WHERE place.oid = COALESCE(NULLIF(index.reltablespace, 0),
        (SELECT dattablespace FROM pg_database WHERE datname = current_database()))) AS tablespace,
    kept.indisvalid AS valid, kept.indisready AS ready,
    kept.indisclustered AS clustered, kept.indisreplident AS replica_identity,
    (SELECT conname::text FROM pg_constraint WHERE conindid = kept.indexrelid AND contype IN ('p', 'u', 'x') LIMIT 1)
        AS "constraint",
    obj_description(kept.indexrelid, 'pg_class') AS comment
FROM pg_index AS kept JOIN pg_class AS index ON index.oid = kept.indexrelid
JOIN pg_namespace AS namespace ON namespace.oid = index.relnamespace
WHERE kept.indrelid = ANY (%(tables)s::oid[])
ORDER BY namespace.nspname COLLATE "C", index.relname COLLATE "C\""""

Connection = psycopg.Connection[dict[str, Any]]


def read_identifier(connection: Connection) -> str | None:
    """The identifier of the server's data, None where the role may not ask."""
    try:
        with connection.transaction():
            row = connection.execute(_SYSTEM_IDENTIFIER).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return None if row is None else str(row["identifier"])


def list_pending(connection: Connection) -> list[str]:
    """The settings that wait for a restart. Postgres keeps its mark on one that was set and put back before any
    restart; where the files may be read, such a one is left out."""
    statement = _PENDING if _read_rows(connection, _MAY_READ_FILES)[0]["allowed"] else _MARKED_PENDING
    return [str(row["name"]) for row in _read_rows(connection, statement)]


def read_snapshot(connection: Connection, tables: Sequence[changes.TableName]) -> database_snapshots.DatabaseSnapshot:
    """The database as this new session sees it, in one read-only transaction."""
    connection.row_factory = rows.dict_row
    identifier = read_identifier(connection)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        quoted = [change_statements.quote_table(table).as_string(connection) for table in tables]
        table_rows = _read_rows(connection, _TABLES, tables=quoted)
        identity = _read_rows(connection, _IDENTITY)[0]
        connection.execute("SET LOCAL search_path TO pg_catalog")  # so that every definition names its schema
        return database_snapshots.DatabaseSnapshot(
            system_identifier=identifier,
            database=identity["database"],
            role=identity["role"],
            configured=_read_files(connection),
            settings=_read_settings(connection),
            role_settings=[
                database_snapshots.RoleSetting(**{**row, "value": mask_value(row["name"], row["value"])})
                for row in _read_rows(connection, _ROLE_SETTINGS)
            ],
            extensions=[database_snapshots.InstalledExtension(**row) for row in _read_rows(connection, _EXTENSIONS)],
            indexes=[
                database_snapshots.TableIndex(**row)
                for row in _read_rows(connection, _INDEXES, tables=[row["id"] for row in table_rows])
            ],
            tables=[changes.TableName(schema=row["schema_name"], name=row["name"]).words for row in table_rows],
        )


def _read_rows(connection: Connection, statement: str, **values: Any) -> list[dict[str, Any]]:
    return connection.execute(statement.encode(), values or None).fetchall()


def _read_files(connection: Connection) -> list[database_snapshots.ConfiguredSetting] | None:
    if not _read_rows(connection, _MAY_READ_FILES)[0]["allowed"]:
        return None
    return [
        database_snapshots.ConfiguredSetting(
            file=row["sourcefile"], name=row["name"], value=mask_value(row["name"], row["setting"])
        )
        for row in _read_rows(connection, _FILES)
    ]


def _read_settings(connection: Connection) -> list[database_snapshots.EffectiveSetting]:
    return [
        database_snapshots.EffectiveSetting(
            name=row["name"],
            value=mask_value(row["name"], row["setting"]),
            unit=row["unit"],
            source=row["source"],
            file=row["sourcefile"],
            reset=mask_value(row["name"], row["reset_val"]),
            context=row["context"],
        )
        for row in _read_rows(connection, _SETTINGS, passing=_PASSING_SOURCES)
        if row["name"] not in _OF_THE_SESSION
    ]


_OF_THE_SESSION = frozenset({"application_name", "client_encoding", "search_path", "transaction_isolation",
                             "transaction_read_only", "transaction_deferrable"})  # fmt: skip
"""Settings that reading itself changes."""


def mask_value(name: str, value: str | None) -> str | None:
    """The value, or its digest where it may hold a secret."""
    if not value:
        return value
    secretive = any(word in name.lower() for word in _SECRETIVE)
    if secretive or redaction.Redactor().text(value, statement=True) != value:
        return database_snapshots.MASKED + canonical.digest(value.encode())
    return value
