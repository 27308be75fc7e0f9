"""The database document: a Postgres database as one role sees it, and the findings about it.

What a role may not see is listed in `hidden` and has no figure, so that nothing unseen reads as zero. The value of a
setting that may hold a secret is never read: such a setting is only known to be set.
"""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

NamedOrigin = Literal["checked", "plan", "variable", "also"]


class HiddenPart(models.Model):
    """A part of the database that the role cannot see, and what makes it visible."""

    part: str
    why: models.Words


class SessionsEntry(models.Model):
    """Client sessions of the same database, without burst's own. `active` None: the role does not see what they do."""

    others: models.Count
    active: models.Count | None


class DatabaseIdentity(models.Model):
    """What tells one database from every other: the server by its system identifier and its start, the database by its
    oid. The address is None for a connection by a Unix socket."""

    system_identifier: str | None
    started_utc: models.Instant
    address: str | None
    port: models.Count | None
    database: str
    database_oid: models.Count
    role: str
    standby: bool
    sessions: SessionsEntry


class HealthEntry(models.Model):
    """Seconds to connect, of one round trip, and by how much the clocks differ."""

    connect_seconds: Annotated[float, pydantic.Field(ge=0)]
    round_trip_seconds: Annotated[float, pydantic.Field(ge=0)]
    clock_skew_seconds: float
    worst_skew_seconds: Annotated[float, pydantic.Field(ge=0)]
    database_clock_utc: models.Instant


class ReplayEntry(models.Model):
    """How far a standby has replayed. `lag_seconds`: since the last transaction that it replayed, 0 where it has
    replayed all that it received; None: it has replayed no transaction yet."""

    replayed_utc: models.Instant | None
    caught_up: bool | None
    lag_seconds: float | None
    receiver_status: str | None
    """None: there is no receiver, or the role does not see it (`hidden`)."""
    receiver_heard_utc: models.Instant | None


class ServerEntry(models.Model):
    """The server: its version, and whether it is a standby."""

    version: str
    version_number: models.Count
    standby: bool
    replay: ReplayEntry | None


class SettingRow(models.Model):
    """One setting that differs from its default. `setting` None: it may hold a secret, and is only known to be set."""

    name: str
    setting: str | None
    unit: str | None
    source: str
    pending_restart: bool


class RoleSettingRow(models.Model):
    """One setting that a role or a database has of its own (ALTER ROLE, ALTER DATABASE ... SET)."""

    held_by: Literal["role", "role in database", "database", "every role"]
    name: str
    setting: str | None


class SafeguardRow(models.Model):
    """A setting that keeps one session from holding the server, as new sessions of the role have it; 0 or off: none."""

    name: str
    setting: str
    unit: str | None
    source: str


class RoleEntry(models.Model):
    """The role of the DSN, its own settings, and the safeguards of its sessions. A limit of None is no limit."""

    name: str
    superuser: bool
    reads_all_stats: bool
    reads_all_settings: bool
    connection_limit: models.Count | None
    settings: list[RoleSettingRow]
    safeguards: list[SafeguardRow]


class ConnectionsEntry(models.Model):
    """Connections that the server, the role and the database allow, and those in use, burst's own included."""

    maximum: models.Count
    superuser_reserved: models.Count
    reserved: models.Count
    """For roles with pg_use_reserved_connections (PostgreSQL 16); 0 before."""
    in_use: models.Count
    role_limit: models.Count | None
    role_in_use: models.Count
    database_limit: models.Count | None
    database_in_use: models.Count

    @property
    def left(self) -> int:
        """The connections that the role can still make."""
        general = self.maximum - self.superuser_reserved - self.reserved - self.in_use
        of_role = general if self.role_limit is None else self.role_limit - self.role_in_use
        of_database = general if self.database_limit is None else self.database_limit - self.database_in_use
        return max(0, min(general, of_role, of_database))


class ExtensionRow(models.Model):
    """One extension of the database."""

    name: str
    version: str


class IndexRow(models.Model):
    """One index, and how often it was used since the statistics were last reset."""

    name: str
    table: str
    definition: str
    valid: bool
    ready: bool
    unique: bool
    primary: bool
    scans: models.Count | None
    size_bytes: models.Count | None


class TableRow(models.Model):
    """One table, or one partition: rows, pages, bloat and vacuum. None: not known, such as before the first ANALYZE."""

    name: str
    kind: Literal["table", "partitioned table", "materialized view"]
    live_rows: models.Count | None
    dead_rows: models.Count | None
    modified_since_analyze: models.Count | None
    last_vacuum_utc: models.Instant | None
    last_autovacuum_utc: models.Instant | None
    last_analyze_utc: models.Instant | None
    last_autoanalyze_utc: models.Instant | None
    pages: models.Count
    size_bytes: models.Count
    total_bytes: models.Count
    """With indexes and TOAST."""
    bloat_bytes: models.Count | None
    """Estimated from the statistics of the planner: the bytes beyond what its rows need."""
    frozen_age: models.Count | None
    """Transactions since the oldest row that is not frozen; None for a partitioned table, which has no rows."""


class TableEntry(models.Model):
    """The receipts table: itself, or every table that its rows come from, their sum, and their indexes."""

    name: str
    kind: Literal["table", "partitioned table", "view", "materialized view", "foreign table", "other"]
    total: TableRow | None
    """The sum; its vacuum instants are the oldest, its age the largest. None where there is no table behind it."""
    tables: list[TableRow]
    indexes: list[IndexRow]


class StatementRow(models.Model):
    """One statement on the receipts table, as pg_stat_statements has it: without its values, and cut short."""

    query: str
    calls: models.Count
    total_milliseconds: float
    mean_milliseconds: float
    rows: models.Count
    pages_hit: models.Count
    pages_read: models.Count


class StatementsEntry(models.Model):
    """Whether pg_stat_statements can be read, how to make it so, and the statements that took longest in all."""

    visible: bool
    how: models.Words
    others_hidden: models.Count
    """Statements of other roles whose text the role does not see."""
    top: list[StatementRow]


class DatabaseReading(models.Model):
    """A database as its role sees it at one instant. None: not visible, for the reason in `hidden`."""

    identity: DatabaseIdentity
    health: HealthEntry
    server: ServerEntry
    role: RoleEntry | None
    connections: ConnectionsEntry | None
    settings: list[SettingRow] | None
    extensions: list[ExtensionRow] | None
    table: TableEntry | None
    statements: StatementsEntry | None
    hidden: list[HiddenPart]

    @property
    def hidden_parts(self) -> frozenset[str]:
        """The names of what the role does not see."""
        return frozenset(part.part for part in self.hidden)


class DatabaseFinding(models.Model):
    """One finding. `note` asks nothing of anybody; `warning` is for a person to decide; `refused` and `unknown` keep a
    burst from being launched where its plan requires the check."""

    check: str
    status: Literal["passed", "note", "warning", "refused", "unknown"]
    seen: models.Words
    mend: models.Words = ""


class DsnRow(models.Model):
    """One DSN, named by where it stands and never shown. `same` compares its database with the one that is checked."""

    origin: NamedOrigin
    name: str
    shown: str
    """Host, database and role, without any credential."""
    should_be_same: bool
    same: Literal["checked", "same", "other", "unknown"]
    why: models.Words
    identity: DatabaseIdentity | None


class DatabaseCheck(models.Model):
    """`burst db check`: the findings about a database, the figures behind them, and the DSNs that lead to it."""

    schema_: Annotated[Literal["burst.database/v1"], pydantic.Field(alias="schema")] = "burst.database/v1"
    checked_utc: models.Instant
    checked: str
    """The database that was checked: host, database and role."""
    status: Literal["passed", "refused", "unknown"]
    findings: list[DatabaseFinding]
    reading: DatabaseReading | None
    """None where the database could not be read; the finding `connect` says why."""
    dsns: list[DsnRow]
