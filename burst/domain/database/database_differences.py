"""Database differences: two checks of a database, before and after, compared row by row.

Compared are version, settings, settings of the role, safeguards, extensions and indexes. What only one of the two roles
could see is no difference, and nobody can tell whether it is one: it is named in `uncompared`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from burst.domain.basics import errors, instants
from burst.domain.documents import database_checks

HIDDEN_VALUE = "(set, hidden)"
_SUPERUSER_SETTINGS = "settings of superusers"
_SECTIONS = ("server", "setting", "role setting", "safeguard", "extension", "index")

Rows = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row that is not the same; None: it is not there."""

    section: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseDifference:
    """The changes from one check to another. Each of the two is named by its database and its instant."""

    before: str
    after: str
    changes: tuple[RowChange, ...]
    uncompared: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether everything that one role saw could be compared."""
        return not self.uncompared

    def value(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "differ": bool(self.changes),
            "changes": [
                {"section": change.section, "name": change.name, "before": change.before, "after": change.after}
                for change in self.changes
            ],
            "uncompared": list(self.uncompared),
        }


def compare(before: database_checks.DatabaseCheck, after: database_checks.DatabaseCheck) -> DatabaseDifference:
    """The changes from one check to another. Raises `errors.EvidenceUnknown` where one holds no reading."""
    readings = [_require_reading(check, name) for check, name in ((before, "A"), (after, "B"))]
    sections = [_read_sections(reading) for reading in readings]
    other_tables = _describe_other_tables(before, after)
    uncompared = [*_list_uncompared(*readings), *([other_tables] if other_tables else [])]
    seen_by_one = _seen_by_one(*readings)
    changes: list[RowChange] = []
    for section in _SECTIONS:
        rows_before, rows_after = (read[section] for read in sections)
        if rows_before is None or rows_after is None or (section == "index" and other_tables):
            continue
        changes += [
            change
            for change in _compare_rows(section, rows_before, rows_after)
            if not (section == "setting" and seen_by_one and None in (change.before, change.after))
        ]
    return DatabaseDifference(
        before=_name_check(before), after=_name_check(after), changes=tuple(changes), uncompared=tuple(uncompared)
    )


def _require_reading(check: database_checks.DatabaseCheck, name: str) -> database_checks.DatabaseReading:
    if check.reading is None:
        raise errors.EvidenceUnknown(
            f"{name} holds no reading, because the database could not be read then "
            f"({instants.text(check.checked_utc)}); check it again"
        )
    return check.reading


def _name_check(check: database_checks.DatabaseCheck) -> str:
    return f"{check.checked} at {instants.text(check.checked_utc)}"


def _describe_other_tables(before: database_checks.DatabaseCheck, after: database_checks.DatabaseCheck) -> str:
    """That the two checks looked at two tables, whose indexes say nothing of each other; empty where they did not."""
    relations, names = zip(*(_name_tables(check) for check in (before, after)), strict=True)
    compared = names if None in relations else relations
    if None in compared or compared[0] == compared[1]:
        return ""
    return f"index: A looked at the table {compared[0]}, B at {compared[1]}; check the same table in both"


def _name_tables(check: database_checks.DatabaseCheck) -> tuple[str | None, str | None]:
    """The table that was found, with its schema, and the one that was asked for; None where a check does not say."""
    table = check.reading.table if check.reading is not None else None
    if table is None:
        return None, check.table
    return table.relation, check.table or table.name


def _read_sections(reading: database_checks.DatabaseReading) -> dict[str, Rows | None]:
    """The rows of each section by name; None where the role does not see the section."""
    role, table = reading.role, reading.table
    sections: dict[str, Rows | None] = {
        "server": {"version": reading.server.version, "standby": str(reading.server.standby).lower()},
        "setting": None if reading.settings is None else _read_settings(reading.settings),
        "role setting": None,
        "safeguard": None,
        "extension": None if reading.extensions is None else {row.name: row.version for row in reading.extensions},
        "index": None if table is None else {index.name: _describe_index(index) for index in table.indexes},
    }
    if table is None and "table" not in reading.hidden_parts:
        sections["index"] = {}  # there is no such table
    if role is not None:
        limit = "none" if role.connection_limit is None else str(role.connection_limit)
        sections["role setting"] = {
            **{f"{row.held_by}: {row.name}": _show(row.setting) for row in role.settings},
            "connection limit": limit,
        }
        sections["safeguard"] = {row.name: f"{row.setting}{row.unit or ''}" for row in role.safeguards}
    return sections


def _read_settings(settings: list[database_checks.SettingRow]) -> Rows:
    return {
        row.name: f"{_show(row.setting)}{row.unit or ''}{' (waits for a restart)' if row.pending_restart else ''}"
        for row in settings
    }


def _show(setting: str | None) -> str:
    return HIDDEN_VALUE if setting is None else setting


def _describe_index(index: database_checks.IndexRow) -> str:
    return index.definition if index.valid and index.ready else f"{index.definition} (not valid)"


def _compare_rows(section: str, before: Rows, after: Rows) -> Iterator[RowChange]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield RowChange(section=section, name=name, before=before.get(name), after=after.get(name))


def _seen_by_one(before: database_checks.DatabaseReading, after: database_checks.DatabaseReading) -> bool:
    """Whether only one of the two roles sees the settings of superusers."""
    return (_SUPERUSER_SETTINGS in before.hidden_parts) != (_SUPERUSER_SETTINGS in after.hidden_parts)


def _list_uncompared(before: database_checks.DatabaseReading, after: database_checks.DatabaseReading) -> Iterator[str]:
    """What could not be compared, because it was read in one of the two alone."""
    sections = (_read_sections(before), _read_sections(after))
    for section in _SECTIONS:
        lacking = [name for name, read in zip("AB", sections, strict=True) if read[section] is None]
        if lacking:
            yield f"{section}: not read in {' and '.join(lacking)}"
    if _seen_by_one(before, after):
        blind = "A" if _SUPERUSER_SETTINGS in before.hidden_parts else "B"
        yield f"settings that superusers alone see: not visible in {blind}"
