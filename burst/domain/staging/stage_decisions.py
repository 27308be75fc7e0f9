"""Decisions of staged changes: from the staging and its file to the next act; the shell performs it and journals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from burst.domain.course import course_acts
from burst.domain.documents import database_stages
from burst.domain.staging import changes, stage_files, stagings


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSnapshot:
    """Read the database into a document."""

    stage: str
    moment: stagings.Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureFigures:
    """Ask the check of a stage."""

    stage: str
    moment: stagings.Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyChange:
    """Apply one change of a stage."""

    stage: str
    change: changes.Change


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseStaging:
    """Stop here until the operator says go."""

    stage: str
    kind: stagings.PauseKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRedLines:
    """Hold the figures against the red lines."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRollBack:
    """The stage does not stay."""

    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassStage:
    """The stage stays."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkBack:
    """Undo what the stages touched, towards the snapshot."""

    stage: str
    target: database_stages.SnapshotReference
    touched: tuple[changes.Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveRollBack:
    """Read the database again and compare it with the snapshot."""

    stage: str
    target: database_stages.SnapshotReference
    touched: tuple[changes.Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachStagingOutcome:
    """Say how it ended."""

    outcome: database_stages.Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """Write the result document."""


StageAct: TypeAlias = (
    TakeSnapshot
    | MeasureFigures
    | ApplyChange
    | PauseStaging
    | JudgeRedLines
    | BeginRollBack
    | PassStage
    | WalkBack
    | ProveRollBack
    | ReachStagingOutcome
    | WriteResult
    | course_acts.WaitForOperator
    | course_acts.NothingLeft
)


def decide(staging: stagings.Staging, file: stage_files.StageFile) -> StageAct:
    """The next act."""
    if staging.ended:
        return course_acts.NothingLeft()
    if staging.outcome is not None:
        return WriteResult()
    if staging.pause is not None:
        return course_acts.WaitForOperator()
    if staging.roll_back is not None:
        return _decide_roll_back(staging, staging.roll_back, file)
    for name, stage in file.stages.items():
        if not staging.stage(name).passed:
            return next(_list_acts(name, stage, staging.stage(name)))
    return ReachStagingOutcome(outcome="passed")


def _list_acts(name: str, stage: stage_files.StageSection, state: stagings.StageState) -> Iterator[StageAct]:
    """The acts of a stage that are still to be done, the next one first."""
    yield from _list_acts_before(name, stage, state)
    for change in stage.changes[state.applied :]:
        yield ApplyChange(stage=name, change=change)
    if stage.restart and "restart" not in state.allowed:
        yield PauseStaging(stage=name, kind="restart", reason=stagings.PAUSE_WORDS["restart"])
    if "after" not in state.snapshots:
        yield TakeSnapshot(stage=name, moment="after")
    if state.unmet:
        yield BeginRollBack(stage=name, reason=f"not in effect after the changes: {'; '.join(state.unmet)}")
    if stage.check is not None and "after" not in state.figures:
        yield MeasureFigures(stage=name, moment="after")
    if stage.check is not None and state.lines is None:
        yield JudgeRedLines(stage=name)
    broken = [line for line in state.lines or () if not line.holds]
    if broken:
        yield BeginRollBack(stage=name, reason="; ".join(map(describe_line, broken)))
    if state.regressions and "regression" not in state.allowed:
        yield PauseStaging(stage=name, kind="regression", reason="; ".join(state.regressions))
    yield PassStage(stage=name)


def _list_acts_before(name: str, stage: stage_files.StageSection, state: stagings.StageState) -> Iterator[StageAct]:
    """The acts before the first change."""
    if "before" not in state.snapshots:
        yield TakeSnapshot(stage=name, moment="before")
    if stage.confirm and "confirm" not in state.allowed:
        yield PauseStaging(stage=name, kind="confirm", reason=stagings.PAUSE_WORDS["confirm"])
    if state.conditions and "condition" not in state.allowed:
        yield PauseStaging(stage=name, kind="condition", reason="; ".join(state.conditions))
    if stage.check is not None and "before" not in state.figures:
        yield MeasureFigures(stage=name, moment="before")


def describe_line(line: database_stages.JudgedLine) -> str:
    """A red line with its answer, in words."""
    after = "not measured" if line.after is None else f"{line.after:g}"
    before = "" if line.before is None else f" (before: {line.before:g})"
    return f"{line.figure} is {after}{before}, and has to be {line.limit}"


def _decide_roll_back(staging: stagings.Staging, back: stagings.RollBackState, file: stage_files.StageFile) -> StageAct:
    target, touched = find_way_back(staging, back, file)
    if target is None:
        return ReachStagingOutcome(outcome="rolled-back")
    name = name_rolled_back(staging, back, file)
    if not back.applied:
        return WalkBack(stage=name, target=target, touched=touched)
    if back.equal is None or (back.restarted and not back.equal and back.waits_for_restart):
        return ProveRollBack(stage=name, target=target, touched=touched)
    if back.equal:
        return ReachStagingOutcome(outcome="rolled-back")
    if back.waits_for_restart:
        return PauseStaging(stage=name, kind="restart-back", reason=stagings.PAUSE_WORDS["restart-back"])
    return ReachStagingOutcome(outcome="not-rolled-back")


def find_way_back(
    staging: stagings.Staging, back: stagings.RollBackState, file: stage_files.StageFile
) -> tuple[database_stages.SnapshotReference | None, tuple[changes.Change, ...]]:
    """The snapshot that a roll-back goes to, None where nothing was begun, and the changes that it undoes."""
    names = list_touched_stages(staging, back, file)
    target = staging.stage(names[0]).snapshots.get("before") if names else None
    return target, tuple(change for name in names for change in list_begun(staging, name, file))


def list_begun(staging: stagings.Staging, name: str, file: stage_files.StageFile) -> tuple[changes.Change, ...]:
    """The changes of a stage that were begun; what it has not come to is nothing of its own, and does not go back."""
    return file.stages[name].changes[: staging.stage(name).begun]


def list_touched_stages(
    staging: stagings.Staging, back: stagings.RollBackState, file: stage_files.StageFile
) -> Sequence[str]:
    """The stages that go back: the broken one, or every one up to it; between two stages, those that passed."""
    goes_to_start = file.roll_back_to == "start"
    if back.stage not in file.stages:
        return [name for name in file.stages if staging.stage(name).passed] if goes_to_start else []
    reached = list(file.stages)[: list(file.stages).index(back.stage) + 1]
    return reached if goes_to_start else [back.stage]


def name_rolled_back(staging: stagings.Staging, back: stagings.RollBackState, file: stage_files.StageFile) -> str:
    """The stage that the changes of a roll-back and its proof are written down with."""
    return back.stage or next(reversed(list_touched_stages(staging, back, file)), "")


def describe_cut(staging: stagings.Staging, file: stage_files.StageFile, folder: str) -> str:
    """How far stages came that stopped on their way, and how they go on, in words."""
    reached = [(name, staging.stage(name).begun, len(stage.changes)) for name, stage in file.stages.items()]
    begun = ", ".join(f"{count} of {whole} of stage {name}" for name, count, whole in reached if count)
    if staging.outcome is not None:
        return f"the stages came to their end ({staging.outcome}); write their document: burst db resume {folder}"
    if staging.roll_back is not None:
        return f"THE ROLL-BACK IS NOT FINISHED: of the changes {begun or 'none'} were begun; burst db resume {folder}"
    state = f"THE DATABASE IS CHANGED: of the changes {begun} were begun" if begun else "no change was begun"
    return f"{state}; go on: burst db resume {folder}   or go back: burst db resume {folder} --roll-back"
