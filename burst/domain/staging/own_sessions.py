"""Own sessions: timeouts of a stage that would end the sessions by which burst reads the database and goes back.

A database snapshot is what a new session of the role sees, so such a session keeps the timeouts of role and server.
"""

from collections.abc import Iterable

from burst.domain.documents import database_snapshots
from burst.domain.staging import changes, setting_amounts

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


def _reaches(present: database_snapshots.DatabaseSnapshot, place: changes.SettingPlace) -> bool:
    """Whether sessions of the snapshot's role in its database begin with the setting."""
    return place.role in (None, present.role) and place.database in (None, present.database)


def _is_long(value: str, unit: str | None) -> bool:
    """Whether a timeout is off or long enough; one that nobody can read is neither."""
    amount = setting_amounts.read_amount(value, unit)
    return amount is not None and (amount == 0 or amount >= LEAST_MILLISECONDS)
