"""Identities: whether two DSNs reach the same database, from what each database says of itself.

The answer is one of three, and `unknown` is never taken for the same. In order:

1. another oid or name of the database, or two system identifiers that differ: another database;
2. another start of the server, which is known to the microsecond: another server (a standby and a copy of a server have
   its system identifier, and are not the same database);
3. both system identifiers known: the same database;
4. without one, address and port of the server decide: the same where both are known and equal, else unknown, because
   one server may have several addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from burst.domain.documents import database_checks

Sameness = Literal["same", "other", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DsnComparison:
    """Whether two identities are of one database, and why."""

    same: Sameness
    why: str


def compare(first: database_checks.DatabaseIdentity, second: database_checks.DatabaseIdentity) -> DsnComparison:
    """Whether two identities are of one database."""
    systems = first.system_identifier, second.system_identifier
    if (first.database_oid, first.database) != (second.database_oid, second.database):
        return DsnComparison(same="other", why=f"database {second.database}, not {first.database}")
    if None not in systems and systems[0] != systems[1]:
        return DsnComparison(same="other", why="another system identifier")
    if first.started_utc != second.started_utc:
        kin = "a standby or a copy of it" if None not in systems else "by the start of its server"
        return DsnComparison(same="other", why=f"another server: {kin}")
    if None not in systems:
        return DsnComparison(same="same", why=f"system identifier {first.system_identifier}")
    if None not in (first.address, second.address) and (first.address, first.port) == (second.address, second.port):
        return DsnComparison(same="same", why="address, port, database and start of the server")
    return DsnComparison(
        same="unknown", why="the system identifier is not visible to both roles, and the addresses do not tell"
    )


def list_strays(rows: Sequence[database_checks.DsnRow], same: Sameness) -> tuple[database_checks.DsnRow, ...]:
    """The DSNs that should reach the database that is checked, and of which this is the answer instead."""
    return tuple(row for row in rows if row.should_be_same and row.same == same)
