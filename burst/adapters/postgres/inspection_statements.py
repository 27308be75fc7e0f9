"""Inspection statements: the SQL of every question about a database's own state, in catalogs that any role may read.

Names are always those of the catalogs, so that nothing depends on the search path of the role.
"""

import re
from typing import Any

import sqlalchemy
from sqlalchemy.sql.elements import quoted_name

OWN_SETTINGS = (
    *("application_name", "client_encoding", "transaction_isolation", "transaction_read_only"),
    *("transaction_deferrable", "role", "session_authorization", "in_hot_standby"),
)
"""Settings of burst's own session, which say nothing of the database."""
SAFEGUARDS = (
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "default_transaction_read_only"),
    "transaction_timeout",
)
"""The settings that keep one session from holding the server. `transaction_timeout` is there from PostgreSQL 17 on."""

IDENTITY = sqlalchemy.text("""
SELECT here.datname::text AS database, here.oid::bigint AS database_oid, session_user::text AS role,
    host(inet_server_addr()) AS address,
    coalesce(inet_server_port(), cast(current_setting('port') AS integer)) AS port,
    pg_postmaster_start_time() AS started_at, pg_is_in_recovery() AS standby,
    current_setting('server_version') AS version,
    cast(current_setting('server_version_num') AS integer) AS version_number
FROM pg_catalog.pg_database AS here WHERE here.datname = current_database()""")
SYSTEM_IDENTIFIER = sqlalchemy.text("SELECT system_identifier::text FROM pg_catalog.pg_control_system()")
# Of a session whose role this one may not watch, Postgres shows the database, and neither its kind nor its state.
SESSIONS = sqlalchemy.text("""
SELECT count(*) AS others, count(*) FILTER (WHERE state = 'active') AS active,
    count(*) FILTER (WHERE state IS NULL) AS unseen
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND coalesce(backend_type, 'client backend') = 'client backend'
    AND application_name IS DISTINCT FROM current_setting('application_name')""")
REPLAY = sqlalchemy.text("""
SELECT pg_last_xact_replay_timestamp() AS replayed_at,
    pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AS caught_up,
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS seconds""")
RECEIVER = sqlalchemy.text(
    "SELECT pid, status::text AS status, last_msg_receipt_time AS heard_at FROM pg_catalog.pg_stat_wal_receiver"
)
# What a session begins with, and not what burst's own transactions set.
SETTINGS = sqlalchemy.text("""
SELECT name, reset_val AS setting, unit, source, vartype AS type_name, pending_restart
FROM pg_catalog.pg_settings
WHERE (reset_val IS DISTINCT FROM boot_val AND source <> 'default' OR pending_restart)
    AND name <> ALL(cast(:own AS text[]))
ORDER BY name""")
SAFEGUARD_ROWS = sqlalchemy.text("""
SELECT name, reset_val AS setting, unit,
    CASE WHEN reset_val IS DISTINCT FROM boot_val THEN source ELSE 'default' END AS source
FROM pg_catalog.pg_settings
WHERE name = ANY(cast(:safeguards AS text[])) ORDER BY name""")
ROLE = sqlalchemy.text("""
SELECT rolname::text AS name, rolsuper AS superuser, rolconnlimit AS connection_limit,
    pg_has_role(rolname, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
    pg_has_role(rolname, 'pg_read_all_settings', 'USAGE') AS reads_all_settings
FROM pg_catalog.pg_roles WHERE rolname = session_user""")
ROLE_SETTINGS = sqlalchemy.text("""
SELECT CASE WHEN held.setrole = 0 AND held.setdatabase = 0 THEN 'every role' WHEN held.setrole = 0 THEN 'database'
        WHEN held.setdatabase = 0 THEN 'role' ELSE 'role in database' END AS held_by,
    split_part(assignment, '=', 1) AS name, substr(assignment, strpos(assignment, '=') + 1) AS setting
FROM pg_catalog.pg_db_role_setting AS held CROSS JOIN LATERAL unnest(held.setconfig) AS assignment
WHERE held.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))
    AND held.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
ORDER BY 1, 2""")
# numbackends counts workers of the server too, so the connections in use are never fewer than it says.
CONNECTIONS = sqlalchemy.text("""
SELECT cast(current_setting('max_connections') AS integer) AS maximum,
    cast(current_setting('superuser_reserved_connections') AS integer) AS superuser_reserved,
    cast(coalesce(current_setting('reserved_connections', true), '0') AS integer) AS reserved,
    (SELECT sum(numbackends) FROM pg_catalog.pg_stat_database WHERE datid <> 0) AS in_use,
    (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = session_user) AS role_limit,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = session_user) AS role_in_use,
    (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()) AS database_limit,
    (SELECT numbackends FROM pg_catalog.pg_stat_database WHERE datname = current_database()) AS database_in_use""")
EXTENSIONS = sqlalchemy.text(
    "SELECT extname::text AS name, extversion AS version FROM pg_catalog.pg_extension ORDER BY extname"
)
TABLE = sqlalchemy.text("""
SELECT relation.relkind::text AS kind, format('%I.%I', space.nspname, relation.relname) AS name,
    CASE WHEN NOT has_any_column_privilege(relation.oid, 'SELECT') THEN 'nothing'
        WHEN row_security_active(relation.oid) THEN 'some rows'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute AS held WHERE held.attrelid = relation.oid
            AND held.attnum > 0 AND NOT held.attisdropped
            AND NOT has_column_privilege(relation.oid, held.attnum, 'SELECT')) THEN 'some columns'
        ELSE 'all' END AS readable
FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_namespace AS space ON space.oid = relation.relnamespace
WHERE relation.oid = cast(to_regclass(cast(:table_name AS text)) AS oid)""")
MAY_USE_SCHEMA = sqlalchemy.text(
    "SELECT has_schema_privilege(oid, 'USAGE') AS allowed FROM pg_catalog.pg_namespace WHERE nspname = :schema_name"
)
# A definition names a type or a function without its schema where the search path of the session has it.
CATALOG_PATH = sqlalchemy.text("SET LOCAL search_path TO pg_catalog")
# A server that counts nothing (track_counts) shows zeros, which are no figures.
# A row needs its item pointer (4 bytes), its header (24) and its columns, aligned to 8; a page has a header of 24.
# pg_stats shows the widths of the columns that the role may read, and none of a table that was never analyzed.
# A row is as wide as all its columns: the role sees the width of none that it may not read, and then knows no bloat.
TABLES = sqlalchemy.text("""
SELECT format('%I.%I', space.nspname, relation.relname) AS name, relation.relkind::text AS kind,
    greatest(relation.relpages, 0) AS pages, relation.reltuples AS rows_estimated,
    pg_relation_size(relation.oid) AS size_bytes, pg_total_relation_size(relation.oid) AS total_bytes,
    CASE WHEN relation.relfrozenxid <> '0'::xid THEN age(relation.relfrozenxid) END AS frozen_age,
    activity.n_live_tup AS live_rows, activity.n_dead_tup AS dead_rows,
    activity.n_mod_since_analyze AS modified_since_analyze, activity.last_vacuum, activity.last_autovacuum,
    activity.last_analyze, activity.last_autoanalyze,
    (SELECT CASE WHEN count(*) = (SELECT count(*) FROM pg_catalog.pg_attribute AS held
            WHERE held.attrelid = relation.oid AND held.attnum > 0 AND NOT held.attisdropped
                AND held.attgenerated <> 'v') THEN sum((1 - null_frac) * avg_width) END
        FROM pg_catalog.pg_stats
        WHERE schemaname = space.nspname AND tablename = relation.relname AND NOT inherited) AS row_width,
    cast(coalesce(substring(array_to_string(relation.reloptions, ',') FROM 'fillfactor=(\\d+)'), '100') AS integer)
        AS fill_percent,
    cast(current_setting('block_size') AS integer) AS page_bytes
FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_namespace AS space ON space.oid = relation.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables AS activity
    ON activity.relid = relation.oid AND current_setting('track_counts') = 'on'
WHERE relation.oid = ANY(cast(:ids AS oid[])) AND relation.relkind IN ('r', 'p', 'm') ORDER BY 1""")
INDEXES = sqlalchemy.text("""
SELECT format('%I.%I', space.nspname, made.relname) AS name,
    format('%I.%I', space.nspname, owner.relname) AS table_name,
    pg_get_indexdef(made.oid) AS definition, link.indisvalid AS valid, link.indisready AS ready,
    link.indisunique AS is_unique, link.indisprimary AS is_primary, activity.idx_scan AS scans,
    CASE WHEN made.relkind = 'i' THEN pg_relation_size(made.oid) END AS size_bytes
FROM pg_catalog.pg_index AS link JOIN pg_catalog.pg_class AS made ON made.oid = link.indexrelid
JOIN pg_catalog.pg_class AS owner ON owner.oid = link.indrelid
JOIN pg_catalog.pg_namespace AS space ON space.oid = owner.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_indexes AS activity
    ON activity.indexrelid = made.oid AND current_setting('track_counts') = 'on'
WHERE link.indrelid = ANY(cast(:ids AS oid[])) ORDER BY 2, 1""")
STATEMENTS_PLACE = sqlalchemy.text("""
SELECT space.nspname::text FROM pg_catalog.pg_extension AS extension
JOIN pg_catalog.pg_namespace AS space ON space.oid = extension.extnamespace
WHERE extension.extname = 'pg_stat_statements'""")
# The library defines its settings when the server starts.
STATEMENTS_LOADED = sqlalchemy.text("SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL")
STATEMENTS_SHIP = sqlalchemy.text(
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_stat_statements')"
)
_PAGES = ("shared_blks_hit", "shared_blks_read")
HIDDEN_QUERY = "<insufficient privilege>"


def _statements_view(place: str) -> sqlalchemy.TableClause:
    names = ("dbid", "query", "calls", "total_exec_time", "mean_exec_time", "rows")
    columns: list[sqlalchemy.ColumnClause[Any]] = [sqlalchemy.column(name) for name in (*names, *_PAGES)]
    return sqlalchemy.table("pg_stat_statements", *columns, schema=quoted_name(place, quote=True))


def select_statements(place: str, limit: int) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """The statements that name a table and took longest, from the view in a schema; binds `naming`. Statements that
    are no reading or writing of rows are left out: they keep their values, and those may hold a password."""
    view = _statements_view(place)
    plain = view.c.query.regexp_match(r"^\s*(select|insert|update|delete|with|merge)\M", flags="i")
    named = view.c.query.regexp_match(sqlalchemy.bindparam("naming"), flags="i")
    columns = [column for column in view.c if column.name != "dbid"]
    chosen = sqlalchemy.select(*columns).where(_is_here(view), plain, named)
    return chosen.order_by(view.c.total_exec_time.desc()).limit(limit)


def match_name(table: str) -> str:
    """The pattern of a statement that names a table, and no other whose name only holds it. Its schema may be another:
    from PostgreSQL 18 on, tables of one name share one entry, with the text of whichever came first."""
    own_name = re.escape(table.replace('"', '""'))
    return f"(^|[^[:alnum:]_$]){own_name}([^[:alnum:]_$]|$)"


def count_hidden_statements(place: str) -> sqlalchemy.Select[int]:
    """How many statements of this database have a text that the role does not see."""
    view = _statements_view(place)
    return sqlalchemy.select(sqlalchemy.func.count()).where(_is_here(view), view.c.query == HIDDEN_QUERY)


def _is_here(view: sqlalchemy.TableClause) -> sqlalchemy.ColumnElement[bool]:
    database_id: sqlalchemy.ColumnClause[int] = sqlalchemy.literal_column(
        "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
    )
    return view.c.dbid == database_id
