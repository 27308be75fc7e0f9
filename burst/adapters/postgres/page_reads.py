"""Page reads: the pages that one run of a statement read, by `pg_stat_statements`, else as the planner expects them.

The view adds up over all runs of a statement by one role. So it is read just before the run and just after it, and its
own number of runs shows whether another session ran the same statement in between. Where the role does not see it, the
plan of the same statement says how many pages a run reads: an estimate. Nothing here may spoil a count: where the
figure cannot be had, there are words in its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy

from burst.adapters.postgres import failures
from burst.domain.receipts import driver_figures

SOURCE, ESTIMATE = "pg_stat_statements", "EXPLAIN, an estimate"
ESTIMATE_SECONDS = 2.0
"""How long an estimate may take, once the count is made."""
_PLACE = sqlalchemy.text(
    "SELECT quote_ident(space.nspname) FROM pg_extension AS extension"
    " JOIN pg_namespace AS space ON space.oid = extension.extnamespace WHERE extension.extname = 'pg_stat_statements'"
)
# Without its texts the view is no file to read. Own rows are seen by any role.
_RUNS = """
SELECT coalesce(sum(calls), 0)::bigint AS runs, coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint AS pages
FROM {schema}.pg_stat_statements(false)
WHERE queryid = :query_id AND userid = current_user::regrole AND dbid = (
    SELECT oid FROM pg_database WHERE datname = current_database()
)"""
_NOT_INSTALLED = "pg_stat_statements is not installed in this database"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    runs: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReading:
    """One statement, before its run."""

    query: sqlalchemy.TextClause | None = None
    query_id: int = 0
    before: _Runs = _Runs(runs=0, pages=0)
    why: str = ""
    """Why the pages cannot be had."""


class PageReader:
    """Reads the pages of statements over the connections of one database."""

    def __init__(self) -> None:
        self._query_ids: dict[str, int] = {}
        self._schema: str | None = None
        """The schema of the extension; empty where it is not there, None before anybody looked."""

    def begin(
        self,
        connection: sqlalchemy.Connection,
        statement: sqlalchemy.Select[*tuple[Any, ...]],
        values: Mapping[str, object],
    ) -> PageReading:
        """Reads the view before the run of a statement."""
        if self._schema == "":
            return PageReading(why=_NOT_INSTALLED)
        try:
            with connection.begin_nested():
                return self._begin(connection, statement, values)
        except sqlalchemy.exc.DBAPIError as failure:
            return PageReading(why=_explain(failure))

    def end(self, connection: sqlalchemy.Connection, reading: PageReading) -> driver_figures.PageCount:
        """Reads the view after the run."""
        if reading.query is None:
            return driver_figures.PageCount(read=None, why=reading.why)
        try:
            with connection.begin_nested():
                after = _read_runs(connection, reading.query, reading.query_id)
        except sqlalchemy.exc.DBAPIError as failure:
            return driver_figures.PageCount(read=None, why=_explain(failure))
        runs = after.runs - reading.before.runs
        if runs == 1:
            return driver_figures.PageCount(read=after.pages - reading.before.pages, source=SOURCE)
        why = f"{runs} runs of the statement stand in pg_stat_statements where one was made"
        return driver_figures.PageCount(read=None, why=why)

    def _begin(
        self,
        connection: sqlalchemy.Connection,
        statement: sqlalchemy.Select[*tuple[Any, ...]],
        values: Mapping[str, object],
    ) -> PageReading:
        if self._schema is None:
            self._schema = connection.execute(_PLACE).scalar_one_or_none() or ""
        if not self._schema:
            return PageReading(why=_NOT_INSTALLED)
        query_id = self._find_query_id(connection, statement, values)
        if query_id is None:
            return PageReading(why="the server gives statements no identity (compute_query_id is off)")
        query = sqlalchemy.text(_RUNS.format(schema=self._schema))
        return PageReading(query=query, query_id=query_id, before=_read_runs(connection, query, query_id))

    def _find_query_id(
        self,
        connection: sqlalchemy.Connection,
        statement: sqlalchemy.Select[*tuple[Any, ...]],
        values: Mapping[str, object],
    ) -> int | None:
        """The identity that the server gives the statement, whatever its values. It is explained once, and not run."""
        compiled = statement.compile(dialect=connection.dialect)
        text = str(compiled)
        if text not in self._query_ids:
            bound = {**compiled.params, **{name: values[name] for name in compiled.params if name in values}}
            (plan,) = connection.exec_driver_sql(f"EXPLAIN (VERBOSE, FORMAT JSON) {text}", bound).scalar_one()
            if "Query Identifier" not in plan:
                return None
            self._query_ids[text] = int(plan["Query Identifier"])
        return self._query_ids[text]


def _read_runs(connection: sqlalchemy.Connection, query: sqlalchemy.TextClause, query_id: int) -> _Runs:
    row = connection.execute(query, {"query_id": query_id}).one()
    return _Runs(runs=row.runs, pages=row.pages)


def _explain(failure: sqlalchemy.exc.DBAPIError) -> str:
    """The words for a view that cannot be read. Raises what ended the connection: the count is then lost too."""
    if failure.connection_invalidated or failures.is_transient(failure):
        raise failure
    return f"pg_stat_statements cannot be read: {failures.read_words(failure)}"
