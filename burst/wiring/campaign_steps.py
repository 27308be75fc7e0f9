"""The steps of a campaign, joined: each kind of step has its module, and this one chooses among them."""

from dataclasses import dataclass

from burst import evidence
from burst.control import campaigning
from burst.domain.basics import errors
from burst.domain.course import campaign_files, course_events, courses
from burst.wiring import campaign_commands, campaign_databases, campaign_plans, campaign_rollups


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSteps:
    """`campaigning.StepDriver` on this machine."""

    plan_steps: campaign_plans.PlanSteps
    command_steps: campaign_commands.CommandSteps
    database_steps: campaign_databases.DatabaseSteps
    rollup_steps: campaign_rollups.RollupSteps

    def make_run_id(self, step: campaign_files.StepSection, number: int, course: courses.Course) -> str:
        """An execution id for a run; for anything else the campaign's own, with step and attempt."""
        if step.plan is not None:
            return self.plan_steps.make_run_id(step)
        if step.rollup is not None:
            return campaign_plans.make_stamped_id(step.rollup.phase.lower().split(".")[0])
        if step.stage is not None:
            return f"stages_{step.name}_{number}"
        return f"{course.campaign_id}/{step.name}_{number}"

    def check_entry(
        self, step: campaign_files.StepSection, course: courses.Course
    ) -> tuple[course_events.EntryRef, ...]:
        """Verifies the snapshot behind every entry gate, each whole."""
        refs = []
        for gate in step.gates:
            ref = _check_step(gate, course) if gate.step is not None else _check_place(gate)
            refs += [] if ref is None else [ref]
        return tuple(refs)

    def take(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepEnd | campaigning.StepCut:
        """Takes an attempt to its end."""
        if step.plan is not None:
            return self.plan_steps.take(step, attempt, course)
        if step.stage is not None:
            return self.database_steps.take(step.stage, attempt.run_id)
        if step.rollup is not None:
            return self.rollup_steps.take(step, attempt, course)
        try:
            order = self.command_steps.make_order(step, attempt, course)
        except errors.BurstError as exc:
            return campaigning.StepEnd(end="FAILED", exit_code=exc.exit_code, reason=str(exc))
        return self.command_steps.take(order)

    def go_on(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepAnswer:
        """Continues an attempt by its id."""
        if step.plan is not None:
            return self.plan_steps.go_on(step, attempt, course)
        if step.stage is not None:
            return self.database_steps.go_on(step.stage, attempt.run_id)
        if step.rollup is not None:
            return self.rollup_steps.take(step, attempt, course)
        return self.command_steps.go_on(self.command_steps.make_order(step, attempt, course))

    def stop(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepAnswer:
        """Ends what an attempt has running; staged changes are taken back."""
        if step.plan is not None:
            reason = course.stop.reason if course.stop is not None else "the campaign is stopped"
            return self.plan_steps.stop(step, attempt, course, reason)
        if step.stage is not None:
            return self.database_steps.go_on(step.stage, attempt.run_id, rolls_back=True)
        if step.rollup is not None:
            return self.rollup_steps.take(step, attempt, course)
        return self.command_steps.stop(self.command_steps.make_order(step, attempt, course))

    def set_override(self, step: campaign_files.StepSection, course: courses.Course) -> None:
        """Makes the settings of a database that the step overrides."""
        if step.overrides is not None and step.overrides.database is not None:
            number = campaign_databases.name_override(course.step(step.name))
            self.database_steps.set_override(step, step.overrides.database, number)

    def put_back(self, step: campaign_files.StepSection, course: courses.Course) -> None:
        """Puts them back."""
        if step.overrides is not None and step.overrides.database is not None:
            self.database_steps.put_back(step, step.overrides.database)

    def find_regressions(self, step: campaign_files.StepSection, course: courses.Course) -> tuple[str, ...]:
        """The gates that regressed, or were lost, from the step before to this one."""
        before, after = _require_snapshot(step.depends_on[0], course), _require_snapshot(step.name, course)
        change = evidence.diff(before.place, after.place)
        gates = [f"{gate.name} {gate.turn}" for gate in change.gates if gate.bad_turn]
        return tuple(gates) if gates or not change.regressed else ("a requirement was lowered",)

    def undo(self, step: campaign_files.StepSection, course: courses.Course) -> str:
        """Runs the command that takes a step back."""
        if step.undo is None:
            return ""
        order = self.command_steps.make_shot_order(f"undo_{step.name}", step.undo, course)
        answer = self.command_steps.go_on(order)
        if isinstance(answer, campaigning.NeverBegan):
            answer = self.command_steps.take(order)
        return "" if isinstance(answer, campaigning.StepEnd) and answer.end == "PASS" else answer.reason


def _require_snapshot(name: str, course: courses.Course) -> courses.CitedSnapshot:
    snapshot = course.step(name).snapshot
    if snapshot is None:
        raise errors.Refused(f"step {name} has no snapshot to compare with")
    return snapshot


def _check_step(gate: campaign_files.EntryGate, course: courses.Course) -> course_events.EntryRef | None:
    """The ref of an earlier step; None for one that has no snapshot, whose end alone is asked."""
    name = str(gate.step)
    state = course.step(name)
    last = state.last
    if last is None or last.end is None:
        raise errors.Refused(f"entry gate: step {name} has not ended")
    if last.end != gate.verdict or (gate.verdict == "PASS" and not state.passed):
        raise errors.Refused(f"entry gate: step {name} is {last.end}, and has to be {gate.verdict}")
    if last.snapshot is None:
        return None
    return _verify(f"step {name}", last.snapshot, gate.verdict, name)


def _check_place(gate: campaign_files.EntryGate) -> course_events.EntryRef:
    place = str(gate.snapshot)
    return _verify(place, courses.CitedSnapshot(place=place, sha256=str(gate.sha256)), gate.verdict, place)


def _verify(words: str, snapshot: courses.CitedSnapshot, verdict: str, name: str) -> course_events.EntryRef:
    """Whether a place holds exactly this snapshot, sound, with this verdict. Raises `errors.Refused`."""
    verified = evidence.verify(snapshot.place)
    finding = verified.finding
    if finding.sha256 is None:
        raise errors.Refused(f"entry gate: the evidence of {words} is {finding.state}: {finding.why}")
    if finding.sha256 != snapshot.sha256:
        raise errors.Refused(
            f"entry gate: {words} has snapshot {finding.sha256[:12]}, and {snapshot.sha256[:12]} is required"
        )
    reached = "PASS" if verified.exit_code == 0 else "HOLD"
    if reached != verdict:
        raise errors.Refused(f"entry gate: {words} is {reached}, and has to be {verdict}")
    return course_events.EntryRef(name=name, sha256=snapshot.sha256, verdict="PASS" if verdict == "PASS" else "HOLD")
