"""Own sessions: what a stage does to the sessions by which burst reads the database, counts and goes back.

A database snapshot is what a new session of the role sees, so such a session keeps the timeouts of role and server. And
a count pays for what its own sessions measure: it tells nothing of a setting that other sessions begin with.
"""

from collections.abc import Iterable, Mapping

from burst.domain.documents import database_snapshots
from burst.domain.staging import changes, setting_amounts, stage_files

LEAST_MILLISECONDS = 10_000.0
"""The time that reading a snapshot may take."""
_TIMEOUTS = frozenset(
    {"statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"}
)


def find_cutting(present: database_snapshots.DatabaseSnapshot, proposed: Iterable[changes.Change]) -> tuple[str, ...]:
    """The changes that leave sessions of the role too little time for a snapshot, in words."""
    units = {row.name: row.unit for row in present.settings}
    return tuple(
        f"{change.words}: sessions of the role of the DSN would end before they could read the database and go back; "
        f"allowed: 0 or at least {LEAST_MILLISECONDS / 1000:g}s, or name another role in the DSN"
        for change in proposed
        if isinstance(change, changes.SetParameter)
        and change.name in _TIMEOUTS
        and change.values is not None
        and _reaches(present, change.place)
        and not _is_long(change.values[0], units.get(change.name))
    )


def find_unmeasured(
    present: database_snapshots.DatabaseSnapshot, stages: Mapping[str, stage_files.StageSection]
) -> tuple[str, ...]:
    """The settings that make the server measure more, and whose overhead the check of their stage would not meet,
    because its sessions do not begin with them, in words."""
    return tuple(
        f"stage {name}: {change.words}: {obstacle}, so its overhead would not be measured; allowed: a check with plan "
        "or command that works in the sessions which begin with it"
        for name, stage in stages.items()
        if stage.check is not None and stage.check.is_own
        for change in stage.observing_settings
        if (obstacle := _find_why_unmeasured(present, change))
    )


def _find_why_unmeasured(present: database_snapshots.DatabaseSnapshot, change: changes.SetParameter) -> str | None:
    own = f"the check works as role {present.role} in database {present.database}"
    if not _reaches(present, change.place):
        return f"{own}, whose sessions do not begin with this"
    for row in present.role_settings:
        place = changes.SettingPlace(role=row.role, database=row.database)
        if row.name.lower() != change.name or not _reaches(present, place):
            continue
        if _rank(place) > _rank(change.place) or (place.is_system and change.place.is_system):
            return f"{own}, which has a value of its own ({row.name} of {row.role or 'every role'} in the catalog)"
    return None


def _rank(place: changes.SettingPlace) -> int:
    """Which of two places wins: that of a role wins over that of a database, and that of both over either."""
    return 2 * (place.role is not None) + (place.database is not None)


def _reaches(present: database_snapshots.DatabaseSnapshot, place: changes.SettingPlace) -> bool:
    """Whether sessions of the snapshot's role in its database begin with the setting."""
    return place.role in (None, present.role) and place.database in (None, present.database)


def _is_long(value: str, unit: str | None) -> bool:
    """Whether a timeout is off or long enough; one that nobody can read is neither."""
    amount = setting_amounts.read_amount(value, unit)
    return amount is not None and (amount == 0 or amount >= LEAST_MILLISECONDS)
