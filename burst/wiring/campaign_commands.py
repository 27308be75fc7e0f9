"""Steps that are commands: each a one-shot of this machine under guard, started once by whichever process.

A comparison and a promotion are commands of burst itself: their verdict is their exit code.
"""

from dataclasses import dataclass
from pathlib import Path

from burst import ports
from burst.adapters.local import processes
from burst.control import campaigning
from burst.domain.basics import errors, instants
from burst.domain.course import campaign_files, courses
from burst.domain.tasks import tasks
from burst.kit import own_programs
from burst.wiring import campaign_plans

BURST_WORDS = own_programs.start_words("burst")
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05
CLOSURES = "closures"
"""The folder of the closures in that of the campaign, each in one of its attempt: a closure is never overwritten."""
_HOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOrder:
    """One command with its bound, and the exit codes that are a PASS and a HOLD."""

    name: str
    command: tuple[str, ...]
    timeout_seconds: float
    passes: int = 0
    holds: int | None = None


class CommandSteps:
    """The commands of one campaign, whose processes carry its id as their mark."""

    def __init__(self, folder: Path, campaign_id: str, clock: ports.Clock) -> None:
        self._folder = folder
        self._campaign_id = campaign_id
        self._clock = clock
        self._shots = processes.LocalOneShots(folder, execution_id=campaign_id, grace_seconds=GRACE_SECONDS)

    def make_order(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> CommandOrder:
        """The command of an attempt. Raises `errors.Refused` where it names a step that has no snapshot."""
        name, words = attempt.run_id.rpartition("/")[2], BURST_WORDS
        if step.compare is not None:
            base, candidate = self._fill((step.compare.base, step.compare.candidate), course)
            score = ("--score", step.compare.score, "-o", str(self._folder / CLOSURES / name))
            active = () if step.compare.active is None else ("--active", step.compare.active)
            command: tuple[str, ...] = (*words, "compare", base, candidate, *score, *active)
            return CommandOrder(name=name, command=command, timeout_seconds=step.compare.timeout, holds=_HOLD)
        if step.promote is not None:
            promote: tuple[str, ...] = (*words, "baseline", "promote", *self._fill(step.promote.runs, course))
            promote += ("-o", str(self._folder / f"{name}.json"))
            named = {"--measure": step.promote.measure, "--gate": step.promote.gate}
            promote += tuple(word for key, value in named.items() if value is not None for word in (key, value))
            return CommandOrder(name=name, command=promote, timeout_seconds=step.promote.timeout, holds=_HOLD)
        if step.one_shot is None:
            raise ValueError(f"step {step.name} is no command")
        return self.make_shot_order(name, step.one_shot, course)

    def make_shot_order(self, name: str, shot: campaign_files.OneShotStep, course: courses.Course) -> CommandOrder:
        """The order of a command that the file gives; its first word `burst` is this burst."""
        command = self._fill(shot.command, course)
        command = (*BURST_WORDS, *command[1:]) if command[0] == "burst" else command
        return CommandOrder(name=name, command=command, timeout_seconds=shot.timeout, passes=shot.exit_code)

    def _fill(self, words: list[str] | tuple[str, ...], course: courses.Course) -> tuple[str, ...]:
        """Words with the runs of steps in them; a word that is the name of a step is its run."""
        named = {f"{name}": state.snapshot.place for name, state in course.steps.items() if state.snapshot is not None}
        return tuple(named.get(word, campaign_plans.fill_words(word, course)) for word in words)

    def take(self, order: CommandOrder) -> campaigning.StepEnd:
        """Starts the command and waits for its end."""
        deadline = instants.later(self._clock.now(), order.timeout_seconds)
        shot = tasks.OneShot(name=order.name, command=order.command, timeout_seconds=order.timeout_seconds)
        try:
            task = self._shots.start(shot, deadline)
        except (errors.UsageError, errors.Refused, errors.Unavailable) as exc:
            return campaigning.StepEnd(end="FAILED", exit_code=exc.exit_code, reason=str(exc))
        return self._wait(order, task)

    def go_on(self, order: CommandOrder) -> campaigning.StepAnswer:
        """Waits for the end of a command that an earlier process started, or says that none did."""
        launcher = self._shots.find(tasks.one_shot_id(self._campaign_id, order.name))
        task = launcher[0] if launcher else self._read_started(order.name)
        if task is None:
            return campaigning.NeverBegan(reason=f"command {order.name} was never started")
        return self._wait(order, task)

    def stop(self, order: CommandOrder) -> campaigning.StepAnswer:
        """Ends a command, and says how it ended."""
        for task in self._shots.find(tasks.one_shot_id(self._campaign_id, order.name)):
            self._shots.stop(task, by=tasks.Layer.CONTROLLER)
        return self.go_on(order)

    def _read_started(self, name: str) -> tasks.Task | None:
        """The task that was started under a name, by the file that its launch left."""
        folder = self._folder / "one_shots" / name
        if not folder.is_dir():
            return None
        own_id = tasks.one_shot_id(self._campaign_id, name)
        return processes.LocalLauncher(folder, execution_id=own_id, control_uri=None).read_launched_task(0)

    def _wait(self, order: CommandOrder, task: tasks.Task) -> campaigning.StepEnd:
        """The end of a command. Its guard ends it at its deadline, whoever waits."""
        while True:
            truth = self._shots.inspect([task])[0]
            if truth.status is tasks.TaskStatus.STOPPED:
                return self._judge(order, truth)
            self._clock.sleep(POLL_SECONDS)

    def _judge(self, order: CommandOrder, truth: tasks.TaskTruth) -> campaigning.StepEnd:
        code, log = truth.exit_code, self._folder / "one_shots" / order.name / "tasks" / "0000.log"
        if code == order.passes:
            return campaigning.StepEnd(end="PASS", exit_code=0, reason=f"{order.name} ended with {code}")
        words = f"{order.name} ended with {'no exit code' if code is None else code}; its output: {log}"
        if code is not None and code == order.holds:
            return campaigning.StepEnd(end="HOLD", exit_code=_HOLD, reason=words)
        return campaigning.StepEnd(end="FAILED", exit_code=errors.Refused.exit_code, reason=words)
