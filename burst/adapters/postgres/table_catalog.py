"""The catalog: tables and columns as a role sees them, and a sample of rows, read without changing anything."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy

from burst.adapters.postgres import connections, count_plans, failures, statements
from burst.domain.basics import errors, redaction
from burst.domain.receipts import receipt_table, table_proposals

TABLES_MAX = 5_000
SAMPLE_ROWS = 1_000
SAMPLE_PAGES = 50
TEXT_CHARACTERS = 500
"""How many characters of a sampled value are read."""

# A partition is a part of its table, and no table to count by itself. A role may be granted single columns alone.
_TABLES = sqlalchemy.text("""
SELECT relation.oid::bigint AS id, space.nspname::text AS schema_name, relation.relname::text AS name,
    relation.relkind::text AS kind,
    CASE WHEN relation.relkind IN ('r', 'p', 'm') AND relation.reltuples >= 0 THEN relation.reltuples::bigint END
        AS row_count,
    pg_table_is_visible(relation.oid) AS visible
FROM pg_class AS relation JOIN pg_namespace AS space ON space.oid = relation.relnamespace
WHERE relation.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_schema_privilege(space.oid, 'USAGE')
    AND has_any_column_privilege(relation.oid, 'SELECT')
    AND space.nspname <> 'information_schema' AND NOT starts_with(space.nspname, 'pg_')
    AND (relation.oid = cast(:id AS oid) OR (cast(:id AS oid) IS NULL AND NOT relation.relispartition))
ORDER BY relation.reltuples DESC, 1 LIMIT :tables""")
_COLUMNS = sqlalchemy.text("""
WITH RECURSIVE typed (relation, place, name, id, declared, required) AS (
    SELECT attrelid, attnum, attname, atttypid, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
    WHERE attrelid = ANY(cast(:relations AS oid[])) AND attnum > 0 AND NOT attisdropped
        AND has_column_privilege(attrelid, attnum, 'SELECT')
    UNION ALL
    SELECT typed.relation, typed.place, typed.name, base.typbasetype, typed.declared, typed.required
    FROM typed JOIN pg_type AS base ON base.oid = typed.id WHERE base.typtype = 'd'
)
SELECT typed.relation::bigint AS relation, typed.name::text AS name, type.typname::text AS type_name,
    type.typtype::text AS kind, typed.declared::text AS declared, typed.required,
    ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = type.oid ORDER BY enumsortorder) AS labels
FROM typed JOIN pg_type AS type ON type.oid = typed.id WHERE type.typtype <> 'd'
ORDER BY typed.relation, typed.place""")
_FIND = sqlalchemy.text("SELECT to_regclass(cast(:table_name AS text))::oid::bigint")
_PAGES = sqlalchemy.text(
    "SELECT coalesce(sum(pg_relation_size(part)), 0)::bigint FROM unnest(cast(:ids AS oid[])) AS part"
)
_BLOCK_BYTES = 8192
_ANY_COLUMNS = dict.fromkeys(statements.ROLES, "any")


class TableCatalog:
    """The tables of one database, as the role of its DSN sees them. Raises as every question to a database."""

    def __init__(
        self,
        dsn: redaction.Secret | connections.ResolveDsn,
        *,
        application_name: str = "burst/inspect",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = connections.ReadOnlyDatabase(
            dsn, application_name=application_name, timeouts=connections.Timeouts(), now=now
        )

    def list_tables(self, *, give_up_at: datetime) -> Sequence[table_proposals.CatalogTable]:
        """Every table that the role may read, but for partitions, the largest first."""
        return self._database.perform(
            "reading the catalog", lambda connection: _read_tables(connection, None), give_up_at
        )

    def describe_table(self, name: str, *, give_up_at: datetime) -> table_proposals.CatalogTable:
        """One table by the name that a plan gives it. Raises `errors.UsageError` where the role sees none."""
        quoted_name = statements.describe_table(receipt_table.TableForm(name=name), _ANY_COLUMNS).quoted_name

        def work(connection: sqlalchemy.Connection) -> table_proposals.CatalogTable:
            table_id = connection.execute(_FIND, {"table_name": quoted_name}).scalar_one()
            tables = _read_tables(connection, table_id) if table_id is not None else []
            if not tables:
                raise errors.UsageError(
                    f"table {name!r}: there is none that this role sees and may read; use name or schema.name, exactly "
                    "as the catalog spells it; one with a dot in its own name needs a view without"
                )
            return tables[0]

        return self._database.perform("reading the catalog", work, give_up_at)

    def is_standby(self, *, give_up_at: datetime) -> bool:
        """Whether the server is a standby, which shows no writer of its primary."""
        return self._database.perform(
            "asking for a standby",
            lambda connection: bool(connection.execute(statements.STANDBY).scalar_one()),
            give_up_at,
        )

    def sample(
        self, form: receipt_table.TableForm, columns: Mapping[str, str], *, give_up_at: datetime
    ) -> tuple[Sequence[table_proposals.SampledRow], str, datetime]:
        """At most `SAMPLE_ROWS` rows from all over the table, why their times cannot be read (empty where they can),
        and the database's clock."""
        table = statements.describe_table(form, columns)

        def work(
            connection: sqlalchemy.Connection,
        ) -> tuple[Sequence[table_proposals.SampledRow], str, datetime]:
            typed = statements.read_types(connection, table)
            now: datetime = connection.execute(statements.CLOCK).scalar_one()
            texts = [_cut_text(typed.columns[role]).label(role) for role in statements.ROLES]
            source = _limit_sample(connection, typed)
            seconds = sqlalchemy.func.extract("epoch", typed.casts["at"])
            try:
                with connection.begin_nested():
                    timed = sqlalchemy.select(*texts, sqlalchemy.cast(seconds, sqlalchemy.Float).label("seconds"))
                    rows = connection.execute(timed.select_from(source).limit(SAMPLE_ROWS)).all()
                    return [_build_row(row, row.seconds) for row in rows], "", now
            except sqlalchemy.exc.DBAPIError as failure:
                if not failures.is_about_the_query(failure):
                    raise
                problem = failures.show_words(failure, self._database.redact)
            rows = connection.execute(sqlalchemy.select(*texts).select_from(source).limit(SAMPLE_ROWS)).all()
            return [_build_row(row, None) for row in rows], problem, now

        return self._database.perform(f"sampling {form.name}", work, give_up_at)


def _read_tables(connection: sqlalchemy.Connection, id_: int | None) -> list[table_proposals.CatalogTable]:
    relations = connection.execute(_TABLES, {"id": id_, "tables": TABLES_MAX}).all()
    columns: dict[int, list[table_proposals.CatalogColumn]] = {}
    for row in connection.execute(_COLUMNS, {"relations": [relation.id for relation in relations]}):
        column = table_proposals.CatalogColumn(
            name=row.name,
            type_name=row.type_name,
            declared=row.declared,
            kind=row.kind,
            required=row.required,
            labels=tuple(row.labels),
        )
        columns.setdefault(row.relation, []).append(column)
    return [
        table_proposals.CatalogTable(
            schema=row.schema_name,
            name=row.name,
            kind=row.kind,
            row_count=row.row_count,
            visible=row.visible,
            columns=tuple(columns.get(row.id, ())),
        )
        for row in relations
    ]


def _limit_sample(connection: sqlalchemy.Connection, table: statements.ReceiptTable) -> sqlalchemy.TableClause:
    own_name = {"table_name": table.quoted_name}
    sources = connection.execute(statements.SOURCES, own_name).all()
    size = connection.execute(_PAGES, {"ids": [row.id for row in sources if row.kind in ("r", "m")]}).scalar_one()
    kind = str(connection.execute(count_plans.OWN_KIND, own_name).scalar_one())
    return count_plans.sample_rows(table, kind=kind, pages=size // _BLOCK_BYTES, sample_pages=SAMPLE_PAGES)


def _cut_text(column: sqlalchemy.ColumnElement[Any]) -> sqlalchemy.ColumnElement[Any]:
    """The text of a value, or its beginning: a value may be as large as memory."""
    return sqlalchemy.func.left(
        sqlalchemy.cast(column, sqlalchemy.Text), sqlalchemy.literal_column(str(TEXT_CHARACTERS))
    )


def _build_row(row: sqlalchemy.Row[*tuple[Any, ...]], seconds: float | None) -> table_proposals.SampledRow:
    finite = seconds is not None and abs(seconds) != float("inf")
    return table_proposals.SampledRow(
        decision=row.decision, at=row.at, scope=row.scope, seconds=seconds if finite else None
    )
