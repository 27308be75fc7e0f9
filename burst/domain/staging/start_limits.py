"""Start limits: values that Postgres takes while it runs, and with which it does not start any more.

Postgres holds a setting against the others, and against what it has on disk, only when it starts. A stage would pass,
and the next restart, perhaps in a month, would leave no server that could be asked to go back.
"""

from dataclasses import dataclass

from burst.domain.staging import setting_amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFacts:
    """What a server holds its settings against when it starts. `reserved_connections`: those of superusers too."""

    wal_level: str
    wal_segment_bytes: int
    reserved_connections: int
    replication_slots: int
    prepared_transactions: int


LIMITED = frozenset(
    {
        "max_connections",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_wal_size",
        "min_wal_size",
    }
)
"""The settings that keep a server from starting."""


def describe_unstartable(facts: StartFacts, name: str, value: str, unit: str | None) -> str | None:
    """Why the server would not start with a value, in words; None where it would, or where it takes no such value."""
    amount = setting_amounts.read_amount(value, unit)
    if name not in LIMITED or amount is None:
        return None
    if name == "max_wal_senders":
        if amount <= 0 or facts.wal_level != "minimal":
            return None
        return "the server would not start with it: with wal_level minimal max_wal_senders has to be 0"
    least, shown, reason = _find_least(facts, name)
    return None if amount >= least else f"the server would not start with it: allowed: at least {shown}, {reason}"


def _find_least(facts: StartFacts, name: str) -> tuple[int, str, str]:
    """The least amount with which the server starts, how a person writes it, and why it is that."""
    if name == "max_connections":
        least = facts.reserved_connections + 1
        return least, str(least), "one more than superuser_reserved_connections and reserved_connections together"
    if name == "max_replication_slots":
        return facts.replication_slots, str(facts.replication_slots), "because so many replication slots are there"
    if name == "max_prepared_transactions":
        prepared = facts.prepared_transactions
        return prepared, str(prepared), "because so many prepared transactions wait for their end; end them before"
    least = 2 * facts.wal_segment_bytes
    return least, f"{least >> 20}MB", "twice wal_segment_size"
