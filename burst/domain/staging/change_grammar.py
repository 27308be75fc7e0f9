"""The grammar of changes: the few kinds of statements that a stage may apply, read token by token.

No parser is asked, because none fits: the one of Postgres itself comes to Python under a licence that burst cannot take
in, and the others do not know ALTER SYSTEM. So little is allowed that the grammar fits on a page, and whatever is not
recognised is refused with its place. Nothing of the text reaches the server, which gets a statement made of the change.
"""

from collections.abc import Callable

from burst.domain.staging import allowed_settings, changes, sql_tokens

KINDS = (
    "ALTER SYSTEM SET or RESET, ALTER ROLE or DATABASE ... SET or RESET, CREATE INDEX CONCURRENTLY, "
    "DROP INDEX CONCURRENTLY, CREATE EXTENSION, ANALYZE or VACUUM of a table"
)
_METHODS = ("btree", "brin", "hash", "gin", "gist")
_OPTIONS = ("fillfactor", "pages_per_range", "autosummarize", "deduplicate_items", "fastupdate")
_OPERATORS = ("=", "<>", "<", "<=", ">", ">=")
_TYPES = (
    ("timestamp", "with", "time", "zone"), ("timestamp", "without", "time", "zone"), ("character", "varying"),
    ("text",), ("integer",), ("bigint",), ("smallint",), ("numeric",), ("uuid",), ("date",), ("boolean",),
)  # fmt: skip
_ROLE_WORDS = frozenset({"all", "current_role", "current_user", "none", "public", "session_user"})
"""Words that stand for another role than one of that name."""
_KEY_WORDS = frozenset({"asc", "collate", "desc", "nulls"})


class _Reader:
    """Takes tokens one after another; every refusal names the place."""

    def __init__(self, statement: str, *, stop_at: str | None = None) -> None:
        self._tokens = sql_tokens.split_statement(statement, stop_at=stop_at)
        self._next = 0

    @property
    def token(self) -> sql_tokens.SqlToken:
        return self._tokens[self._next]

    def take(self) -> sql_tokens.SqlToken:
        token = self.token
        self._next += token.kind != "end"
        return token

    def refuse(self, allowed: str, token: sql_tokens.SqlToken | None = None) -> sql_tokens.StatementRefused:
        token = token or self.token
        return sql_tokens.StatementRefused(token.at, token.shown, f"expected {allowed}")

    def sees(self, *texts: str) -> bool:
        return self.token.kind in ("word", "symbol") and self.token.text in texts

    def accepts(self, text: str) -> bool:
        if not self.sees(text):
            return False
        self.take()
        return True

    def accept_words(self, *words: str) -> bool:
        """Takes all the words, or none."""
        ahead = self._tokens[self._next : self._next + len(words)]
        if [(token.kind, token.text) for token in ahead] != [("word", word) for word in words]:
            return False
        self._next += len(words)
        return True

    def require(self, *texts: str) -> None:
        for text in texts:
            if not self.accepts(text):
                raise self.refuse(text.upper())

    def require_end(self) -> None:
        if self.token.kind != "end":
            raise self.refuse("the end of the statement")

    def name(self, subject: str) -> str:
        if self.token.kind not in ("word", "name"):
            raise self.refuse(f"the name of {subject}")
        return self.take().text

    def qualified_name(self, subject: str) -> tuple[str, ...]:
        first = self.name(subject)
        return (first, self.name(subject)) if self.accepts(".") else (first,)

    def table(self, subject: str) -> changes.TableName:
        parts = self.qualified_name(subject)
        return changes.TableName(schema=parts[0] if len(parts) == 2 else None, name=parts[-1])

    def name_list(self, subject: str) -> tuple[str, ...]:
        """Names in parentheses."""
        self.require("(")
        names = [self.name(subject)]
        while self.accepts(","):
            names.append(self.name(subject))
        self.require(")")
        return tuple(names)

    def scalar(self, subject: str) -> str:
        """A text, a number or a word."""
        sign = "-" if self.accepts("-") else ""
        if self.token.kind not in (("number",) if sign else ("text", "number", "word")):
            raise self.refuse(f"{subject}: a quoted text, a number or a word")
        return sign + self.take().text


def parse_change(statement: str) -> changes.Statement:
    """The change that a statement asks for. Raises `sql_tokens.StatementRefused`, a ValueError."""
    reader = _Reader(statement)
    change = _read_change(reader)
    reader.require_end()
    return change


def parse_table(name: str) -> changes.TableName:
    """A table by its name, with its schema or without. Raises `sql_tokens.StatementRefused`."""
    reader = _Reader(name)
    table = reader.table("a table")
    reader.require_end()
    return table


def parse_index_definition(definition: str) -> changes.CreateIndex:
    """The index that `pg_get_indexdef` describes.

    Raises `sql_tokens.StatementRefused` for one that burst could not make again: one that is unique, of expressions, or
    in a tablespace of its own.
    """
    reader = _Reader(definition)
    reader.require("create", "index")
    index = _read_index(reader)
    reader.require_end()
    return index


def describes_index(definition: str, change: changes.CreateIndex) -> bool:
    """Whether `pg_get_indexdef` describes an index that a change makes: its table, method, columns, options, and
    whether it has a condition. The condition itself is not compared, because Postgres words it anew."""
    try:
        reader = _Reader(definition, stop_at="where")
        reader.require("create", "index")
        index = _read_index(reader)
        reader.require_end()
    except sql_tokens.StatementRefused:
        return False
    has_condition = reader.token.at < len(definition)
    return (
        index.table.name == change.table.name
        and change.table.schema in (None, index.table.schema)
        and (index.name, index.method, index.include, dict(index.options), has_condition)
        == (change.name, change.method, change.include, dict(change.options), bool(change.conditions))
        and len(index.keys) == len(change.keys)
        and all(map(_is_same_key, index.keys, change.keys))
    )


def _is_same_key(shown: changes.IndexKey, asked: changes.IndexKey) -> bool:
    """Postgres leaves out what is the default, and the schema of what the search path finds."""
    return (
        (shown.column, bool(shown.descending), _puts_nulls_first(shown))
        == (asked.column, bool(asked.descending), _puts_nulls_first(asked))
        and (not shown.collation or shown.collation[-1:] == asked.collation[-1:])
        and (not shown.operators or shown.operators[-1:] == asked.operators[-1:])
    )


def _puts_nulls_first(key: changes.IndexKey) -> bool:
    return bool(key.descending) if key.nulls_first is None else key.nulls_first


def _read_change(reader: _Reader) -> changes.Statement:
    for words, read in _BEGINNINGS:
        if reader.accept_words(*words):
            return read(reader)
    if reader.sees("create", "drop"):
        reader.take()
        if reader.sees("index"):
            raise reader.refuse("INDEX CONCURRENTLY: without it nobody can write to the table meanwhile")
        if reader.sees("unique"):
            raise reader.refuse("INDEX CONCURRENTLY: a unique index is a rule of the table, not a stage of tuning")
    raise reader.refuse(f"one of {KINDS}")


def _read_system(reader: _Reader) -> changes.SetParameter:
    return _read_setting(reader, changes.SettingPlace())


def _read_role(reader: _Reader) -> changes.SetParameter:
    token = reader.token
    role = reader.name("a role")
    if token.kind == "word" and role in _ROLE_WORDS:
        raise reader.refuse("the name of one role", token)
    database = reader.name("a database") if reader.accept_words("in", "database") else None
    return _read_setting(reader, changes.SettingPlace(role=role, database=database))


def _read_database(reader: _Reader) -> changes.SetParameter:
    return _read_setting(reader, changes.SettingPlace(database=reader.name("a database")))


def _read_setting(reader: _Reader, place: changes.SettingPlace) -> changes.SetParameter:
    resets = reader.accepts("reset")
    if not resets and not reader.accepts("set"):
        raise reader.refuse("SET or RESET of a setting")
    token = reader.token
    name = ".".join(reader.qualified_name("a setting")).lower()
    if not allowed_settings.is_allowed(name):
        allowed = "a setting of memory, plans, vacuum, write-ahead log or statistics; change any other by hand"
        raise reader.refuse(allowed, token)
    if resets:
        return changes.SetParameter(place=place, name=name, values=None)
    if not (reader.accepts("=") or reader.accepts("to")):
        raise reader.refuse("= and a value")
    if reader.accept_words("default"):
        return changes.SetParameter(place=place, name=name, values=None)
    return changes.SetParameter(place=place, name=name, values=_read_values(reader, name))


def _read_values(reader: _Reader, name: str) -> tuple[str, ...]:
    is_list = name in allowed_settings.LISTS
    values = []
    while True:
        token = reader.token
        value = reader.scalar("a value")
        if is_list and value not in allowed_settings.LIBRARIES:
            libraries = ", ".join(sorted(allowed_settings.LIBRARIES))
            allowed = f"one library of {libraries}, each a value of its own; for none of them ALTER SYSTEM RESET {name}"
            raise reader.refuse(allowed, token)
        values.append(value)
        if not is_list or not reader.accepts(","):
            return tuple(values)


def _read_create_index(reader: _Reader) -> changes.CreateIndex:
    if reader.sees("if"):
        raise reader.refuse("a name without IF NOT EXISTS: a stage knows whether the index is there")
    if reader.sees("on"):
        raise reader.refuse("the name of the index: without one nobody finds it again")
    return _read_index(reader)


def _read_index(reader: _Reader) -> changes.CreateIndex:
    name = reader.name("the index")
    reader.require("on")
    table = reader.table("a table")
    method = "btree"
    if reader.accepts("using"):
        if not reader.sees(*_METHODS):
            raise reader.refuse(f"one of {', '.join(_METHODS)}")
        method = reader.take().text
    reader.require("(")
    keys = [_read_key(reader)]
    while reader.accepts(","):
        keys.append(_read_key(reader))
    reader.require(")")
    include = reader.name_list("a column") if reader.accepts("include") else ()
    options = _read_options(reader) if reader.accepts("with") else ()
    conditions = _read_conditions(reader) if reader.accepts("where") else ()
    return changes.CreateIndex(
        name=name,
        table=table,
        method=method,
        keys=tuple(keys),
        include=include,
        options=options,
        conditions=conditions,
    )


def _read_key(reader: _Reader) -> changes.IndexKey:
    column = reader.name("a column; an index of expressions is made by hand")
    if reader.sees("("):
        raise reader.refuse("a column; an index of expressions is made by hand")
    collation = reader.qualified_name("a collation") if reader.accepts("collate") else ()
    is_class = reader.token.kind in ("word", "name") and reader.token.text not in _KEY_WORDS
    operators = reader.qualified_name("an operator class") if is_class else ()
    descending = True if reader.accepts("desc") else False if reader.accepts("asc") else None
    nulls_first = None
    if reader.accepts("nulls"):
        if not reader.sees("first", "last"):
            raise reader.refuse("FIRST or LAST")
        nulls_first = reader.take().text == "first"
    return changes.IndexKey(
        column=column, collation=collation, operators=operators, descending=descending, nulls_first=nulls_first
    )


def _read_options(reader: _Reader) -> tuple[tuple[str, str], ...]:
    reader.require("(")
    options = []
    while True:
        if not reader.sees(*_OPTIONS):
            raise reader.refuse(f"one of {', '.join(_OPTIONS)}")
        name = reader.take().text
        reader.require("=")
        options.append((name, reader.scalar("the value of an option")))
        if not reader.accepts(","):
            break
    reader.require(")")
    return tuple(options)


def _read_conditions(reader: _Reader) -> tuple[changes.IndexCondition, ...]:
    """Conditions that all hold, in any parentheses that do not change that."""
    conditions = _read_nested(reader)
    while reader.accepts("and"):
        conditions += _read_nested(reader)
    return conditions


def _read_nested(reader: _Reader) -> tuple[changes.IndexCondition, ...]:
    depth = 0
    while reader.accepts("("):
        depth += 1
        if depth > 8:
            raise reader.refuse("conditions joined by AND, in few parentheses")
    conditions: tuple[changes.IndexCondition, ...] = (_read_condition(reader),)
    for _ in range(depth):
        while reader.accepts("and"):
            conditions += _read_nested(reader)
        reader.require(")")
    return conditions


def _read_condition(reader: _Reader) -> changes.IndexCondition:
    column = reader.name("a column")
    if reader.accept_words("is", "not", "null"):
        return changes.IndexCondition(column=column, operator="IS NOT NULL")
    if reader.accept_words("is", "null"):
        return changes.IndexCondition(column=column, operator="IS NULL")
    if not reader.sees(*_OPERATORS):
        raise reader.refuse(f"one of {', '.join(_OPERATORS)}, IS NULL, IS NOT NULL")
    operator = reader.take().text
    is_number = reader.sees("-") or reader.token.kind == "number"
    if not is_number and reader.token.kind != "text":
        raise reader.refuse("a quoted text or a number")
    operand = reader.scalar("a value")
    type_words = _read_type(reader) if reader.accepts("::") else ""
    return changes.IndexCondition(
        column=column, operator=operator, operand=operand, is_number=is_number, type_words=type_words
    )


def _read_type(reader: _Reader) -> str:
    for words in _TYPES:
        if reader.accept_words(*words):
            return " ".join(words)
    raise reader.refuse(f"one of {', '.join(' '.join(words) for words in _TYPES)}")


def _read_drop_index(reader: _Reader) -> changes.DropIndex:
    if reader.sees("if"):
        raise reader.refuse("a name without IF EXISTS: a stage knows whether the index is there")
    return changes.DropIndex(index=reader.table("an index"))


def _read_extension(reader: _Reader) -> changes.CreateExtension:
    reader.accept_words("if", "not", "exists")
    name = reader.name("an extension")
    reader.accepts("with")
    schema = reader.name("a schema") if reader.accepts("schema") else None
    version = reader.scalar("a version") if reader.accepts("version") else None
    if reader.sees("cascade"):
        raise reader.refuse("one extension: without CASCADE, which brings others")
    return changes.CreateExtension(name=name, schema=schema, version=version)


def _read_analyze(reader: _Reader) -> changes.MaintainTable:
    return changes.MaintainTable(table=reader.table("a table"), vacuum=False, analyze=True)


def _read_vacuum(reader: _Reader) -> changes.MaintainTable:
    if reader.sees("full", "freeze"):
        raise reader.refuse("the name of a table: VACUUM FULL keeps everybody out of it")
    analyze = reader.accepts("analyze")
    if not analyze and reader.accepts("("):
        reader.require("analyze", ")")
        analyze = True
    return changes.MaintainTable(table=reader.table("a table"), vacuum=True, analyze=analyze)


_BEGINNINGS: tuple[tuple[tuple[str, ...], Callable[[_Reader], changes.Statement]], ...] = (
    (("alter", "system"), _read_system),
    (("alter", "role"), _read_role),
    (("alter", "database"), _read_database),
    (("create", "index", "concurrently"), _read_create_index),
    (("drop", "index", "concurrently"), _read_drop_index),
    (("create", "extension"), _read_extension),
    (("analyze",), _read_analyze),
    (("vacuum",), _read_vacuum),
)
