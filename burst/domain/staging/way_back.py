"""The way back: from a database as it is to an earlier snapshot, by the things that the stages touched and no others.

What somebody else changed meanwhile is not undone: it stays, and the proof of the roll-back says that it differs.
"""

from collections.abc import Iterable, Iterator, Sequence

from burst.domain.documents import database_snapshots
from burst.domain.staging import allowed_settings, change_grammar, changes

OWN_FILE = "postgresql.auto.conf"
"""The file that ALTER SYSTEM writes."""
Snapshot = database_snapshots.DatabaseSnapshot
_AT_RESTART = ("postmaster", "internal")
"""Contexts of settings that change at a restart, or follow from one that does; those of modules have a dot."""


def plan_way_back(target: Snapshot, present: Snapshot, touched: Sequence[changes.Change]) -> tuple[changes.Change, ...]:
    """The changes that lead from the present to the target, the last change undone first."""
    steps: dict[changes.Change, None] = {}
    for change in reversed(touched):
        steps.update(dict.fromkeys(_undo(target, present, change)))
    return tuple(steps)


def _undo(target: Snapshot, present: Snapshot, change: changes.Change) -> Iterator[changes.Change]:
    if isinstance(change, changes.SetParameter):
        before, now = read_setting(target, change), read_setting(present, change)
        if before != now or _works_otherwise(target, present, change):
            values = None if before is None else split_values(change.name, before)
            yield changes.SetParameter(place=change.place, name=change.name, values=values)
    elif isinstance(change, changes.CreateIndex):
        index = _find_made(target, present, change)
        if index is not None:
            yield changes.DropIndex(index=changes.TableName(schema=index.schema_name, name=index.name))
    elif isinstance(change, changes.DropIndex):
        gone = find_index(target, change.index)
        if gone is not None and gone not in present.indexes:
            yield change_grammar.parse_index_definition(gone.definition)
    elif isinstance(change, changes.CreateExtension) and _has_gained(target, present, change.name):
        yield changes.DropExtension(name=change.name)


def _works_otherwise(target: Snapshot, present: Snapshot, change: changes.SetParameter) -> bool:
    """Whether the server works with another value than the target's: as where its configuration was put back, and the
    process died before the server read it again."""
    return change.place.is_system and _find_effective(target, change.name) != _find_effective(present, change.name)


def _find_effective(snapshot: Snapshot, name: str) -> database_snapshots.EffectiveSetting | None:
    return next((row for row in snapshot.settings if row.name.lower() == name), None)


def read_setting(snapshot: Snapshot, change: changes.SetParameter) -> str | None:
    """The value that a place gives a setting, None where it gives none."""
    place = change.place
    if place.is_system:
        values = [row.value for row in _list_own_lines(snapshot, change)]
        return values[-1] if values else None
    for row in snapshot.role_settings:
        if (row.role, row.database, row.name.lower()) == (place.role, place.database, change.name):
            return row.value
    return None


def _list_own_lines(snapshot: Snapshot, change: changes.SetParameter) -> list[database_snapshots.ConfiguredSetting]:
    """The lines of a setting in the file that ALTER SYSTEM writes."""
    own = [row for row in snapshot.configured or () if row.file.endswith("/" + OWN_FILE)]
    return [row for row in own if row.name.lower() == change.name]


def read_values(snapshot: Snapshot, change: changes.SetParameter) -> tuple[str, ...] | None:
    """The values that a place gives a setting, as a statement names them; None where it gives none."""
    text = read_setting(snapshot, change)
    return None if text is None else split_values(change.name, text)


def find_unreturnable(present: Snapshot, proposed: Iterable[changes.Change]) -> tuple[str, ...]:
    """The changes of settings whose present value could not come back as it is written, in words."""
    named = [change for change in proposed if isinstance(change, changes.SetParameter)]
    return tuple(
        f"{change.words}: {words}" for change in named if (words := _find_unreturnable_setting(present, change))
    )


def _find_unreturnable_setting(present: Snapshot, change: changes.SetParameter) -> str | None:
    text = read_setting(present, change)
    if (text or "").startswith(database_snapshots.MASKED):
        return "the present value may hold a secret and is not kept, so it could not be put back"
    lines = [row.name for row in _list_own_lines(present, change)] if change.place.is_system else []
    if lines not in ([], [change.name]):
        return (
            f"{OWN_FILE} has it as {' and '.join(lines)}, and ALTER SYSTEM leaves one line of {change.name}; "
            f"write that line alone, or ALTER SYSTEM SET {change.name} by hand before"
        )
    if text is not None and _join_values(change.name, split_values(change.name, text)) != text:
        return (
            f"the present list {changes.quote_text(text)} would come back in another form; write it as ALTER SYSTEM "
            "does, such as 'pg_stat_statements, auto_explain', or RESET it by hand before"
        )
    return None


def _join_values(name: str, values: Sequence[str]) -> str:
    """The text that Postgres keeps of the values of a statement."""
    return ", ".join(map(_quote_value, values)) if name in allowed_settings.LISTS else values[0]


def _quote_value(value: str) -> str:
    return changes.quote_name(value) if value else '""'


def find_unheld(present: Snapshot, proposed: Iterable[changes.Change]) -> tuple[str, ...]:
    """The changes of indexes that the snapshots do not hold, or hold two of by that name, in words: nobody could prove
    that they went back."""
    words = []
    for change in proposed:
        if isinstance(change, changes.DropIndex):
            index_name = change.index
        elif isinstance(change, changes.CreateIndex):
            index_name = changes.TableName(schema=change.table.schema, name=change.name)
        else:
            continue
        held = list_indexes(present, index_name)
        if isinstance(change, changes.DropIndex) and not held:
            words.append(
                f"{change.words}: the tables of this file have no such index, so it could not be put back; where it is "
                "of another table, name that table in a change too, such as ANALYZE of it"
            )
        elif len(held) > (1 if isinstance(change, changes.DropIndex) else 0) and index_name.schema is None:
            schemas = ", ".join(index.schema_name for index in held)
            words.append(f"{change.words}: there is an index of this name in schema {schemas}; write the schema too")
    return tuple(words)


def split_values(name: str, text: str) -> tuple[str, ...]:
    """The values of a setting as Postgres keeps it: a list is one text with commas and quotes."""
    if name not in allowed_settings.LISTS:
        return (text,)
    parts = [part.strip() for part in text.split(",")]
    return tuple(part[1:-1].replace('""', '"') if part.startswith('"') and len(part) > 1 else part for part in parts)


def find_index(snapshot: Snapshot, index: changes.TableName) -> database_snapshots.TableIndex | None:
    """The index of a name; without a schema the one whose table the file names."""
    return next(iter(list_indexes(snapshot, index)), None)


def list_indexes(snapshot: Snapshot, index: changes.TableName) -> list[database_snapshots.TableIndex]:
    """The indexes of a name, of which there are several only where it has no schema."""
    return [row for row in snapshot.indexes if row.name == index.name and index.schema in (None, row.schema_name)]


def _find_made(
    target: Snapshot, present: Snapshot, change: changes.CreateIndex
) -> database_snapshots.TableIndex | None:
    """The index that a change made, whole or invalid."""
    name = changes.TableName(schema=change.table.schema, name=change.name)
    return find_index(present, name) if find_index(target, name) is None else None


def has_extension(snapshot: Snapshot, name: str) -> bool:
    """Whether an extension is installed."""
    return any(extension.name == name for extension in snapshot.extensions)


def _has_gained(target: Snapshot, present: Snapshot, name: str) -> bool:
    return has_extension(present, name) and not has_extension(target, name)


def find_differences(target: Snapshot, present: Snapshot) -> tuple[str, ...]:
    """What differs between two snapshots, in words, without the values; empty where their bytes are the same."""
    if target.content() == present.content():
        return ()
    words = [*_compare("identity", [_identify(target)], [_identify(present)])]
    words += _compare("configured", target.configured, present.configured)
    words += _compare("setting", target.settings, present.settings)
    words += _compare("role setting", target.role_settings, present.role_settings)
    words += _compare("extension", target.extensions, present.extensions)
    words += _compare("index", target.indexes, present.indexes)
    words += _compare("table", target.tables, present.tables)
    return tuple(words) or ("the bytes of the documents",)


def _identify(snapshot: Snapshot) -> str:
    return f"{snapshot.system_identifier} {snapshot.database} {snapshot.role}"


def _compare(kind: str, before: Iterable[object] | None, now: Iterable[object] | None) -> Iterator[str]:
    if (before is None) != (now is None):
        yield f"{kind}: the right to read it has changed"
        return
    earlier, later = list(before or ()), list(now or ())
    names = {_name(row): None for row in [*earlier, *later]}
    for name in names:
        was = [row for row in earlier if _name(row) == name]
        is_ = [row for row in later if _name(row) == name]
        if was != is_:
            yield f"{kind} {name}: {'was not there' if not was else 'is gone' if not is_ else 'is another'}"


def _name(row: object) -> str:
    if isinstance(row, database_snapshots.RoleSetting):
        return f"{row.name} of {row.role or 'every role'} in {row.database or 'every database'}"
    if isinstance(row, database_snapshots.ConfiguredSetting):
        return f"{row.name} in {row.file.rpartition('/')[2]}"
    return str(getattr(row, "name", row))


def waits_for_restart(target: Snapshot, present: Snapshot) -> bool:
    """Whether the present differs from the target in nothing but settings that change at a restart."""
    if target.content() == present.content():
        return False
    before, now = ({row.name: row for row in snapshot.settings} for snapshot in (target, present))
    kept = {name: row for name, row in now.items() if name in before or "." not in name}
    kept |= {name: row for name, row in before.items() if row.context in _AT_RESTART or "." in name}
    settled = [kept[name] for name in sorted(kept)]
    return present.model_copy(update={"settings": settled}).content() == target.content()


def find_unmet(snapshot: Snapshot, applied: Sequence[changes.Change]) -> tuple[str, ...]:
    """The changes that a snapshot after them does not show, or that are not in effect, in words."""
    settings = _list_last_settings(applied)
    return (*find_unkept(snapshot, applied), *filter(None, (_find_without_effect(snapshot, each) for each in settings)))


def _list_last_settings(applied: Sequence[changes.Change]) -> list[changes.SetParameter]:
    last = {(change.place, change.name): change for change in applied if isinstance(change, changes.SetParameter)}
    return list(last.values())


def find_unkept(snapshot: Snapshot, applied: Sequence[changes.Change]) -> tuple[str, ...]:
    """The changes that a snapshot after them does not show, in words: because somebody else changed it again."""
    words = [unkept for change in _list_last_settings(applied) if (unkept := _find_unkept_setting(snapshot, change))]
    for change in applied:
        if isinstance(change, changes.CreateIndex):
            index = find_index(snapshot, changes.TableName(schema=change.table.schema, name=change.name))
            if index is None or not index.valid:
                words.append(f"index {change.name} is {'not there' if index is None else 'invalid'}")
            elif not change_grammar.describes_index(index.definition, change):
                words.append(f"index {change.name} is another than the stage made")
        elif isinstance(change, changes.DropIndex) and find_index(snapshot, change.index) is not None:
            words.append(f"index {change.index.name} is still there")
        elif isinstance(change, changes.CreateExtension):
            words += _find_unmet_extension(snapshot, change)
    return tuple(words)


def _find_unmet_extension(snapshot: Snapshot, change: changes.CreateExtension) -> list[str]:
    installed = next((row for row in snapshot.extensions if row.name == change.name), None)
    if installed is None:
        return [f"extension {change.name} is not there"]
    return _find_otherwise_installed(installed, change)


def _find_otherwise_installed(
    installed: database_snapshots.InstalledExtension, change: changes.CreateExtension
) -> list[str]:
    """How an extension that is installed is another than the change asks for, in words."""
    seen = f"extension {change.name} is installed in version {installed.version} and schema {installed.schema_name}"
    asked = (change.version or installed.version, change.schema or installed.schema_name)
    return [] if asked == (installed.version, installed.schema_name) else [seen]


def shows_extension(installed: database_snapshots.InstalledExtension, change: changes.CreateExtension) -> bool:
    """Whether an extension is as a change makes it."""
    return not _find_otherwise_installed(installed, change)


def find_installed(present: Snapshot, proposed: Iterable[changes.Change]) -> tuple[str, ...]:
    """The changes that ask for an extension which is installed in another version or schema, in words: CREATE
    EXTENSION would leave it as it is."""
    return tuple(
        f"{change.words}: {seen}, which a stage does not change; ask for that, or change it by hand before"
        for change in proposed
        if isinstance(change, changes.CreateExtension)
        for installed in present.extensions
        if installed.name == change.name
        for seen in _find_otherwise_installed(installed, change)
    )


def _find_unkept_setting(snapshot: Snapshot, change: changes.SetParameter) -> str | None:
    configured = read_values(snapshot, change)
    if (configured is None) != (change.values is None):
        return f"{change.name} is {'not ' if configured is None else ''}configured"
    return None if configured == change.values else f"{change.name} is configured with another value than the stage's"


def _find_without_effect(snapshot: Snapshot, change: changes.SetParameter) -> str | None:
    row = _find_effective(snapshot, change.name)
    if not change.place.is_system or row is None:
        return None
    from_own_file = row.source == "configuration file" and (row.file or "").endswith("/" + OWN_FILE)
    overridden = row.source in ("user", "database", "database user")
    if change.values is not None and not from_own_file and not overridden:
        return f"{change.name} is configured and not in effect: it comes from {row.source}"
    return None
