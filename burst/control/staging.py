"""The shell of staged changes: performs what `stage_decisions` decides, each intent journalled before its act.

Nothing is remembered but by the journal. So a process that is killed at any line is followed by another one that goes
on there: an act is done again, and every act may be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from burst import ports
from burst.domain.basics import canonical, errors, redaction
from burst.domain.course import course_acts
from burst.domain.documents import database_snapshots, database_stages, models
from burst.domain.staging import (
    changes,
    check_figures,
    foreign_changes,
    red_lines,
    stage_decisions,
    stage_events,
    stage_files,
    stage_journals,
    stage_results,
    stagings,
    way_back,
)

Say = Callable[[str], None]
UNTOUCHING = (changes.RunProgram, changes.MaintainTable)
"""Changes of nothing that a snapshot holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingParts:
    """The outside world of staged changes. `burst_words`: how this burst is called."""

    database: ports.StagedDatabase
    journal: ports.CourseJournal[stage_events.StageEvent]
    documents: ports.EvidenceStore
    programs: ports.KeptPrograms
    burst_words: Sequence[str]
    dsn_reference: str
    written_by: str
    say: Say
    redactor: redaction.Redactor


class StageRunner:
    """Performs the acts of one staging until it ends, or pauses. The lock is held by the caller."""

    def __init__(self, file: stage_files.StageFile, parts: StagingParts) -> None:
        self._file = file
        self._parts = parts
        self._database = parts.database
        self.staging = stage_journals.fold(parts.journal.lines())

    def note(self, event: stage_events.StageEvent) -> None:
        """Journals an event durably."""
        line = self._parts.journal.append(event)
        self.staging = stage_journals.fold([line], self.staging)

    def drive(self) -> stagings.Staging:
        """Performs act after act; returns at the end, or at a pause."""
        while True:
            act = stage_decisions.decide(self.staging, self._file)
            if isinstance(act, course_acts.NothingLeft | course_acts.WaitForOperator):
                return self.staging
            self._database.require_lock()
            self._perform(act)

    def _perform(self, act: stage_decisions.StageAct) -> None:
        match act:
            case stage_decisions.TakeSnapshot():
                self._take_snapshot(act)
            case stage_decisions.MeasureFigures():
                self._measure(act)
            case stage_decisions.ApplyChange():
                self._apply(act.stage, act.change)
            case stage_decisions.PauseStaging():
                self._pause(act)
            case stage_decisions.JudgeRedLines():
                self._judge(act)
            case stage_decisions.BeginRollBack():
                self._say(f"stage {act.stage} goes back: {act.reason}")
                self.note(stage_events.RollBackBegan(stage=act.stage, reason=act.reason))
            case stage_decisions.PassStage():
                self._say(f"stage {act.stage} stays")
                self.note(stage_events.StagePassed(stage=act.stage))
            case stage_decisions.WalkBack():
                self._walk_back(act)
            case stage_decisions.ProveRollBack():
                self._prove(act)
            case stage_decisions.ReachStagingOutcome():
                self.note(stage_events.StagingOutcomeReached(outcome=act.outcome))
            case stage_decisions.WriteResult():
                self._write_result()

    def _take_snapshot(self, act: stage_decisions.TakeSnapshot) -> None:
        stage = self._file.stages[act.stage]
        snapshot = self._database.read_snapshot(self._file.tables)
        conditions: tuple[str, ...] = ()
        unmet: tuple[str, ...] = ()
        if act.moment == "before":
            conditions = red_lines.find_conditions(stage, snapshot)
        else:
            unmet = (*way_back.find_unmet(snapshot, stage.changes), *self._find_pending(stage))
        self._note_snapshot(act.stage, act.moment, snapshot, conditions=conditions, unmet=unmet)

    def _find_pending(self, stage: stage_files.StageSection) -> list[str]:
        """Settings of the stage that still wait for a restart."""
        named = {change.name for change in stage.changes if isinstance(change, changes.SetParameter)}
        pending = [name for name in self._database.list_pending() if name in named]
        return [f"{name} waits for a restart of the server" for name in pending]

    def _note_snapshot(
        self,
        stage: str,
        moment: stagings.Moment,
        snapshot: database_snapshots.DatabaseSnapshot,
        *,
        conditions: tuple[str, ...] = (),
        unmet: tuple[str, ...] = (),
    ) -> None:
        content = snapshot.content()
        digest = canonical.digest(content)
        name = database_snapshots.make_name(digest)
        self._parts.documents.put_once(name, content)
        self.note(
            stage_events.SnapshotTaken(
                stage=stage, moment=moment, name=name, sha256=digest, conditions=conditions, unmet=unmet
            )
        )

    def read_snapshot(self, reference: database_stages.SnapshotReference) -> database_snapshots.DatabaseSnapshot:
        """A snapshot of the folder. Raises `errors.WayBackLost` where it is gone, or is not what the journal says."""
        try:
            content = self._parts.documents.read(reference.name)
            if canonical.digest(content) != reference.sha256:
                raise errors.EvidenceCorrupt(f"{reference.name} is not what the journal says")
            return models.read(database_snapshots.DatabaseSnapshot, content)
        except (errors.EvidenceIncomplete, errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
            raise errors.WayBackLost(
                f"{exc}; nothing was put back by it, and the stages that were applied stay"
            ) from exc

    def _measure(self, act: stage_decisions.MeasureFigures) -> None:
        check = self._file.stages[act.stage].check
        if check is None:
            raise ValueError(f"stage {act.stage} has no check")
        self._say(f"stage {act.stage}: the check {act.moment} the changes")
        name = f"{act.stage}.check-{act.moment}"
        try:
            figures = self._ask_check(name, check)
        except (errors.Refused, errors.UsageError, ValueError) as exc:
            reason = self._clean(str(exc))
            self._say(f"stage {act.stage}: {reason}")
            self.note(stage_events.CheckFailed(stage=act.stage, moment=act.moment, reason=reason))
        else:
            self.note(stage_events.FiguresMeasured(stage=act.stage, moment=act.moment, figures=dict(figures)))
        self._parts.programs.forget(name)

    def _ask_check(self, name: str, check: stage_files.CheckSection) -> Mapping[str, float]:
        if check.count is not None:
            return self._database.measure_count(self._file.table_name, check.count)
        if check.plan is not None:
            words = ["run", check.plan, "--json", "--quiet"]
            return check_figures.read_run(self._ask_burst(name, words, check.timeout, allowed=(0, 3)))
        if check.database is not None:
            words = [
                "db",
                "check",
                "--dsn",
                self._parts.dsn_reference,
                "--table",
                self._file.table_name.plain,
                "--json",
                "--quiet",
            ]
            return check_figures.read_figures(
                self._ask_burst(name, [*words, "--no-environment"], check.timeout, allowed=(0,))
            )
        answer = self._parts.programs.run(name, check.command or [], seconds_max=check.timeout)
        if answer.exit_code != 0:
            raise errors.Refused(f"the command of the check ended with {answer.exit_code}: {answer.complaint}")
        return check_figures.read_figures(answer.output)

    def _ask_burst(self, name: str, words: Sequence[str], seconds_max: float, *, allowed: Sequence[int]) -> bytes:
        """What another burst prints. Raises `errors.Refused` where it does not end with an allowed exit code."""
        answer = self._parts.programs.run(name, [*self._parts.burst_words, *words], seconds_max=seconds_max)
        if answer.exit_code not in allowed:
            named = " ".join(words[:2])
            reason = answer.complaint.strip() or check_figures.read_refusal(answer.output)
            raise errors.Refused(f"burst {named} ended with {answer.exit_code}: {reason or 'it gave no reason'}")
        return answer.output

    def _apply(self, stage: str, change: changes.Change) -> None:
        """Applies a change; where the server refuses it, or somebody else changed the same, the journal says so."""
        seized = self._find_seized(stage, change)
        if seized is not None:
            self._say(f"stage {stage}: refused: {change.words}: {seized}")
            self._refuse_change(stage, f"{change.words}: {seized}", rolling_back=False)
            return
        name = f"{stage}.change-{self.staging.stage(stage).applied + 1}"
        refusal = self._try_change(stage, name, change, rolling_back=False)
        if refusal is not None:
            self._refuse_change(stage, str(refusal), rolling_back=False)
        self._parts.programs.forget(name)

    def _try_change(
        self, stage: str, name: str, change: changes.Change, *, rolling_back: bool
    ) -> errors.BurstError | None:
        """The server's refusal, which is not in the journal yet; None where the change was applied."""
        words = self._clean(change.words)
        self._say(f"stage {stage}: {'back: ' if rolling_back else ''}{words}")
        self.note(stage_events.ChangeIntended(stage=stage, words=words, rolling_back=rolling_back))
        try:
            if isinstance(change, changes.RunProgram):
                self._run_command(name, change)
            else:
                self._database.apply(change)
        except (errors.Refused, errors.UsageError) as exc:
            self._say(f"stage {stage}: refused: {exc}")
            return exc
        self.note(stage_events.ChangeDone(stage=stage, rolling_back=rolling_back))
        return None

    def _refuse_change(self, stage: str, reason: str, *, rolling_back: bool) -> None:
        self.note(stage_events.ChangeRefused(stage=stage, reason=self._clean(reason), rolling_back=rolling_back))

    def _find_seized(self, stage: str, change: changes.Change) -> str | None:
        """What somebody else did to the thing of a change that was not begun yet. One that was cut may have left
        anything that it makes."""
        state = self.staging.stage(stage)
        reference = state.snapshots.get("before")
        if reference is None or state.begun > state.applied or isinstance(change, UNTOUCHING):
            return None
        begun = stage_decisions.list_begun(self.staging, stage, self._file)
        present = self._database.read_snapshot(self._file.tables)
        return foreign_changes.find_seized(self.read_snapshot(reference), present, change, begun)

    def _run_command(self, name: str, change: changes.RunProgram) -> None:
        answer = self._parts.programs.run(name, change.argv, seconds_max=change.seconds_max)
        if answer.exit_code != 0:
            raise errors.Refused(f"{change.words} ended with {answer.exit_code}: {answer.complaint}")

    def _pause(self, act: stage_decisions.PauseStaging) -> None:
        started_at = self._database.identify().server_started_at
        self.note(
            stage_events.StagingPaused(
                stage=act.stage, kind=act.kind, reason=self._clean(act.reason), server_started_utc=started_at
            )
        )

    def _judge(self, act: stage_decisions.JudgeRedLines) -> None:
        stage, state = self._file.stages[act.stage], self.staging.stage(act.stage)
        before, after = state.figures.get("before", {}), state.figures.get("after", {})
        lines = red_lines.judge(stage, before, after)
        for line in lines:
            self._say(
                f"stage {act.stage}: {'holds' if line.holds else 'BROKEN'}: {stage_decisions.describe_line(line)}"
            )
        regressions = red_lines.find_regressions(stage, before, after)
        self.note(stage_events.RedLinesJudged(stage=act.stage, lines=lines, regressions=regressions))

    def _walk_back(self, act: stage_decisions.WalkBack) -> None:
        """Undoes what can be undone, whatever else is refused. Where a refusal may pass, a resume goes on."""
        target = self.read_snapshot(act.target)
        present = self._database.read_snapshot(self._file.tables)
        for words in foreign_changes.find_left(target, present, act.touched):
            self._say(f"stage {act.stage}: not put back: {words}")
        own = foreign_changes.list_own(target, present, act.touched)
        refusals = []
        for change in way_back.plan_way_back(target, present, own):
            self._database.require_lock()
            refusal = self._try_change(act.stage, "", change, rolling_back=True)
            refusals += [] if refusal is None else [refusal]
        for refusal in refusals:
            if isinstance(refusal, errors.Postponed):
                raise refusal
        for refusal in refusals:
            self._refuse_change(act.stage, str(refusal), rolling_back=True)
        if not refusals:
            self.note(stage_events.WayBackWalked())

    def _prove(self, act: stage_decisions.ProveRollBack) -> None:
        target = self.read_snapshot(act.target)
        present = self._database.read_snapshot(self._file.tables)
        differences = way_back.find_differences(target, present)
        if differences:
            differences += foreign_changes.find_left(target, present, act.touched)
        waits = bool(differences) and way_back.waits_for_restart(target, present)
        self._note_snapshot(act.stage, "rolled-back", present)
        self.note(stage_events.RollBackProved(equal=not differences, differences=differences, waits_for_restart=waits))

    def _write_result(self) -> None:
        lines = self._parts.journal.lines()
        last = max(line.sequence for line in lines if isinstance(line.event, stage_events.StagingOutcomeReached))
        decided = stage_journals.fold(line for line in lines if line.sequence <= last)
        document = stage_results.build_result(
            decided, self._file, journal=self._parts.journal.prefix(last), written_by=self._parts.written_by
        )
        content = document.content()
        self._parts.documents.put_once(database_stages.NAME, content)
        self.note(stage_events.StagingEnded(sha256=canonical.digest(content)))

    def _clean(self, words: str) -> str:
        return self._parts.redactor.text(words)

    def _say(self, words: str) -> None:
        self._parts.say(self._clean(words))
