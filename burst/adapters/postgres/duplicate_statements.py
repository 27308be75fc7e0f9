"""Duplicate statements: the DUPLICATE receipts of a window by the first ADMIT of their event, in one statement.

The window is read once, for its duplicates alone. Their first ADMITs are then found by an index on the event, where the
table has one, or in one reading of the scope.
"""

from typing import Any

import sqlalchemy

from burst.adapters.postgres import column_types, statements

NO_SUCH_COLUMN = frozenset({"42703", "42883"})
"""The table has no such column, or values of its type cannot be compared."""


def classify_duplicates(table: statements.ReceiptTable, event_column: str) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """The number of duplicates by class. Binds the values of `ReceiptTable.bind_window`, and `scope`."""
    start, end = (sqlalchemy.bindparam(name, type_=column_types.INSTANT) for name in ("start", "end"))
    event: sqlalchemy.ColumnClause[Any] = sqlalchemy.column(statements.quote(event_column, "column event"))
    decision, at = table.casts["decision"].collate("C"), table.casts["at"]
    duplicate = (
        sqlalchemy.select(event.label("event"), sqlalchemy.func.count().label("receipts"))
        .select_from(table.clause)
        .where(table.in_window, table.columns["at"].is_not(None), table.in_scope)
        .where(table.is_decision("DUPLICATE", decision))
        .group_by(event)
        .cte("duplicate")
    )
    admitted = (
        sqlalchemy.select(event.label("event"), sqlalchemy.func.min(at).label("at"))
        .select_from(table.clause)
        .where(table.in_scope, table.is_decision("ADMIT", decision), table.columns["at"].is_not(None))
        .where(event.in_(sqlalchemy.select(duplicate.c.event)))
        .group_by(event)
        .subquery("admitted")
    )
    total = sqlalchemy.func.sum(duplicate.c.receipts)
    retried = sqlalchemy.and_(admitted.c.at >= start, admitted.c.at < end)
    return sqlalchemy.select(
        *(
            sqlalchemy.cast(sqlalchemy.func.coalesce(number, 0), sqlalchemy.BigInteger).label(name)
            for name, number in (
                ("retry", total.filter(retried)),
                ("replay", total.filter(admitted.c.at < start)),
                ("receipts", total),
            )
        )
    ).select_from(duplicate.outerjoin(admitted, admitted.c.event == duplicate.c.event))
