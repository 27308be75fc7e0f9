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
    """The part of the reading that is not there."""
    why: models.Words
    """What makes it visible, such as a GRANT."""


class SessionsEntry(models.Model):
    """Client sessions of the same database, without burst's own. `active` None: the role does not see what they do."""

    others: models.Count | None
    """Client sessions of the same database, without burst's own; None where the role may not ask."""
    active: models.Count | None
    """How many of them were at work; None where the role does not see what they do."""


class DatabaseIdentity(models.Model):
    """What tells one database from every other: the server by its system identifier and its start, the database by its
    oid. The address is None for a connection by a Unix socket."""

    system_identifier: str | None
    """The identifier that Postgres gave the data when they were made; None where the role may not ask."""
    started_utc: models.Instant
    """When the server process started, by its own clock."""
    address: str | None
    """The server's address as it sees the connection; None of a Unix socket."""
    port: models.Count | None
    """The server's port."""
    database: str
    """The name of the database."""
    database_oid: models.Count
    """The number of the database on its server; a database made anew has another."""
    role: str
    """The role that the DSN logs in as."""
    standby: bool
    """Whether the server was in recovery."""
    sessions: SessionsEntry
    """The client sessions of the same database."""


class HealthEntry(models.Model):
    """Seconds to connect, of one round trip, and by how much the clocks differ."""

    connect_seconds: Annotated[float, pydantic.Field(ge=0)]
    """How long a new connection took."""
    round_trip_seconds: Annotated[float, pydantic.Field(ge=0)]
    """How long the reading of the database's clock took."""
    clock_skew_seconds: float
    """The database's clock minus burst's, at the middle of that round trip."""
    worst_skew_seconds: Annotated[float, pydantic.Field(ge=0)]
    """The largest skew that this reading allows."""
    database_clock_utc: models.Instant
    """The database's clock at that reading."""


class ReplayEntry(models.Model):
    """How far a standby has replayed. `lag_seconds`: since the last transaction that it replayed, 0 where it has
    replayed all that it received; None: it has replayed no transaction yet."""

    replayed_utc: models.Instant | None
    """When the last transaction that was replayed had been committed; None where none was replayed yet."""
    caught_up: bool | None
    """Whether everything received was replayed; None where the standby receives no stream."""
    lag_seconds: float | None
    """Since that commit, 0 where everything received was replayed; None where none was replayed yet."""
    receiver_status: str | None
    """None: there is no receiver, or the role does not see it (`hidden`)."""
    receiver_heard_utc: models.Instant | None
    """When the receiver last heard from the primary; None where there is no receiver, or it is hidden."""


class ServerEntry(models.Model):
    """The server: its version, and whether it is a standby."""

    version: str
    """The version in Postgres' own words."""
    version_number: models.Count
    """The version as a number, such as 160002."""
    standby: bool
    """Whether the server was in recovery."""
    replay: ReplayEntry | None
    """How far a standby has replayed; None of a primary, or where it is hidden."""


class SettingRow(models.Model):
    """One setting that differs from its default. `setting` None: it may hold a secret, and is only known to be set."""

    name: str
    """The name of the setting."""
    setting: str | None
    """What a new session has; None where it may hold a secret."""
    unit: str | None
    """The unit of the value, such as `8kB` or `ms`; None where it has none."""
    source: str
    """Where the value comes from, such as a configuration file or the role."""
    pending_restart: bool
    """Whether a changed value waits for a restart of the server."""


class RoleSettingRow(models.Model):
    """One setting that a role or a database has of its own (ALTER ROLE, ALTER DATABASE ... SET)."""

    held_by: Literal["role", "role in database", "database", "every role"]
    """For which sessions it was set."""
    name: str
    """The name of the setting."""
    setting: str | None
    """Its value; None where it may hold a secret."""


class SafeguardRow(models.Model):
    """A setting that keeps one session from holding the server, as new sessions of the role have it; 0 or off: none."""

    name: str
    """The name of the setting."""
    setting: str
    """What a new session of the role has; 0 or off where nothing guards."""
    unit: str | None
    """The unit of the value; None where it has none."""
    source: str
    """Where the value comes from, such as a configuration file or the role."""


class RoleEntry(models.Model):
    """The role of the DSN, its own settings, and the safeguards of its sessions. A limit of None is no limit."""

    name: str
    """The role that the DSN logs in as."""
    superuser: bool
    """Whether it is a superuser."""
    reads_all_stats: bool
    """Whether it sees the statistics of other roles (`pg_read_all_stats`)."""
    reads_all_settings: bool
    """Whether it sees the settings of superusers (`pg_read_all_settings`)."""
    connection_limit: models.Count | None
    """How many connections the role may have; None where it has no limit."""
    settings: list[RoleSettingRow]
    """What sessions of the role, in this database or in any, begin with."""
    safeguards: list[SafeguardRow]
    """The timeouts and the read-only default of its sessions."""


class ConnectionsEntry(models.Model):
    """Connections that the server, the role and the database allow, and those in use, burst's own included."""

    maximum: models.Count
    """Connections that the server allows (`max_connections`)."""
    superuser_reserved: models.Count
    """How many of them only superusers get."""
    reserved: models.Count
    """For roles with pg_use_reserved_connections (PostgreSQL 16); 0 before."""
    in_use: models.Count
    """Connections that are open on the server, burst's own included."""
    role_limit: models.Count | None
    """How many the role may have; None where it has no limit."""
    role_in_use: models.Count
    """How many the role has."""
    database_limit: models.Count | None
    """How many the database may have; None where it has no limit."""
    database_in_use: models.Count
    """How many the database has."""

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
    """The name of the extension."""
    version: str
    """The version that is installed in the database."""


class IndexRow(models.Model):
    """One index, and how often it was used since the statistics were last reset."""

    name: str
    """The index with its schema."""
    table: str
    """The table or partition that it is of, with its schema."""
    definition: str
    """The statement that makes it, as Postgres writes it."""
    valid: bool
    """Whether queries may use it; a build that was broken off leaves one that they may not."""
    ready: bool
    """Whether writes keep it up to date."""
    unique: bool
    """Whether it allows no two equal keys."""
    primary: bool
    """Whether it is that of the primary key."""
    scans: models.Count | None
    """How often it was used since the statistics were last reset; None where the server counts nothing."""
    size_bytes: models.Count | None
    """Its size in bytes; None of the index of a partitioned table, which holds nothing itself."""


class TableRow(models.Model):
    """One table, or one partition: rows, pages, bloat and vacuum. None: not known, such as before the first ANALYZE,
    and the bloat where the role may not read every column."""

    name: str
    """The table with its schema."""
    kind: Literal["table", "partitioned table", "materialized view"]
    """What Postgres takes it for; a partition is a table."""
    live_rows: models.Count | None
    """Living rows, by the server's statistics; None where it counts nothing."""
    dead_rows: models.Count | None
    """Dead rows that no vacuum has taken away yet; None where the server counts nothing."""
    modified_since_analyze: models.Count | None
    """Rows changed since the last ANALYZE; None where the server counts nothing."""
    last_vacuum_utc: models.Instant | None
    """The last VACUUM that somebody asked for; None where there was none."""
    last_autovacuum_utc: models.Instant | None
    """The last VACUUM that the server began itself; None where there was none."""
    last_analyze_utc: models.Instant | None
    """The last ANALYZE that somebody asked for; None where there was none."""
    last_autoanalyze_utc: models.Instant | None
    """The last ANALYZE that the server began itself; None where there was none."""
    pages: models.Count
    """Its pages by the last VACUUM or ANALYZE."""
    size_bytes: models.Count
    """The size of its rows in bytes, without indexes and TOAST."""
    total_bytes: models.Count
    """The size in bytes with indexes and TOAST."""
    bloat_bytes: models.Count | None
    """Estimated from the statistics of the planner: the bytes beyond what its rows need."""
    frozen_age: models.Count | None
    """Transactions since the oldest row that is not frozen; None for a partitioned table, which has no rows."""


Readable = Literal["all", "some rows", "some columns", "nothing"]
"""What of a table a role may read: `some rows` where a policy of row-level security may hide others."""


class TableEntry(models.Model):
    """The receipts table: itself, or every table that its rows come from, their sum, and their indexes."""

    name: str
    """The table as the plan names it."""
    kind: Literal["table", "partitioned table", "view", "materialized view", "foreign table", "other"]
    """What Postgres takes it for."""
    total: TableRow | None
    """The sum; its vacuum instants are the oldest, its age the largest. None where there is no table behind it."""
    tables: list[TableRow]
    """Every table or partition that its rows come from."""
    indexes: list[IndexRow]
    """Every index of those tables."""
    relation: str | None = None
    """The table with its schema, quoted where SQL needs it; None in a document of an earlier burst."""
    readable: Readable | None = None
    """What of it the role may read; None in a document of an earlier burst."""


class StatementRow(models.Model):
    """One statement on the receipts table, as pg_stat_statements has it: without its values, and cut short."""

    query: str
    """The statement with placeholders for its values, cut short where it is long."""
    calls: models.Count
    """How often it was executed since the statistics were last reset."""
    total_milliseconds: float
    """How long all executions took together."""
    mean_milliseconds: float
    """How long one execution took in the mean."""
    rows: models.Count
    """Rows that all executions returned or changed."""
    pages_hit: models.Count
    """Pages that were read from the server's memory."""
    pages_read: models.Count
    """Pages that were read from the operating system."""


class StatementsEntry(models.Model):
    """Whether pg_stat_statements can be read, how to make it so, and the statements that took longest in all."""

    visible: bool
    """Whether the role can read pg_stat_statements."""
    how: models.Words
    """What makes it readable, or makes more of it visible; empty where nothing is hidden."""
    others_hidden: models.Count
    """Statements of other roles whose text the role does not see."""
    top: list[StatementRow]
    """The statements that name the receipts table and took longest in all."""


class DatabaseReading(models.Model):
    """A database as its role sees it at one instant. None: not visible, for the reason in `hidden`."""

    identity: DatabaseIdentity
    """Which database it is, and on which server."""
    health: HealthEntry
    """How long it takes to connect and to ask, and how far the clocks differ."""
    server: ServerEntry
    """The server's version, and whether it is a standby."""
    role: RoleEntry | None
    """The role of the DSN with its settings; None where it is hidden."""
    connections: ConnectionsEntry | None
    """How many connections there may be and are; None where it is hidden."""
    settings: list[SettingRow] | None
    """The settings that differ from their defaults; None where they are hidden."""
    extensions: list[ExtensionRow] | None
    """The extensions of the database; None where they are hidden."""
    table: TableEntry | None
    """The receipts table with its indexes; None where there is none, or it is hidden."""
    statements: StatementsEntry | None
    """The statements on that table; None where they are hidden."""
    hidden: list[HiddenPart]
    """What the role cannot see; none where it sees everything."""

    @property
    def hidden_parts(self) -> frozenset[str]:
        """The names of what the role does not see."""
        return frozenset(part.part for part in self.hidden)


class DatabaseFinding(models.Model):
    """One finding. `note` asks nothing of anybody; `warning` is for a person to decide; `refused` and `unknown` keep a
    burst from being launched where its plan requires the check."""

    check: str
    """What was looked at, by its id, such as `connect`."""
    status: Literal["passed", "note", "warning", "refused", "unknown"]
    """`note` asks nothing, `warning` is a person's to decide; `refused` and `unknown` keep a burst from its launch."""
    seen: models.Words
    """What was seen."""
    mend: models.Words = ""
    """What to do about it; empty where nothing is to be done."""


class DsnRow(models.Model):
    """One DSN, named by where it stands and never shown. `same` compares its database with the one that is checked."""

    origin: NamedOrigin
    """Where the DSN stands: it is the one `checked`, or in a plan, a variable, or behind `--also`."""
    name: str
    """The key, the variable, or the argument that holds it."""
    shown: str
    """Host, database and role, without any credential."""
    should_be_same: bool
    """Whether it is meant to lead to the database that is checked."""
    same: Literal["checked", "same", "other", "unknown"]
    """Whether it leads there: `checked` is that DSN itself."""
    why: models.Words
    """How the two databases were compared, or why nobody can tell."""
    identity: DatabaseIdentity | None
    """The database that it leads to; None where that could not be read."""


class DatabaseCheck(models.Model):
    """`burst db check`: the findings about a database, the figures behind them, and the DSNs that lead to it."""

    schema_: Annotated[Literal["burst.database/v1"], pydantic.Field(alias="schema")] = "burst.database/v1"
    checked_utc: models.Instant
    """When the check was made, by burst's clock."""
    checked: str
    """The database that was checked: host, database and role."""
    status: Literal["passed", "refused", "unknown"]
    """The worst finding: `refused`, else `unknown`, else `passed`."""
    findings: list[DatabaseFinding]
    """Every finding, those that passed too."""
    reading: DatabaseReading | None
    """None where the database could not be read; the finding `connect` says why."""
    dsns: list[DsnRow]
    """Every DSN that was named, with the database that it leads to."""
    table: str | None = None
    """The table that was looked for, as it was named; None in a document of an earlier burst."""
