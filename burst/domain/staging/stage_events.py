"""Events of staged changes: what a line of their journal says, and what it changes.

An event is written before the act that it intends, or after the fact that it states:

    staging-began, staging-resumed         who, which file, which database
    snapshot-taken                         a database snapshot is in the folder: before, after, rolled back
    figures-measured, check-failed         the answer of a check, or why there is none
    change-intended, change-done           before a change is applied, and after
    change-refused                         the server did not apply it
    red-lines-judged, stage-passed         what the figures say
    paused                                 nothing goes on until the operator says go
    roll-back-began, way-back-walked       before the first change back, and after the last
    roll-back-proved                       the database was read again and compared with the snapshot
    outcome-reached, staging-ended         the document says up to here; it is written
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from burst.domain.course import course_journals
from burst.domain.documents import database_stages, models
from burst.domain.staging import stagings

SCHEMA: Literal["burst.stage-journal/v1"] = "burst.stage-journal/v1"


class StageEvent(course_journals.CourseEvent[stagings.Staging]):
    """One thing that happened to staged changes, or is about to."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingBegan(StageEvent):
    """The operator, the file and the database of stages that begin."""

    wire_name = "staging-began"
    schema: Literal["burst.stage-journal/v1"]
    minor: int
    staging_id: str
    stage_file_name: str
    stage_file_sha256: str
    dsn_reference: str
    environment: str
    operator: str
    system_identifier: str | None
    database: str
    role: str
    version_number: int
    server_started_utc: models.Instant

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return replace(
            staging,
            staging_id=self.staging_id,
            stage_file=database_stages.SnapshotReference(name=self.stage_file_name, sha256=self.stage_file_sha256),
            dsn_reference=self.dsn_reference,
            environment=self.environment,
            operators=(self.operator,),
            began_at=at,
            identity=stagings.StagedIdentity(
                system_identifier=self.system_identifier,
                database=self.database,
                role=self.role,
                version_number=self.version_number,
                standby=False,
                server_started_at=self.server_started_utc,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingResumed(StageEvent):
    """Somebody goes on: after a pause, or after the process before died. `rolls_back`: the operator says no."""

    wire_name = "staging-resumed"
    operator: str
    rolls_back: bool

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        operators = (*staging.operators, self.operator) if self.operator not in staging.operators else staging.operators
        staging = replace(staging, operators=operators)
        pause = staging.pause
        if self.rolls_back and staging.roll_back is None:
            stage = pause.stage if pause is not None else _find_open_stage(staging)
            began = stagings.RollBackState(stage=stage, reason="the operator asked for it")
            return replace(staging, pause=None, roll_back=began)
        if pause is None:
            return staging
        if pause.kind == "restart-back" and staging.roll_back is not None:
            return replace(staging, pause=None, roll_back=replace(staging.roll_back, restarted=True))
        allowed = staging.stage(pause.stage).allowed | {pause.kind}
        return replace(staging.with_stage(pause.stage, allowed=allowed), pause=None)


def _find_open_stage(staging: stagings.Staging) -> str:
    """The stage that is at work; empty between two stages, because one that passed stays."""
    reached = list(staging.stages)[-1:]
    return next((name for name in reached if not staging.stage(name).passed), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken(StageEvent):
    """A database snapshot is in the folder. `unmet`: changes of the stage that it does not show."""

    wire_name = "snapshot-taken"
    stage: str
    moment: stagings.Moment
    name: str
    sha256: str
    conditions: tuple[str, ...]
    unmet: tuple[str, ...]

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        reference = database_stages.SnapshotReference(name=self.name, sha256=self.sha256)
        state = staging.stage(self.stage)
        snapshots = {**state.snapshots, self.moment: reference}
        staging = staging.with_stage(self.stage, snapshots=snapshots, conditions=self.conditions, unmet=self.unmet)
        return replace(staging, last_snapshot=reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresMeasured(StageEvent):
    """The figures of a check."""

    wire_name = "figures-measured"
    stage: str
    moment: stagings.Moment
    figures: dict[str, float]

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return staging.with_stage(
            self.stage, figures={**staging.stage(self.stage).figures, self.moment: dict(self.figures)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailed(StageEvent):
    """A check gave no figures: unknown is never a pass."""

    wire_name = "check-failed"
    stage: str
    moment: stagings.Moment
    reason: str

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        reason = f"the check {self.moment} the changes gave no figures: {self.reason}"
        return replace(staging, roll_back=stagings.RollBackState(stage=self.stage, reason=reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeIntended(StageEvent):
    """A change is about to be applied, perhaps again."""

    wire_name = "change-intended"
    stage: str
    words: str
    rolling_back: bool

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        state = staging.stage(self.stage)
        begun = stagings.DoneChange(words=self.words, rolling_back=self.rolling_back)
        again = bool(state.changes) and state.changes[-1] == begun
        return staging.with_stage(self.stage, changes=state.changes if again else (*state.changes, begun))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDone(StageEvent):
    """The change that was intended last is applied."""

    wire_name = "change-done"
    stage: str
    rolling_back: bool

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        state = staging.stage(self.stage)
        done = replace(state.changes[-1], done_at=at)
        applied = state.applied if self.rolling_back else state.applied + 1
        return staging.with_stage(self.stage, changes=(*state.changes[:-1], done), applied=applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRefused(StageEvent):
    """The server refused a change: of a stage, which begins the roll-back, or of the way back, which ends it."""

    wire_name = "change-refused"
    stage: str
    reason: str
    rolling_back: bool

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        if self.rolling_back and staging.roll_back is not None:
            reason = f"{staging.roll_back.reason}; the way back was refused: {self.reason}"
            return replace(staging, roll_back=replace(staging.roll_back, applied=True, reason=reason))
        reason = f"a change was refused: {self.reason}"
        return replace(staging, roll_back=stagings.RollBackState(stage=self.stage, reason=reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class RedLinesJudged(StageEvent):
    """What the figures say of each red line."""

    wire_name = "red-lines-judged"
    stage: str
    lines: tuple[database_stages.JudgedLine, ...]
    regressions: tuple[str, ...]

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return staging.with_stage(self.stage, lines=self.lines, regressions=self.regressions)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePassed(StageEvent):
    """The stage stays."""

    wire_name = "stage-passed"
    stage: str

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return staging.with_stage(self.stage, passed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPaused(StageEvent):
    """Nothing goes on until the operator says so."""

    wire_name = "paused"
    stage: str
    kind: stagings.PauseKind
    reason: str
    server_started_utc: models.Instant

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        pause = stagings.StagingPause(
            kind=self.kind, stage=self.stage, reason=self.reason, server_started_at=self.server_started_utc
        )
        pauses = (*staging.stage(self.stage).pauses, self.kind)
        return replace(staging.with_stage(self.stage, pauses=pauses), pause=pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackBegan(StageEvent):
    """A red line is broken, or a change is not in effect: the stage goes back."""

    wire_name = "roll-back-began"
    stage: str
    reason: str

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return replace(staging, roll_back=stagings.RollBackState(stage=self.stage, reason=self.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBackWalked(StageEvent):
    """Every change of the way back is done."""

    wire_name = "way-back-walked"

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        if staging.roll_back is None:
            raise ValueError("no roll-back began")
        return replace(staging, roll_back=replace(staging.roll_back, applied=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackProved(StageEvent):
    """The database was read again, in a document, and compared with the snapshot it goes back to."""

    wire_name = "roll-back-proved"
    equal: bool
    differences: tuple[str, ...]
    waits_for_restart: bool

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        if staging.roll_back is None:
            raise ValueError("no roll-back began")
        proved = replace(
            staging.roll_back,
            equal=self.equal,
            differences=self.differences,
            waits_for_restart=self.waits_for_restart and not staging.roll_back.restarted,
        )
        return replace(staging, roll_back=proved)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingOutcomeReached(StageEvent):
    """How it ended: the result document says up to this line."""

    wire_name = "outcome-reached"
    outcome: database_stages.Outcome

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return replace(staging, outcome=self.outcome, decided_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingEnded(StageEvent):
    """The result document is written."""

    wire_name = "staging-ended"
    sha256: str

    def apply(self, staging: stagings.Staging, at: datetime) -> stagings.Staging:
        return replace(staging, ended=True)


EVENTS: dict[str, type[StageEvent]] = {event.wire_name: event for event in StageEvent.__subclasses__()}
"""Every event by its name in the journal."""
