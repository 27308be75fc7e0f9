"""Staged changes in memory: a database with settings, indexes and extensions, and programs that answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from burst import ports
from burst.domain.basics import errors
from burst.domain.documents import database_snapshots
from burst.domain.staging import changes, stage_files, stagings
from tests import fakes

OWN_FILE = "/data/postgresql.auto.conf"
CONTEXTS = {
    "work_mem": "user", "maintenance_work_mem": "user", "random_page_cost": "user", "shared_buffers": "postmaster",
    "track_io_timing": "superuser",
}  # fmt: skip
DEFAULTS = {
    "work_mem": "4MB", "maintenance_work_mem": "64MB", "random_page_cost": "4", "shared_buffers": "128MB",
    "track_io_timing": "off",
}  # fmt: skip
EXTENSIONS = ("pg_stat_statements",)


@dataclass(kw_only=True)
class MemoryServer:
    """What several connections share: the state, and who holds the lock."""

    started_at: datetime = fakes.START
    configured: dict[str, str] = field(default_factory=dict)
    effective: dict[str, str] = field(default_factory=dict)
    role_settings: dict[tuple[str | None, str | None, str], str] = field(default_factory=dict)
    indexes: dict[str, database_snapshots.TableIndex] = field(default_factory=dict)
    extensions: list[str] = field(default_factory=list)
    holder: "MemoryStagedDatabase | None" = None

    def restart(self) -> None:
        """Puts in effect what waits for a restart."""
        self.started_at = replace_minute(self.started_at)
        self.effective = dict(self.configured)


def replace_minute(moment: datetime) -> datetime:
    """A later instant."""
    return moment.replace(year=moment.year + 1)


class MemoryStagedDatabase:
    """`ports.StagedDatabase` without a database. `refused` statements are refused by their words."""

    def __init__(self, server: MemoryServer | None = None, refused: Sequence[str] = ()) -> None:
        self.server = server or MemoryServer()
        self.refused = refused

    def take_lock(self) -> None:
        if self.server.holder not in (None, self):
            raise errors.Conflict("staged changes are at work on this server already")
        self.server.holder = self

    def require_lock(self) -> None:
        if self.server.holder is not self:
            raise errors.Unavailable("the lock of staged changes was lost")

    def close(self) -> None:
        if self.server.holder is self:
            self.server.holder = None

    def identify(self) -> stagings.StagedIdentity:
        return stagings.StagedIdentity(
            system_identifier="7", database="ingest", role="burst", version_number=180000, standby=False,
            server_started_at=self.server.started_at,
        )  # fmt: skip

    def find_obstacles(self, wanted: Sequence[changes.Change]) -> Sequence[str]:
        obstacles = []
        for change in wanted:
            if isinstance(change, changes.SetParameter) and change.name not in CONTEXTS:
                obstacles.append(f"{change.words}: the server has no such setting")
            if isinstance(change, changes.CreateIndex | changes.MaintainTable) and change.table.name != "receipts":
                obstacles.append(f"{change.words}: there is no such table")
            if isinstance(change, changes.DropIndex) and change.index.name not in self.server.indexes:
                obstacles.append(f"{change.words}: there is no such index")
            if isinstance(change, changes.CreateIndex) and change.name in self.server.indexes:
                obstacles.append(f"{change.words}: something has this name already")
            if isinstance(change, changes.CreateExtension) and change.name not in EXTENSIONS:
                obstacles.append(f"{change.words}: the server has no such extension")
        return obstacles

    def read_snapshot(self, tables: Sequence[changes.TableName]) -> database_snapshots.DatabaseSnapshot:
        server = self.server
        return database_snapshots.DatabaseSnapshot(
            system_identifier="7",
            database="ingest",
            role="burst",
            configured=[
                database_snapshots.ConfiguredSetting(file=OWN_FILE, name=name, value=value)
                for name, value in sorted(server.configured.items())
            ],
            settings=[self._setting(name) for name in sorted(DEFAULTS)],
            role_settings=[
                database_snapshots.RoleSetting(database=database, role=role, name=name, value=value)
                for (database, role, name), value in sorted(server.role_settings.items(), key=str)
            ],
            extensions=[
                database_snapshots.InstalledExtension(name=name, version="1", schema_name="public")
                for name in sorted(server.extensions)
            ],
            indexes=[server.indexes[name] for name in sorted(server.indexes)],
            tables=["public.receipts"] if any(table.name == "receipts" for table in tables) else [],
        )

    def _setting(self, name: str) -> database_snapshots.EffectiveSetting:
        own = name in self.server.effective
        value = self.server.effective.get(name, DEFAULTS[name])
        return database_snapshots.EffectiveSetting(
            name=name,
            value=value,
            unit=None,
            source="configuration file" if own else "default",
            file=OWN_FILE if own else None,
            reset=value,
            context=CONTEXTS[name],
        )

    def list_pending(self) -> Sequence[str]:
        waiting = {*self.server.configured.items()} ^ {*self.server.effective.items()}
        return sorted({name for name, _ in waiting})

    def apply(self, statement: changes.Statement) -> None:
        if statement.words in self.refused:
            raise errors.Refused(f"{statement.words}: the server says no")
        match statement:
            case changes.SetParameter():
                self._set(statement)
            case changes.CreateIndex():
                self.server.indexes.setdefault(statement.name, make_index(statement))
            case changes.DropIndex():
                self.server.indexes.pop(statement.index.name, None)
            case changes.CreateExtension():
                if statement.name not in self.server.extensions:
                    self.server.extensions.append(statement.name)
            case changes.DropExtension():
                if statement.name in self.server.extensions:
                    self.server.extensions.remove(statement.name)
            case changes.MaintainTable():
                pass

    def _set(self, change: changes.SetParameter) -> None:
        server = self.server
        if not change.place.is_system:
            key = (change.place.database, change.place.role, change.name)
            server.role_settings.pop(key, None)
            if change.values is not None:
                server.role_settings[key] = ", ".join(change.values)
            return
        for kept in (server.configured, server.effective):
            if kept is server.effective and CONTEXTS[change.name] == "postmaster":
                continue
            kept.pop(change.name, None)
            if change.values is not None:
                kept[change.name] = ", ".join(change.values)

    def measure_count(self, table: changes.TableName, cost: stage_files.CountCost) -> Mapping[str, float]:
        return {"seconds": 0.25, "least_seconds": 0.2, "pages": 4.0, "receipts": 0.0}


def make_index(change: changes.CreateIndex) -> database_snapshots.TableIndex:
    """The index of a change, as the catalog shows it."""
    table = replace(change.table, schema="public")
    return database_snapshots.TableIndex(
        schema_name="public",
        name=change.name,
        table=table.words,
        definition=replace(change, table=table).words.replace(" CONCURRENTLY", ""),
        tablespace="pg_default",
        valid=True,
        ready=True,
        clustered=False,
        replica_identity=False,
        constraint=None,
        comment=None,
    )


class CannedPrograms:
    """`ports.ProgramRunner` that knows a few programs of every machine: true, false, echo and sleep."""

    def run(self, argv: Sequence[str], *, seconds_max: float) -> ports.ProgramAnswer:
        name, words = argv[0], list(argv[1:])
        if name not in ("true", "false", "echo", "sleep"):
            raise errors.Refused(f"{name} cannot be started; name a program that is on this machine")
        if name == "sleep" and float(words[0]) > seconds_max:
            raise errors.Refused(f"{name} did not end within {seconds_max:g} s and was killed; give it more time")
        output = " ".join(words).encode() + b"\n" if name == "echo" else b""
        return ports.ProgramAnswer(exit_code=int(name == "false"), output=output, complaint="")


class MemoryKeptPrograms:
    """`ports.KeptPrograms` on canned programs, which end at once."""

    def __init__(self) -> None:
        self._programs = CannedPrograms()
        self.answers: dict[str, ports.ProgramAnswer] = {}

    def run(self, name: str, argv: Sequence[str], *, seconds_max: float) -> ports.ProgramAnswer:
        if name not in self.answers:
            self.answers[name] = self._programs.run(argv, seconds_max=seconds_max)
        return self.answers[name]

    def await_earlier(self, say: Callable[[str], None]) -> None:
        pass

    def forget(self, name: str) -> None:
        self.answers.pop(name, None)
