"""The steps of a campaign in simulated time: each plan is a run of the real controller on the fake launcher."""

from dataclasses import dataclass, field

from burst.control import campaigning
from burst.domain.basics import canonical, errors
from burst.domain.course import campaign_files, course_events, courses
from burst.domain.documents import document_names
from burst.domain.tasks import tasks
from tests import fakes, fakes_journal, simulation

_CUT = "resumed-before-go"


@dataclass(kw_only=True)
class FakeSteps:
    """`campaigning.StepDriver`: a world for each run, settings that are set or not, and commands that count themselves.

    `held` names the steps whose first run with a load holds; `refused` the steps that preflight refuses. `dies_at` is
    the step, and the line of its run's journal, at which the process dies.
    """

    clock: fakes.TickingClock
    held: frozenset[str] = frozenset()
    refused: set[str] = field(default_factory=set)
    worlds: dict[str, simulation.World] = field(default_factory=dict)
    launched: list[str] = field(default_factory=list)
    """The runs that were begun, each once."""
    overridden: set[str] = field(default_factory=set)
    undone: list[str] = field(default_factory=list)
    commands: dict[str, int] = field(default_factory=dict)
    regressions: tuple[str, ...] = ()
    dies_at: tuple[str, int] | None = None

    def make_run_id(self, step: campaign_files.StepSection, number: int, course: courses.Course) -> str:
        return f"m10_20260221T020923Z_{step.name}{number}"

    def check_entry(
        self, step: campaign_files.StepSection, course: courses.Course
    ) -> tuple[course_events.EntryRef, ...]:
        refs = []
        for gate in step.gates:
            snapshot = course.step(str(gate.step)).snapshot
            if not course.step(str(gate.step)).passed:
                raise errors.Refused(f"entry gate: step {gate.step} did not pass")
            if snapshot is not None:
                refs.append(course_events.EntryRef(name=str(gate.step), sha256=snapshot.sha256, verdict="PASS"))
        return tuple(refs)

    def take(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepEnd | campaigning.StepCut:
        if step.name in self.refused:
            return campaigning.StepEnd(end="FAILED", exit_code=4, reason="preflight refuses")
        if step.plan is None:
            self.commands[attempt.run_id] = self.commands.get(attempt.run_id, 0) + 1
            return campaigning.StepEnd(end="PASS", exit_code=0, reason="it ended with 0")
        world = simulation.World()
        self._share_clock(world)
        self.worlds[attempt.run_id] = world
        if step.name in self.held and not self._has_held(step.name):
            world.source.decide = lambda number: "DUPLICATE"
        if self.dies_at is not None and self.dies_at[0] == step.name:
            world.journal.crash_after = self.dies_at[1]
            self.dies_at = None
        self.launched.append(attempt.run_id)
        world.begin()
        world.drive()
        return self._describe(world)

    def _has_held(self, step: str) -> bool:
        """Whether a run of a step with its load is on HOLD already."""
        worlds = [world for run_id, world in self.worlds.items() if f"_{step}" in run_id]
        return any(world.outcome.exit_code == 3 and world.reason != _CUT for world in worlds if world.journal.recorded)

    def _share_clock(self, world: simulation.World) -> None:
        """Gives a world the clock of the campaign, so that their times are one."""
        world.clock = world.launcher.clock = world.lease.clock = self.clock
        world.source = simulation.Receipts(world)
        world.one_shots = fakes.FakeOneShots(self.clock, str(world.plan.execution_id))
        world.services = fakes.FakeServices(self.clock)
        world.journal = fakes_journal.MemoryJournal(self.clock.now)
        world.away_seconds = world.elapsed_seconds

    def go_on(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepAnswer:
        if step.plan is None:
            if attempt.run_id not in self.commands:
                return campaigning.NeverBegan(reason="it was never started")
            return campaigning.StepEnd(end="PASS", exit_code=0, reason="it ended with 0")
        world = self.worlds.get(attempt.run_id)
        if world is None or not world.journal.recorded:
            return campaigning.NeverBegan(reason="its journal is empty")
        world.journal.revive()
        if world.outcome.exit_code is None:
            world.drive(resumed=True)
        return self._describe(world)

    def stop(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> campaigning.StepAnswer:
        world = self.worlds.get(attempt.run_id)
        if world is not None and world.journal.recorded and world.outcome.exit_code is None:
            world.journal.revive()
            world.drive(resumed=True, until_stopped=True)
        return self.go_on(step, attempt, course)

    def _describe(self, world: simulation.World) -> campaigning.StepEnd:
        name = document_names.snapshot_name(world.plan.slug, world.plan.kind)
        document, content = world.document, world.store.documents[name]
        return campaigning.StepEnd(
            end="PASS" if document["overall_pass"] else "HOLD",
            exit_code=document["exit_code"],
            reason=document["exit_reason"],
            snapshot=courses.CitedSnapshot(place=str(world.plan.execution_id), sha256=canonical.digest(content)),
            blockers=tuple(document["blockers"]),
            measures={"/exit_code": document["exit_code"]},
            cut_before_load=world.reason == _CUT,
        )

    def set_override(self, step: campaign_files.StepSection, course: courses.Course) -> None:
        self.overridden.add(step.name)

    def put_back(self, step: campaign_files.StepSection, course: courses.Course) -> None:
        self.overridden.discard(step.name)

    def find_regressions(self, step: campaign_files.StepSection, course: courses.Course) -> tuple[str, ...]:
        return self.regressions

    def undo(self, step: campaign_files.StepSection, course: courses.Course) -> str:
        if step.name not in self.undone:
            self.undone.append(step.name)
        return ""

    def running(self) -> list[str]:
        """The tasks of any run that run now."""
        return [task for world in self.worlds.values() for task in world.running()]

    def list_overstays(self) -> list[str]:
        """The tasks that ran on after the deadline of their run and its grace."""
        return [
            truth.task.task_id
            for world in self.worlds.values()
            for truth in world.launcher.launched.values()
            if truth.status is tasks.TaskStatus.STOPPED
            and truth.stopped_at is not None
            and world.outcome.deadline is not None
            and (truth.stopped_at - world.outcome.deadline).total_seconds() > simulation.GRACE_SECONDS
        ]
