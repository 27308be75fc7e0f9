"""Database snapshots: settings, settings of roles, indexes and extensions of one database, as canonical bytes.

Nothing in it passes by itself: no instant, no counter, no identity that changes when a thing is made again. So two
snapshots of a database that was changed and changed back are the same bytes.
"""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models

MASKED = "sha256:"
"""How a value begins that may hold a secret, and of which only the digest is kept."""


class ConfiguredSetting(models.Model):
    """One line of a configuration file of the server; `value` is masked where it may hold a secret."""

    file: str
    """The path of the file on the server."""
    name: str
    """The name of the setting."""
    value: str | None
    """Its value in the file; a digest where it may hold a secret."""


class EffectiveSetting(models.Model):
    """One setting as a new session of the role has it."""

    name: str
    """The name of the setting."""
    value: str | None
    """What the new session has; a digest where it may hold a secret, None where Postgres shows none."""
    unit: str | None
    """The unit of the value; None where it has none."""
    source: str
    """Where the value comes from, in the words of Postgres."""
    file: str | None
    """The configuration file that it comes from; None where it comes from none."""
    reset: str | None
    """What RESET would set; a digest where it may hold a secret, None where Postgres shows none."""
    context: str
    """When it can change, in the words of Postgres; `postmaster`: at a restart alone."""


class RoleSetting(models.Model):
    """What sessions of a role, in a database or of both begin with; None is every one."""

    database: str | None
    """The database whose sessions begin with it; None: those of every database."""
    role: str | None
    """The role whose sessions begin with it; None: those of every role."""
    name: str
    """The name of the setting."""
    value: str
    """Its value; a digest where it may hold a secret."""


class InstalledExtension(models.Model):
    """An extension of the database."""

    name: str
    """The name of the extension."""
    version: str
    """The version that is installed in the database."""
    schema_name: str
    """The schema that its objects are in."""


class TableIndex(models.Model):
    """An index of a table that the file names, or of its partitions. `definition` is `pg_get_indexdef`."""

    schema_name: str
    """The schema of the index."""
    name: str
    """The name of the index, without its schema."""
    table: str
    """The table or partition that it is of."""
    definition: str
    """The statement that makes it, as `pg_get_indexdef` writes it."""
    tablespace: str
    """The tablespace that it is in, which `definition` does not say."""
    valid: bool
    """Whether queries may use it."""
    ready: bool
    """Whether writes keep it up to date."""
    clustered: bool
    """Whether the table was last clustered by it."""
    replica_identity: bool
    """Whether it identifies rows for logical replication."""
    constraint: str | None
    """The key or exclusion constraint that it serves; None where it serves none."""
    comment: str | None
    """The comment on it; None where it has none."""


class DatabaseSnapshot(models.Model):
    """`snapshot_{digest}.json`: one database as it is configured and as it works, each list in the order of names."""

    schema_: Annotated[Literal["burst.database-snapshot/v1"], pydantic.Field(alias="schema")] = (
        "burst.database-snapshot/v1"
    )
    system_identifier: str | None
    """The identifier that Postgres gave the data when they were made; None where the role may not ask."""
    database: str
    """The name of the database."""
    role: str
    """The role that read it."""
    configured: list[ConfiguredSetting] | None
    """The configuration files; None where the role may not read them."""
    settings: list[EffectiveSetting]
    """Every setting as a new session of the role has it, without those that reading changes."""
    role_settings: list[RoleSetting]
    """What sessions of roles and databases of this server begin with."""
    extensions: list[InstalledExtension]
    """The extensions of the database."""
    indexes: list[TableIndex]
    """The indexes of the tables in `tables`."""
    tables: list[str]
    """The tables whose indexes are here, partitions among them."""


def make_name(digest: str) -> str:
    """The name of a snapshot's document: its own digest, so that the same bytes are the same document."""
    return f"snapshot_{digest[:32]}.json"
