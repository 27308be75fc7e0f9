"""A database check, and the differences of two, as text for a terminal."""

from collections.abc import Iterator
from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.database import database_differences
from burst.domain.documents import database_checks
from burst.report import terminal

_WORDS = {"passed": "ok  ", "note": "note", "warning": "warn", "unknown": "????", "refused": "FAIL"}
_LONGEST_CELL = 90


def render_check(check: database_checks.DatabaseCheck) -> str:
    """Findings first, then what was read: DSNs, role, settings, table, indexes, statements."""
    lines = [f"{check.checked} at {instants.text(check.checked_utc)}: {check.status}", *_findings(check)]
    parts = [_dsns(check.dsns)]
    if check.reading is not None:
        parts += [
            _role(check.reading.role),
            _settings(check.reading.settings),
            _table(check.reading.table),
            _statements(check.reading.statements),
        ]
    return "\n".join([*map(terminal.plain, lines), *("\n" + part for part in parts if part)])


def render_difference(difference: database_differences.DatabaseDifference) -> str:
    """A row for each change, and what could not be compared."""
    lines = [f"A: {difference.before}", f"B: {difference.after}"]
    lines += [f"not compared: {words}" for words in difference.uncompared]
    if not difference.changes:
        lines.append("nothing that was compared differs")
        return "\n".join(map(terminal.plain, lines))
    rows = [("SECTION", "NAME", "A", "B")]
    rows += [
        (change.section, change.name, _cut(change.before or "-"), _cut(change.after or "-"))
        for change in difference.changes
    ]
    return "\n".join([*map(terminal.plain, lines), terminal.table(rows)])


def _findings(check: database_checks.DatabaseCheck) -> Iterator[str]:
    for finding in check.findings:
        yield f"{_WORDS[finding.status]} {finding.check}: {finding.seen}"
        if finding.mend:
            yield f"     mend: {finding.mend}"


def _dsns(dsns: list[database_checks.DsnRow]) -> str:
    head = ("DSN", "REACHES", "DATABASE", "SESSIONS", "ACTIVE", "WHY")
    rows = [(row.name, _cut(row.shown), row.same, *_count_sessions(row.identity), _cut(row.why or "-")) for row in dsns]
    return terminal.table([head, *rows])


def _count_sessions(identity: database_checks.DatabaseIdentity | None) -> tuple[str, str]:
    if identity is None:
        return "-", "-"
    sessions = identity.sessions
    return "hidden" if sessions.others is None else str(sessions.others), "hidden" if sessions.active is None else str(
        sessions.active
    )


def _role(role: database_checks.RoleEntry | None) -> str:
    if role is None:
        return ""
    rows = [("ROLE", "SETTING", "VALUE", "HELD BY")]
    rows += [(role.name, row.name, _cut(_value(row.setting)), row.held_by) for row in role.settings]
    own = {row.name for row in role.settings}
    rows += [
        (role.name, row.name, f"{row.setting}{row.unit or ''}", row.source)
        for row in role.safeguards
        if row.name not in own
    ]
    return terminal.table(rows)


def _settings(settings: list[database_checks.SettingRow] | None) -> str:
    if not settings:
        return ""
    rows = [("SETTING", "VALUE", "UNIT", "SOURCE")]
    rows += [(row.name, _cut(_value(row.setting)), row.unit or "", row.source) for row in settings]
    return terminal.table(rows)


def _value(setting: str | None) -> str:
    return database_differences.HIDDEN_VALUE if setting is None else setting


def _table(table: database_checks.TableEntry | None) -> str:
    if table is None:
        return ""
    head = ("TABLE", "LIVE", "DEAD", "PAGES", "BYTES", "BLOAT", "VACUUMED", "ANALYZED", "AGE")
    listed = [*table.tables, *([table.total] if table.total is not None and len(table.tables) > 1 else [])]
    rows = [
        (
            row.name if row is not table.total else "(sum)",
            *map(_figure, (row.live_rows, row.dead_rows, row.pages, row.size_bytes, row.bloat_bytes)),
            _latest(row.last_vacuum_utc, row.last_autovacuum_utc),
            _latest(row.last_analyze_utc, row.last_autoanalyze_utc),
            _figure(row.frozen_age),
        )
        for row in listed
    ]
    indexes = [("INDEX", "SCANS", "BYTES", "VALID", "DEFINITION")]
    indexes += [
        (
            index.name,
            _figure(index.scans),
            _figure(index.size_bytes),
            "yes" if index.valid and index.ready else "NO",
            _cut(index.definition),
        )
        for index in table.indexes
    ]
    return "\n\n".join([terminal.table([head, *rows]), terminal.table(indexes)])


def _statements(statements: database_checks.StatementsEntry | None) -> str:
    if statements is None or not statements.top:
        return ""
    rows = [("CALLS", "MEAN MS", "TOTAL MS", "READ", "HIT", "STATEMENT")]
    rows += [
        (
            str(row.calls),
            f"{row.mean_milliseconds:.2f}",
            f"{row.total_milliseconds:.1f}",
            wording.format_count(row.pages_read, "page"),
            wording.format_count(row.pages_hit, "page"),
            _cut(row.query),
        )
        for row in statements.top
    ]
    return terminal.table(rows)


def _figure(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _latest(*moments: datetime | None) -> str:
    instants_known = [moment for moment in moments if moment is not None]
    return instants.text(max(instants_known)) if instants_known else "never"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
