"""A database in memory, whose state a test sets; the contract suite keeps it honest."""

from collections.abc import Callable
from datetime import UTC, datetime

from burst.domain.basics import errors
from burst.domain.documents import database_checks

STARTED = datetime(2026, 2, 21, 1, 0, tzinfo=UTC)
IDENTITY = database_checks.DatabaseIdentity(
    system_identifier="7400000000000000001",
    started_utc=STARTED,
    address="10.0.0.5",
    port=5432,
    database="ingest",
    database_oid=16384,
    role="burst_reader",
    standby=False,
    sessions=database_checks.SessionsEntry(others=4, active=1),
)
SAFEGUARDS = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "60000",
    "lock_timeout": "5000",
    "statement_timeout": "60000",
}


def role(**changes: object) -> database_checks.RoleEntry:
    """A role with every safeguard, but for the changes."""
    safeguards = [
        database_checks.SafeguardRow(name=name, setting=setting, unit=None, source="user")
        for name, setting in SAFEGUARDS.items()
    ]
    entry = database_checks.RoleEntry(
        name="burst_reader", superuser=False, reads_all_stats=True, reads_all_settings=True, connection_limit=10,
        settings=[], safeguards=safeguards,
    )  # fmt: skip
    return entry.model_copy(update=changes)


def table_row(name: str = "public.receipts", **changes: object) -> database_checks.TableRow:
    """A table in good order, but for the changes."""
    row = database_checks.TableRow(
        name=name, kind="table", live_rows=1000, dead_rows=0, modified_since_analyze=0, last_vacuum_utc=STARTED,
        last_autovacuum_utc=None, last_analyze_utc=STARTED, last_autoanalyze_utc=None, pages=20, size_bytes=163840,
        total_bytes=200000, bloat_bytes=0, frozen_age=1000,
    )  # fmt: skip
    return row.model_copy(update=changes)


def index_row(name: str = "public.receipts_scope", **changes: object) -> database_checks.IndexRow:
    """An index in good order, but for the changes."""
    row = database_checks.IndexRow(
        name=name, table="public.receipts", definition=f"CREATE INDEX {name}", valid=True, ready=True, unique=False,
        primary=False, scans=7, size_bytes=16384,
    )  # fmt: skip
    return row.model_copy(update=changes)


def reading(**changes: object) -> database_checks.DatabaseReading:
    """A database in good order, but for the changes."""
    table = database_checks.TableEntry(
        name="receipts", kind="table", total=table_row(), tables=[table_row()], indexes=[index_row()]
    )
    read = database_checks.DatabaseReading(
        identity=IDENTITY,
        health=database_checks.HealthEntry(
            connect_seconds=0.01, round_trip_seconds=0.001, clock_skew_seconds=0.0, worst_skew_seconds=0.0005,
            database_clock_utc=STARTED,
        ),
        server=database_checks.ServerEntry(version="18.1", version_number=180001, standby=False, replay=None),
        role=role(),
        connections=database_checks.ConnectionsEntry(
            maximum=100, superuser_reserved=3, reserved=0, in_use=10, role_limit=10, role_in_use=1,
            database_limit=None, database_in_use=5,
        ),
        settings=[
            database_checks.SettingRow(
                name="shared_buffers", setting="16384", unit="8kB", source="configuration file", pending_restart=False
            )
        ],
        extensions=[database_checks.ExtensionRow(name="plpgsql", version="1.0")],
        table=table,
        statements=database_checks.StatementsEntry(visible=True, how="", others_hidden=0, top=[]),
        hidden=[],
    )  # fmt: skip
    return read.model_copy(update=changes)


def check(**changes: object) -> database_checks.DatabaseCheck:
    """The document of a check of a database in good order, but for the changes."""
    document = database_checks.DatabaseCheck(
        checked_utc=STARTED,
        checked="10.0.0.5:5432/ingest as burst_reader",
        status="passed",
        findings=[database_checks.DatabaseFinding(check="connect", status="passed", seen="it answers")],
        reading=reading(),
        dsns=[
            database_checks.DsnRow(
                origin="checked", name="--dsn env:IG_ADMISSION_DSN", shown="10.0.0.5:5432/ingest as burst_reader",
                should_be_same=True, same="checked", why="", identity=IDENTITY,
            )
        ],
    )  # fmt: skip
    return document.model_copy(update=changes)


class MemoryDatabaseInspector:
    """`ports.DatabaseInspector` over one reading. `failures` is how many of the next questions find it away."""

    def __init__(self, state: database_checks.DatabaseReading, *, now: Callable[[], datetime]) -> None:
        self.state, self.failures, self._now = state, 0, now

    def inspect(self, table: str, *, give_up_at: datetime) -> database_checks.DatabaseReading:
        self._answer(give_up_at)
        there = self.state.table is not None and self.state.table.name == table
        return self.state if there else self.state.model_copy(update={"table": None})

    def identify(self, *, give_up_at: datetime) -> database_checks.DatabaseIdentity:
        self._answer(give_up_at)
        return self.state.identity

    def _answer(self, give_up_at: datetime) -> None:
        if self._now() >= give_up_at or self.failures > 0:
            self.failures -= 1
            raise errors.Unavailable("the database is away, or there is no time left to ask")
