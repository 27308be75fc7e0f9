"""Count plans: the planner's plan of exactly the statement that a count sends, and a sample counted to time it.

The count itself is never run for this. EXPLAIN with the bound values says what it would read; the seconds come from a
few pages of the same table, counted by the same statement.
"""

import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy

from burst.adapters.postgres import failures, statements
from burst.domain.basics import windows
from burst.domain.receipts import count_costs

SAMPLE_PAGES = 500
SAMPLE_ROWS = 20_000
SAMPLE_SECONDS = 2.0
"""How long each statement of a sample may take."""

RELATIONS = sqlalchemy.text("""
SELECT relation.oid::bigint AS id, space.nspname::text AS schema_name, relation.relname::text AS name,
    relation.relkind::text AS kind,
    coalesce(pg_relation_size(relation.oid), 0) / current_setting('block_size')::bigint AS pages,
    greatest(relation.reltuples, 0)::bigint AS row_count, greatest(relation.relpages, 0)::bigint AS known_pages
FROM pg_class AS relation JOIN pg_namespace AS space ON space.oid = relation.relnamespace
WHERE relation.oid = ANY(cast(:relations AS oid[]))""")
# The correlation of the first column: how far its order is that of the rows on disk.
INDEXES = sqlalchemy.text("""
SELECT space.nspname::text AS schema_name, made.relname::text AS name,
    pg_relation_size(made.oid) / current_setting('block_size')::bigint AS pages,
    greatest(made.reltuples, 0)::bigint AS row_count, entry.indnkeyatts AS key_columns,
    coalesce(statistics.correlation, 0)::float8 AS correlation
FROM pg_index AS entry JOIN pg_class AS made ON made.oid = entry.indexrelid
JOIN pg_class AS relation ON relation.oid = entry.indrelid
JOIN pg_namespace AS space ON space.oid = made.relnamespace
JOIN pg_namespace AS own_space ON own_space.oid = relation.relnamespace
LEFT JOIN pg_attribute AS keyed ON keyed.attrelid = entry.indrelid AND keyed.attnum = entry.indkey[0]
LEFT JOIN pg_stats AS statistics ON statistics.schemaname = own_space.nspname AND NOT statistics.inherited
    AND statistics.tablename = relation.relname AND statistics.attname = keyed.attname
WHERE entry.indrelid = ANY(cast(:relations AS oid[]))""")
OWN_KIND = sqlalchemy.text("SELECT relkind::text FROM pg_class WHERE oid = cast(cast(:table_name AS text) AS regclass)")
_SAMPLED_BY_PAGE = ("r", "p", "m")
"""Kinds of relations of which whole pages can be sampled."""
_WITH_ROWS = ("r", "m", "f")
_FURTHER_COLUMNS_SHARE = 0.75
"""The planner's own: how much of the correlation of its first column an index of several columns keeps."""
_TREE_PAGES = 2
_PAGE_ENTRIES_MAX = 400
_EVERYTHING = windows.Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relation:
    pages: int
    row_count: int
    analyzed: bool = True
    """Whether the server knows how many rows there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    pages: int
    row_count: int
    correlation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Catalog:
    """The relations and indexes that the receipts come from, by their full names."""

    kind: str
    relations: Mapping[str, _Relation]
    indexes: Mapping[str, _Index]

    @property
    def pages(self) -> int:
        return sum(relation.pages for relation in self.relations.values())


def estimate_count(
    connection: sqlalchemy.Connection,
    table: statements.ReceiptTable,
    values: Mapping[str, object],
    *,
    statement_seconds: float,
) -> count_costs.CountEstimate:
    """The cost of a count of `table` with the values that it would bind; it is scoped where they hold a scope."""
    scoped = "scope" in values
    plan = explain(connection, statements.count_receipts(table, scoped=scoped), values)
    catalog = _read_catalog(connection, table)
    sample, problem = None, ""
    try:
        sample = _count_sample(connection, table, values, catalog)
    except sqlalchemy.exc.DBAPIError as failure:
        if not _is_of_the_sample(failure):
            raise
        problem = f"a sample of at most {SAMPLE_PAGES} pages could not be counted: {failures.show_words(failure, str)}"
    catalog = _fill_rows(catalog, sample)
    scans = tuple(_build_scans(connection, table, values, plan, catalog))
    return count_costs.CountEstimate(
        receipts=_expect_receipts(plan),
        scans=scans,
        relations=len(catalog.relations),
        table_rows=sum(relation.row_count for relation in catalog.relations.values()),
        table_pages=catalog.pages,
        statement_seconds=statement_seconds,
        sample=sample,
        problem=problem,
    )


def estimate_pages(
    connection: sqlalchemy.Connection, table: statements.ReceiptTable, values: Mapping[str, object]
) -> int:
    """The pages that the planner expects a count to read; nothing is read for it but the catalog."""
    plan = explain(connection, statements.count_receipts(table, scoped="scope" in values), values)
    scans = _build_scans(connection, table, values, plan, _read_catalog(connection, table))
    return sum(scan.pages for scan in scans)


def explain(
    connection: sqlalchemy.Connection,
    statement: sqlalchemy.Select[*tuple[Any, ...]],
    values: Mapping[str, object],
    *,
    analyze: bool = False,
) -> dict[str, Any]:
    """EXPLAIN's plan of a statement with its bound values; with `analyze` the statement runs."""
    compiled = statement.compile(dialect=connection.dialect)
    options = "ANALYZE, BUFFERS, TIMING OFF, " if analyze else ""
    bound = {name: values[name] for name in compiled.params if name in values}
    literal = {name: value for name, value in compiled.params.items() if name not in values}
    query = f"EXPLAIN ({options}VERBOSE, FORMAT JSON) {compiled}"
    (explained,) = connection.exec_driver_sql(query, {**literal, **bound}).scalar_one()
    return dict(explained)


def _is_of_the_sample(failure: sqlalchemy.exc.DBAPIError) -> bool:
    """Whether the sample took too long, or its rows cannot be counted."""
    return failures.read_state(failure) == "57014" or failures.is_about_the_query(failure)


def _read_catalog(connection: sqlalchemy.Connection, table: statements.ReceiptTable) -> _Catalog:
    own_name = {"table_name": table.quoted_name}
    sources = [row.id for row in connection.execute(statements.SOURCES, own_name)]
    relations = {
        f"{row.schema_name}.{row.name}": _Relation(
            pages=row.pages, row_count=_scale_rows(row), analyzed=row.known_pages > 0
        )
        for row in connection.execute(RELATIONS, {"relations": sources})
        if row.kind in _WITH_ROWS
    }
    indexes = {
        row.name: _Index(
            pages=row.pages,
            row_count=row.row_count,
            correlation=row.correlation * (_FURTHER_COLUMNS_SHARE if row.key_columns > 1 else 1.0),
        )
        for row in connection.execute(INDEXES, {"relations": sources})
    }
    kind = str(connection.execute(OWN_KIND, own_name).scalar_one())
    return _Catalog(kind=kind, relations=relations, indexes=indexes)


def _scale_rows(row: sqlalchemy.Row[*tuple[Any, ...]]) -> int:
    """The rows of a relation as the planner takes them: those of its last ANALYZE, grown as its pages have."""
    return round(row.row_count / row.known_pages * row.pages) if row.known_pages else int(row.row_count)


def _fill_rows(catalog: _Catalog, sample: count_costs.CountSample | None) -> _Catalog:
    """The catalog with the rows of relations that were never analyzed: as dense as the sample."""
    if sample is None or not sample.pages:
        return catalog
    density = sample.rows / sample.pages
    relations = {
        name: relation if relation.analyzed else replace(relation, row_count=round(density * relation.pages))
        for name, relation in catalog.relations.items()
    }
    return replace(catalog, relations=relations)


def _walk(node: Mapping[str, Any], workers: int = 0) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Every node of a plan, with the workers that share it."""
    workers = int(node.get("Workers Planned", workers))
    yield node, workers
    for child in node.get("Plans", ()):
        yield from _walk(child, workers)


def _count_rows(node: Mapping[str, Any], workers: int) -> float:
    """The rows of a node: of a parallel one all workers' together, as the planner divides them."""
    rows = float(node["Plan Rows"])
    if not node.get("Parallel Aware") or not workers:
        return rows
    return rows * (workers + max(0.0, 1 - 0.3 * workers))


def _scan_nodes(plan: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], int]]:
    return [(node, workers) for node, workers in _walk(plan["Plan"]) if "Relation Name" in node]


def _name_relation(node: Mapping[str, Any]) -> str:
    return f"{node['Schema']}.{node['Relation Name']}" if "Schema" in node else str(node["Relation Name"])


def _expect_receipts(plan: Mapping[str, Any]) -> int:
    """The rows that reach the count."""
    node = plan["Plan"]
    while node["Node Type"] == "Aggregate":
        node = node["Plans"][0]
    return round(float(node["Plan Rows"]))


def _build_scans(
    connection: sqlalchemy.Connection,
    table: statements.ReceiptTable,
    values: Mapping[str, object],
    plan: Mapping[str, Any],
    catalog: _Catalog,
) -> Iterator[count_costs.RelationScan]:
    by_condition = _ConditionRows(connection, table, values)
    for node, workers in _scan_nodes(plan):
        name = _name_relation(node)
        relation = catalog.relations.get(name, _Relation(pages=0, row_count=round(_count_rows(node, workers))))
        parts = [part for part, _ in _walk(node) if "Index Name" in part]
        if not parts:
            yield count_costs.RelationScan(
                relation=name, access=node["Node Type"], rows=relation.row_count, pages=relation.pages
            )
            continue
        condition = " or ".join(str(part.get("Index Cond", "")) for part in parts).strip()
        rows = by_condition.count(name, condition, node, workers, relation.row_count)
        index = catalog.indexes.get(parts[0]["Index Name"], _Index(pages=1, row_count=1, correlation=0.0))
        rows = min(rows, max(index.row_count, _PAGE_ENTRIES_MAX * index.pages))  # a partial one holds few
        yield count_costs.RelationScan(
            relation=name,
            access=node["Node Type"],
            rows=rows,
            pages=_count_pages(node["Node Type"], rows, relation, index),
            index=", ".join(part["Index Name"] for part in parts),
            index_condition=condition,
        )


class _ConditionRows:
    """The rows that a part of the count's condition finds: a plan shows those that every part leaves."""

    def __init__(
        self, connection: sqlalchemy.Connection, table: statements.ReceiptTable, values: Mapping[str, object]
    ) -> None:
        self._columns = {role: column.name for role, column in table.columns.items()}
        rows: sqlalchemy.Select[*tuple[Any, ...]] = sqlalchemy.select(sqlalchemy.literal_column("1"))
        rows = rows.select_from(table.clause)
        self._by_role = {"at": self._explain(connection, rows.where(table.in_window), values)}
        if "scope" in values:
            self._by_role["scope"] = self._explain(connection, rows.where(table.in_scope), values)

    @staticmethod
    def _explain(
        connection: sqlalchemy.Connection,
        statement: sqlalchemy.Select[*tuple[Any, ...]],
        values: Mapping[str, object],
    ) -> dict[str, float]:
        nodes = _scan_nodes(explain(connection, statement, values))
        return {_name_relation(node): _count_rows(node, workers) for node, workers in nodes}

    def count(self, name: str, condition: str, node: Mapping[str, Any], workers: int, most: int) -> int:
        """The rows that an index finds by its condition."""
        roles = [role for role in self._by_role if self._columns[role] in condition]
        least = _count_rows(node, workers)
        if not condition:
            return max(most, round(least))
        rows = least if len(roles) != 1 else self._by_role[roles[0]].get(name, least)
        return max(1, round(max(rows, least)))


def _count_pages(access: str, rows: int, relation: _Relation, index: _Index) -> int:
    """The pages of an index scan, by the planner's own formula (Mackert and Lohman, and the correlation)."""
    share = min(1.0, rows / index.row_count) if index.row_count else 1.0
    leaves = min(index.pages, _TREE_PAGES + math.ceil(index.pages * share))
    if access == "Index Only Scan":
        return leaves
    pages = float(relation.pages)
    if not pages:
        return leaves
    scattered = min(pages, 2 * pages * rows / (2 * pages + rows))
    together = math.ceil(pages * min(1.0, rows / max(1, relation.row_count)))
    weight = 0.0 if access == "Bitmap Heap Scan" and index.correlation == 0 else index.correlation**2
    return leaves + math.ceil(scattered + weight * (min(together, scattered) - scattered))


def _count_sample(
    connection: sqlalchemy.Connection,
    table: statements.ReceiptTable,
    values: Mapping[str, object],
    catalog: _Catalog,
) -> count_costs.CountSample:
    """Reads the sample, then counts it as the count would, then with every row a receipt of the window.

    Nothing of it outlives the savepoint, its shorter timeout neither.
    """
    sampled = replace(table, clause=sample_rows(table, kind=catalog.kind, pages=catalog.pages))
    read = sqlalchemy.select(sqlalchemy.func.count()).select_from(sampled.clause)
    everything = {**values, **table.bind_window(_EVERYTHING), "bucket": timedelta(seconds=_EVERYTHING.seconds)}
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(SAMPLE_SECONDS * 1000)}")
        first = explain(connection, read, values, analyze=True)
        counted = explain(
            connection, statements.count_receipts(sampled, scoped="scope" in values), values, analyze=True
        )
        whole = explain(connection, statements.count_receipts(sampled, scoped=False), everything, analyze=True)
    finally:
        savepoint.rollback()
    seconds = [float(each["Execution Time"]) / 1000 for each in (first, counted, whole)]
    rows = max(int(node["Actual Rows"]) for node, _ in _walk(first["Plan"]) if node["Node Type"] == "Limit")
    outside = int(first["Plan"].get("Shared Read Blocks", 0))
    pages = int(first["Plan"].get("Shared Hit Blocks", 0)) + outside
    measured = max(0.0, seconds[2] - seconds[0]) / rows if rows else 0.0
    return count_costs.CountSample(
        rows=rows,
        pages=pages,
        pages_outside_buffers=outside,
        page_seconds=seconds[0] / pages if pages else 0.0,
        row_seconds=max(0.0, seconds[1] - seconds[0]) / rows if rows else 0.0,
        receipt_seconds=count_costs.bound_receipt_seconds(measured, rows),
    )


def sample_rows(
    table: statements.ReceiptTable, *, kind: str, pages: int, sample_pages: int = SAMPLE_PAGES
) -> sqlalchemy.TableClause:
    """At most `SAMPLE_ROWS` rows in place of the table: of a large one those of a few pages from everywhere in it.

    A limit is a fence: no condition reaches below it, so that it bounds what is read.
    """
    source: sqlalchemy.FromClause = table.clause
    if kind in _SAMPLED_BY_PAGE and pages > sample_pages:
        percent: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column(f"{100 * sample_pages / pages:.6f}")
        seed: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column("1")  # each statement reads the same pages
        source = sqlalchemy.tablesample(table.clause, sqlalchemy.func.system(percent), seed=seed)
    columns = {column.name: column for column in table.columns.values()}
    sampled = (
        sqlalchemy.select(*columns.values())
        .select_from(source)
        .limit(sqlalchemy.literal_column(str(SAMPLE_ROWS)))
        .subquery("sampled_receipts")
    )
    return typing.cast(sqlalchemy.TableClause, sampled)
