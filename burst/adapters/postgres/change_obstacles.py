"""Obstacles: why a change could not be applied to this database, asked of its catalog before anything is changed."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from burst.adapters.postgres import change_statements, failures
from burst.domain.staging import change_grammar, changes, sql_tokens

OLDEST_VERSION = 140000
Connection = psycopg.Connection[dict[str, Any]]

_SERVER = """
SELECT current_setting('server_version_num')::integer AS version, pg_is_in_recovery() AS standby, rolsuper AS super,
    rolcreaterole AS creates_roles, rolname AS role,
    (SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only
FROM pg_roles WHERE rolname = current_user"""
_SETTING = "SELECT context, source FROM pg_settings WHERE name = %(name)s"
_TABLE = """
SELECT relation.relkind::text AS kind, pg_has_role(relation.relowner, 'USAGE') AS owned,
    has_schema_privilege(relation.relnamespace, 'CREATE') AS creates, namespace.nspname AS schema_name
FROM pg_class AS relation JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE relation.oid = to_regclass(%(table)s)"""
_NAMED = """
SELECT relation.relkind::text AS kind, pg_has_role(kept.relowner, 'USAGE') AS owned,
    pg_get_indexdef(index.indexrelid) AS definition, index.indisclustered OR index.indisreplident AS marked,
    EXISTS (SELECT FROM pg_depend WHERE objid = index.indexrelid AND deptype = 'i') AS of_constraint,
    obj_description(relation.oid, 'pg_class') IS NOT NULL AS commented,
    index.indisvalid AND index.indisready AS valid, relation.relispartition AS attached,
    (SELECT spcname::text FROM pg_tablespace AS place WHERE place.oid = COALESCE(NULLIF(relation.reltablespace, 0),
        (SELECT dattablespace FROM pg_database WHERE datname = current_database()))) AS tablespace,
    COALESCE(NULLIF(current_setting('default_tablespace'), ''), (SELECT spcname::text FROM pg_tablespace AS place
        JOIN pg_database AS own ON own.dattablespace = place.oid AND own.datname = current_database()))
        AS tablespace_of_new
FROM pg_class AS relation LEFT JOIN pg_index AS index ON index.indexrelid = relation.oid
LEFT JOIN pg_class AS kept ON kept.oid = index.indrelid
WHERE relation.oid = to_regclass(%(name)s)"""

_SCHEMA = "SELECT FROM pg_namespace WHERE nspname = %(name)s"

_UNREAD = """
SELECT kept.file FROM (SELECT sourcefile FROM pg_file_settings UNION SELECT current_setting('config_file')
    UNION SELECT current_setting('data_directory') || '/postgresql.auto.conf') AS kept (file)
WHERE (pg_stat_file(kept.file, true)).modification > pg_conf_load_time() ORDER BY kept.file LIMIT 1"""
"""A file of the configuration that is younger than what the server works with. The server tells the age of a file in
whole seconds, so one that was written within the second of the reading is not seen."""


def find_obstacles(connection: Connection, planned_changes: Sequence[changes.Change]) -> list[str]:
    """Every obstacle in words, each once."""
    server = _ask(connection, _SERVER)
    if server is None:
        return ["the role of the DSN is no role that the catalog shows"]
    words = [*_find_server_obstacles(server), *_find_unread(connection, server, planned_changes)]
    for change in planned_changes:
        words += [f"{change.words}: {obstacle}" for obstacle in _list_obstacles(connection, server, change)]
    return list(dict.fromkeys(words))


def _ask(connection: Connection, statement: str, **values: Any) -> dict[str, Any] | None:
    return connection.execute(statement.encode(), values or None).fetchone()


def _find_server_obstacles(server: dict[str, Any]) -> Iterator[str]:
    if server["standby"]:
        yield "this server is a standby, which takes no change; let the DSN name the primary"
    if server["version"] < OLDEST_VERSION:
        yield f"the server is version {server['version']}; allowed: {OLDEST_VERSION} (Postgres 14) or newer"
    if server["read_only"] == "on":
        yield "sessions of this role are read-only (default_transaction_read_only); name a role that may write"


def _find_unread(
    connection: Connection, server: dict[str, Any], planned_changes: Sequence[changes.Change]
) -> Iterator[str]:
    """A configuration that somebody wrote and the server has not read: the first ALTER SYSTEM would put it in
    effect, and no way back would take it out. Only a superuser can look."""
    changes_system = any(
        isinstance(change, changes.SetParameter) and change.place.is_system for change in planned_changes
    )
    unread = _ask(connection, _UNREAD) if changes_system and server["super"] else None
    if unread is not None:
        yield (
            f"{unread['file']} was written after the server read it, so the stage would put in effect what somebody "
            "else wrote; SELECT pg_reload_conf() before, or take that back"
        )


def _list_obstacles(connection: Connection, server: dict[str, Any], change: changes.Change) -> Iterator[str]:
    match change:
        case changes.SetParameter():
            yield from _list_setting_obstacles(connection, server, change)
        case changes.CreateIndex():
            yield from _list_index_obstacles(connection, change)
        case changes.DropIndex():
            yield from _list_drop_obstacles(connection, change)
        case changes.CreateExtension():
            yield from _list_extension_obstacles(connection, server, change)
        case changes.MaintainTable():
            table = _ask(connection, _TABLE, table=change_statements.quote_table(change.table).as_string(connection))
            if table is None or table["kind"] not in ("r", "p", "m"):
                yield "there is no such table"
            elif not (table["owned"] or server["super"]):
                yield "the role of the DSN does not own the table"


def _list_setting_obstacles(
    connection: Connection, server: dict[str, Any], change: changes.SetParameter
) -> Iterator[str]:
    setting = _ask(connection, _SETTING, name=change.name)
    if setting is None:
        yield "the server has no such setting; load its library in an earlier file"
        return
    if not change.place.is_system:
        yield from _list_session_obstacles(connection, setting, change)
        return
    if setting["source"] in ("command line", "environment variable"):
        yield f"the setting comes from the server's {setting['source']}, which outranks ALTER SYSTEM"
    if not server["super"]:
        if server["version"] < 150000 or not _may_alter(connection, change.name):
            yield "the role of the DSN may not ALTER SYSTEM it; use a superuser, or GRANT ALTER SYSTEM ON PARAMETER"
        rights = "has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AND "
        rights += "has_table_privilege('pg_file_settings', 'SELECT') AND "
        rights += "has_function_privilege('pg_reload_conf()', 'EXECUTE')"
        row = _ask(connection, f"SELECT {rights} AS allowed")
        if row is None or not row["allowed"]:
            yield "the role of the DSN may not read pg_file_settings and call pg_reload_conf(), so it could not go back"
    allowed = _ask(connection, "SELECT current_setting('allow_alter_system', true) AS allowed")
    if allowed is not None and allowed["allowed"] == "off":
        yield "the server does not allow ALTER SYSTEM (allow_alter_system)"


def _may_alter(connection: Connection, name: str) -> bool:
    row = _ask(connection, "SELECT has_parameter_privilege(%(name)s, 'ALTER SYSTEM') AS allowed", name=name)
    return row is not None and bool(row["allowed"])


def _list_session_obstacles(
    connection: Connection, setting: dict[str, Any], change: changes.SetParameter
) -> Iterator[str]:
    """What the server says to the very statement, in a transaction that is rolled back."""
    if setting["context"] in ("postmaster", "sighup", "internal"):
        yield "this setting is the server's alone; use ALTER SYSTEM"
        return
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL lock_timeout = '5s'")
            connection.execute(change_statements.build_statement(change))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as failure:
        yield failures.read_words(failure)


def _list_index_obstacles(connection: Connection, change: changes.CreateIndex) -> Iterator[str]:
    table = _ask(connection, _TABLE, table=change_statements.quote_table(change.table).as_string(connection))
    if table is None:
        yield "there is no such table"
        return
    if table["kind"] != "r":
        yield "it is no plain table; make the index on each partition"
    if not (table["owned"] and table["creates"]):
        yield "the role of the DSN does not own the table, or may create nothing in its schema"
    name = changes.TableName(schema=table["schema_name"], name=change.name)
    if _ask(connection, _NAMED, name=change_statements.quote_table(name).as_string(connection)) is not None:
        yield "something has this name already; drop it by a file of its own before, or choose another name"


def _list_drop_obstacles(connection: Connection, change: changes.DropIndex) -> Iterator[str]:
    index = _ask(connection, _NAMED, name=change_statements.quote_table(change.index).as_string(connection))
    if index is None or index["kind"] != "i":
        yield "there is no such index of a plain table"
        return
    if not index["owned"]:
        yield "the role of the DSN does not own the table"
    if index["of_constraint"] or index["marked"] or index["commented"]:
        yield "a constraint, CLUSTER, the replica identity or a comment rests on it, which would not come back"
    if not index["valid"]:
        yield "it is not valid, as an interrupted build leaves it, and could not come back so; drop it by hand before"
    if index["attached"]:
        yield "it belongs to the index of a partitioned table, without which it cannot be dropped"
    if index["tablespace"] != index["tablespace_of_new"]:
        yield (
            f"it is in tablespace {index['tablespace']}, and would come back in {index['tablespace_of_new']}, where "
            "the role of the DSN makes new ones; give the role that default_tablespace, or drop the index by hand"
        )
    try:
        change_grammar.parse_index_definition(str(index["definition"]))
    except sql_tokens.StatementRefused as refused:
        yield f"burst could not make it again: {refused}"


def _list_extension_obstacles(
    connection: Connection, server: dict[str, Any], change: changes.CreateExtension
) -> Iterator[str]:
    statement = """
    SELECT has_database_privilege(current_database(), 'CREATE') AS creates, bool_or(version.trusted) AS trusted,
        count(*) AS versions FROM pg_available_extension_versions AS version WHERE version.name = %(name)s
        AND (%(version)s::text IS NULL OR version.version = %(version)s)"""
    row = _ask(connection, statement, name=change.name, version=change.version)
    if row is None or not row["versions"]:
        yield "the server has no such extension, or not in this version; install its package"
    elif not server["super"] and not (row["creates"] and row["trusted"]):
        yield "the role of the DSN may not create it; use a superuser"
    if change.schema is not None and _ask(connection, _SCHEMA, name=change.schema) is None:
        yield f"there is no schema {changes.quote_name(change.schema)}; make it before"
