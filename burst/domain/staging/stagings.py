"""Stagings: the state of staged changes, as their journal describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from burst.domain.documents import database_stages

PauseKind: TypeAlias = Literal["confirm", "condition", "restart", "regression", "restart-back"]
PAUSE_WORDS: Mapping[PauseKind, str] = {
    "confirm": "the stage asks for a person before it begins",
    "condition": "a condition of the stage asks for a person",
    "restart": "the server has to be restarted",
    "regression": "a figure is worse than before, and within its red line",
    "restart-back": "the server has to be restarted for the way back",
}
Moment: TypeAlias = Literal["before", "after", "rolled-back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedIdentity:
    """The database that is changed. `server_started_at` tells whether the server was restarted."""

    system_identifier: str | None
    database: str
    role: str
    version_number: int
    standby: bool
    server_started_at: datetime

    def is_same(self, identity: "StagedIdentity") -> bool:
        """Whether both are one database, seen by one role."""
        return (self.system_identifier, self.database, self.role) == (
            identity.system_identifier,
            identity.database,
            identity.role,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPause:
    """A pause: nothing goes on until the operator says so."""

    kind: PauseKind
    stage: str
    reason: str
    server_started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneChange:
    """A change that was begun, and when it was done."""

    words: str
    rolling_back: bool
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """One stage so far."""

    snapshots: Mapping[Moment, database_stages.SnapshotReference] = field(default_factory=dict)
    figures: Mapping[Moment, Mapping[str, float]] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    regressions: tuple[str, ...] = ()
    allowed: frozenset[PauseKind] = frozenset()
    """The pauses after which the operator said go."""
    pauses: tuple[str, ...] = ()
    applied: int = 0
    changes: tuple[DoneChange, ...] = ()
    lines: tuple[database_stages.JudgedLine, ...] | None = None
    passed: bool = False

    @property
    def begun(self) -> int:
        """The changes of the stage that were begun: those that were applied, and the one that was cut or refused."""
        intended = [change for change in self.changes if not change.rolling_back]
        return self.applied + (len(intended) > self.applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackState:
    """A roll-back so far. `stage`: the one whose red line was broken; empty where the operator asked for it between two
    stages."""

    stage: str
    reason: str
    applied: bool = False
    restarted: bool = False
    waits_for_restart: bool = False
    equal: bool | None = None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """Staged changes of one database so far."""

    staging_id: str = ""
    stage_file: database_stages.SnapshotReference | None = None
    dsn_reference: str = ""
    environment: str = ""
    operators: tuple[str, ...] = ()
    identity: StagedIdentity | None = None
    began_at: datetime | None = None
    stages: Mapping[str, StageState] = field(default_factory=dict)
    pause: StagingPause | None = None
    roll_back: RollBackState | None = None
    outcome: database_stages.Outcome | None = None
    decided_at: datetime | None = None
    ended: bool = False
    last_snapshot: database_stages.SnapshotReference | None = None

    def stage(self, name: str) -> StageState:
        """The state of a stage, also of one that was not reached."""
        return self.stages.get(name, StageState())

    def with_stage(self, name: str, **values: Any) -> "Staging":
        """The staging with another state of one stage."""
        return replace(self, stages={**self.stages, name: replace(self.stage(name), **values)})
