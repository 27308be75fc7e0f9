"""Changes of a database: what a stage may apply, each a frozen value that was recognised, never a text to execute.

An adapter builds the statement anew from the value, with its names quoted and its texts as literals.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def quote_name(name: str) -> str:
    """A name as SQL shows it to people: quoted where it needs that."""
    plain = set(name) <= _PLAIN and not name[:1].isdigit()
    return name if plain else '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text as SQL shows it to people."""
    return "'" + text.replace("'", "''") + "'"


def _join(names: Iterable[str]) -> str:
    return ", ".join(quote_name(name) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table or an index; without a schema it is found by the search path."""

    schema: str | None
    name: str

    @property
    def words(self) -> str:
        """The name as people read it."""
        return quote_name(self.name) if self.schema is None else f"{quote_name(self.schema)}.{quote_name(self.name)}"

    @property
    def plain(self) -> str:
        """The name as a plan and `--table` take it: without quotes, so that a dot within a part cannot be told."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    @property
    def has_dots(self) -> bool:
        """Whether a part of it has a dot."""
        return "." in self.name or "." in (self.schema or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingPlace:
    """The place of a setting: the whole server, or what sessions of a role, in a database, or of both begin with."""

    role: str | None = None
    database: str | None = None

    @property
    def is_system(self) -> bool:
        """Whether it is the server's own configuration."""
        return self.role is None and self.database is None

    @property
    def words(self) -> str:
        """The beginning of the statement."""
        if self.role is not None:
            inside = "" if self.database is None else f" IN DATABASE {quote_name(self.database)}"
            return f"ALTER ROLE {quote_name(self.role)}{inside}"
        return "ALTER SYSTEM" if self.database is None else f"ALTER DATABASE {quote_name(self.database)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetParameter:
    """A setting gets these values (several for a list), or with None the one it has without this place."""

    place: SettingPlace
    name: str
    values: tuple[str, ...] | None

    @property
    def words(self) -> str:
        """The statement as people read it."""
        if self.values is None:
            return f"{self.place.words} RESET {self.name}"
        return f"{self.place.words} SET {self.name} = {', '.join(quote_text(value) for value in self.values)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexKey:
    """One key column of an index. `descending` and `nulls_first` are None where the statement says neither."""

    column: str
    collation: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    """The operator class, with its schema where it has one."""
    descending: bool | None = None
    nulls_first: bool | None = None

    @property
    def words(self) -> str:
        """The key as people read it."""
        parts = [quote_name(self.column)]
        parts += ["COLLATE " + ".".join(quote_name(part) for part in self.collation)] if self.collation else []
        parts += [".".join(quote_name(part) for part in self.operators)] if self.operators else []
        parts += [] if self.descending is None else ["DESC" if self.descending else "ASC"]
        parts += [] if self.nulls_first is None else ["NULLS FIRST" if self.nulls_first else "NULLS LAST"]
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCondition:
    """One condition of a partial index: a column compared with a text or number, or held against NULL."""

    column: str
    operator: str
    """One of =, <>, <, <=, >, >=, IS NULL, IS NOT NULL."""
    operand: str | None = None
    is_number: bool = False
    type_words: str = ""
    """The type that the text is cast to, of the allowed ones; empty for none."""

    @property
    def words(self) -> str:
        """The condition as people read it."""
        if self.operand is None:
            return f"{quote_name(self.column)} {self.operator}"
        operand = self.operand if self.is_number else quote_text(self.operand)
        return f"{quote_name(self.column)} {self.operator} {operand}{'::' if self.type_words else ''}{self.type_words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex:
    """A new index, made while the table is written to."""

    name: str
    table: TableName
    method: str
    keys: tuple[IndexKey, ...]
    include: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    conditions: tuple[IndexCondition, ...] = ()

    @property
    def words(self) -> str:
        """The statement as people read it."""
        parts = [f"CREATE INDEX CONCURRENTLY {quote_name(self.name)} ON {self.table.words} USING {self.method}"]
        parts.append(f"({', '.join(key.words for key in self.keys)})")
        parts += [f"INCLUDE ({_join(self.include)})"] if self.include else []
        parts += [f"WITH ({', '.join(f'{name} = {value}' for name, value in self.options)})"] if self.options else []
        parts += [f"WHERE {' AND '.join(each.words for each in self.conditions)}"] if self.conditions else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex:
    """An index goes, while the table is written to."""

    index: TableName

    @property
    def words(self) -> str:
        """The statement as people read it."""
        return f"DROP INDEX CONCURRENTLY {self.index.words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateExtension:
    """An extension of the server's own packages."""

    name: str
    schema: str | None = None
    version: str | None = None

    @property
    def words(self) -> str:
        """The statement as people read it."""
        inside = "" if self.schema is None else f" SCHEMA {quote_name(self.schema)}"
        version = "" if self.version is None else f" VERSION {quote_text(self.version)}"
        return f"CREATE EXTENSION {quote_name(self.name)}{inside}{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropExtension:
    """An extension goes: the way back of `CreateExtension`, and nothing that a stage may ask for."""

    name: str

    @property
    def words(self) -> str:
        """The statement as people read it."""
        return f"DROP EXTENSION {quote_name(self.name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainTable:
    """VACUUM, ANALYZE or both on one table; both leave nothing that a roll-back would undo."""

    table: TableName
    vacuum: bool
    analyze: bool

    @property
    def words(self) -> str:
        """The statement as people read it."""
        both = "VACUUM (ANALYZE)" if self.analyze else "VACUUM"
        return f"{both if self.vacuum else 'ANALYZE'} {self.table.words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgram:
    """A one-shot command. It runs again where it was cut, so it has to bear that."""

    argv: tuple[str, ...]
    seconds_max: float

    @property
    def words(self) -> str:
        """The program; its arguments are not shown, one may be a secret."""
        more = "" if len(self.argv) == 1 else f" and {len(self.argv) - 1} more"
        return f"command {self.argv[0]}{more}"


Statement: TypeAlias = SetParameter | CreateIndex | DropIndex | CreateExtension | DropExtension | MaintainTable
Change: TypeAlias = Statement | RunProgram


def leave_out_dependent(proposed: Iterable[Change]) -> tuple[Change, ...]:
    """The changes without those of indexes that an earlier one makes: only then can they be looked for."""
    created: set[str] = set()
    independent = []
    for change in proposed:
        created |= {change.name} if isinstance(change, CreateIndex) else set()
        if not isinstance(change, DropIndex) or change.index.name not in created:
            independent.append(change)
    return tuple(independent)


def list_tables(changes: Iterable[Change], table: TableName) -> tuple[TableName, ...]:
    """The tables whose indexes a snapshot holds: the one of the file and those of the changes, each once."""
    named = [change.table for change in changes if isinstance(change, CreateIndex | MaintainTable)]
    return tuple(dict.fromkeys([table, *named]))
