"""The index catalog: what stands, what the statistics say of the columns, and statements that would make an index.

The statements are words for a person to run. Nothing here makes an index.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy

from burst.adapters.postgres import column_types, connections, count_plans, failures, statements
from burst.domain.basics import errors, redaction, windows
from burst.domain.receipts import count_costs, index_advice, receipt_table

NAME_BYTES_MAX = 63
_STATEMENT_SECONDS = connections.Timeouts().statement_seconds
Row: TypeAlias = sqlalchemy.Row[*tuple[Any, ...]]
_OUTPUT = re.compile(r'(?:"(?:[^"]|"")*"|\w+)\.("(?:[^"]|"")*"|\w+)')

_BASE = sqlalchemy.text("""
SELECT relation.oid::bigint AS id, space.nspname::text AS schema_name, relation.relname::text AS name,
    relation.relkind::text AS kind, (SELECT inherits.inhparent::bigint FROM pg_inherits AS inherits
        WHERE inherits.inhrelid = relation.oid AND relation.relispartition) AS parent
FROM pg_class AS relation JOIN pg_namespace AS space ON space.oid = relation.relnamespace
WHERE relation.oid = ANY(cast(:relations AS oid[])) ORDER BY 2, 3""")
_INDEXES = sqlalchemy.text("""
SELECT made.relname::text AS name, method.amname::text AS method, entry.indisvalid AND entry.indisready AS valid,
    entry.indpred IS NOT NULL AS partial, entry.indnkeyatts AS key_columns, entry.indrelid::bigint AS relation,
    entry.indnkeyatts > 1 AND entry.indcollation[1] = '"C"'::regcollation AS second_by_bytes,
    ARRAY(SELECT coalesce(held.attname::text, '') FROM unnest(entry.indkey) WITH ORDINALITY AS part (number, place)
        LEFT JOIN pg_attribute AS held ON held.attrelid = entry.indrelid AND held.attnum = part.number
            AND part.number > 0 ORDER BY part.place) AS columns
FROM pg_index AS entry JOIN pg_class AS made ON made.oid = entry.indexrelid
JOIN pg_am AS method ON method.oid = made.relam
WHERE entry.indrelid = ANY(cast(:relations AS oid[])) ORDER BY 1""")
# Autovacuum never analyzes a partitioned table, but its partitions.
_STATISTICS = sqlalchemy.text("""
SELECT attname::text AS name, max(avg_width)::float8 AS width, max(abs(coalesce(correlation, 0)))::float8 AS correlation
FROM pg_stats JOIN unnest(cast(:schemas AS text[]), cast(:names AS text[])) AS named (own_schema, own_name)
    ON schemaname = own_schema AND tablename = own_name
WHERE attname = ANY(cast(:columns AS text[])) GROUP BY 1""")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReading:
    """The table that an index would be made on, with a count's present cost. `through`: the view that stands before
    it; empty where there is none."""

    facts: index_advice.TableFacts
    estimate: count_costs.CountEstimate
    through: str = ""
    broken: Sequence[str] = ()
    """The indexes of the table and of its partitions that are not valid."""
    standby: bool = False
    """Whether the server is a standby, on which nothing can be made."""


class IndexCatalog:
    """Reads what an index would be made of. Raises as every question to a database."""

    def __init__(
        self,
        dsn: redaction.Secret | connections.ResolveDsn,
        *,
        application_name: str = "burst/advise",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = connections.ReadOnlyDatabase(
            dsn, application_name=application_name, timeouts=connections.Timeouts(), now=now
        )

    def read(
        self,
        form: receipt_table.TableForm,
        columns: Mapping[str, str],
        window: windows.Window,
        *,
        scope: str,
        give_up_at: datetime,
    ) -> IndexReading:
        """Raises `errors.Refused` where no index can be made: a foreign table, or a view that computes its columns."""
        bare = statements.describe_table(form, columns)

        def work(connection: sqlalchemy.Connection) -> IndexReading:
            table = statements.read_types(connection, bare)
            problem = column_types.find_time_problem(table.type_of("at"), columns["at"], form.time_unit)
            if problem:
                raise errors.UsageError(f"{problem} (table {form.name})")
            values = {**table.bind_window(window), "bucket": timedelta(seconds=window.seconds)}
            if not table.type_of("scope").may_refuse_text:
                values["scope"] = scope
            estimate = count_plans.estimate_count(connection, table, values, statement_seconds=_STATEMENT_SECONDS)
            standby = bool(connection.execute(statements.STANDBY).scalar_one())
            return replace(_read_base(connection, table, estimate), standby=standby)

        return self._database.perform(f"reading the indexes of {form.name}", work, give_up_at)


def _read_base(
    connection: sqlalchemy.Connection, table: statements.ReceiptTable, estimate: count_costs.CountEstimate
) -> IndexReading:
    own_name = {"table_name": table.quoted_name}
    sources = [row.id for row in connection.execute(statements.SOURCES, own_name)]
    relations = connection.execute(_BASE, {"relations": sources}).all()
    kind = str(connection.execute(count_plans.OWN_KIND, own_name).scalar_one())
    columns = {role: str(column.name) for role, column in table.columns.items()}
    bases = [row for row in relations if row.kind in ("r", "p", "m", "f")]
    parents = [row for row in bases if row.parent not in {each.id for each in bases}]
    if len(parents) != 1 or parents[0].kind == "f":
        names = ", ".join(f"{row.schema_name}.{row.name}" for row in parents) or "no table"
        raise errors.Refused(f"{table.name} reads {names}: an index here can serve one table of this database alone")
    if kind == "v":
        columns = _trace_columns(connection, table)
    rooted = _put_below(parents[0], bases)
    indexes = connection.execute(_INDEXES, {"relations": [row.id for row in rooted]}).all()
    facts = _read_facts(connection, table, rooted, columns, estimate)
    own = [_build_index(row) for row in indexes if row.relation == parents[0].id]
    return IndexReading(
        facts=replace(facts, indexes=own),
        estimate=estimate,
        through=table.name if kind == "v" else "",
        broken=[row.name for row in indexes if not row.valid],
    )


def _put_below(root: Row, rows: Sequence[Row]) -> list[Row]:
    """A table and then its partitions, each behind the one that it is a partition of."""
    below = [row for row in rows if row.parent == root.id]
    return [root, *(each for row in below for each in _put_below(row, rows))]


def _trace_columns(connection: sqlalchemy.Connection, table: statements.ReceiptTable) -> dict[str, str]:
    """The columns below a view, by the planner's own output. Raises `errors.Refused` where the view computes one."""
    chosen: sqlalchemy.Select[*tuple[Any, ...]] = sqlalchemy.select(*(table.columns[role] for role in statements.ROLES))
    node = count_plans.explain(connection, chosen.select_from(table.clause), {})["Plan"]
    while "Relation Name" not in node and node.get("Plans"):
        node = node["Plans"][0]
    matches = [_OUTPUT.fullmatch(str(output)) for output in node.get("Output", ())]
    if len(matches) != len(statements.ROLES) or None in matches:
        outputs = ", ".join(map(str, node.get("Output", ())))
        raise errors.Refused(
            f"the view {table.name} computes a column of its own ({outputs}), so no plain index of the table below "
            "serves it; let receipts.table name that table, or a view of its columns"
        )
    names = [match[1] for match in matches if match is not None]
    plain = [name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names]
    return dict(zip(statements.ROLES, plain, strict=True))


def _read_facts(
    connection: sqlalchemy.Connection,
    table: statements.ReceiptTable,
    rooted: Sequence[Row],
    columns: Mapping[str, str],
    estimate: count_costs.CountEstimate,
) -> index_advice.TableFacts:
    base = rooted[0]
    names = {row.id: _quote_name(row.schema_name, row.name) for row in rooted}
    schemas, bare = [row.schema_name for row in rooted], [row.name for row in rooted]
    values = {"schemas": schemas, "names": bare, "columns": list(columns.values())}
    statistics = {row.name: row for row in connection.execute(_STATISTICS, values)}
    at = statistics.get(columns["at"])
    sort_seconds, form_seconds = _time_sample(connection, table, estimate)
    longest_entry_bytes = _measure_entries(connection, table, estimate)
    table = _read_base_types(connection, table, base, columns)
    return index_advice.TableFacts(
        relation=names[base.id],
        kind=base.kind,
        row_count=estimate.table_rows,
        pages=estimate.table_pages,
        columns=columns,
        types={role: table.type_of(role).name for role in statements.ROLES},
        widths={role: statistics[name].width for role, name in columns.items() if name in statistics},
        time_required=table.type_of("at").required,
        time_correlation=at.correlation if at is not None else 0.0,
        indexes=(),
        partitions=[
            index_advice.Partition(relation=names[row.id], parent=names[row.parent], divided=row.kind == "p")
            for row in rooted[1:]
            if row.kind != "f"
        ],
        page_seconds=estimate.sample.page_seconds if estimate.sample is not None else 0.0,
        sort_seconds=sort_seconds,
        reads_text=table.reads_text,
        form_seconds=form_seconds,
        times_checked=table.times_checked,
        unusual_indexed=table.unusual_times_indexed,
        longest_entry_bytes=longest_entry_bytes,
    )


def _read_base_types(
    connection: sqlalchemy.Connection, table: statements.ReceiptTable, base: Row, columns: Mapping[str, str]
) -> statements.ReceiptTable:
    """What the table itself keeps of its times, which a view before it does not know."""
    parts = (base.schema_name, base.name)
    if any("." in part for part in parts):  # which a plan could not name either
        return table
    form = replace(table.form, name=".".join(parts))
    return statements.read_types(connection, statements.describe_table(form, columns))


def _build_index(row: Row) -> index_advice.PresentIndex:
    names = tuple(row.columns)
    return index_advice.PresentIndex(
        name=row.name,
        method=row.method,
        keys=names[: row.key_columns],
        includes=names[row.key_columns :],
        valid=row.valid,
        partial=row.partial,
        second_by_bytes=row.second_by_bytes,
    )


def _time_sample(
    connection: sqlalchemy.Connection, table: statements.ReceiptTable, estimate: count_costs.CountEstimate
) -> tuple[float, float]:
    """The seconds to sort a row of a sample by scope and time, for each doubling of the rows, and those to tell whether
    a text has the usual form; 0 where the sample shows none."""
    kind = str(connection.execute(count_plans.OWN_KIND, {"table_name": table.quoted_name}).scalar_one())
    source = count_plans.sample_rows(table, kind=kind, pages=estimate.table_pages)
    keys = [table.columns[role] for role in ("scope", "at")]
    rows: sqlalchemy.Select[*tuple[Any, ...]] = sqlalchemy.select(*keys).select_from(source)
    unusual = rows.where(column_types.is_unusual(table.columns["at"])) if table.reads_text else rows
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(count_plans.SAMPLE_SECONDS * 1000)}")
        explained = [
            count_plans.explain(connection, each, {}, analyze=True) for each in (rows, rows.order_by(*keys), unusual)
        ]
    except sqlalchemy.exc.DBAPIError as failure:
        if not failures.is_about_the_query(failure) and failures.read_state(failure) != "57014":
            raise
        return 0.0, 0.0
    finally:
        savepoint.rollback()
    number = int(explained[0]["Plan"]["Actual Rows"])
    plain, ordered, formed = (float(each["Execution Time"]) / 1000 for each in explained)
    if number <= 1:
        return 0.0, 0.0
    form_seconds = max(0.0, formed - plain) / number if table.reads_text else 0.0
    return max(0.0, ordered - plain) / (number * math.log2(number)), form_seconds


def _measure_entries(
    connection: sqlalchemy.Connection, table: statements.ReceiptTable, estimate: count_costs.CountEstimate
) -> int:
    """The bytes of the longest scope, time and decision of a sample together; 0 where it shows none in time."""
    kind = str(connection.execute(count_plans.OWN_KIND, {"table_name": table.quoted_name}).scalar_one())
    source = count_plans.sample_rows(table, kind=kind, pages=estimate.table_pages)
    sizes = [
        sqlalchemy.func.coalesce(sqlalchemy.func.pg_column_size(table.columns[role]), 0) for role in statements.ROLES
    ]
    longest: sqlalchemy.Select[int | None] = sqlalchemy.select(sqlalchemy.func.max(sizes[0] + sizes[1] + sizes[2]))
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(count_plans.SAMPLE_SECONDS * 1000)}")
        return connection.execute(longest.select_from(source)).scalar_one() or 0
    except sqlalchemy.exc.DBAPIError as failure:
        if not failures.is_about_the_query(failure) and failures.read_state(failure) != "57014":
            raise
        return 0
    finally:
        savepoint.rollback()


def write_covering(facts: index_advice.TableFacts) -> tuple[str, ...]:
    """The statements that would make the index of scope and time with the decision; of text times a small one too,
    of just the rows whose texts have another form."""
    scope, at, decision = (_quote(facts.columns[role]) for role in ("scope", "at", "decision"))
    order = ' COLLATE "C"' if facts.reads_text else ""
    covering = _write_index(facts, "scope_at", f"({scope}, {at}{order}) INCLUDE ({decision})")
    return (*covering, *write_small(facts)) if facts.lacks_small_index else covering


def write_small(facts: index_advice.TableFacts) -> tuple[str, ...]:
    """The statements that would make the small index of the rows whose texts have another form."""
    scope, at = (_quote(facts.columns[role]) for role in ("scope", "at"))
    pattern = column_types.USUAL_TEXT.replace("'", "''")
    return _write_index(facts, "unusual_at", f"({scope}) WHERE ({at} ~ '{pattern}') IS NOT TRUE")


def write_brin(facts: index_advice.TableFacts) -> tuple[str, ...]:
    """The statements that would make the small index of an ordered time."""
    return _write_index(facts, "at_brin", f"USING brin ({_quote(facts.columns['at'])})")


def write_check(facts: index_advice.TableFacts) -> tuple[str, ...]:
    """The statements that would let the database keep every text of the time in the usual form. The second one reads
    the table, and lets others write meanwhile."""
    name, pattern = _name(facts.relation, "usual_at"), column_types.USUAL_TEXT
    condition = f"{_quote(facts.columns['at'])} ~ '{pattern}'"
    return (
        f"ALTER TABLE {facts.relation} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID;",
        f"ALTER TABLE {facts.relation} VALIDATE CONSTRAINT {name};",
    )


def _write_index(facts: index_advice.TableFacts, purpose: str, definition: str) -> tuple[str, ...]:
    """A partitioned table takes no index CONCURRENTLY: each partition with rows does, and each index is attached to
    that of the table that its own is a partition of."""
    if facts.kind != "p":
        return (f"CREATE INDEX CONCURRENTLY {_name(facts.relation, purpose)} ON {facts.relation} {definition};",)
    whole = _name(facts.relation, purpose)
    lines = [f"CREATE INDEX {whole} ON ONLY {facts.relation} {definition};"]
    for partition in facts.partitions:
        part, schema = _name(partition.relation, purpose), _split(partition.relation)[0]
        above = f"{_split(partition.parent)[0]}.{_name(partition.parent, purpose)}"
        how, only = ("", "ONLY ") if partition.divided else (" CONCURRENTLY", "")
        lines.append(f"CREATE INDEX{how} {part} ON {only}{partition.relation} {definition};")
        lines.append(f"ALTER INDEX {above} ATTACH PARTITION {schema}.{part};")
    return tuple(lines)


def _name(relation: str, purpose: str) -> str:
    """A name for the index, cut to what Postgres takes; the digest keeps two long tables apart."""
    table = re.sub(r"[^a-z0-9]+", "_", _split(relation)[1].lower()).strip("_")
    digest = hashlib.sha256(relation.encode()).hexdigest()[:6]
    room = NAME_BYTES_MAX - len(purpose) - len(digest) - len("burst___")
    return f"burst_{table[:room]}_{purpose}_{digest}"


def _split(relation: str) -> Sequence[str]:
    return re.findall(r'"(?:[^"]|"")*"|[^.]+', relation)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quote_name(schema: str, name: str) -> str:
    return f"{_quote(schema)}.{_quote(name)}"
