"""Role reading: the role that logged in, with its own settings and the safeguards that its sessions have."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy

from burst.adapters.postgres import inspection_statements
from burst.domain.basics import redaction
from burst.domain.database import shown_settings
from burst.domain.documents import database_checks

_SESSION = "session"
"""The source of a setting that burst's own transaction made."""
_SOURCES = {"role in database": "database user", "role": "user", "database": "database", "every role": "global"}


def read_role(connection: sqlalchemy.Connection, redact: Callable[[str], str]) -> database_checks.RoleEntry:
    """The role of a connection. No value that may hold a secret is kept."""
    row = connection.execute(inspection_statements.ROLE).one()
    settings = [
        database_checks.RoleSettingRow(
            held_by=held.held_by,
            name=held.name,
            setting=clean(shown_settings.show_assignment(held.name, held.setting), redact),
        )
        for held in connection.execute(inspection_statements.ROLE_SETTINGS).all()
    ]
    names = {"safeguards": list(inspection_statements.SAFEGUARDS)}
    return database_checks.RoleEntry(
        name=row.name,
        superuser=row.superuser,
        reads_all_stats=row.reads_all_stats,
        reads_all_settings=row.reads_all_settings,
        connection_limit=read_limit(row.connection_limit),
        settings=settings,
        safeguards=[
            database_checks.SafeguardRow(
                name=safeguard.name,
                setting=safeguard.setting,
                unit=safeguard.unit,
                source=name_source(safeguard.name, safeguard.source, settings),
            )
            for safeguard in connection.execute(inspection_statements.SAFEGUARD_ROWS, names).all()
        ],
    )


def name_source(name: str, source: str, own: Sequence[database_checks.RoleSettingRow]) -> str:
    """Where a setting comes from. Of one that burst's transaction sets, too, only the role's own settings tell it."""
    if source != _SESSION:
        return source
    holders = {row.held_by for row in own if row.name == name}
    return next((word for holder, word in _SOURCES.items() if holder in holders), "server or client")


def read_limit(connection_limit: Any) -> int | None:
    """A limit of connections; Postgres writes -1 for none."""
    return None if connection_limit is None or connection_limit < 0 else int(connection_limit)


def clean(text: str | None, redact: Callable[[str], str]) -> str | None:
    """A value without any DSN in it."""
    return None if text is None else redaction.Redactor().text(redact(text), statement=True)
