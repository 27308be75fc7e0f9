"""Statements of changes, each made anew from a recognised change: every name quoted, every value a literal."""

import decimal
from collections.abc import Iterable

from psycopg import sql

from burst.domain.staging import changes

_DIRECTIONS = {None: "", True: " DESC", False: " ASC"}
_NULLS = {None: "", True: " NULLS FIRST", False: " NULLS LAST"}
_FIXED = {
    word: sql.SQL(word)
    for word in (
        *("=", "<>", "<", "<=", ">", ">=", "IS NULL", "IS NOT NULL"),
        *("btree", "brin", "hash", "gin", "gist"),
        *("fillfactor", "pages_per_range", "autosummarize", "deduplicate_items", "fastupdate"),
        *("timestamp with time zone", "timestamp without time zone", "character varying", "text", "integer", "bigint"),
        *("smallint", "numeric", "uuid", "date", "boolean"),
    )
}
"""The only words of a change that stand in a statement as they are."""


def quote_table(table: changes.TableName) -> sql.Identifier:
    """A table or index as a quoted name."""
    return sql.Identifier(table.name) if table.schema is None else sql.Identifier(table.schema, table.name)


def build_statement(change: changes.Statement) -> sql.Composed:
    """The statement of a change."""
    match change:
        case changes.SetParameter():
            return _set_parameter(change)
        case changes.CreateIndex():
            return _create_index(change)
        case changes.DropIndex():
            return sql.SQL("DROP INDEX CONCURRENTLY {}").format(quote_table(change.index))
        case changes.CreateExtension():
            return _create_extension(change)
        case changes.DropExtension():
            return sql.SQL("DROP EXTENSION {}").format(sql.Identifier(change.name))
        case changes.MaintainTable():
            verb = sql.SQL("ANALYZE {}")
            if change.vacuum:
                verb = sql.SQL("VACUUM (ANALYZE) {}") if change.analyze else sql.SQL("VACUUM {}")
            return verb.format(quote_table(change.table))


def _set_parameter(change: changes.SetParameter) -> sql.Composed:
    name = sql.Identifier(*change.name.split("."))
    place = _place(change.place)
    if change.values is None:
        return sql.SQL("{} RESET {}").format(place, name)
    values = sql.SQL(", ").join(sql.Literal(value) for value in change.values)
    return sql.SQL("{} SET {} = {}").format(place, name, values)


def _place(place: changes.SettingPlace) -> sql.Composable:
    if place.role is not None:
        role = sql.SQL("ALTER ROLE {}").format(sql.Identifier(place.role))
        inside = sql.SQL(" IN DATABASE {}").format(sql.Identifier(place.database)) if place.database else sql.SQL("")
        return role + inside
    if place.database is not None:
        return sql.SQL("ALTER DATABASE {}").format(sql.Identifier(place.database))
    return sql.SQL("ALTER SYSTEM")


def _create_index(change: changes.CreateIndex) -> sql.Composed:
    parts: list[sql.Composable] = [
        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} USING {} ({})").format(
            sql.Identifier(change.name),
            quote_table(change.table),
            _FIXED[change.method],
            _join(_build_key(key) for key in change.keys),
        )
    ]
    if change.include:
        parts.append(sql.SQL(" INCLUDE ({})").format(_join(sql.Identifier(name) for name in change.include)))
    if change.options:
        options = _join(sql.SQL("{} = {}").format(_FIXED[name], sql.Literal(value)) for name, value in change.options)
        parts.append(sql.SQL(" WITH ({})").format(options))
    if change.conditions:
        conditions = sql.SQL(" AND ").join(_build_condition(condition) for condition in change.conditions)
        parts.append(sql.SQL(" WHERE {}").format(conditions))
    return sql.Composed(parts)


def _join(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _build_key(key: changes.IndexKey) -> sql.Composable:
    parts: list[sql.Composable] = [sql.Identifier(key.column)]
    parts += [sql.SQL(" COLLATE {}").format(sql.Identifier(*key.collation))] if key.collation else []
    parts += [sql.SQL(" {}").format(sql.Identifier(*key.operators))] if key.operators else []
    parts += [sql.SQL(_DIRECTIONS[key.descending]), sql.SQL(_NULLS[key.nulls_first])]
    return sql.Composed(parts)


def _build_condition(condition: changes.IndexCondition) -> sql.Composable:
    compared = sql.SQL("{} {}").format(sql.Identifier(condition.column), _FIXED[condition.operator])
    if condition.operand is None:
        return compared
    operand = decimal.Decimal(condition.operand) if condition.is_number else condition.operand
    cast = sql.SQL("::{}").format(_FIXED[condition.type_words]) if condition.type_words else sql.SQL("")
    return sql.SQL("{} {}{}").format(compared, sql.Literal(operand), cast)


def _create_extension(change: changes.CreateExtension) -> sql.Composed:
    statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(change.name))
    if change.schema is not None:
        statement += sql.SQL(" SCHEMA {}").format(sql.Identifier(change.schema))
    if change.version is not None:
        statement += sql.SQL(" VERSION {}").format(sql.Literal(change.version))
    return statement
