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
    name: str
    value: str | None


class EffectiveSetting(models.Model):
    """One setting as a new session of the role has it."""

    name: str
    value: str | None
    unit: str | None
    source: str
    file: str | None
    reset: str | None
    context: str
    """When it can change, in the words of Postgres; `postmaster`: at a restart alone."""


class RoleSetting(models.Model):
    """What sessions of a role, in a database or of both begin with; None is every one."""

    database: str | None
    role: str | None
    name: str
    value: str


class InstalledExtension(models.Model):
    """An extension of the database."""

    name: str
    version: str
    schema_name: str


class TableIndex(models.Model):
    """An index of a table that the file names, or of its partitions. `definition` is `pg_get_indexdef`."""

    schema_name: str
    name: str
    table: str
    definition: str
    valid: bool
    ready: bool
    clustered: bool
    replica_identity: bool
    constraint: str | None
    comment: str | None


class DatabaseSnapshot(models.Model):
    """`snapshot_{digest}.json`: one database as it is configured and as it works, each list in the order of names."""

    schema_: Annotated[Literal["burst.database-snapshot/v1"], pydantic.Field(alias="schema")] = (
        "burst.database-snapshot/v1"
    )
    system_identifier: str | None
    database: str
    role: str
    configured: list[ConfiguredSetting] | None
    """The configuration files; None where the role may not read them."""
    settings: list[EffectiveSetting]
    role_settings: list[RoleSetting]
    extensions: list[InstalledExtension]
    indexes: list[TableIndex]
    tables: list[str]
    """The tables whose indexes are here, partitions among them."""


def make_name(digest: str) -> str:
    """The name of a snapshot's document: its own digest, so that the same bytes are the same document."""
    return f"snapshot_{digest[:32]}.json"
