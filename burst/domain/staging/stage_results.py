"""The result of staged changes, made of their journal up to the outcome: made again, it is the same bytes."""

from burst.domain.basics import canonical
from burst.domain.documents import database_stages
from burst.domain.staging import changes, stage_decisions, stage_files, stagings

EXIT_CODES = {"passed": 0, "rolled-back": 3, "not-rolled-back": 6}
PAUSED = 3
"""The exit code of a pause: it holds until a person says go."""


def build_result(
    staging: stagings.Staging, file: stage_files.StageFile, *, journal: bytes, written_by: str
) -> database_stages.DatabaseStages:
    """The document; `journal` is its bytes up to the line of the outcome."""
    identity, stage_file, began_at = staging.identity, staging.stage_file, staging.began_at
    if identity is None or stage_file is None or began_at is None or staging.outcome is None:
        raise ValueError("a result needs a staging that has reached its outcome")
    return database_stages.DatabaseStages(
        staging_id=staging.staging_id,
        stage_file=stage_file,
        environment=staging.environment,
        operators=list(staging.operators),
        system_identifier=identity.system_identifier,
        database=identity.database,
        role=identity.role,
        began_utc=began_at,
        decided_utc=staging.decided_at or began_at,
        outcome=staging.outcome,
        stages=[build_stage(name, staging, file) for name in file.stages],
        roll_back=_build_roll_back(staging, file),
        journal=database_stages.JournalReference(
            name=database_stages.JOURNAL, size=len(journal), sha256=canonical.digest(journal)
        ),
        exit_code=EXIT_CODES[staging.outcome],
        written_by=written_by,
    )


def build_stage(name: str, staging: stagings.Staging, file: stage_files.StageFile) -> database_stages.StageEntry:
    """One stage as it went so far."""
    state, back = staging.stage(name), staging.roll_back
    broken = back is not None and back.stage == name
    end: database_stages.StageEnd = "broken" if broken else "passed" if state.passed else "not-reached"
    if end == "passed" and back is not None and name in stage_decisions.list_touched_stages(staging, back, file):
        end = "taken-back"
    return database_stages.StageEntry(
        name=name,
        end=end,
        reason=back.reason if broken and back is not None else "",
        before=state.snapshots.get("before"),
        after=state.snapshots.get("after"),
        figures_before=_copy_figures(state, "before"),
        figures_after=_copy_figures(state, "after"),
        red_lines=list(state.lines or ()),
        changes=[
            database_stages.AppliedChange(words=change.words, rolling_back=change.rolling_back, done_utc=change.done_at)
            for change in state.changes
        ],
        pauses=list(state.pauses),
    )


def describe_end(entry: database_stages.StageEntry) -> str:
    """How a stage stands: as the result says it, or `begun` where its changes were begun and it has no end yet."""
    begun = any(not change.rolling_back for change in entry.changes)
    return "begun" if begun and entry.end == "not-reached" else entry.end


def list_programs(
    staging: stagings.Staging, back: stagings.RollBackState, file: stage_files.StageFile
) -> tuple[str, ...]:
    """The commands that were begun of the stages that went back, in words: what they did stays, and no snapshot shows
    it."""
    _, touched = stage_decisions.find_way_back(staging, back, file)
    return tuple(change.words for change in touched if isinstance(change, changes.RunProgram))


def _copy_figures(state: stagings.StageState, moment: stagings.Moment) -> dict[str, float] | None:
    figures = state.figures.get(moment)
    return None if figures is None else dict(figures)


def _build_roll_back(staging: stagings.Staging, file: stage_files.StageFile) -> database_stages.RollBackEntry | None:
    back = staging.roll_back
    if back is None:
        return None
    target, _ = stage_decisions.find_way_back(staging, back, file)
    if target is None:
        return None
    name = stage_decisions.name_rolled_back(staging, back, file)
    return database_stages.RollBackEntry(
        stage=name,
        reason=back.reason,
        target=target,
        proof=staging.stage(name).snapshots.get("rolled-back"),
        equal=back.equal is True,
        differences=list(back.differences),
    )
